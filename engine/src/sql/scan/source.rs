//! Where the rows of a unit come from: the columns of one block, or a merge of blocks and memory.

use datafusion::execution::memory_pool::MemoryReservation;

use super::Inner;
use super::builder::Builder;
use super::units::{Group, Reading, Unit};
use crate::block::Row;
use crate::block::columns::ColumnReader;
use crate::block::merge::{Cursor, Merge};
use crate::block::read::{BlockRows, FieldKinds, Wanted, rows_of};
use crate::sql::rolled;

pub(super) enum Source {
    Columns(Box<ColumnReader>),
    Merged(Merge, Vec<Row>),
}

impl Source {
    pub(super) async fn open(
        inner: &Inner,
        reservation: &MemoryReservation,
        unit: &Unit,
    ) -> nightjar_model::Result<Self> {
        let scanned = &inner.scanned;
        match &unit.reading {
            Reading::Columns { table, row_groups } => {
                let wanted = scanned.wanted(&unit.group, *table, true);
                // There is one.
                let Some(block) = unit.group.blocks.first() else {
                    return Ok(Self::Merged(Merge::new(unit.group.tier, Vec::new()), Vec::new()));
                };
                let reader =
                    ColumnReader::open(&scanned.storage, block, wanted, inner.need, row_groups.clone()).await?;
                Ok(Self::Columns(Box::new(reader)))
            }
            Reading::Merged => {
                let group = &unit.group;
                let mut cursors = from_memory(inner, reservation, group).await?;
                for block in &group.blocks {
                    for table in group.tables(&scanned.data).filter(|table| block.tables.contains(table)) {
                        let wanted = scanned.wanted(group, table, inner.figures());
                        cursors.push(Cursor::block(BlockRows::open(&scanned.storage, block, wanted).await?));
                    }
                }
                let merge = Merge::new(group.tier, cursors);
                let merge = match group.roll {
                    Some(tier) => rolled::roll(merge, tier, group.table, reservation).await?,
                    None => merge,
                };
                Ok(Self::Merged(merge, Vec::new()))
            }
        }
    }

    /// Puts the next rows into the builder; whether there were any.
    pub(super) async fn next(&mut self, batch: usize, builder: &mut Builder) -> nightjar_model::Result<bool> {
        match self {
            Self::Columns(reader) => {
                let Some(columns) = reader.next().await? else { return Ok(false) };
                builder.push(&columns)?;
            }
            Self::Merged(merge, rows) => {
                rows.clear();
                merge.next(batch, rows).await?;
                if rows.is_empty() {
                    return Ok(false);
                }
                rows.drain(..).for_each(|row| builder.push_row(row));
            }
        }
        Ok(true)
    }
}

async fn from_memory(
    inner: &Inner,
    reservation: &MemoryReservation,
    group: &Group,
) -> nightjar_model::Result<Vec<Cursor>> {
    let scanned = &inner.scanned;
    let mut cursors = Vec::new();
    if !group.memory {
        return Ok(cursors);
    }
    let (from, until) = (group.from.max(scanned.range.from), group.until.min(scanned.range.until));
    let kinds: FieldKinds = scanned.data.kinds.iter().copied().collect();
    let (name, series) = (&scanned.data.shape.name, scanned.series.as_ref());
    for run in scanned.link.memory(name, group.tier, series, from, until).await? {
        let mut rows = Vec::new();
        for batch in &run {
            rows_of(batch, &kinds, &Wanted { table: group.table, ..Wanted::ALL }, &mut rows)?;
        }
        let states: usize = rows.iter().map(|row| row.partial.heap_bytes()).sum();
        reservation.try_grow(rows.len() * size_of::<Row>() + states).map_err(|_| {
            nightjar_model::Error::invalid(
                "windows in memory are more than a statement can hold: ask for less time",
                Vec::new(),
            )
        })?;
        // Equal keys of two memtables stand next to each other; the merge joins those too.
        cursors.push(Cursor::rows(rows));
    }
    Ok(cursors)
}
