//! Retention: old blocks are deleted, by tier, and so is what is left of deleted monitors; series that nothing
//! holds any more are forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use nightjar_model::Result;
use nightjar_model::Timestamp;
use roaring::RoaringBitmap;

use super::{blocking, flush, leavers};
use crate::block::{Block, BlockMeta, read};
use crate::engine::Shared;
use crate::series::file::{self, Stored};
use crate::tier::{Retention, Tier};

/// The clock is believed as long as data is not older than this.
const CLOCK_AHEAD: Duration = Duration::from_secs(86_400);

pub(crate) async fn retain(shared: &Arc<Shared>) -> Result<()> {
    leavers::identify(shared).await?;
    let expired = leavers::expired(shared);
    leavers::rewrite(shared, &expired).await?;
    let turn = shared.turn().await?;
    // Those that are left out of answers go with their time, too.
    let blocks = shared.manifest.lock().unwrap_or_else(PoisonError::into_inner).blocks.clone();
    let limits = limits(shared, &blocks);
    let is_old = |block: &&BlockMeta| limits.get(&block.tier).is_some_and(|before| block.until <= before.0);
    let is_left = |block: &&BlockMeta| !block.quarantined && block.tables.iter().all(|table| expired.contains(table));
    let gone: Vec<u64> = blocks.iter().filter(|block| is_old(block) || is_left(block)).map(|block| block.id).collect();
    if !gone.is_empty() {
        let of_commit = gone.clone();
        let committed = shared.commit(move |manifest| {
            manifest.blocks.retain(|block| !of_commit.contains(&block.id));
            Ok(())
        });
        let not_lasting = committed.await?;
        tracing::info!(blocks = gone.len(), "deleting blocks past their retention, or of deleted monitors");
        metrics::counter!("nightjar_engine_blocks_expired_total").increment(gone.len() as u64);
        shared.replace_blocks(&gone, Vec::new(), |_| ());
        // Nobody reads those, but their files are to go too.
        let unread = blocks.into_iter().filter(|block| block.quarantined && gone.contains(&block.id));
        let unread = unread.map(|meta| Arc::new(Block { meta }));
        shared.leaving.lock().unwrap_or_else(PoisonError::into_inner).extend(unread);
        if let Some(error) = not_lasting {
            shared.leaving.lock().unwrap_or_else(PoisonError::into_inner).clear();
            return Err(error.into());
        }
    }
    drop(turn);
    shared.sweep().await?;
    // What is replayed from the log after a crash is read with the index as it is stored: what came before
    // something is forgotten is not to be read with what came after.
    flush::flush(shared).await?;
    forget_series(shared, expired).await
}

/// Where the retention of each tier ends: by the clock, unless it is far ahead of the newest data. A clock that
/// jumped ahead would delete all there is; if data only stopped coming, old blocks go once it comes again.
fn limits(shared: &Shared, blocks: &[BlockMeta]) -> BTreeMap<Tier, Timestamp> {
    let (now, retention) = (shared.clock.now(), Retention::new(&shared.config));
    let newest = blocks.iter().map(|block| Timestamp(block.until)).max();
    let limit = |tier: Tier| {
        let by_clock = now.saturating_sub(retention.of(tier));
        let Some(newest) = newest else { return (tier, by_clock) };
        let before = by_clock.min(newest.saturating_add(CLOCK_AHEAD).saturating_sub(retention.of(tier)));
        let of_tier = blocks.iter().filter(|block| block.tier == tier);
        let kept = of_tier.filter(|block| (before.0 + 1..=by_clock.0).contains(&block.until)).count();
        if kept > 0 {
            tracing::warn!(
                blocks = kept,
                %now,
                newest_data = %newest,
                "keeping blocks past their retention, as the clock is far ahead of the newest data: check the \
                 clock; if it is right, they are deleted when there is newer data"
            );
        }
        (tier, before)
    };
    Tier::ALL.into_iter().map(limit).collect()
}

/// Forgets the series of which there is no window, once they are a tenth of all, and the `expired` tables of
/// which there is none.
async fn forget_series(shared: &Arc<Shared>, expired: BTreeSet<u32>) -> Result<()> {
    let _turn = shared.turn().await?;
    let (blocks, known) = {
        let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&state.blocks), state.index.len() as u64)
    };
    let mut live = RoaringBitmap::new();
    for block in blocks.iter() {
        live |= series_of(shared, block).await?;
    }
    let (gone, bytes) = {
        let mut state = shared.state.write().unwrap_or_else(PoisonError::into_inner);
        live.extend(state.active.series());
        if let Some(frozen) = &state.frozen {
            live.extend(frozen.memtable.series());
        }
        let held = |table: &u32| {
            blocks.iter().any(|block| block.has(*table))
                || state.active.has(*table)
                || state.frozen.as_ref().is_some_and(|frozen| frozen.memtable.has(*table))
        };
        let gone: BTreeSet<u32> = expired.into_iter().filter(|table| !held(table)).collect();
        if gone.is_empty() && (known == 0 || live.len() * 10 > known * 9) {
            return Ok(());
        }
        state.index.retain(&live, &gone);
        (gone, (state.index.encode_since(Stored::default()), state.index.extent()))
    };
    let (of_commit, (bytes, extent)) = (Arc::clone(shared), bytes);
    let old = shared.manifest.lock().unwrap_or_else(PoisonError::into_inner).series_file;
    let committed = shared.commit(move |manifest| {
        manifest.series_file = file::rewrite(&of_commit.dir, manifest.series_file, &bytes)?;
        manifest.series_stored = extent;
        manifest.leaving_tables.retain(|table, _| !gone.contains(table));
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
