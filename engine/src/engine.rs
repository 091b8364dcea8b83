//! The engine itself: what it is made of, its opening and closing, and the way in.

mod open;

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::execution::memory_pool::MemoryPool;
use nightjar_model::delta::Batch;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{
    AgentGap, ClosedListener, Expectation, Intake, LastTaken, MonitorCatalog, Reconciler, Taken, WindowReader,
};
use nightjar_model::query::{Contributor, Progress, SqlAnswer, SqlFormat, WindowAnswer, WindowQuery};
use nightjar_model::{Clock, Error, Result, Timestamp};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use crate::block::Block;
use crate::committer::{Request, STOP_TIMEOUT, Write};
use crate::config::EngineConfig;
use crate::maintain::tasks;
use crate::manifest::Manifest;
use crate::sql::statements::Statements;
use crate::state::State;
use crate::storage::Storage;
use crate::tier::{Retention, Tier};
use crate::wal::record::{Body, Record, check_batch};
use crate::work_pool::WorkPool;

/// An agent's watermark is believed at most this far ahead of the server's clock.
const WATERMARK_AHEAD: std::time::Duration = std::time::Duration::from_secs(3);

/// Records that wait for the log take at most this much memory.
const QUEUE_KIB: usize = 64 << 10;

/// What the engine's parts share.
pub(crate) struct Shared {
    pub(crate) config: EngineConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) catalog: Arc<dyn MonitorCatalog>,
    pub(crate) dir: PathBuf,
    pub(crate) storage: Arc<Storage>,
    pub(crate) state: RwLock<State>,
    pub(crate) manifest: Mutex<Manifest>,
    /// Blocks that are in no manifest any more, until no reader holds them.
    pub(crate) leaving: Mutex<Vec<Arc<Block>>>,
    /// Held by who changes blocks and manifest.
    pub(crate) turn: Semaphore,
    /// Held by who changes whom to expect.
    expecting: tokio::sync::Mutex<()>,
    pub(crate) flush_wanted: Notify,
    /// Of the log, as it was last written.
    wal_bytes: AtomicU64,
    pub(crate) compact_wanted: Notify,
    pub(crate) requests: mpsc::Sender<Request>,
    /// Of flush and compaction.
    pub(crate) maintenance: WorkPool,
    /// Of what alert rules and charts read.
    pub(crate) reading: WorkPool,
    pub(crate) reading_memory: Arc<dyn MemoryPool>,
    pub(crate) statements: Statements,
    listeners: RwLock<Vec<ClosedListener>>,
    queue: Arc<Semaphore>,
    /// Keeps other processes out of the directory.
    _lock: std::fs::File,
}

/// Stores windows, and answers for them.
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// Opens the engine's directory, and recovers what was acknowledged. It is ready when this returns.
    ///
    /// # Errors
    /// Settings that are not valid, a directory in use, damaged files: each says which and what to do.
    pub async fn open(
        config: EngineConfig,
        clock: Arc<dyn Clock>,
        catalog: Arc<dyn MonitorCatalog>,
    ) -> Result<Arc<Self>> {
        let opened = tokio::task::spawn_blocking(move || open::open(config, clock, catalog)).await;
        let (shared, committer) = opened.map_err(|error| Error::internal(format!("opening the engine: {error}")))??;
        Ok(Arc::new(Self { shared, committer: Mutex::new(Some(committer)) }))
    }

    /// Calls `listener` whenever more windows of a monitor are complete, with the end of the last one. It
    /// is called by the thread that writes the log: it must not wait for anything.
    pub fn on_closed(&self, listener: ClosedListener) {
        self.shared.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// The background work: flush, compaction, roll-ups, retention.
    pub fn reconcilers(&self) -> Vec<Arc<dyn Reconciler>> {
        tasks::all(&self.shared)
    }

    /// Writes everything in memory to blocks.
    pub async fn flush(&self) -> Result<()> {
        crate::maintain::flush::flush(&self.shared).await
    }

    /// Ends the SQL statements that run, and runs no more: they are not waited for when the server stops.
    pub fn end_statements(&self) {
        self.shared.statements.stop();
    }

    /// Flushes, and stops taking anything. What cannot be flushed is in the log.
    pub async fn close(&self) -> Result<()> {
        self.end_statements();
        self.shared.statements.stopped().await;
        let flushed = self.flush().await;
        let (done, stopped) = oneshot::channel();
        if self.shared.requests.send(Request::Stop(done)).await.is_ok()
            && tokio::time::timeout(STOP_TIMEOUT, stopped).await.is_err()
        {
            return Err(Error::new(nightjar_model::ErrorKind::Timeout, "the log's last write did not end"));
        }
        flushed
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end_statements();
        // Without `close` it is as after a crash, but the thread must be gone before the directory can be
        // opened again.
        let (done, _) = oneshot::channel();
        let asked = self.shared.requests.try_send(Request::Stop(done));
        let thread = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && !matches!(asked, Err(mpsc::error::TrySendError::Full(_)))
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the log ended in a panic");
        }
    }
}

impl Shared {
    /// Returns once it is in the log, and applied.
    pub(crate) async fn write(&self, body: Body) -> Result<Taken> {
        let record = Record { at: self.clock.now(), body };
        let bytes = record.encode();
        let closed = || Error::unavailable("the engine is closed");
        let kib = (bytes.len() / 1024 + 1).min(QUEUE_KIB) as u32;
        let permit = Arc::clone(&self.queue).acquire_many_owned(kib).await.map_err(|_| closed())?;
        let (done, answer) = oneshot::channel();
        let write = Write { record, bytes, done, _permit: permit };
        self.requests.send(Request::Write(write)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    pub(crate) fn closed(&self, closed: HashMap<MonitorKey, Timestamp>) {
        if closed.is_empty() {
            return;
        }
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner).clone();
        for (monitor, through) in &closed {
            listeners.iter().for_each(|listener| listener(monitor, *through));
        }
    }

    /// The log has so many bytes now.
    pub(crate) fn wal_is(&self, bytes: u64) {
        self.wal_bytes.store(bytes, Ordering::Relaxed);
        if bytes >= self.config.wal_bytes {
            self.flush_wanted.notify_one();
        }
    }

    /// Whether the log is so long that a start would read it for long.
    pub(crate) fn wal_is_long(&self) -> bool {
        self.wal_bytes.load(Ordering::Relaxed) >= self.config.wal_bytes
    }
}

#[async_trait]
impl Intake for Engine {
    async fn take(&self, mut batch: Batch) -> Result<Taken> {
        check_batch(&batch)?;
        let latest = self.shared.clock.now().saturating_add(WATERMARK_AHEAD);
        for watermark in &mut batch.watermarks {
            watermark.through = watermark.through.min(latest);
            watermark.gap = watermark.gap.map(|until| until.min(latest));
            watermark.gap_from = watermark.gap_from.map(|from| from.min(latest));
        }
        self.shared.write(Body::Batch(batch)).await
    }

    async fn last_taken(&self, agent: &AgentId, incarnation: u64) -> Result<LastTaken> {
        let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
        Ok(state.sequences.last_taken(agent, incarnation))
    }

    fn accepts(&self, now: Timestamp, width: Duration) -> Range<Timestamp> {
        let tier = Tier::of_width(width.as_millis() as i64);
        let taken = crate::state::taken(now, Retention::new(&self.shared.config).of(tier));
        let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
        taken.start.max(Timestamp(state.rollups.taken_from(tier)))..taken.end
    }

    async fn note_gap(&self, mut gap: AgentGap) -> Result<()> {
        gap.until = gap.until.min(self.shared.clock.now().saturating_add(WATERMARK_AHEAD));
        self.shared.write(Body::Gap(gap)).await.map(drop)
    }

    async fn expect(&self, expected: Vec<Expectation>) -> Result<()> {
        let valid = |e: &Expectation| (1..=u128::from(u32::MAX)).contains(&e.width.as_millis());
        if !expected.iter().all(valid) {
            return Err(Error::invalid("windows are from 1 ms to 49 days wide", Vec::new()));
        }
        // One at a time: what is found to have changed must still be so when it is applied.
        let _turn = self.shared.expecting.lock().await;
        // Comparing a large fleet takes longer than the lock may be held.
        let tracker = self.shared.state.read().unwrap_or_else(PoisonError::into_inner).tracker.clone();
        let changes = tracker.changes(&expected);
        drop(tracker);
        if !changes.is_empty() {
            self.shared.write(Body::Change(changes)).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl WindowReader for Engine {
    async fn windows(&self, query: WindowQuery) -> Result<WindowAnswer> {
        crate::windows::windows(&self.shared, query).await
    }

    async fn progress(&self, monitor: &MonitorKey) -> Result<Progress> {
        let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
        Ok(state.tracker.track(monitor).map(|track| track.progress()).unwrap_or_default())
    }

    async fn contributors(&self, monitor: &MonitorKey) -> Result<Vec<Contributor>> {
        let track = self.shared.state.read().unwrap_or_else(PoisonError::into_inner).tracker.track(monitor).cloned();
        Ok(track.map(|track| track.contributors()).unwrap_or_default())
    }

    async fn sql(&self, workspace: &str, sql: &str, format: SqlFormat) -> Result<SqlAnswer> {
        crate::sql::statements::answer(&self.shared, workspace, sql, format).await
    }
}
