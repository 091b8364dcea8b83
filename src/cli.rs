//! The commands that talk to a server, and those that need none.
//!
//! Exit codes: 0 done; 1 refused or failed; 2 wrongly written (clap's own); 3 `diff` found differences;
//! 4 the server cannot be reached.

mod connection;
mod diff;
mod documents;
mod figures;
mod files;
mod fleet;
mod output;
mod password;
mod people;
mod refusal;

use std::process::ExitCode;

use clap::{Args, CommandFactory, Subcommand};

pub(crate) use connection::ClientOptions;
use connection::Connection;
use refusal::{Refused, Unreachable};

const DIFFERENT: u8 = 3;
const UNREACHABLE: u8 = 4;

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Write the documents of files and folders; all or none of each file.
    Apply(Client<documents::ApplyArgs>),
    /// Show documents of a kind.
    Get(Client<documents::GetArgs>),
    /// Delete a document.
    Delete(Client<documents::DeleteArgs>),
    /// Show what `apply` would change; exits with 3 if it would change anything.
    Diff(Client<diff::DiffArgs>),
    /// Print documents as files hold them, for another server or for safe-keeping.
    Export(Client<documents::ExportArgs>),
    /// Query figures with SQL; tables are monitor."name".
    Query(Client<figures::QueryArgs>),
    /// Work on monitors without a server.
    #[command(subcommand)]
    Monitor(figures::MonitorCommand),
    /// The fleet.
    Agent(ClientOf<fleet::AgentCommand>),
    /// People.
    User(ClientOf<people::UserCommand>),
    /// API tokens.
    Token(ClientOf<people::TokenCommand>),
    /// Workspaces.
    Workspace(ClientOf<people::WorkspaceCommand>),
    /// Alerts.
    Alert(ClientOf<figures::AlertCommand>),
    /// Print completions for a shell.
    Completion { shell: clap_complete::Shell },
}

/// A command that talks to a server.
#[derive(Debug, Args)]
pub(crate) struct Client<A: Args> {
    #[command(flatten)]
    args: A,
    #[command(flatten)]
    options: ClientOptions,
}

/// The same, for a command made of further ones.
#[derive(Debug, Args)]
pub(crate) struct ClientOf<C: Subcommand> {
    #[command(subcommand)]
    command: C,
    #[command(flatten)]
    options: ClientOptions,
}

/// Runs a command; what goes wrong is printed, a problem to a line.
pub(crate) async fn run(command: ClientCommand) -> ExitCode {
    match dispatch(command).await {
        Ok(code) => code,
        Err(error) => {
            if let Some(refused) = error.downcast_ref::<Refused>() {
                eprint!("{refused}");
            } else {
                eprintln!("nightjar: {error:#}");
            }
            if error.is::<Unreachable>() { ExitCode::from(UNREACHABLE) } else { ExitCode::FAILURE }
        }
    }
}

async fn dispatch(command: ClientCommand) -> anyhow::Result<ExitCode> {
    let connect = |options: ClientOptions| Connection::open(options);
    match command {
        ClientCommand::Apply(c) => return documents::apply(&connect(c.options)?, c.args).await,
        ClientCommand::Get(c) => documents::get(&connect(c.options)?, c.args).await?,
        ClientCommand::Delete(c) => documents::delete(&connect(c.options)?, c.args).await?,
        ClientCommand::Diff(c) => {
            let differs = diff::run(&connect(c.options)?, c.args).await?;
            return Ok(if differs { ExitCode::from(DIFFERENT) } else { ExitCode::SUCCESS });
        }
        ClientCommand::Export(c) => documents::export(&connect(c.options)?, c.args).await?,
        ClientCommand::Query(c) => figures::query(&connect(c.options)?, c.args).await?,
        ClientCommand::Monitor(command) => figures::monitor(command)?,
        ClientCommand::Agent(c) => fleet::run(&connect(c.options)?, c.command).await?,
        ClientCommand::User(c) => people::user(&connect(c.options)?, c.command).await?,
        ClientCommand::Token(c) => people::token(&connect(c.options)?, c.command).await?,
        ClientCommand::Workspace(c) => people::workspace(&connect(c.options)?, c.command).await?,
        ClientCommand::Alert(c) => figures::alert(&connect(c.options)?, c.command).await?,
        ClientCommand::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut crate::Cli::command(), "nightjar", &mut script);
            output::emit(&String::from_utf8_lossy(&script))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
