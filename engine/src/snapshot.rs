//! What a reader sees of a monitor: all that was applied at one moment, whatever is written later.

use std::sync::Arc;

use nightjar_model::names::MonitorKey;

use crate::block::Block;
use crate::completeness::Track;
use crate::memtable::Window;
use crate::state::State;

#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// The monitor's tables, with the width of their windows.
    pub(crate) tables: Vec<(u32, i64)>,
    /// Table and start of each window in memory.
    pub(crate) memory: Vec<(u32, i64, Arc<Window>)>,
    pub(crate) blocks: Vec<Arc<Block>>,
    pub(crate) track: Option<Arc<Track>>,
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
        let holds = |block: &&Arc<Block>| block.overlaps(from, until) && tables.iter().any(|table| block.has(*table));
        Snapshot {
            memory,
            blocks: self.blocks.iter().filter(holds).cloned().collect(),
            track: self.tracker.track(monitor).cloned(),
            tables: tables.into_iter().filter_map(|id| self.index.table(id).map(|table| (id, table.width))).collect(),
        }
    }
}
