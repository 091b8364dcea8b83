//! What is read as one, and how partitions share it.
//!
//! Blocks and windows in memory are put into groups that do not overlap in time. A group is merged as one; where it
//! is a single block there is nothing to merge, and its row groups are read by whoever has time.

use super::Scanned;
use crate::block::BlockMeta;
use crate::block::columns::{is_columnar, row_groups as fitting};
use crate::sql::pushdown::TimeRange;
use crate::sql::rolled;
use crate::sql::wire::TableData;
use crate::tier::Tier;

/// Of more blocks than this each is read by one partition: their footers are not looked at beforehand.
const LOOKED_AT: usize = 100;

/// A partition's share of row groups comes in so many pieces, so that one that is slow is not all of it.
const PIECES: usize = 4;

/// What overlaps in time, of one tier.
#[derive(Debug, Clone, Default)]
pub(in crate::sql) struct Group {
    pub(in crate::sql) tier: Tier,
    pub(in crate::sql) from: i64,
    pub(in crate::sql) until: i64,
    pub(in crate::sql) blocks: Vec<BlockMeta>,
    pub(in crate::sql) memory: bool,
    /// Of this table only.
    pub(in crate::sql) table: Option<u32>,
    /// Into windows of this tier.
    pub(in crate::sql) roll: Option<Tier>,
}

impl Group {
    /// The one block of it that can be read as columns, where nothing is to be merged with it.
    fn column_block(&self) -> Option<&BlockMeta> {
        let [block] = self.blocks.as_slice() else { return None };
        (!self.memory && self.roll.is_none() && is_columnar(block)).then_some(block)
    }

    /// Of what is known, the tables that it is of.
    pub(super) fn tables(&self, data: &TableData) -> impl Iterator<Item = u32> {
        data.tables.iter().map(|(table, _)| *table).filter(|table| self.table.is_none_or(|only| only == *table))
    }
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
pub(super) async fn shares(scanned: &Scanned, partitions: usize) -> nightjar_model::Result<Vec<Vec<Unit>>> {
    let data = &scanned.data;
    let groups = match scanned.tier {
        tier if tier.is_raw() => groups(data, scanned.range),
        tier => rolled::groups(data, scanned.range, tier),
    };
    let looks = groups.len() <= LOOKED_AT;
    let mut units = Vec::new();
    for group in groups {
        // What a Top shows is made of whole partials: there are no columns of them.
        let Some(block) = group.column_block().filter(|_| data.shape.top.is_none()) else {
            units.push(Unit { group, reading: Reading::Merged });
            continue;
        };
        let footer = if looks { Some(scanned.storage.footer(block).await?) } else { None };
        for table in group.tables(data).filter(|table| block.tables.contains(table)) {
            let wanted = scanned.wanted(&group, table, true);
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
    let blocks = data.blocks.iter().filter(|block| block.tier.is_raw());
    for block in blocks.filter(|block| block.from < range.until && range.from < block.until) {
        let BlockMeta { tier, from, until, .. } = *block;
        groups.push(Group { tier, from, until, blocks: vec![block.clone()], ..Group::default() });
    }
    // Windows in memory are read a stretch at a time, with the blocks of that stretch.
    let mut last = None;
    for (tier, start) in data.memory.iter().filter(|(_, start)| (range.from..range.until).contains(start)) {
        let (tier, stretch) = (*tier, tier.stretch());
        let from = start.div_euclid(stretch) * stretch;
        if last.replace((tier, from)) != Some((tier, from)) {
            groups.push(Group { tier, from, until: from + stretch, memory: true, ..Group::default() });
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
