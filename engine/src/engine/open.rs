//! Opening: manifest, series index, log. Blocks are only looked for, not read, so it takes as long with
//! a month of windows as with a day.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

use datafusion::execution::memory_pool::GreedyMemoryPool;
use nightjar_model::ports::MonitorCatalog;
use nightjar_model::{Clock, Problems, Timestamp};
use tokio::sync::{Notify, Semaphore};

use crate::block::{Block, read};
use crate::committer;
use crate::completeness::checkpoint;
use crate::config::EngineConfig;
use crate::directory;
use crate::error::{EngineError, Result};
use crate::manifest::Manifest;
use crate::queue::Queue;
use crate::series;
use crate::shared::Shared;
use crate::sql::statements::Statements;
use crate::state::State;
use crate::storage::Storage;
use crate::tier::Retention;
use crate::wal::{self, Wal};
use crate::work_pool::WorkPool;

/// One flushes while the others compact and roll up.
const MAINTAINERS: usize = 3;

pub(super) fn open(
    config: EngineConfig,
    clock: Arc<dyn Clock>,
    catalog: Arc<dyn MonitorCatalog>,
) -> Result<(Arc<Shared>, Arc<Statements>, JoinHandle<()>)> {
    check(&config)?;
    let started = std::time::Instant::now();
    let dir = config.data_dir.clone();
    directory::make(&dir)?;
    let lock = lock(&dir)?;
    let mut manifest = Manifest::load(&dir)?;
    let storage = Arc::new(Storage::local(&dir.join("blocks"))?);
    storage.reconcile(&manifest.blocks)?;
    series::file::delete_others(&dir, manifest.series_file)?;
    checkpoint::delete_others(&dir, manifest.checkpoint)?;
    let index = series::file::load(&dir, manifest.series_file, manifest.series_stored, config.max_series)?;
    let (sequences, tracker) = manifest.marks(&dir)?;
    let mut state = State::new(index, sequences, tracker, Retention::new(&config));
    state.blocks = Arc::new(sound(&storage, &mut state, &mut manifest)?);
    state.rollups = Arc::new(manifest.rollups.clone());
    let recovered = wal::recover(&dir.join("wal"), manifest.wal, |record| drop(state.apply(&record)))?;
    let wal = Wal::create(&dir.join("wal"), recovered.next, recovered.bytes)?;
    let maintenance = WorkPool::new("engine-maintain", MAINTAINERS)?;
    let reading = WorkPool::new("engine-windows", config.query_threads)?;
    let reading_memory = Arc::new(GreedyMemoryPool::new(config.windows_memory_bytes as usize));
    let statements = Arc::new(Statements::new(&config)?);
    tracing::info!(
        blocks = state.blocks.len(),
        series = state.index.len(),
        log_records = recovered.records,
        milliseconds = started.elapsed().as_millis() as u64,
        "the engine is open"
    );
    metrics::gauge!("nightjar_engine_blocks").set(state.blocks.len() as f64);
    metrics::gauge!("nightjar_engine_series").set(state.index.len() as f64);
    metrics::gauge!("nightjar_engine_memtable_bytes").set(state.memtable_bytes() as f64);
    metrics::gauge!("nightjar_engine_wal_bytes").set(wal.bytes() as f64);

    let (queue, requests) = Queue::new();
    let shared = Arc::new(Shared {
        config,
        clock,
        catalog,
        dir,
        storage,
        state: RwLock::new(state),
        manifest: Mutex::new(manifest),
        not_rolled_up: Mutex::default(),
        index_is_behind: AtomicBool::default(),
        leaving: Mutex::default(),
        turn: Semaphore::new(1),
        expecting: tokio::sync::Mutex::default(),
        flush_wanted: Notify::new(),
        wal_bytes: AtomicU64::new(wal.bytes()),
        compact_wanted: Notify::new(),
        queue,
        maintenance,
        reading,
        reading_memory,
        listeners: RwLock::default(),
        _lock: lock,
    });
    let of_thread = Arc::clone(&shared);
    let thread = std::thread::Builder::new()
        .name("engine-log".into())
        .spawn(move || committer::run(&of_thread, wal, requests))
        .map_err(EngineError::io("start a thread for", &shared.dir))?;
    Ok((shared, statements, thread))
}

/// The blocks whose ids all stand for something. Others are kept, and not read: their windows would come back
/// without a name, or under that of another. What they are of is not complete.
fn sound(storage: &Storage, state: &mut State, manifest: &mut Manifest) -> Result<Vec<Arc<Block>>> {
    let (mut sound, mut quarantined) = (Vec::with_capacity(manifest.blocks.len()), 0);
    let Manifest { blocks, rollups, .. } = manifest;
    for meta in blocks {
        // Once found out it stays so: its ids may be given again.
        let lacks = match meta.highest_series {
            _ if meta.quarantined => true,
            Some(highest) => !state.index.has_given(highest),
            // Of before blocks said so; there are none of them after a while.
            None => state.index.lacks(&futures::executor::block_on(read::series(storage, meta))?),
        };
        if lacks || meta.tables.iter().any(|table| state.index.table(*table).is_none()) {
            quarantined += 1;
            if !meta.quarantined {
                rollups.undo(meta.tier, meta.from, meta.until);
            }
            meta.quarantined = true;
            // Roll-ups are made again of their source. It holds nothing of after it was written.
            if meta.tier.is_raw() {
                state.tracker.lose(meta.from, meta.until.min(meta.created));
            }
            tracing::error!(
                block = %crate::storage::name(meta.id), from = %Timestamp(meta.from), until = %Timestamp(meta.until),
                "a block is left out of all answers: it holds keys that the series index does not know. Restore the \
                 whole directory from one backup, or delete the block's file and its windows with it"
            );
        } else {
            sound.push(Arc::new(Block { meta: meta.clone() }));
        }
    }
    metrics::gauge!("nightjar_engine_blocks_quarantined").set(f64::from(quarantined));
    Ok(sound)
}

fn check(config: &EngineConfig) -> Result<()> {
    let mut problems = Problems::new();
    config.validate(&mut problems);
    let list: Vec<String> =
        problems.into_vec().into_iter().map(|problem| format!("{} {}", problem.path, problem.message)).collect();
    if list.is_empty() { Ok(()) } else { Err(EngineError::Config(list.join("; "))) }
}

fn lock(dir: &Path) -> Result<fs::File> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(EngineError::io("open", &path))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(EngineError::Locked(dir.to_owned())),
        Err(errno) => Err(EngineError::Io { what: "lock", path, source: errno.into() }),
    }
}
