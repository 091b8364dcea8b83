//! Nightjar: the whole life of the process. Parse, configure, build the rooms, serve until told to
//! stop, drain.

mod backup;
mod cli;
mod demo;
mod server;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Records are millions of small pieces a second, made on one thread and dropped on another; see
/// `docs/decisions/0033-the-servers-memory-is-mimallocs.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Monitoring that counts exactly, and says so.
#[derive(Parser)]
#[command(name = "nightjar", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server: collector, engine, alerting, API and console in one process.
    Server(server::ServerArgs),
    /// Read the configuration, say what is wrong with it, start nothing.
    CheckConfig(server::ConfigArgs),
    /// Copy what a server has, as of one moment, while it runs.
    Backup(backup::BackupArgs),
    /// Put a backup where a server finds it. No server may run on it.
    Restore(backup::RestoreArgs),
    /// A server, an agent and an application that begins to fail, all on this machine.
    Demo(demo::DemoArgs),
    /// Run a program that ends when this process's parent does.
    #[command(hide = true)]
    Tethered(demo::TetheredArgs),
    #[command(flatten)]
    Client(cli::ClientCommand),
}

fn main() -> ExitCode {
    // The server starts itself once more for a SQL statement; that process is no part of what follows.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "sql-statements") {
        return nightjar_engine::serve_statements();
    }
    live()
}

#[tokio::main]
async fn live() -> ExitCode {
    // The one provider of cryptography in the process; rustls asks for it wherever it is used.
    let installed = rustls::crypto::ring::default_provider().install_default();
    if installed.is_err() {
        eprintln!("nightjar: another cryptography provider is already installed");
        return ExitCode::FAILURE;
    }
    let outcome = match Cli::parse().command {
        Command::Server(args) => server::run(args).await,
        Command::CheckConfig(args) => server::check_config(&args),
        Command::Backup(args) => backup::backup(args).await,
        Command::Restore(args) => backup::restore(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Tethered(args) => demo::tethered(&args),
        Command::Client(command) => return cli::run(command).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nightjar: {error:#}");
            ExitCode::FAILURE
        }
    }
}
