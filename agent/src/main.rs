//! `nightjar-agent`: reads its arguments, sets up logging, runs until it is told to stop.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use nightjar_agent::cli::{Cli, Command};
use nightjar_agent::{run, scan};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => args.log_filter().and_then(|filter| {
            start_log(filter);
            agent(args.into_config()?)
        }),
        Command::Leave(args) => args.log_filter().and_then(|filter| {
            start_log(filter);
            leave(args.into_config()?)
        }),
        Command::Scan(args) => {
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            scan::run(args, &mut out).and_then(|()| out.flush().context("cannot write the result"))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let told = writeln!(std::io::stderr(), "nightjar-agent: {error:#}");
            if told.is_ok() { ExitCode::FAILURE } else { ExitCode::from(2) }
        }
    }
}

fn start_log(filter: tracing_subscriber::EnvFilter) {
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

fn leave(config: nightjar_agent::AgentConfig) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    Ok(runtime.block_on(nightjar_agent::leave(config))?)
}

/// Enough for what a thousand files per pattern and their rotated generations keep open.
const OPEN_FILES: u64 = 65_536;

/// Raises the limit on open files as far as it may: a shell's usual 1024 are few when many logs rotate at once.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit on open files stays as it is");
        }
    }
}

fn agent(config: nightjar_agent::AgentConfig) -> anyhow::Result<()> {
    raise_open_files();
    // One thread talks, one reads: an idle agent should cost its host nothing.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()
        .context("cannot start")?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut running = std::pin::pin!(run(config, stop.clone()));
        tokio::select! {
            outcome = &mut running => return Ok(outcome?),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
        Ok(running.await?)
    })
}
