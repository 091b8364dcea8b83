//! Threads, memory and disk of queries and compaction, apart from those that serve the network.
//!
//! What alert rules and charts read has a pool of its own: ad-hoc SQL can take all of the other one, and
//! neither keeps them waiting nor takes their memory.

use std::future::Future;
use std::sync::Arc;

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use nightjar_model::{Error, Result};
use tokio::runtime::Runtime;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::Instrument;

use crate::config::EngineConfig;
use crate::error::EngineError;

#[derive(Debug)]
pub(crate) struct QueryPool {
    runtime: Option<Runtime>,
    tasks: TaskTracker,
    pub(crate) env: Arc<RuntimeEnv>,
}

impl QueryPool {
    pub(crate) fn new(config: &EngineConfig) -> Result<Self, EngineError> {
        let spill = config.data_dir.join("spill");
        // What a crash left.
        match std::fs::remove_dir_all(&spill) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(EngineError::Io { what: "empty", path: spill, source: error });
            }
            _ => {}
        }
        std::fs::create_dir_all(&spill).map_err(EngineError::io("make", &spill))?;
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![spill]))
            .with_max_temp_directory_size(config.query_spill_bytes);
        Self::build("engine-query", config.query_threads, config.query_memory_bytes - reserve(config), disk)
    }

    /// For windows: they are small beside queries, and never spill.
    pub(crate) fn reserved(config: &EngineConfig) -> Result<Self, EngineError> {
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        Self::build("engine-windows", config.query_threads.div_ceil(2), reserve(config), disk)
    }

    fn build(
        name: &'static str,
        threads: usize,
        memory_bytes: u64,
        disk: DiskManagerBuilder,
    ) -> Result<Self, EngineError> {
        let largest = std::num::NonZeroUsize::new(3).unwrap_or(std::num::NonZeroUsize::MIN);
        let memory = TrackConsumersPool::new(FairSpillPool::new(memory_bytes as usize), largest);
        let env = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(memory))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|error| EngineError::Config(error.to_string()))?;
        // Queries reach no files: the engine's tables read blocks by themselves.
        env.deregister_object_store(ObjectStoreUrl::local_filesystem().as_ref())
            .map_err(|error| EngineError::Config(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name(name)
            .enable_all()
            .build()
            .map_err(|error| EngineError::Config(format!("cannot start threads for queries: {error}")))?;
        Ok(Self { runtime: Some(runtime), tasks: TaskTracker::new(), env })
    }

    pub(crate) fn memory(&self) -> &Arc<dyn MemoryPool> {
        &self.env.memory_pool
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

/// A quarter of the memory of queries.
fn reserve(config: &EngineConfig) -> u64 {
    config.query_memory_bytes / 4
}

impl Drop for QueryPool {
    fn drop(&mut self) {
        // A runtime must not be waited for where tasks run, and nothing on it needs an end.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
