//! `nightjar demo`: the whole main job on one machine. A server, an agent, an application that begins
//! to fail after a minute, and local stand-ins for DingTalk, a mail server and a webhook that check
//! what they are sent and print it.

mod api;
mod application;
mod children;
mod documents;
mod sinks;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use children::{TetheredArgs, tethered};

use api::Api;
use application::Application;
use children::Child;
use sinks::{Channel, Keys, Received, Sinks};

const USER: &str = "admin";
const START_WITHIN: Duration = Duration::from_secs(60);
const ALERT_WITHIN: Duration = Duration::from_secs(300);

#[derive(clap::Args, Debug)]
pub(crate) struct DemoArgs {
    /// End, with success, once an alert has reached DingTalk, a mailbox and a webhook.
    #[arg(long)]
    exit_after_alert: bool,
    /// Seconds until the application begins to fail.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    healthy_for: u64,
}

pub(crate) async fn run(args: DemoArgs) -> Result<()> {
    let mut interrupted = Interrupts::listen()?;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let scratch = tempfile::Builder::new().prefix("nightjar-demo-").tempdir().context("making a directory")?;
    let outcome = tokio::select! {
        outcome = play(&args, scratch.path(), &tasks, &stop) => outcome,
        () = interrupted.wait() => {
            println!("\nStopping everything…");
            Ok(())
        }
    };
    // The children have ended: they are dropped with `play`, and ended as they are dropped.
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    outcome.map_err(|error| match last_lines(scratch.path()) {
        Some(lines) => error.context(lines),
        None => error,
    })
}

async fn play(args: &DemoArgs, scratch: &Path, tasks: &TaskTracker, stop: &CancellationToken) -> Result<()> {
    let keys = Keys::fresh();
    let (received, mut messages) = mpsc::channel(256);
    let sinks = Sinks::open(keys.clone(), received, tasks, stop).await.context("opening the local receivers")?;
    let log = scratch.join("trade.log");
    std::fs::write(&log, "").context("making the application's log")?;

    let (http, agents) = (free_port(9700).await?, free_port(9701).await?);
    let password = sinks::random_word(12);
    let token = sinks::random_word(32);
    let own = std::env::current_exe().context("finding this program")?;
    let agent_program = own.with_file_name("nightjar-agent");
    if !agent_program.is_file() {
        bail!("{} is not there; build it with `make build`", agent_program.display());
    }

    let mut server = Command::new(&own);
    server
        .arg("server")
        .args(["--http", &format!("127.0.0.1:{http}"), "--agents", &format!("127.0.0.1:{agents}")])
        .arg("--data-dir")
        .arg(scratch.join("server"))
        .env("NIGHTJAR_WEB_PUBLIC_URL", format!("http://127.0.0.1:{http}"))
        .env("NIGHTJAR_ADMIN_PASSWORD", &password)
        .env("NIGHTJAR_BOOTSTRAP_TOKEN", &token);
    let mut server = Child::start("server", &own, server, scratch)?;
    let api = Api::new(format!("http://127.0.0.1:{http}"), token);
    api.wait_ready(&mut server, START_WITHIN).await?;

    let enrolment = api.enrolment_token().await?;
    let mut agent = Command::new(&agent_program);
    agent
        .arg("run")
        .env("NIGHTJAR_AGENT_TOKEN", &enrolment)
        .args(["--server", &format!("http://127.0.0.1:{agents}"), "--label", "app=trade"])
        .arg("--data-dir")
        .arg(scratch.join("agent"));
    let mut agent = Child::start("agent", &own, agent, scratch)?;
    api.apply(&documents::all(&log, &sinks, &keys)?).await?;

    let application = Application { log: log.clone(), healthy_for: Duration::from_secs(args.healthy_for) };
    let running = stop.clone();
    tasks.spawn_blocking(move || application.run(&running));

    println!("Nightjar is running.\n");
    println!("  console   http://127.0.0.1:{http}   user {USER}, password {password}");
    println!("  log       {}", log.display());
    println!("  logs of server and agent in {}\n", scratch.display());
    println!("The trading application is well for {} s, then slows down and fails.", args.healthy_for);
    println!("What DingTalk, the mailbox and the webhook receive appears below. Ctrl-C stops everything.\n");

    let mut reached = Vec::new();
    let deadline = tokio::time::sleep(Duration::from_secs(args.healthy_for) + ALERT_WITHIN);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            message = messages.recv() => {
                let Some(message) = message else { bail!("the local receivers stopped") };
                print_message(&message);
                if message.verified.is_ok() && !reached.contains(&message.channel) {
                    reached.push(message.channel);
                    if reached.len() == Channel::ALL.len() {
                        println!("An alert has reached all three. That is the whole way, from a line to a message.\n");
                        if args.exit_after_alert {
                            return Ok(());
                        }
                    }
                }
            }
            () = &mut deadline, if reached.len() < Channel::ALL.len() => {
                bail!("no alert reached all of DingTalk, mailbox and webhook within {} s", ALERT_WITHIN.as_secs());
            }
            ended = server.ended() => bail!("the server ended: {ended}"),
            ended = agent.ended() => bail!("the agent ended: {ended}"),
        }
    }
}

fn print_message(message: &Received) {
    let verdict = match &message.verified {
        Ok(what) => what.clone(),
        Err(what) => format!("REFUSED: {what}"),
    };
    println!("━━ {} ━━ {} ━━", message.channel, verdict);
    for line in message.text.lines() {
        println!("   {line}");
    }
    println!();
}

/// The preferred port if it is free, else any.
async fn free_port(preferred: u16) -> Result<u16> {
    for port in [preferred, 0] {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return Ok(listener.local_addr()?.port());
        }
    }
    bail!("no port is free on 127.0.0.1")
}

/// The end of both logs, to go with an error: the directory will be gone.
fn last_lines(scratch: &Path) -> Option<String> {
    let mut text = String::new();
    for name in ["server", "agent"] {
        let log = std::fs::read_to_string(scratch.join(format!("{name}.log"))).ok()?;
        let lines: Vec<&str> = log.lines().rev().take(15).collect();
        text.push_str(&format!("last lines of the {name}:\n"));
        lines.iter().rev().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    Some(text)
}

struct Interrupts {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Interrupts {
    fn listen() -> Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
