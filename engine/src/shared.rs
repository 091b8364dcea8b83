//! What the engine's parts share: the state in memory, the files and the queue to the log. It knows none of the
//! parts; they know it.
//!
//! Whoever changes blocks holds the turn from reading the manifest to replacing it. Every step leaves a
//! directory that can be opened: files first, then the manifest, then what the manifest no longer needs.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use datafusion::execution::memory_pool::MemoryPool;
use nightjar_model::names::MonitorKey;
use nightjar_model::ports::{ClosedListener, MonitorCatalog, Taken};
use nightjar_model::{Clock, Error, Result, Timestamp};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::block::{Block, BlockMeta, FIELDS_KEY, METRICS_KEY};
use crate::config::EngineConfig;
use crate::error::EngineError;
use crate::manifest::{self, Manifest};
use crate::queue::Queue;
use crate::series::SeriesIndex;
use crate::state::State;
use crate::storage::Storage;
use crate::tier::Tier;
use crate::wal::record::{Body, Record};
use crate::work_pool::WorkPool;

/// What the engine's parts share.
pub(crate) struct Shared {
    pub(crate) config: EngineConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) catalog: Arc<dyn MonitorCatalog>,
    pub(crate) dir: PathBuf,
    pub(crate) storage: Arc<Storage>,
    pub(crate) state: RwLock<State>,
    pub(crate) manifest: Mutex<Manifest>,
    /// Slots that could not be rolled up when it was tried last.
    pub(crate) not_rolled_up: Mutex<BTreeSet<i64>>,
    /// Series were forgotten, and the index that is stored has them still.
    pub(crate) index_is_behind: AtomicBool,
    /// Blocks that are in no manifest any more, until no reader holds them.
    pub(crate) leaving: Mutex<Vec<Arc<Block>>>,
    /// Held by who changes blocks and manifest.
    pub(crate) turn: Semaphore,
    /// Held by who changes whom to expect.
    pub(crate) expecting: tokio::sync::Mutex<()>,
    pub(crate) flush_wanted: Notify,
    /// Of the log, as it was last written.
    pub(crate) wal_bytes: AtomicU64,
    pub(crate) compact_wanted: Notify,
    pub(crate) queue: Queue,
    /// Of flush and compaction.
    pub(crate) maintenance: WorkPool,
    /// Of what alert rules and charts read.
    pub(crate) reading: WorkPool,
    pub(crate) reading_memory: Arc<dyn MemoryPool>,
    pub(crate) listeners: RwLock<Vec<ClosedListener>>,
    /// Keeps other processes out of the directory.
    pub(crate) _lock: std::fs::File,
}

impl Shared {
    /// Returns once it is in the log, and applied.
    pub(crate) async fn write(&self, body: Body) -> Result<Taken> {
        self.queue.write(Record { at: self.clock.now(), body }).await
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

impl Shared {
    pub(crate) fn look_at_index(&self, look: &mut dyn FnMut(&SeriesIndex)) {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner).index);
    }

    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>> {
        self.turn.acquire().await.map_err(|_| Error::unavailable("the engine is closed"))
    }

    pub(crate) fn reserve_block(&self) -> u64 {
        let mut manifest = self.manifest.lock().unwrap_or_else(PoisonError::into_inner);
        manifest.next_block += 1;
        manifest.next_block
    }

    /// Replaces the manifest by what `edit` makes of it. After `Err` nothing has changed; in `Ok` is what is
    /// wrong if the change could not be made to last a power failure: it is in force, but what it made
    /// superfluous must stay.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        edit: impl FnOnce(&mut Manifest) -> Result<(), EngineError> + Send + 'static,
    ) -> Result<Option<EngineError>> {
        let shared = Arc::clone(self);
        let work = move || -> Result<Option<EngineError>, EngineError> {
            let mut manifest = shared.manifest.lock().unwrap_or_else(PoisonError::into_inner);
            let mut next = manifest.clone();
            edit(&mut next)?;
            next.version += 1;
            next.store(&shared.dir)?;
            *manifest = next;
            Ok(manifest::sync(&shared.dir).err())
        };
        Ok(blocking(work).await??)
    }

    /// Puts `fresh` in the place of the blocks `gone`, in the manifest by `edit`, and for readers to come. After an
    /// error of the edit nothing has changed, and `fresh` is deleted. The caller holds the turn.
    pub(crate) async fn exchange(
        self: &Arc<Self>,
        gone: &[u64],
        fresh: Vec<BlockMeta>,
        edit: impl FnOnce(&mut Manifest) -> Result<(), EngineError> + Send + 'static,
    ) -> Result<()> {
        let not_lasting = match self.commit(edit).await {
            Ok(not_lasting) => not_lasting,
            Err(error) => {
                self.discard(&fresh).await;
                return Err(error);
            }
        };
        self.replace_blocks(gone, fresh, |_| ());
        let Some(error) = not_lasting else { return Ok(()) };
        // In force, but the files must stay until it is known to last: the next start deletes them.
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|block| !gone.contains(&block.meta.id));
        Err(error.into())
    }

    /// Replaces blocks by others, for readers to come, and what is rolled up by what the manifest says of it. The
    /// caller holds the turn.
    pub(crate) fn replace_blocks(&self, gone: &[u64], fresh: Vec<BlockMeta>, also: impl FnOnce(&mut State)) {
        let mut rollups = self.manifest.lock().unwrap_or_else(PoisonError::into_inner).rollups.clone();
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let (left, mut kept): (Vec<_>, Vec<_>) =
            state.blocks.iter().cloned().partition(|block| gone.contains(&block.meta.id));
        kept.extend(fresh.into_iter().map(|meta| Arc::new(Block { meta })));
        kept.sort_by_key(|block| (block.meta.from, block.meta.id));
        metrics::gauge!("nightjar_engine_blocks").set(kept.len() as f64);
        state.blocks = Arc::new(kept);
        // What was let go of is taken no more, whether or not the manifest could be told.
        let kept = Tier::ALL.map(|tier| (tier, state.rollups.kept_from(tier)));
        kept.into_iter().for_each(|(tier, from)| rollups.keep_from(tier, from));
        state.rollups = Arc::new(rollups);
        also(&mut state);
        drop(state);
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner).extend(left);
    }

    /// Deletes files of blocks that left and that no reader holds.
    pub(crate) async fn sweep(&self) -> Result<()> {
        let free: Vec<Arc<Block>> = {
            let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
            let (free, held) = leaving.drain(..).partition(|block| Arc::strong_count(block) == 1);
            *leaving = held;
            free
        };
        for block in free {
            if let Err(error) = self.storage.delete(block.meta.id).await {
                tracing::warn!(%error, block = block.meta.id, "cannot delete a block that is no longer needed");
                self.leaving.lock().unwrap_or_else(PoisonError::into_inner).push(block);
            }
        }
        Ok(())
    }

    pub(crate) async fn discard(&self, blocks: &[BlockMeta]) {
        for block in blocks {
            if let Err(error) = self.storage.delete(block.id).await {
                tracing::warn!(%error, block = block.id, "cannot delete a block that did not come to be");
            }
        }
    }

    /// For those who read a block without the index: what its ids of metrics and fields stand for.
    pub(crate) fn names(&self, tables: &BTreeSet<u32>, fields: &BTreeSet<u32>) -> Vec<(String, String)> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let metric = |id: &u32| {
            let table = state.index.table(*id)?;
            let monitor = &table.monitor;
            Some(serde_json::json!({
                "id": id, "workspace": monitor.workspace, "monitor": monitor.name, "uid": table.uid.as_deref(),
                "width_ms": table.width, "tier": table.tier
            }))
        };
        let field = |id: &u32| {
            let (name, kind) = state.index.fields().get(*id as usize)?;
            Some(serde_json::json!({ "id": id, "name": &**name, "kind": kind.name() }))
        };
        let metrics: Vec<serde_json::Value> = tables.iter().filter_map(metric).collect();
        let fields: Vec<serde_json::Value> = fields.iter().filter_map(field).collect();
        let text = |values: Vec<serde_json::Value>| serde_json::Value::from(values).to_string();
        vec![(METRICS_KEY.to_owned(), text(metrics)), (FIELDS_KEY.to_owned(), text(fields))]
    }
}

/// Runs what waits for the disk where waiting holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::internal(error.to_string()))
}
