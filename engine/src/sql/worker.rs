//! The life of a process that runs statements: settings, then one statement after another, until the server
//! is gone or nothing comes for long.

use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use nightjar_model::Error;
use rustix::process::{Resource, Rlimit, Signal};
use tokio::runtime::Runtime;

use super::link::Link;
use super::session::Session;
use super::wire::{self, Order, Report, Settings, Statement};

/// A process without work ends after so long.
const IDLE: Duration = Duration::from_secs(300);

/// Behind what serves the network, writes and judges, wherever there are too few processors.
const NICENESS: i32 = 10;

/// Stacks of planning and running; deep statements get more by themselves.
const STACK_BYTES: usize = 8 << 20;

/// What a statement takes beyond its pool: what is read, encoded and compared at the moment.
const BESIDE_POOL: u64 = 64 << 20;

/// Threads that read files, at one time: so many are made when the machine is busy. Only their stacks are told of
/// here; a bound of their number could have what is spilled wait for itself.
const READERS: usize = 16;

/// What is left of an ended statement's tasks is waited for so long.
const QUIET: Duration = Duration::from_millis(50);

/// Runs statements for the server at the other end of the standard input, a socket.
pub fn serve_statements() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(io::Write::write_all(&mut io::stderr(), format!("{error}\n").as_bytes()));
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let socket = UnixStream::from(rustix::stdio::stdin().try_clone_to_owned()?);
    let mut orders = BufReader::new(socket.try_clone()?);
    // The first to go when the machine has no memory left; without /proc it is not.
    drop(std::fs::write("/proc/self/oom_score_adj", "500"));
    rustix::process::nice(NICENESS)?;
    let Some((Order::Settings(settings), _)) = wire::read(&mut orders)? else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.threads)
        .thread_name("statement")
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()?;
    limit_memory(&settings)?;
    let link = Arc::new(Link::new(socket));
    let (statements, next) = sync_channel(1);
    let replies = Arc::clone(&link);
    std::thread::Builder::new().name("orders".into()).spawn(move || listen(orders, &replies, &statements))?;
    run(&runtime, &settings, &link, &next)
}

fn run(runtime: &Runtime, settings: &Settings, link: &Arc<Link>, next: &Receiver<Statement>) -> io::Result<()> {
    let session = Arc::new(Session::new(settings, link).map_err(|error| io::Error::other(error.message))?);
    loop {
        let statement = match next.recv_timeout(IDLE) {
            Ok(statement) => statement,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
        };
        let session = Arc::clone(&session);
        // A task of its own, so that a panic is an outcome.
        let task = runtime.spawn(async move { session.run(statement).await });
        let outcome = runtime.block_on(task).unwrap_or_else(|error| Err(panicked(error)));
        let again = is_quiet(runtime) && is_small(settings);
        match outcome {
            Ok(()) => link.send(&Report::End { again }, &[])?,
            Err(error) => link.send(&Report::Failed { fault: error.into(), again }, &[])?,
        }
        if !again {
            // The server kills it.
            std::thread::park_timeout(IDLE);
            return Ok(());
        }
    }
}

/// Ends the process when the server is gone, whatever it is doing.
fn listen(mut orders: BufReader<UnixStream>, link: &Link, statements: &SyncSender<Statement>) {
    loop {
        match wire::read(&mut orders) {
            Ok(Some((Order::Statement(statement), _))) => drop(statements.try_send(statement)),
            Ok(Some((Order::Reply(number, outcome), body))) => link.reply(number, outcome, body),
            // No destructor waits for a statement that does not yield.
            _ => drop(rustix::process::kill_process(rustix::process::getpid(), Signal::KILL)),
        }
    }
}

/// Allocations beyond the limit fail, and end the process.
fn limit_memory(settings: &Settings) -> io::Result<()> {
    let stacks = (settings.threads + 2 + READERS) * STACK_BYTES;
    let bytes = data_bytes() + settings.memory_bytes + settings.memory_bytes / 4 + BESIDE_POOL + stacks as u64;
    rustix::process::setrlimit(Resource::Data, Rlimit { current: Some(bytes), maximum: Some(bytes) })?;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

/// Memory that counts against the limit, as of now.
fn data_bytes() -> u64 {
    status("VmData:")
}

fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Whether no task of the statement is left. One that does not yield is.
fn is_quiet(runtime: &Runtime) -> bool {
    let deadline = Instant::now() + QUIET;
    while runtime.metrics().num_alive_tasks() > 0 {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// What the statement freed the allocator may have kept.
fn is_small(settings: &Settings) -> bool {
    status("VmRSS:") < BESIDE_POOL + settings.memory_bytes / 2
}

fn panicked(error: tokio::task::JoinError) -> Error {
    let text = match error.try_into_panic() {
        Ok(panic) => (panic.downcast_ref::<String>().cloned())
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default(),
        Err(error) => error.to_string(),
    };
    super::session::library_failed(&text)
}
