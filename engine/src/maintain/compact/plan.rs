//! Which blocks become one, and when. Pure: from what the manifest says of the blocks to what is to be done.
//!
//! Blocks of one tier and one *slot* of time (a day, for minutes) are merged among themselves. In a slot that is
//! still being written those of about one size are merged when there are [`FANOUT`] of them, so that a row is
//! written once for each [`FANOUT`]-fold of its slot; a slot that is over and has become quiet is settled into
//! one block, or into as few as [`MAX_BYTES`] lets. What comes late is merged with the settled blocks only once
//! it is worth it: until it is an eighth of them it stays beside them.

use std::collections::BTreeMap;

use nightjar_model::Timestamp;

use crate::block::BlockMeta;
use crate::config::EngineConfig;
use crate::rollups::RollUps;
use crate::tier::Tier;

/// So many blocks of one size become one; and so many times more than what is new may be written anew for it.
pub(crate) const FANOUT: usize = 8;

/// Blocks are not made larger than about this, but cut at a table's end, or at a stretch's where one table
/// alone is larger.
pub(crate) const MAX_BYTES: u64 = 128 << 20;

/// What one job reads, at most.
const JOB_BYTES: u64 = 1 << 30;

/// What is smaller counts as of this size.
const LEAST_BYTES: u64 = 64 << 10;

/// After a slot has ended, and after its last block was written, late windows may still come for this long.
const GRACE: i64 = 15 * 60_000;

/// More blocks than this in a settled slot are merged, worth it or not.
const MAX_OVERLAP: usize = 3 * FANOUT;

/// Roll-ups of a slot are one block, and so many of them are merged even if their stretch is not over.
const MANY_SLOTS: usize = 32;

/// Blocks to be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) tier: Tier,
    pub(crate) inputs: Vec<u64>,
    /// Of a slot that is over.
    pub(crate) settles: bool,
}

/// What is to be done first; `None` when nothing is.
pub(crate) fn plan<'a>(blocks: impl IntoIterator<Item = &'a BlockMeta>, now: Timestamp) -> Option<Job> {
    let mut slots: BTreeMap<(Tier, i64), Vec<&BlockMeta>> = BTreeMap::new();
    for block in blocks {
        let slot = block.tier.slot();
        slots.entry((block.tier, block.from.div_euclid(slot))).or_default().push(block);
    }
    slots.into_iter().find_map(|((tier, slot), mut blocks)| {
        blocks.sort_unstable_by_key(|block| (block.bytes, block.id));
        let end = (slot + 1) * tier.slot();
        let newest = blocks.iter().map(|block| block.created).max().unwrap_or(0);
        let is_over = now.0 >= end + GRACE && now.0 >= newest + GRACE;
        let inputs = if is_over { settle(&blocks) } else { level(&blocks) };
        let job = |inputs: Vec<&BlockMeta>| Job {
            tier,
            inputs: inputs.iter().map(|block| block.id).collect(),
            settles: is_over,
        };
        inputs.map(job)
    })
}

/// Roll-ups, slot by slot, once none of them is done again.
pub(crate) fn roll_ups(config: &EngineConfig, blocks: &[&BlockMeta], ups: &RollUps) -> Option<Job> {
    let mut spans: BTreeMap<(Tier, i64), Vec<&BlockMeta>> = BTreeMap::new();
    let is_settled = |block: &BlockMeta| !block.tier.is_raw() && block.until <= ups.settled(block.tier);
    for block in blocks.iter().filter(|block| is_settled(block)) {
        spans.entry((block.tier, block.from.div_euclid(block.tier.span(config)))).or_default().push(block);
    }
    spans.into_iter().find_map(|((tier, at), inputs)| {
        let over = (at + 1) * tier.span(config) <= ups.settled(tier);
        let inputs_of = || inputs.iter().map(|block| block.id).collect();
        // What was merged and is too large to be one block is as few as it can be.
        let fresh = inputs.iter().filter(|block| !block.settled).count();
        let due = (over && fresh > 0 && inputs.len() > 1) || fresh >= MANY_SLOTS;
        due.then(|| Job { tier, inputs: inputs_of(), settles: true })
    })
}

/// The smallest size of which there are enough, the oldest first.
fn level<'a>(blocks: &[&'a BlockMeta]) -> Option<Vec<&'a BlockMeta>> {
    let mut levels: BTreeMap<u32, Vec<&BlockMeta>> = BTreeMap::new();
    for block in blocks.iter().filter(|block| block.bytes < MAX_BYTES / 2) {
        let size = (block.bytes / LEAST_BYTES).max(1).ilog(FANOUT as u64);
        levels.entry(size).or_default().push(block);
    }
    let mut inputs = levels.into_values().find(|level| level.len() >= FANOUT)?;
    // Neighbours in time, so that what they become is of a short time too.
    inputs.sort_unstable_by_key(|block| (block.from, block.id));
    within(&mut inputs);
    Some(inputs)
}

/// All that are worth it, from the smallest on: what is not settled yet is to be at least an eighth of what is
/// written for it.
fn settle<'a>(blocks: &[&'a BlockMeta]) -> Option<Vec<&'a BlockMeta>> {
    let (settled, fresh): (Vec<&BlockMeta>, Vec<&BlockMeta>) = blocks.iter().partition(|block| block.settled);
    let mut inputs = fresh;
    within(&mut inputs);
    let new: u64 = inputs.iter().map(|block| block.bytes).sum();
    if new == 0 {
        return None;
    }
    let (mut taken, mut whole) = (0, new);
    for (at, block) in settled.iter().enumerate() {
        // Of those that share no table with what is new nothing would change.
        let shares = inputs.iter().any(|input| input.tables.iter().any(|table| block.tables.contains(table)));
        let bytes = whole + block.bytes;
        let is_worth_it = bytes <= new * (FANOUT as u64 + 1) || settled.len() + inputs.len() - at > MAX_OVERLAP;
        if shares && is_worth_it && bytes <= JOB_BYTES {
            taken = at + 1;
            whole = bytes;
        }
    }
    inputs.extend(settled.iter().take(taken));
    (inputs.len() > 1).then_some(inputs)
}

/// As many as one job reads, the first of them.
fn within(inputs: &mut Vec<&BlockMeta>) {
    let mut bytes = 0;
    let fitting = inputs.iter().take_while(|block| {
        bytes += block.bytes;
        bytes <= JOB_BYTES
    });
    let count = fitting.count().max(1);
    inputs.truncate(count);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const MIB: u64 = 1 << 20;

    /// Created an hour after it begins.
    fn block(id: u64, from_hours: i64, bytes: u64) -> BlockMeta {
        let from = from_hours * HOUR;
        BlockMeta {
            id,
            format: 2,
            tier: Tier::Raw,
            from,
            until: from + 2 * HOUR,
            rows: 1,
            bytes,
            created: from + HOUR,
            tables: vec![0],
            highest_series: None,
            settled: false,
            quarantined: false,
        }
    }

    fn settled(block: BlockMeta) -> BlockMeta {
        BlockMeta { settled: true, ..block }
    }

    fn check(blocks: &[BlockMeta], now_hours: i64, expected: Option<(&[u64], bool)>) {
        let found = plan(blocks, Timestamp(now_hours * HOUR));
        let expected = expected.map(|(inputs, settles)| Job { tier: Tier::Raw, inputs: inputs.to_vec(), settles });
        assert_eq!(found, expected);
    }

    #[test]
    fn in_a_slot_that_goes_on_eight_of_one_size_become_one() {
        let of_size = |from: u64, count: u64, bytes: u64| (from..from + count).map(move |id| block(id, 0, bytes));
        let seven: Vec<BlockMeta> = of_size(1, 7, 1000).collect();
        check(&seven, 3, None);
        let eight: Vec<BlockMeta> = of_size(1, 8, 1000).chain(of_size(20, 7, MIB)).collect();
        check(&eight, 3, Some((&[1, 2, 3, 4, 5, 6, 7, 8], false)));
        // Large ones stay as they are.
        check(&of_size(1, 20, MAX_BYTES).collect::<Vec<_>>(), 3, None);
        // Tiers, and days, do not mix.
        let mixed: Vec<BlockMeta> = of_size(1, 4, 1000)
            .chain(of_size(5, 4, 1000).map(|block| BlockMeta { tier: Tier::Minute, ..block }))
            .chain((9..13).map(|id| block(id, 24, 1000)))
            .collect();
        check(&mixed, 3, None);
    }

    #[test]
    fn a_slot_that_is_over_is_settled() {
        let two = [block(1, 0, 1000), block(2, 20, 900)];
        check(&two, 23, None);
        check(&two, 24, None);
        check(&two, 25, Some((&[2, 1], true)));
        check(&two[..1], 25, None);
        check(&[settled(two[0].clone()), settled(two[1].clone())], 25, None);
    }

    #[test]
    fn what_is_late_stays_beside_what_is_large_until_it_is_worth_it() {
        let day = settled(block(1, 0, 100 * MIB));
        check(&[day.clone(), block(2, 5, 1000)], 30, None);
        check(&[day.clone(), block(2, 5, 1000), block(3, 6, 1000)], 30, Some((&[2, 3], true)));
        check(&[day.clone(), settled(block(2, 5, 2000)), block(3, 6, 1000)], 30, Some((&[3, 2], true)));
        check(&[day.clone(), block(2, 5, 13 * MIB)], 30, Some((&[2, 1], true)));
        // It is of other monitors.
        check(&[day.clone(), BlockMeta { tables: vec![7], ..block(2, 5, 13 * MIB) }], 30, None);
    }

    #[test]
    fn no_job_is_endless() {
        let many: Vec<BlockMeta> = (1..40).map(|id| block(id, 0, 100 * MIB)).collect();
        let job = plan(&many, Timestamp(30 * HOUR)).expect("something to do");
        assert_eq!(job.inputs.len(), 10);
    }

    #[test]
    fn roll_ups_that_were_merged_are_not_merged_again() {
        let mut ups = RollUps::default();
        for tier in Tier::ALL {
            ups.keep_from(tier, 400 * 24 * HOUR);
        }
        let of_tier = |block: BlockMeta| BlockMeta { tier: Tier::Hour, ..block };
        let (one, two) = (of_tier(block(1, 0, 150 * MIB)), of_tier(block(2, 2, 150 * MIB)));
        let found = |blocks: [&BlockMeta; 2]| roll_ups(&EngineConfig::default(), &blocks, &ups).map(|job| job.inputs);
        assert_eq!(found([&one, &two]), Some(vec![1, 2]));
        // What came of it is too large to be one.
        assert_eq!(found([&settled(one.clone()), &settled(two.clone())]), None);
        assert_eq!(found([&settled(one), &two]), Some(vec![1, 2]));
    }
}
