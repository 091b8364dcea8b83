//! Windows of a tier of roll-ups: from the roll-ups where they are, and of what is not rolled up by merging finer ones,
//! so that at any time they are those of the source.

use std::collections::BTreeSet;

use datafusion::execution::memory_pool::MemoryReservation;
use nightjar_model::Error;

use super::pushdown::TimeRange;
use super::scan::Group;
use super::wire::TableData;
use crate::block::merge::{Cursor, Merge};
use crate::block::roll::Roller;
use crate::rollups::{Piece, pieces};
use crate::tier::Tier;

const ROWS: usize = 8 * 1024;

/// What is read for windows of `tier`; `range` is of whole ones.
pub(super) fn groups(data: &TableData, range: TimeRange, tier: Tier) -> Vec<Group> {
    let blocks = data.blocks.iter().map(|block| (block.from, block.until));
    let memory = data.memory.iter().map(|(_, start)| (*start, start.saturating_add(1)));
    let (from, until) =
        blocks.chain(memory).fold((i64::MAX, i64::MIN), |(a, b), (from, until)| (a.min(from), b.max(until)));
    let there = TimeRange { from: from.div_euclid(tier.width()).saturating_mul(tier.width()), until }.and(range);
    let mut groups = Vec::new();
    if there.from >= there.until {
        return groups;
    }
    // Whole windows, also of the last one.
    let until = TimeRange { from: 0, until: there.until }.of_width(tier.width()).until;
    for (table, width) in &data.tables {
        let source = Tier::of_width(*width);
        let fits = |finer: Tier| finer.width() <= tier.width();
        for piece in pieces((*table, source), (there.from, until), &data.rolled, tier.width(), fits) {
            let is_shown = piece.tier == tier || (piece.tier.is_raw() && *width >= tier.width());
            if is_shown {
                plain(data, *table, piece, &mut groups);
            } else {
                to_roll(data, *table, piece, tier, &mut groups);
            }
        }
    }
    groups
}

/// Blocks and windows in memory of a piece, where there are some: in stretches of `length`.
fn stretches(data: &TableData, table: u32, piece: Piece, length: i64) -> BTreeSet<i64> {
    let first = |at: i64| at.div_euclid(length) * length;
    let blocks = data.blocks.iter().filter(|block| block.tier == piece.tier && block.tables.contains(&table));
    let mut starts: BTreeSet<i64> = BTreeSet::new();
    for block in blocks {
        let (from, until) = (block.from.max(piece.from), block.until.min(piece.until));
        starts.extend((0..).map(|n| first(from) + n * length).take_while(|start| from < until && *start < until));
    }
    let memory =
        data.memory.iter().filter(|(tier, start)| *tier == piece.tier && (piece.from..piece.until).contains(start));
    starts.extend(memory.map(|(_, start)| first(*start)));
    starts
}

fn group(data: &TableData, table: u32, piece: Piece) -> Group {
    let Piece { from, until, tier } = piece;
    let blocks = data.blocks.iter().filter(|block| {
        block.tier == tier && block.from < until && from < block.until && block.tables.contains(&table)
    });
    let memory = data.memory.iter().any(|(known, start)| *known == tier && (from..until).contains(start));
    Group { tier, from, until, blocks: blocks.cloned().collect(), memory, table: Some(table), roll: None }
}

fn plain(data: &TableData, table: u32, piece: Piece, groups: &mut Vec<Group>) {
    let length = piece.tier.stretch();
    for start in stretches(data, table, piece, length) {
        let (from, until) = (start.max(piece.from), (start + length).min(piece.until));
        groups.push(group(data, table, Piece { from, until, ..piece }));
    }
}

/// A few windows of the series at a time: all of a group are in memory at once.
fn to_roll(data: &TableData, table: u32, piece: Piece, tier: Tier, groups: &mut Vec<Group>) {
    let length = piece.tier.stretch().max(tier.width());
    for start in stretches(data, table, piece, length) {
        let (from, until) = (start.max(piece.from), (start + length).min(piece.until));
        groups.push(Group { roll: Some(tier), ..group(data, table, Piece { from, until, ..piece }) });
    }
}

/// The windows of a group merged into those of `tier`.
pub(super) async fn roll(
    mut merge: Merge,
    tier: Tier,
    table: Option<u32>,
    reservation: &MemoryReservation,
) -> nightjar_model::Result<Merge> {
    let (mut roller, mut rows, mut reserved) = (Roller::new(tier.width()), Vec::new(), 0);
    loop {
        rows.clear();
        merge.next(ROWS, &mut rows).await?;
        if rows.is_empty() {
            break;
        }
        roller.add(&rows)?;
        // Once as it is merged, and once more as rows.
        let grown = (2 * roller.bytes()).saturating_sub(reserved);
        reservation.try_grow(grown).map_err(|_| {
            let text = "windows that are not rolled up yet are more than a statement can hold: ask for fewer keys or less time";
            Error::invalid(text, Vec::new())
        })?;
        reserved += grown;
    }
    let rows = roller.rows(table.unwrap_or_default()).collect();
    Ok(Merge::new(tier, vec![Cursor::rows(rows)]))
}
