//! Flush: from memory to blocks, and the log shorter by what they hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use nightjar_model::Result;

use crate::block::BlockMeta;
use crate::block::write::BlockWriter;
use crate::completeness::checkpoint;
use crate::queue::Request;
use crate::series::file;
use crate::shared::{Shared, blocking};
use crate::state::Frozen;
use crate::tier::Tier;

/// Whether it is time, for the periodic one.
pub(crate) fn due(shared: &Shared) -> bool {
    let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
    let old = |oldest| shared.clock.now().since(oldest) >= shared.config.flush_every.0;
    state.frozen.is_some()
        || (state.oldest.is_some() && shared.wal_is_long())
        || state.active.bytes() as u64 >= shared.config.memtable_bytes
        || state.oldest.is_some_and(old)
}

pub(crate) async fn flush(shared: &Arc<Shared>) -> Result<()> {
    let _turn = shared.turn().await?;
    let started = std::time::Instant::now();
    let Some(frozen) = frozen(shared).await? else { return Ok(()) };
    let (blocks, outcome) = write_blocks(shared, &frozen).await;
    if let Err(error) = outcome {
        shared.discard(&blocks).await;
        return Err(error);
    }
    let written = blocks.clone();
    let (state, of_commit, tiers) = (Arc::clone(&frozen), Arc::clone(shared), tiers(shared));
    let checkpoint_before = shared.manifest.lock().unwrap_or_else(PoisonError::into_inner).checkpoint;
    let committed = shared
        .commit(move |manifest| {
            let (bytes, extent) = file::encode_since(manifest.series_stored, |look| of_commit.look_at_index(look));
            manifest.series_file = file::append(&of_commit.dir, manifest.series_file, &bytes)?;
            manifest.series_stored = extent;
            manifest.wal = state.wal;
            let number = manifest.checkpoint.unwrap_or(0) + 1;
            checkpoint::store(&of_commit.dir, number, &state.sequences, &state.tracker)?;
            manifest.set_checkpoint(number);
            manifest.blocks.extend(written);
            for (table, start) in state.memtable.windows() {
                let tier = tiers.get(&table).copied().unwrap_or_default();
                manifest.rollups.note_row(tier, table, start);
            }
            Ok(())
        })
        .await;
    let not_lasting = match committed {
        Ok(not_lasting) => not_lasting,
        Err(error) => {
            shared.discard(&blocks).await;
            return Err(error);
        }
    };
    metrics::counter!("nightjar_engine_flushes_total").increment(1);
    metrics::histogram!("nightjar_engine_flush_seconds").record(started.elapsed());
    shared.replace_blocks(&[], blocks, |state| state.frozen = None);
    if let Some(error) = not_lasting {
        return Err(error.into());
    }
    if let Some(number) = checkpoint_before {
        let dir = shared.dir.clone();
        blocking(move || checkpoint::delete(&dir, number)).await?;
    }
    let dropped = shared.queue.ask(|done| Request::DropBefore(frozen.wal.segment, done)).await?;
    shared.compact_wanted.notify_one();
    Ok(dropped?)
}

/// What is to be written: what the last attempt could not, else what is in memory now.
async fn frozen(shared: &Shared) -> Result<Option<Arc<Frozen>>> {
    let waiting = {
        let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.frozen.is_none() && state.oldest.is_none() {
            return Ok(None);
        }
        state.frozen.clone()
    };
    match waiting {
        Some(frozen) => Ok(Some(frozen)),
        None => Ok(Some(shared.queue.ask(Request::Freeze).await??)),
    }
}

/// The blocks that came to be, also when not all did.
async fn write_blocks(shared: &Arc<Shared>, frozen: &Arc<Frozen>) -> (Vec<BlockMeta>, Result<()>) {
    let mut written = Vec::new();
    for ((tier, from), parts) in by_block(shared, frozen) {
        let (work, frozen, id) = (Arc::clone(shared), Arc::clone(frozen), shared.reserve_block());
        let until = from + tier.span(&shared.config);
        let block = shared.maintenance.run("flush", async move {
            let mut writer = BlockWriter::new(&work.storage, id, tier, (from, until), work.clock.now().0)?;
            let mut rows = Vec::new();
            for (table, stretch) in parts {
                let of_part = stretch * tier.stretch()..(stretch + 1) * tier.stretch();
                rows.clear();
                for (start, window) in frozen.memtable.range(table, from.max(of_part.start), until.min(of_part.end)) {
                    window.rows(table, start, |_| true, &mut rows);
                }
                rows.sort_unstable_by_key(|row| row.key(tier));
                writer.write(&rows).await?;
            }
            writer.finish(&|tables, fields| work.names(tables, fields)).await
        });
        match block.await {
            Ok(meta) => written.push(meta),
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

fn tiers(shared: &Shared) -> HashMap<u32, Tier> {
    let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
    state.index.tables().map(|(id, table)| (id, table.tier)).collect()
}

/// Tables and stretches of time, in the order of a block: they are made into rows one after the other, so that
/// a flush does not take as much memory again as what it writes.
type Parts = BTreeSet<(u32, i64)>;

/// By tier, and the beginning of the time that a block is of.
fn by_block(shared: &Shared, frozen: &Frozen) -> BTreeMap<(Tier, i64), Parts> {
    let tiers = tiers(shared);
    let mut blocks: BTreeMap<(Tier, i64), Parts> = BTreeMap::new();
    for (table, start) in frozen.memtable.windows() {
        let tier = tiers.get(&table).copied().unwrap_or_default();
        let span = tier.span(&shared.config);
        let parts = blocks.entry((tier, start.div_euclid(span) * span)).or_default();
        parts.insert((table, start.div_euclid(tier.stretch())));
    }
    blocks
}
