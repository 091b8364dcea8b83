//! What a reader sees of a monitor: all that was applied at one moment, whatever is written later.

use std::sync::Arc;

use nightjar_model::names::MonitorKey;

use crate::block::Block;
use crate::completeness::Track;
use crate::memtable::Window;
use crate::rollups::Rolled;
use crate::state::State;
use crate::tier::Tier;

#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// The monitor's tables, with the width of their windows.
    pub(crate) tables: Vec<(u32, i64)>,
    /// Table and start of each window in memory.
    pub(crate) memory: Vec<(u32, i64, Arc<Window>)>,
    /// Of all tiers.
    pub(crate) blocks: Vec<Arc<Block>>,
    /// Where roll-ups can be read in place of what they were made of.
    pub(crate) rolled: Vec<Rolled>,
    pub(crate) track: Option<Arc<Track>>,
}

impl Snapshot {
    /// The blocks of a tier that may hold windows of the table that start in `[from, until)`.
    pub(crate) fn blocks_of(&self, table: u32, tier: Tier, from: i64, until: i64) -> impl Iterator<Item = &Arc<Block>> {
        let holds =
            move |block: &&Arc<Block>| block.meta.tier == tier && block.has(table) && block.overlaps(from, until);
        self.blocks.iter().filter(holds)
    }

    /// Where the last roll-up of the table in `[from, until)` ends; `None` if there is none.
    pub(crate) fn coarser(&self, table: u32, from: i64, until: i64) -> Option<i64> {
        let of_tier = |rolled: &Rolled| {
            let blocks = self.blocks_of(table, rolled.tier, from, until);
            let ends = blocks.flat_map(|block| {
                let (from, until) = (from.max(block.meta.from), until.min(block.meta.until));
                rolled
                    .ranges
                    .within(from, until)
                    .filter(move |(a, b)| *a < until && from < *b)
                    .map(move |(_, b)| b.min(until))
            });
            ends.max()
        };
        self.rolled.iter().filter(|rolled| rolled.table == table).filter_map(of_tier).max()
    }
}

impl State {
    /// Of windows that start in `[from, until)`, of the monitor with this uid; without one, of the one that has
    /// the name.
    pub(crate) fn snapshot(&self, monitor: &MonitorKey, uid: Option<&str>, from: i64, until: i64) -> Snapshot {
        let mut tables = self.index.tables_of(monitor, uid);
        tables.retain(|id| self.index.table(*id).is_some_and(|table| table.tier.is_raw()));
        let memtables = [Some(&self.active), self.frozen.as_ref().map(|frozen| &frozen.memtable)];
        let mut memory = Vec::new();
        for (table, memtable) in tables.iter().flat_map(|table| memtables.iter().flatten().map(|m| (*table, *m))) {
            memory.extend(memtable.range(table, from, until).map(|(start, window)| (table, start, window)));
        }
        let rolled = tables.iter().flat_map(|table| {
            let source = self.index.table(*table).map(|table| table.tier).unwrap_or_default();
            let of_table = memory.iter().filter(|(known, _, _)| known == table);
            let starts: Vec<i64> = of_table.map(|(_, start, _)| *start).collect();
            self.rollups.rolled(*table, source, &starts)
        });
        let rolled = rolled.collect();
        let holds = |block: &&Arc<Block>| block.overlaps(from, until) && tables.iter().any(|table| block.has(*table));
        Snapshot {
            rolled,
            memory,
            blocks: self.blocks.iter().filter(holds).cloned().collect(),
            track: self.tracker.track(monitor).filter(|track| !track.is_another(uid)).cloned(),
            tables: tables.into_iter().filter_map(|id| self.index.table(id).map(|table| (id, table.width))).collect(),
        }
    }
}
