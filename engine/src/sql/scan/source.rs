//! Where the rows of a unit come from: the columns of one block, or a merge of blocks and memory.

use datafusion::execution::memory_pool::MemoryReservation;

use super::builder::Builder;
use super::units::{Group, Reading, Unit};
use super::{BATCH_ROWS, Inner};
use crate::block::Row;
use crate::block::columns::ColumnReader;
use crate::block::merge::{Cursor, Merge};
use crate::block::read::{BlockRows, FieldKinds, Wanted, rows_of};

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
                let wanted = Wanted { table: Some(*table), ..scanned.wanted(true) };
                // There is one.
                let Some(block) = unit.group.blocks.first() else {
                    return Ok(Self::Merged(merge(unit, Vec::new()), Vec::new()));
                };
                let reader =
                    ColumnReader::open(&scanned.storage, block, wanted, inner.need, row_groups.clone()).await?;
                Ok(Self::Columns(Box::new(reader)))
            }
            Reading::Merged => {
                let mut cursors = from_memory(inner, reservation, &unit.group).await?;
                for block in &unit.group.blocks {
                    let tables = scanned.data.tables.iter().map(|(table, _)| *table);
                    for table in tables.filter(|table| block.tables.contains(table)) {
                        let wanted = Wanted { table: Some(table), ..scanned.wanted(inner.need.figures()) };
                        cursors.push(Cursor::block(BlockRows::open(&scanned.storage, block, wanted).await?));
                    }
                }
                Ok(Self::Merged(merge(unit, cursors), Vec::new()))
            }
        }
    }

    /// Puts the next rows into the builder; whether there were any.
    pub(super) async fn next(&mut self, builder: &mut Builder) -> nightjar_model::Result<bool> {
        match self {
            Self::Columns(reader) => {
                let Some(columns) = reader.next().await? else { return Ok(false) };
                builder.push(&columns)?;
            }
            Self::Merged(merge, rows) => {
                rows.clear();
                merge.next(BATCH_ROWS, rows).await?;
                if rows.is_empty() {
                    return Ok(false);
                }
                rows.iter().for_each(|row| builder.push_row(row));
            }
        }
        Ok(true)
    }
}

fn merge(unit: &Unit, cursors: Vec<Cursor>) -> Merge {
    Merge::new(unit.group.tier, cursors)
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
            rows_of(batch, &kinds, &Wanted::ALL, &mut rows)?;
        }
        reservation.try_grow(rows.len() * size_of::<Row>()).map_err(|_| {
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
