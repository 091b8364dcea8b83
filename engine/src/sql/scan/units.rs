//! What is read as one, and how partitions share it.
//!
//! Blocks and windows in memory are put into groups that do not overlap in time. A group is merged as one; where it
//! is a single block there is nothing to merge, and its row groups are read by whoever has time.

use crate::block::BlockMeta;
use crate::block::columns::{is_columnar, row_groups as fitting};
use crate::block::read::Wanted;
use crate::sql::pushdown::TimeRange;
use crate::sql::wire::TableData;
use crate::storage::Storage;
use crate::tier::Tier;

/// Of more blocks than this each is read by one partition: their footers are not looked at beforehand.
const LOOKED_AT: usize = 100;

/// A partition's share of row groups comes in so many pieces, so that one that is slow is not all of it.
const PIECES: usize = 4;

/// What overlaps in time, of one tier.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) tier: Tier,
    pub(super) from: i64,
    pub(super) until: i64,
    pub(super) blocks: Vec<BlockMeta>,
    pub(super) memory: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub(super) group: Group,
    pub(super) reading: Reading,
}

#[derive(Debug, Clone)]
pub(super) enum Reading {
    /// All of the group is merged.
    Merged,
    /// One table of the group's one block: these row groups, or all.
    Columns { table: u32, row_groups: Option<Vec<usize>> },
}

/// The units of each partition: of one at least, of `partitions` at most.
pub(super) async fn shares(
    storage: &Storage,
    data: &TableData,
    wanted: &Wanted,
    partitions: usize,
) -> nightjar_model::Result<Vec<Vec<Unit>>> {
    let groups = groups(data, TimeRange { from: wanted.from, until: wanted.until });
    let looks = groups.len() <= LOOKED_AT;
    let mut units = Vec::new();
    for group in groups {
        let [block] = group.blocks.as_slice() else {
            units.push(Unit { group, reading: Reading::Merged });
            continue;
        };
        if group.memory || !is_columnar(block) {
            units.push(Unit { group, reading: Reading::Merged });
            continue;
        }
        let footer = if looks { Some(storage.footer(block).await?) } else { None };
        for table in data.tables.iter().map(|(table, _)| *table).filter(|table| block.tables.contains(table)) {
            let wanted = Wanted { table: Some(table), ..wanted.clone() };
            let row_groups = footer.as_ref().filter(|footer| footer.windows.is_some());
            let row_groups = row_groups.map(|footer| fitting(footer, &wanted));
            units.push(Unit { group: group.clone(), reading: Reading::Columns { table, row_groups } });
        }
    }
    let pieces = partitions.max(1) * PIECES;
    let all: usize = units.iter().map(Unit::size).sum();
    let units: Vec<Unit> = units.into_iter().flat_map(|unit| unit.cut(all.div_ceil(pieces).max(1))).collect();
    let count = units.len().clamp(1, partitions.max(1));
    let mut shares = vec![Vec::new(); count];
    for (at, unit) in units.into_iter().enumerate() {
        shares[at % count].push(unit);
    }
    Ok(shares)
}

impl Unit {
    fn size(&self) -> usize {
        match &self.reading {
            Reading::Columns { row_groups: Some(row_groups), .. } => row_groups.len(),
            _ => 0,
        }
    }

    /// Into pieces of so many row groups.
    fn cut(self, size: usize) -> Vec<Self> {
        let Reading::Columns { table, row_groups: Some(row_groups) } = &self.reading else { return vec![self] };
        let piece = |row_groups: &[usize]| Self {
            group: self.group.clone(),
            reading: Reading::Columns { table: *table, row_groups: Some(row_groups.to_vec()) },
        };
        row_groups.chunks(size).map(piece).collect()
    }
}

fn groups(data: &TableData, range: TimeRange) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for block in data.blocks.iter().filter(|block| block.from < range.until && range.from < block.until) {
        let BlockMeta { tier, from, until, .. } = *block;
        groups.push(Group { tier, from, until, blocks: vec![block.clone()], memory: false });
    }
    // Windows in memory are read a stretch at a time, with the blocks of that stretch.
    let mut last = None;
    for (tier, start) in data.memory.iter().filter(|(_, start)| (range.from..range.until).contains(start)) {
        let (tier, stretch) = (*tier, tier.stretch());
        let from = start.div_euclid(stretch) * stretch;
        if last.replace((tier, from)) != Some((tier, from)) {
            groups.push(Group { tier, from, until: from + stretch, blocks: Vec::new(), memory: true });
        }
    }
    groups.sort_by_key(|group| (group.tier, group.from));
    let mut merged: Vec<Group> = Vec::new();
    for group in groups {
        match merged.last_mut() {
            Some(last) if group.tier == last.tier && group.from < last.until => {
                last.until = last.until.max(group.until);
                last.blocks.extend(group.blocks);
                last.memory |= group.memory;
            }
            _ => merged.push(group),
        }
    }
    merged
}
