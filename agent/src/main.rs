//! `nightjar-agent`: reads its arguments, sets up logging, runs until it is told to stop.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use nightjar_agent::cli::{Cli, Command};
use nightjar_agent::{run, scan};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => args.log_filter().and_then(|filter| {
            tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_ansi(std::io::stderr().is_terminal())
                .with_writer(std::io::stderr)
                .init();
            agent(args.into_config()?)
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

fn agent(config: nightjar_agent::AgentConfig) -> anyhow::Result<()> {
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
