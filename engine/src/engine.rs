//! The engine itself: what it is made of, its opening and closing, and the way in.

mod open;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use nightjar_model::delta::Batch;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{
    AgentGap, ClosedListener, Expectation, Intake, LastTaken, MonitorCatalog, Reconciler, Taken, WindowReader,
};
use nightjar_model::query::{Contributor, Progress, SqlAnswer, SqlFormat, WindowAnswer, WindowQuery};
use nightjar_model::{Clock, Error, Result, Timestamp};
use tokio::sync::oneshot;

use crate::committer::STOP_TIMEOUT;
use crate::config::EngineConfig;
use crate::maintain::tasks;
use crate::queue::Request;
use crate::shared::Shared;
use crate::sql::statements::Statements;
use crate::tier::{Retention, Tier};
use crate::wal::record::{Body, check_batch};

/// An agent's watermark is believed at most this far ahead of the server's clock.
const WATERMARK_AHEAD: std::time::Duration = std::time::Duration::from_secs(3);

/// Stores windows, and answers for them.
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
    statements: Arc<Statements>,
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
        let (shared, statements, committer) =
            opened.map_err(|error| Error::internal(format!("opening the engine: {error}")))??;
        Ok(Arc::new(Self { shared, statements, committer: Mutex::new(Some(committer)) }))
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
        self.statements.stop();
    }

    /// Flushes, and stops taking anything. What cannot be flushed is in the log.
    pub async fn close(&self) -> Result<()> {
        self.end_statements();
        self.statements.stopped().await;
        let flushed = self.flush().await;
        let (done, stopped) = oneshot::channel();
        if self.shared.queue.send(Request::Stop(done)).await.is_ok()
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
        let asked = self.shared.queue.try_send(Request::Stop(done));
        let thread = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && asked
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the log ended in a panic");
        }
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
        crate::sql::statements::answer(&self.shared, &self.statements, workspace, sql, format).await
    }
}
