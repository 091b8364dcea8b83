//! Threads of the engine's own work, apart from those that serve the network: what alert rules and charts
//! read has some, flush and compaction have others, and SQL statements have processes
//! ([`crate::sql::statements`]). None keeps another waiting.

use std::future::Future;

use nightjar_model::{Error, Result};
use tokio::runtime::Runtime;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::Instrument;

use crate::error::EngineError;

#[derive(Debug)]
pub(crate) struct WorkPool {
    runtime: Option<Runtime>,
    tasks: TaskTracker,
}

impl WorkPool {
    pub(crate) fn new(name: &'static str, threads: usize) -> Result<Self, EngineError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name(name)
            .enable_all()
            .build()
            .map_err(|error| EngineError::Config(format!("cannot start threads: {error}")))?;
        Ok(Self { runtime: Some(runtime), tasks: TaskTracker::new() })
    }

    /// Runs `work` on the pool's threads; it is aborted when the caller no longer waits.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let Some(runtime) = &self.runtime else { return Err(Error::unavailable("the engine is closed")) };
        let task = self.tasks.spawn_on(work.instrument(tracing::info_span!("engine", work = name)), runtime.handle());
        match AbortOnDropHandle::new(task).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => Err(Error::internal(format!("{name} failed unexpectedly"))),
            Err(_) => Err(Error::unavailable("the engine is closing")),
        }
    }
}

impl Drop for WorkPool {
    fn drop(&mut self) {
        // A runtime must not be waited for where tasks run, and nothing on it needs an end.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
