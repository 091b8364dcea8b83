//! Compaction: the blocks of a stretch of time become one, those of a past day become the day's.
//!
//! What is read from the one is what was read from the many: rows of one key merge as readers merge them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use nightjar_model::{Result, Timestamp};

use crate::block::merge::{Cursor, Merge};
use crate::block::read::{BlockRows, Wanted};
use crate::block::write::BlockWriter;
use crate::block::{Block, BlockMeta};
use crate::config::EngineConfig;
use crate::engine::Shared;
use crate::rollups::RollUps;
use crate::tier::{DAY, HOUR, Tier};

/// Blocks of a stretch that is not over yet are merged when there are as many.
const MANY: usize = 4;

/// After a stretch has ended, late windows may still come for this long.
const GRACE: i64 = HOUR / 4;

/// Blocks to become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    tier: Tier,
    from: i64,
    until: i64,
    inputs: Vec<u64>,
}

/// Roll-ups of a slot are one block, and so many of them are merged even if their stretch is not over.
const MANY_SLOTS: usize = 32;

/// What is to be done first; `None` when nothing is.
pub(crate) fn plan(config: &EngineConfig, blocks: &[&BlockMeta], ups: &RollUps, now: Timestamp) -> Option<Job> {
    let rolled_up = slots(config, blocks, ups);
    if rolled_up.is_some() {
        return rolled_up;
    }
    let blocks = blocks.iter().copied().filter(|block| block.tier.is_raw());
    let mut days: BTreeMap<(Tier, i64), Vec<&BlockMeta>> = BTreeMap::new();
    let mut spans: BTreeMap<(Tier, i64, i64), Vec<&BlockMeta>> = BTreeMap::new();
    for block in blocks {
        days.entry((block.tier, block.from.div_euclid(DAY) * DAY)).or_default().push(block);
        spans.entry((block.tier, block.from, block.until)).or_default().push(block);
    }
    let quiet = |inputs: &[&BlockMeta], until: i64| {
        let newest = inputs.iter().map(|block| block.created).max().unwrap_or(0);
        inputs.len() >= MANY || (now.0 >= until + GRACE && now.0 >= newest + GRACE)
    };
    let job = |tier: Tier, from: i64, until: i64, inputs: &[&BlockMeta]| Job {
        tier,
        from,
        until,
        inputs: inputs.iter().map(|block| block.id).collect(),
    };
    for ((tier, day), inputs) in days {
        let until = day + DAY;
        // A day is written once, and again only for a good many late blocks or when no more come.
        let past = now.0 >= until + 2 * HOUR;
        if past && inputs.len() > 1 && inputs.iter().all(|block| block.until <= until) && quiet(&inputs, until) {
            return Some(job(tier, day, until, &inputs));
        }
    }
    let span = spans.iter().find(|((_, _, until), inputs)| inputs.len() > 1 && quiet(inputs, *until));
    span.map(|((tier, from, until), inputs)| job(*tier, *from, *until, inputs))
}

/// Roll-ups, slot by slot, once none of them is done again.
fn slots(config: &EngineConfig, blocks: &[&BlockMeta], ups: &RollUps) -> Option<Job> {
    let mut spans: BTreeMap<(Tier, i64), Vec<&BlockMeta>> = BTreeMap::new();
    let is_settled = |block: &BlockMeta| !block.tier.is_raw() && block.until <= ups.settled(block.tier);
    for block in blocks.iter().filter(|block| is_settled(block)) {
        spans.entry((block.tier, block.from.div_euclid(block.tier.span(config)))).or_default().push(block);
    }
    spans.into_iter().find_map(|((tier, at), inputs)| {
        let over = (at + 1) * tier.span(config) <= ups.settled(tier);
        let from = inputs.iter().map(|block| block.from).min()?;
        let until = inputs.iter().map(|block| block.until).max()?;
        let ids = || inputs.iter().map(|block| block.id).collect();
        ((over && inputs.len() > 1) || inputs.len() >= MANY_SLOTS).then(|| Job { tier, from, until, inputs: ids() })
    })
}

/// Does all there is to do.
pub(crate) async fn compact(shared: &Arc<Shared>) -> Result<()> {
    loop {
        let (blocks, ups) = {
            let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
            (Arc::clone(&state.blocks), Arc::clone(&state.rollups))
        };
        let metas: Vec<&BlockMeta> = blocks.iter().map(|block| &block.meta).collect();
        let Some(job) = plan(&shared.config, &metas, &ups, shared.clock.now()) else { break };
        let inputs: Vec<Arc<Block>> =
            blocks.iter().filter(|block| job.inputs.contains(&block.meta.id)).cloned().collect();
        drop(blocks);
        run(shared, job, inputs, BTreeSet::new()).await?;
    }
    shared.sweep().await
}

/// Writes a block anew without the rows of these tables.
pub(super) async fn without(shared: &Arc<Shared>, block: Arc<Block>, tables: BTreeSet<u32>) -> Result<()> {
    let BlockMeta { id, tier, from, until, .. } = block.meta;
    run(shared, Job { tier, from, until, inputs: vec![id] }, vec![block], tables).await
}

async fn run(shared: &Arc<Shared>, job: Job, inputs: Vec<Arc<Block>>, leave_out: BTreeSet<u32>) -> Result<()> {
    let started = std::time::Instant::now();
    let (work, id) = (Arc::clone(shared), shared.reserve_block());
    let (tier, from, until) = (job.tier, job.from, job.until);
    let merged = shared.maintenance.run("compact", async move {
        let mut cursors = Vec::with_capacity(inputs.len());
        for block in &inputs {
            cursors.push(Cursor::block(BlockRows::open(&work.storage, &block.meta, Wanted::ALL).await?));
        }
        let mut writer = BlockWriter::new(&work.storage, id, tier, (from, until), work.clock.now().0)?;
        let (mut merge, mut rows) = (Merge::new(tier, cursors), Vec::new());
        loop {
            rows.clear();
            merge.next(16 * 1024, &mut rows).await?;
            if rows.is_empty() {
                return writer.finish(&|tables, fields| work.names(tables, fields)).await;
            }
            rows.retain(|row| !leave_out.contains(&row.table));
            writer.write(&rows).await?;
        }
    });
    let merged = merged.await?;
    let _turn = shared.turn().await?;
    // Retention may have taken some meanwhile.
    let here = {
        let manifest = shared.manifest.lock().unwrap_or_else(PoisonError::into_inner);
        job.inputs.iter().all(|id| manifest.blocks.iter().any(|block| block.id == *id))
    };
    if !here {
        shared.discard(&[merged]).await;
        return Ok(());
    }
    let (gone, fresh) = (job.inputs.clone(), merged.clone());
    let committed = shared
        .commit(move |manifest| {
            manifest.blocks.retain(|block| !gone.contains(&block.id));
            manifest.blocks.push(fresh);
            Ok(())
        })
        .await;
    match committed {
        Ok(None) => {
            metrics::counter!("nightjar_engine_compactions_total").increment(1);
            metrics::histogram!("nightjar_engine_compaction_seconds").record(started.elapsed());
            shared.replace_blocks(&job.inputs, vec![merged], |_| ());
            Ok(())
        }
        Ok(Some(error)) => {
            // In force, but the files must stay until it is known to last: the next start deletes them.
            shared.replace_blocks(&job.inputs, vec![merged], |_| ());
            shared
                .leaving
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|block| !job.inputs.contains(&block.meta.id));
            Err(error.into())
        }
        Err(error) => {
            shared.discard(&[merged]).await;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(id: u64, from_hours: i64, hours: i64, created_hours: i64) -> BlockMeta {
        let (from, created) = (from_hours * HOUR, created_hours * HOUR);
        BlockMeta {
            id,
            format: 2,
            tier: Tier::Raw,
            from,
            until: from + hours * HOUR,
            rows: 1,
            bytes: 1,
            created,
            tables: vec![],
            highest_series: None,
            quarantined: false,
        }
    }

    fn check(blocks: &[BlockMeta], now_hours: i64, expected: Option<(i64, i64, &[u64])>) {
        let blocks: Vec<&BlockMeta> = blocks.iter().collect();
        let found = plan(&EngineConfig::default(), &blocks, &RollUps::default(), Timestamp(now_hours * HOUR));
        let expected = expected.map(|(from, until, inputs)| Job {
            tier: Tier::Raw,
            from: from * HOUR,
            until: until * HOUR,
            inputs: inputs.to_vec(),
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn spans_when_they_are_over_or_many_days_when_they_are_past() {
        check(&[], 100, None);
        check(&[block(1, 0, 2, 1)], 100, None);
        let two = [block(1, 0, 2, 1), block(2, 0, 2, 1)];
        check(&two, 1, None);
        check(&two, 3, Some((0, 2, &[1, 2])));
        check(&[two[0].clone(), two[1].clone(), block(3, 0, 2, 1), block(4, 0, 2, 1)], 1, Some((0, 2, &[1, 2, 3, 4])));
        let spans = [block(1, 0, 2, 1), block(2, 2, 2, 3)];
        check(&spans, 25, None);
        check(&spans, 26, Some((0, 24, &[1, 2])));
        // A late block waits until no more come.
        let late = [block(1, 0, 24, 26), block(2, 4, 2, 30)];
        check(&late, 30, None);
        check(&late, 31, Some((0, 24, &[1, 2])));
        check(&[block(1, 0, 24, 26), block(2, 24, 24, 50)], 100, None);
        // Tiers do not mix.
        check(&[two[0].clone(), BlockMeta { tier: Tier::Second, ..two[1].clone() }], 100, None);
    }
}
