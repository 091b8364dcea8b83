//! Statements, seen from the server: each has a process of its own, that nothing else shares.
//!
//! Whatever a statement does, computes while it is planned, or does not yield from, ends with the process
//! when its time is over, its client is gone, or the engine closes; what takes too much memory or too deep
//! a stack takes only the process down. A process whose statement left nothing behind runs the next one.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nightjar_model::query::{SqlAnswer, SqlBody, SqlFormat};
use nightjar_model::{Error, ErrorKind, Result};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::host::Host;
use super::process::Process;
use super::wire::{Order, Report, Settings, Statement};
use crate::config::EngineConfig;
use crate::error::EngineError;
use crate::shared::Shared;

const MAX_SQL_BYTES: usize = 1 << 20;

/// Processes that wait for a statement.
const IDLE: usize = 2;

/// Pieces of an answer on their way to the client.
const PIECES: usize = 4;

/// An answer is held back until it is complete or as long as this: what goes wrong before is told as an error,
/// what goes wrong later breaks the answer off.
const HELD_BACK: usize = 4 << 20;

#[derive(Debug)]
pub(crate) struct Statements {
    program: Vec<String>,
    settings: Settings,
    started: AtomicU64,
    turns: Arc<Semaphore>,
    /// All turns but one, by workspace: none keeps the others from asking.
    of_workspace: Mutex<HashMap<String, Arc<Semaphore>>>,
    most_of_workspace: usize,
    idle: Mutex<Vec<Process>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Statements {
    pub(crate) fn new(config: &EngineConfig) -> Result<Self, EngineError> {
        let dir = std::path::absolute(&config.data_dir).map_err(EngineError::io("find", &config.data_dir))?;
        let spill = dir.join("spill");
        // What a crash left.
        match std::fs::remove_dir_all(&spill) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(EngineError::Io { what: "empty", path: spill, source: error });
            }
            _ => {}
        }
        std::fs::create_dir_all(&spill).map_err(EngineError::io("make", &spill))?;
        let settings = Settings {
            blocks: dir.join("blocks"),
            spill,
            spill_bytes: config.query_spill_bytes / config.query_concurrency as u64,
            memory_bytes: config.query_memory_bytes,
            threads: config.query_threads,
        };
        Ok(Self {
            program: config.statement_program.clone(),
            settings,
            started: AtomicU64::new(0),
            turns: Arc::new(Semaphore::new(config.query_concurrency)),
            of_workspace: Mutex::default(),
            most_of_workspace: config.query_concurrency.saturating_sub(1).max(1),
            idle: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    /// Ends what runs, and runs nothing more.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns once everything has ended after [`Statements::stop`].
    pub(crate) async fn stopped(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The workspace's own turn, then one of all.
    async fn turn(&self, workspace: &str) -> Result<Turn, AcquireError> {
        let share = {
            let mut of_workspace = self.of_workspace.lock().unwrap_or_else(PoisonError::into_inner);
            // Those of which none is held or waited for.
            of_workspace.retain(|_, share| Arc::strong_count(share) > 1);
            let share = of_workspace.entry(workspace.to_owned());
            Arc::clone(share.or_insert_with(|| Arc::new(Semaphore::new(self.most_of_workspace))))
        };
        let share = share.acquire_owned().await?;
        Ok(Turn { _share: share, _turn: Arc::clone(&self.turns).acquire_owned().await? })
    }

    fn spill(&self) -> PathBuf {
        self.settings.spill.join(self.started.fetch_add(1, Ordering::Relaxed).to_string())
    }

    async fn process(&self, fresh: bool) -> Result<Process> {
        if !fresh && let Some(process) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(process);
        }
        metrics::counter!("nightjar_engine_statement_processes_total").increment(1);
        Process::start(&self.program, Settings { spill: self.spill(), ..self.settings.clone() }, &self.tasks).await
    }

    /// Keeps a process for the next statement; one that need not be kept is given back.
    fn keep(&self, mut process: Process) -> Option<Process> {
        process.used = true;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE && !self.stop.is_cancelled() {
            idle.push(process);
            return None;
        }
        Some(process)
    }
}

pub(crate) async fn answer(
    shared: &Arc<Shared>,
    statements: &Arc<Statements>,
    workspace: &str,
    sql: &str,
    format: SqlFormat,
) -> Result<SqlAnswer> {
    let started = std::time::Instant::now();
    let answer = begin(shared, statements, workspace, sql, format).await;
    let outcome = if answer.is_ok() { "ok" } else { "error" };
    metrics::histogram!("nightjar_engine_query_seconds", "kind" => "sql").record(started.elapsed());
    metrics::counter!("nightjar_engine_queries_total", "outcome" => outcome).increment(1);
    answer
}

async fn begin(
    shared: &Arc<Shared>,
    statements: &Arc<Statements>,
    workspace: &str,
    sql: &str,
    format: SqlFormat,
) -> Result<SqlAnswer> {
    if sql.len() > MAX_SQL_BYTES {
        let text = format!("the statement is longer than {} KiB: shorten it, or ask in several", MAX_SQL_BYTES >> 10);
        return Err(Error::new(ErrorKind::TooLarge, text));
    }
    let limit = shared.config.query_timeout;
    let deadline = Instant::now() + limit.0;
    let turn = tokio::select! {
        () = statements.stop.cancelled() => return Err(stopping()),
        turn = tokio::time::timeout_at(deadline, statements.turn(workspace)) => turn,
    };
    let Ok(Ok(turn)) = turn else {
        let text = format!("other queries were running for all of {limit}; try again later");
        return Err(Error::new(ErrorKind::Timeout, text));
    };
    let now = shared.clock.now();
    let host = Host::new(shared, workspace, &shared.catalog.monitors(workspace).await?, now);
    let statement =
        Statement { sql: sql.to_owned(), format, now: now.0, row_limit: shared.config.query_row_limit as usize };
    let (pieces, body) = mpsc::channel(PIECES);
    let run = Run { shared: Arc::clone(shared), statements: Arc::clone(statements), host, statement, pieces, deadline };
    statements.tasks.spawn(run.drive(turn).instrument(tracing::info_span!("engine", work = "sql")));
    hold_back(body, format).await
}

/// A statement may run until this is dropped.
struct Turn {
    _share: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

fn stopping() -> Error {
    Error::unavailable("the server is stopping")
}

/// Waits for the end of the answer or for a good part of it.
async fn hold_back(mut body: mpsc::Receiver<Result<Vec<u8>>>, format: SqlFormat) -> Result<SqlAnswer> {
    let content_type = match format {
        SqlFormat::Json => "application/json",
        SqlFormat::Csv => "text/csv; charset=utf-8",
        SqlFormat::Arrow => "application/vnd.apache.arrow.stream",
    };
    let mut first = Vec::new();
    while first.len() < HELD_BACK {
        let piece = body.recv().await.ok_or_else(|| Error::internal("the statement ended without a word"))??;
        if piece.is_empty() {
            return Ok(SqlAnswer { content_type, body: SqlBody::whole(first) });
        }
        first.extend_from_slice(&piece);
    }
    Ok(SqlAnswer { content_type, body: SqlBody::streamed(first, body) })
}

/// One statement on its way.
struct Run {
    shared: Arc<Shared>,
    statements: Arc<Statements>,
    host: Host,
    statement: Statement,
    /// To the client; an empty piece is the end.
    pieces: mpsc::Sender<Result<Vec<u8>>>,
    deadline: Instant,
}

impl Run {
    /// The turn is over when nothing of the statement is left but what the client has not taken yet.
    async fn drive(mut self, turn: Turn) {
        let (statements, pieces, deadline) = (Arc::clone(&self.statements), self.pieces.clone(), self.deadline);
        let mut process = None;
        let outcome = tokio::select! {
            biased;
            () = pieces.closed() => Err(Error::unavailable("the client is gone")),
            () = statements.stop.cancelled() => Err(stopping()),
            () = tokio::time::sleep_until(deadline) => {
                let limit = self.shared.config.query_timeout;
                let text = format!("the query did not end within {limit}: ask for less time or fewer columns");
                Err(Error::new(ErrorKind::Timeout, text))
            }
            outcome = self.converse(&mut process) => outcome,
        };
        let (last, again) = match outcome {
            Ok((outcome, again)) => (outcome.map(|()| Vec::new()), again),
            Err(error) => (Err(error), false),
        };
        let left = match process {
            Some(process) if again => statements.keep(process),
            left => left,
        };
        if let Some(process) = left {
            process.end().await;
        }
        drop(turn);
        // A client that does not read is not waited for: its answer breaks off.
        drop(tokio::time::timeout_at(deadline, pieces.send(last)).await);
    }

    /// What became of the statement, and whether the process is as it was.
    async fn converse(&mut self, slot: &mut Option<Process>) -> Result<(Result<()>, bool)> {
        let mut fresh = false;
        loop {
            let process = slot.insert(self.statements.process(fresh).await?);
            let mut sent = process.send(&Order::Statement(self.statement.clone()), &[]).await.is_ok();
            let mut begun = false;
            while sent {
                let Some((report, body)) = process.receive().await.map_err(broken)? else { break };
                begun = true;
                match report {
                    Report::Piece => {
                        // An empty one would be the end.
                        if !body.is_empty() && self.pieces.send(Ok(body)).await.is_err() {
                            return Err(Error::unavailable("the client is gone"));
                        }
                    }
                    Report::Question(number, question) => {
                        let (reply, body) = match self.host.answer(question, body).await {
                            Ok((reply, body)) => (Ok(reply), body),
                            Err(error) => (Err(error.into()), Vec::new()),
                        };
                        sent = process.send(&Order::Reply(number, reply), &body).await.is_ok();
                    }
                    Report::End { again } => return Ok((Ok(()), again)),
                    Report::Failed { fault, again } => return Ok((Err(fault.into()), again)),
                }
            }
            let Some(process) = slot.take() else { continue };
            // One that had nothing to do for long ends by itself, maybe just now.
            if process.used && !begun {
                process.end().await;
                fresh = true;
                continue;
            }
            return Err(process.autopsy().await);
        }
    }
}

fn broken(error: std::io::Error) -> Error {
    Error::internal(format!("the process of a statement cannot be understood: {error}"))
}
