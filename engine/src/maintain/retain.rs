//! Retention: old blocks are deleted, by tier, and so is what is left of deleted monitors; series that nothing
//! holds any more are forgotten.
//!
//! What is rolled up from others goes by its time alone. Its sources go by whole days, and not before they are rolled
//! up: their time is over for readers and for late rows at once, so that what is there is always all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use nightjar_model::Result;
use nightjar_model::Timestamp;
use roaring::RoaringBitmap;

use super::{flush, leavers};
use crate::block::{Block, BlockMeta, read};
use crate::rollups::Level;
use crate::series::file;
use crate::shared::{Shared, blocking};
use crate::tier::{DAY, Retention, Tier};

/// What cannot be rolled up, as a block of it cannot be read, is kept so long beyond its time.
const HELD_BACK: i64 = 7 * DAY;

/// Series, under the lock.
const FORGOTTEN_AT_ONCE: usize = 1000;

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
    let kept_from = keep(shared, &blocks, &limits);
    let is_old = |block: &&BlockMeta| {
        let limit = limits.get(&block.tier).map_or(i64::MIN, |before| before.0);
        let before = if block.quarantined { limit } else { kept_from.get(&block.tier).copied().unwrap_or(limit) };
        block.until <= before
    };
    let is_left = |block: &&BlockMeta| !block.quarantined && block.tables.iter().all(|table| expired.contains(table));
    let gone: Vec<u64> = blocks.iter().filter(|block| is_old(block) || is_left(block)).map(|block| block.id).collect();
    let rolled_up_kept = rolled_up_kept(blocks.iter().filter(is_old));
    let moved = {
        let manifest = shared.manifest.lock().unwrap_or_else(PoisonError::into_inner);
        kept_from.iter().any(|(tier, from)| *from > manifest.rollups.kept_from(*tier))
    };
    if !gone.is_empty() || moved {
        let of_commit = gone.clone();
        let committed = shared.commit(move |manifest| {
            manifest.blocks.retain(|block| !of_commit.contains(&block.id));
            for (tier, from) in kept_from.into_iter().chain(rolled_up_kept) {
                manifest.rollups.keep_from(tier, from);
            }
            Ok(())
        });
        let not_lasting = committed.await?;
        if !gone.is_empty() {
            tracing::info!(blocks = gone.len(), "deleting blocks past their retention, or of deleted monitors");
        }
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

/// From when on the source of each level of roll-ups is kept: what comes before is taken no more from now on.
/// The caller holds the turn.
fn keep(shared: &Shared, blocks: &[BlockMeta], limits: &BTreeMap<Tier, Timestamp>) -> BTreeMap<Tier, i64> {
    let day = |at: i64| at.div_euclid(DAY) * DAY;
    // Without any data the clock is all there is, and may be wrong.
    let Some(newest) = blocks.iter().map(|block| block.until).max() else { return BTreeMap::new() };
    let mut state = shared.state.write().unwrap_or_else(PoisonError::into_inner);
    let mut in_memory: BTreeMap<Tier, i64> = BTreeMap::new();
    for (table, start) in state.starts_in_memory() {
        let tier = state.index.table(table).map(|table| table.tier).unwrap_or_default();
        let earliest = in_memory.entry(tier).or_insert(start);
        *earliest = start.min(*earliest);
    }
    let failing = shared.not_rolled_up.lock().unwrap_or_else(PoisonError::into_inner);
    let failing: BTreeSet<i64> = failing.iter().map(|slot| Level::Days.slot_of(*slot)).collect();
    let mut kept = BTreeMap::new();
    for level in Level::ALL {
        let limit = level.sources().iter().filter_map(|tier| limits.get(tier)).map(|limit| limit.0).min();
        let in_memory = level.feeds().iter().filter_map(|tier| in_memory.get(tier)).copied().min();
        let limit = limit.unwrap_or(i64::MIN).min(newest).min(in_memory.unwrap_or(i64::MAX));
        let waiting = blocks.iter().filter(|block| level.feeds().contains(&block.tier) && !block.quarantined);
        let waiting = waiting.flat_map(|block| level.slots(block.from, block.until.min(limit)));
        // Seconds wait for their day too: until then a day of them is added up from whatever tier is whole.
        let is_due = |slot: &i64| {
            state.rollups.is_due(level, *slot) || state.rollups.is_due(Level::Days, Level::Days.slot_of(*slot))
        };
        // The others of its day wait for it.
        let is_failing = |slot: &i64| failing.contains(&Level::Days.slot_of(*slot));
        let is_given_up = |slot: &i64| *slot < limit.saturating_sub(HELD_BACK) && is_failing(slot);
        let (given_up, waiting): (BTreeSet<i64>, BTreeSet<i64>) = waiting.filter(is_due).partition(is_given_up);
        for slot in given_up {
            tracing::error!(
                level = level.name(), slot = %Timestamp(slot),
                "windows that could not be rolled up are a week beyond their retention, and are deleted"
            );
        }
        let waiting = waiting.first().copied();
        let from = day(waiting.map_or(limit, |slot| slot.min(limit)));
        kept.extend(level.sources().iter().map(|tier| (*tier, from.max(state.rollups.kept_from(*tier)))));
    }
    let rollups = Arc::make_mut(&mut state.rollups);
    kept.iter().for_each(|(tier, from)| rollups.keep_from(*tier, *from));
    kept
}

/// Where the tiers begin of which only roll-ups are left: their blocks do not overlap.
fn rolled_up_kept<'a>(old: impl Iterator<Item = &'a BlockMeta>) -> BTreeMap<Tier, i64> {
    let mut kept = BTreeMap::new();
    for block in old.filter(|block| Level::reading(block.tier).is_none() && !block.quarantined) {
        let until = kept.entry(block.tier).or_insert(block.until);
        *until = block.until.max(*until);
    }
    kept
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
    let blocks = Arc::clone(&shared.state.read().unwrap_or_else(PoisonError::into_inner).blocks);
    let mut live = RoaringBitmap::new();
    for block in blocks.iter() {
        live |= series_of(shared, block).await?;
    }
    let (unused, gone) = {
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
        let unused = state.index.without(&live);
        let is_behind = shared.index_is_behind.load(Ordering::Relaxed);
        if !is_behind && gone.is_empty() && (unused.is_empty() || unused.len() * 10 < state.index.len() as u64) {
            return Ok(());
        }
        state.index.watch();
        (unused, gone)
    };
    // A few at a time: who takes windows or asks for them waits for the lock.
    let (mut ids, mut forgotten) = (unused.into_iter(), 0);
    loop {
        let some: Vec<u32> = ids.by_ref().take(FORGOTTEN_AT_ONCE).collect();
        if some.is_empty() {
            break;
        }
        forgotten += shared.state.write().unwrap_or_else(PoisonError::into_inner).index.forget(&some);
        shared
            .index_is_behind
            .store(forgotten > 0 || shared.index_is_behind.load(Ordering::Relaxed), Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
    let gone = {
        let mut state = shared.state.write().unwrap_or_else(PoisonError::into_inner);
        state.index.unwatch();
        // Windows may have come of them meanwhile.
        let gone: BTreeSet<u32> = gone.into_iter().filter(|table| !state.index.has_series(*table)).collect();
        state.index.forget_tables(&gone);
        gone
    };
    if gone.is_empty() && !shared.index_is_behind.load(Ordering::Relaxed) {
        return Ok(());
    }
    let of_commit = Arc::clone(shared);
    let old = shared.manifest.lock().unwrap_or_else(PoisonError::into_inner).series_file;
    let committed = shared.commit(move |manifest| {
        let (bytes, extent) = file::encode_all(|look| of_commit.look_at_index(look));
        manifest.series_file = file::rewrite(&of_commit.dir, manifest.series_file, &bytes)?;
        manifest.series_stored = extent;
        manifest.leaving_tables.retain(|table, _| !gone.contains(table));
        Ok(())
    });
    if let Some(error) = committed.await? {
        return Err(error.into());
    }
    shared.index_is_behind.store(false, Ordering::Relaxed);
    tracing::info!(forgotten, "forgot series of which there are no windows any more");
    let path = file::path(&shared.dir, old.generation);
    if let Err(error) = blocking(move || std::fs::remove_file(path)).await? {
        tracing::warn!(%error, "cannot delete the old series index");
    }
    Ok(())
}

async fn series_of(shared: &Shared, block: &Block) -> Result<RoaringBitmap> {
    read::series(&shared.storage, &block.meta).await
}
