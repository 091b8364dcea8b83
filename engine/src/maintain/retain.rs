//! Retention: old blocks are deleted, and series that nothing holds any more are forgotten.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use nightjar_model::Result;
use nightjar_model::Timestamp;
use roaring::RoaringBitmap;

use super::blocking;
use crate::block::{Block, read};
use crate::engine::Shared;
use crate::series::file::{self, Stored};

/// The clock is believed as long as data is not older than this.
const CLOCK_AHEAD: Duration = Duration::from_secs(86_400);

pub(crate) async fn retain(shared: &Arc<Shared>) -> Result<()> {
    let turn = shared.turn().await?;
    let blocks = Arc::clone(&shared.state.read().unwrap_or_else(PoisonError::into_inner).blocks);
    let before = before(shared, &blocks);
    let gone: Vec<u64> =
        blocks.iter().filter(|block| block.meta.until <= before.0).map(|block| block.meta.id).collect();
    drop(blocks);
    if !gone.is_empty() {
        let of_commit = gone.clone();
        let committed = shared.commit(move |manifest| {
            manifest.blocks.retain(|block| !of_commit.contains(&block.id));
            Ok(())
        });
        let not_lasting = committed.await?;
        tracing::info!(blocks = gone.len(), older_than = %before, "deleting blocks past their retention");
        metrics::counter!("nightjar_engine_blocks_expired_total").increment(gone.len() as u64);
        shared.replace_blocks(&gone, Vec::new(), |_| ());
        if let Some(error) = not_lasting {
            shared.leaving.lock().unwrap_or_else(PoisonError::into_inner).clear();
            return Err(error.into());
        }
    }
    forget_series(shared).await?;
    drop(turn);
    shared.sweep().await
}

/// Where retention ends: by the clock, unless it is far ahead of the newest data. A clock that jumped ahead
/// would delete all there is; if data only stopped coming, old blocks go once it comes again.
fn before(shared: &Shared, blocks: &[Arc<Block>]) -> Timestamp {
    let (now, retention) = (shared.clock.now(), shared.config.retention.0);
    let by_clock = now.saturating_sub(retention);
    let Some(newest) = blocks.iter().map(|block| Timestamp(block.meta.until)).max() else { return by_clock };
    let before = by_clock.min(newest.saturating_add(CLOCK_AHEAD).saturating_sub(retention));
    let kept = blocks.iter().filter(|block| (before.0 + 1..=by_clock.0).contains(&block.meta.until)).count();
    if kept > 0 {
        tracing::warn!(
            blocks = kept,
            %now,
            newest_data = %newest,
            "keeping blocks past their retention, as the clock is far ahead of the newest data: check the \
             clock; if it is right, they are deleted when there is newer data"
        );
    }
    before
}

/// Forgets the series of which there is no window, once they are a tenth of all. The caller holds the turn.
async fn forget_series(shared: &Arc<Shared>) -> Result<()> {
    let (blocks, known) = {
        let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&state.blocks), state.index.len() as u64)
    };
    let mut live = RoaringBitmap::new();
    for block in blocks.iter() {
        live |= series_of(shared, block).await?;
    }
    let bytes = {
        let mut state = shared.state.write().unwrap_or_else(PoisonError::into_inner);
        live.extend(state.active.series());
        if let Some(frozen) = &state.frozen {
            live.extend(frozen.memtable.series());
        }
        if known == 0 || live.len() * 10 > known * 9 {
            return Ok(());
        }
        state.index.retain(&live);
        (state.index.encode_since(Stored::default()), state.index.extent())
    };
    let (of_commit, (bytes, extent)) = (Arc::clone(shared), bytes);
    let old = shared.manifest.lock().unwrap_or_else(PoisonError::into_inner).series_file;
    let committed = shared.commit(move |manifest| {
        manifest.series_file = file::rewrite(&of_commit.dir, manifest.series_file, &bytes)?;
        manifest.series_stored = extent;
        Ok(())
    });
    if let Some(error) = committed.await? {
        return Err(error.into());
    }
    tracing::info!(
        forgotten = known.saturating_sub(live.len()),
        "forgot series of which there are no windows any more"
    );
    let path = file::path(&shared.dir, old.generation);
    if let Err(error) = blocking(move || std::fs::remove_file(path)).await? {
        tracing::warn!(%error, "cannot delete the old series index");
    }
    Ok(())
}

async fn series_of(shared: &Shared, block: &Block) -> Result<RoaringBitmap> {
    read::series(&shared.storage, &block.meta).await
}
