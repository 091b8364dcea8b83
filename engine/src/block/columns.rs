//! Reading a block as columns: of the wanted rows of one table, those figures that somebody asks for.
//!
//! What the statistics of a row group answer is neither read nor looked at row by row: the table, a time that is
//! wanted whole, decimals that are all the same, states that are not there.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, Int64Array, RecordBatch};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, TimestampMillisecondType, UInt8Type, UInt32Type, UInt64Type};
use nightjar_model::delta::{Number, Partial, PartialKind};
use nightjar_model::{Decimal, Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::file::metadata::ParquetMetaData;

use super::read::{Wanted, batch_rows, bounds, group_fits, next_batch, page_selection};
use super::{BlockMeta, COUNT, DECIMALS, FIELD, FORMAT, METRIC, PLACES, SERIES, STATE, TIME, figures_at};
use crate::storage::{BlockFile, Footer, Storage, block_error};

const BATCH_ROWS: usize = 16 * 1024;

const SUM: usize = figures_at(FORMAT);
const MIN: usize = SUM + 1;
const MAX: usize = SUM + 2;

/// What is asked for beside which rows there are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Need {
    pub(crate) series: bool,
    pub(crate) time: bool,
    pub(crate) count: bool,
    pub(crate) sum: bool,
    pub(crate) min: bool,
    pub(crate) max: bool,
}

impl Need {
    pub(crate) const ALL: Self = Self { series: true, time: true, count: true, sum: true, min: true, max: true };
    pub(crate) const COUNTS: Self = Self { sum: false, min: false, max: false, ..Self::ALL };

    pub(crate) fn figures(self) -> bool {
        self.sum || self.min || self.max
    }
}

/// Rows of one table, all of them wanted. What was not asked for may not be there.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) rows: usize,
    pub(crate) series: Option<ScalarBuffer<u32>>,
    pub(crate) time: Option<ScalarBuffer<i64>>,
    pub(crate) fields: RowFields,
    pub(crate) count: Option<ScalarBuffer<u64>>,
    pub(crate) decimals: Decimals,
    pub(crate) sum: Option<Int64Array>,
    pub(crate) min: Option<Int64Array>,
    pub(crate) max: Option<Int64Array>,
    /// `None` where no row has one.
    pub(crate) state: Option<BinaryArray>,
}

/// Which field a row is of.
#[derive(Debug, Clone)]
pub(crate) enum RowFields {
    /// Every window has all of these, in this order; the first row is of the one at this place.
    Cycle(Arc<[u32]>, usize),
    Each(ScalarBuffer<u32>),
}

/// Places after the point of each row's figures.
#[derive(Debug, Clone)]
pub(crate) enum Decimals {
    All(u8),
    Each(ScalarBuffer<u8>),
}

impl Decimals {
    pub(crate) fn at(&self, row: usize) -> u8 {
        match self {
            Self::All(decimals) => *decimals,
            Self::Each(decimals) => decimals[row],
        }
    }
}

/// Whether a block can be read so.
pub(crate) fn is_columnar(block: &BlockMeta) -> bool {
    block.format == FORMAT
}

/// Row groups that can hold something wanted.
pub(crate) fn row_groups(footer: &Footer, wanted: &Wanted) -> Vec<usize> {
    let metadata = footer.arrow.metadata();
    (0..metadata.num_row_groups()).filter(|group| group_fits(metadata, *group, wanted)).collect()
}

/// The wanted rows of one table of one block, in order, a batch at a time.
pub(crate) struct ColumnReader {
    block: BlockMeta,
    footer: Footer,
    file: BlockFile,
    wanted: Wanted,
    need: Need,
    groups: VecDeque<usize>,
    reading: Option<(Group, ParquetRecordBatchStream<BlockFile>)>,
    /// Fields of every window, where all have the same; and how many rows came.
    cycle: Option<Arc<[u32]>>,
    came: usize,
}

/// How a row group is read.
#[derive(Default)]
struct Group {
    /// Columns of the file that are read, sorted.
    columns: Vec<usize>,
    by_table: bool,
    by_series: bool,
    by_time: bool,
    decimals: Option<u8>,
}

impl ColumnReader {
    /// Of a block that [`is_columnar`]; `wanted` is of one table. Reads these row groups, or all: only of a block
    /// whose windows are whole in each ([`Footer::windows`]) some.
    pub(crate) async fn open(
        storage: &Storage,
        block: &BlockMeta,
        wanted: Wanted,
        mut need: Need,
        groups: Option<Vec<usize>>,
    ) -> Result<Self> {
        let footer = storage.footer(block).await?;
        let groups = groups.unwrap_or_else(|| row_groups(&footer, &wanted)).into();
        let windows = footer.windows.as_ref().and_then(|all| all.iter().find(|one| Some(one.metric) == wanted.table));
        let cycle: Option<Arc<[u32]>> =
            windows.filter(|windows| windows.is_regular()).map(|windows| windows.fields.as_slice().into());
        if cycle.is_none() {
            // Only they tell windows apart.
            (need.series, need.time) = (true, true);
        }
        let file = storage.reader(block);
        Ok(Self { block: block.clone(), footer, file, wanted, need, groups, reading: None, cycle, came: 0 })
    }

    /// The next rows; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Columns>> {
        loop {
            let Some((group, stream)) = &mut self.reading else {
                let Some(at) = self.groups.pop_front() else { return Ok(None) };
                let group = self.group(at);
                if let (true, Some(cycle)) = (group.columns.is_empty(), &self.cycle) {
                    let rows = self.footer.arrow.metadata().row_group(at).num_rows() as usize;
                    return Ok(Some(Columns::none(rows, Arc::clone(cycle))));
                }
                let stream = self.stream(at, &group)?;
                self.reading = Some((group, stream));
                continue;
            };
            let Some(batch) = next_batch(self.block.id, stream).await? else {
                self.reading = None;
                continue;
            };
            let columns = group.accepted(batch, &self.wanted).and_then(|batch| {
                let fields =
                    self.cycle.as_ref().map(|cycle| RowFields::Cycle(Arc::clone(cycle), self.came % cycle.len()));
                group.columns_of(&batch, fields)
            });
            let columns = columns.ok_or_else(|| {
                Error::internal(format!("block {}: it has other columns than expected", self.block.id))
            })?;
            if columns.rows > 0 {
                self.came += columns.rows;
                return Ok(Some(columns));
            }
        }
    }

    fn group(&self, at: usize) -> Group {
        let (metadata, wanted, need) = (self.footer.arrow.metadata(), &self.wanted, self.need);
        let within = |column: usize, holds: &dyn Fn(i64, i64) -> bool| {
            bounds(metadata, at, column).is_some_and(|(low, high)| holds(low, high))
        };
        let is_one = |low: i64, high: i64| low == high;
        let decimals = bounds(metadata, at, DECIMALS).filter(|(low, high)| is_one(*low, *high));
        let mut group = Group {
            columns: Vec::new(),
            by_table: !within(METRIC, &|low, high| is_one(low, high) && wanted.table.map(i64::from) == Some(low)),
            by_series: wanted.series.is_some(),
            by_time: !within(TIME, &|low, high| wanted.from <= low && high < wanted.until),
            decimals: decimals.and_then(|(low, _)| u8::try_from(low).ok()),
        };
        let stateless = is_without(metadata, at, STATE);
        let read = [
            (METRIC, group.by_table),
            (SERIES, group.by_series || need.series),
            (TIME, group.by_time || need.time),
            (FIELD, self.cycle.is_none()),
            (COUNT, need.count),
            (DECIMALS, need.figures() && group.decimals.is_none()),
            (SUM, need.sum),
            (MIN, need.min),
            (MAX, need.max),
            (STATE, need.figures() && !stateless),
        ];
        group.columns = read.into_iter().filter(|(_, read)| *read).map(|(column, _)| column).collect();
        group
    }

    fn stream(&self, at: usize, group: &Group) -> Result<ParquetRecordBatchStream<BlockFile>> {
        let metadata = self.footer.arrow.metadata();
        let mask = ProjectionMask::leaves(metadata.file_metadata().schema_descr(), group.columns.iter().copied());
        let has_states = group.columns.contains(&STATE);
        let batch_size = if has_states { batch_rows(metadata, &[at], BATCH_ROWS) } else { BATCH_ROWS };
        let mut builder =
            ParquetRecordBatchStreamBuilder::new_with_metadata(self.file.clone(), self.footer.arrow.clone())
                .with_projection(mask)
                .with_row_groups(vec![at])
                .with_batch_size(batch_size);
        if (group.by_table || group.by_series || group.by_time)
            && let Some(selection) = page_selection(metadata, &[at], &self.wanted)
        {
            builder = builder.with_row_selection(selection);
        }
        builder.build().map_err(|error| block_error(self.block.id, error))
    }
}

fn is_without(metadata: &ParquetMetaData, group: usize, column: usize) -> bool {
    let group = metadata.row_group(group);
    let nulls = group.column(column).statistics().and_then(|statistics| statistics.null_count_opt());
    nulls.is_some() && nulls == u64::try_from(group.num_rows()).ok()
}

impl Columns {
    fn none(rows: usize, cycle: Arc<[u32]>) -> Self {
        Self {
            rows,
            series: None,
            time: None,
            fields: RowFields::Cycle(cycle, 0),
            count: None,
            decimals: Decimals::All(0),
            sum: None,
            min: None,
            max: None,
            state: None,
        }
    }
}

/// What stands in a row.
impl Columns {
    pub(crate) fn has_state(&self, row: usize) -> bool {
        self.state.as_ref().is_some_and(|state| state.is_valid(row))
    }

    pub(crate) fn count(&self, row: usize) -> u64 {
        self.count.as_ref().map_or(0, |count| count[row])
    }

    /// Where a row has no state, and its field is of this kind.
    pub(crate) fn number(&self, row: usize) -> Number {
        let count = self.count(row);
        let [Some(sum), Some(min), Some(max)] = [&self.sum, &self.min, &self.max] else {
            return Number { count, ..Number::EMPTY };
        };
        if sum.is_null(row) {
            return Number { count, ..Number::EMPTY };
        }
        let unit = 10i128.pow(u32::from(PLACES.saturating_sub(self.decimals.at(row))));
        let [sum, min, max] = [sum, min, max].map(|figures| Decimal(i128::from(figures.value(row)) * unit));
        Number { count, sum, min, max }
    }

    pub(crate) fn partial(&self, row: usize, kind: PartialKind) -> Result<Partial, String> {
        match &self.state {
            Some(state) if state.is_valid(row) => {
                Partial::decode(kind, state.value(row)).map_err(|error| error.to_string())
            }
            _ => match kind {
                PartialKind::Lines => Ok(Partial::Lines(self.count(row))),
                PartialKind::Number => Ok(Partial::Number(self.number(row))),
                PartialKind::Top => Err(format!("a partial of kind `{}` has no state", kind.name())),
            },
        }
    }
}

impl Group {
    fn column<'a>(&self, batch: &'a RecordBatch, column: usize) -> Option<&'a dyn Array> {
        self.columns.binary_search(&column).ok().and_then(|at| batch.columns().get(at)).map(|array| &**array)
    }

    /// Without the rows that are not wanted.
    fn accepted(&self, batch: RecordBatch, wanted: &Wanted) -> Option<RecordBatch> {
        let rows = batch.num_rows();
        let mut keep: Option<BooleanBuffer> = None;
        let mut and = |accepts: BooleanBuffer| {
            keep = Some(keep.take().map_or_else(|| accepts.clone(), |keep| &keep & &accepts));
        };
        if self.by_table {
            let table = self.column(&batch, METRIC)?.as_primitive_opt::<UInt32Type>()?.values();
            and(BooleanBuffer::collect_bool(rows, |row| Some(table[row]) == wanted.table));
        }
        if self.by_time {
            let time = self.column(&batch, TIME)?.as_primitive_opt::<TimestampMillisecondType>()?.values();
            and(BooleanBuffer::collect_bool(rows, |row| (wanted.from..wanted.until).contains(&time[row])));
        }
        if let Some(ids) = &wanted.series {
            let series = self.column(&batch, SERIES)?.as_primitive_opt::<UInt32Type>()?.values();
            // Rows of a series stand together.
            let mut last = None;
            and(BooleanBuffer::collect_bool(rows, |row| match last {
                Some((series_before, accepted)) if series_before == series[row] => accepted,
                _ => last.insert((series[row], ids.contains(series[row]))).1,
            }));
        }
        match keep {
            Some(keep) if keep.count_set_bits() < rows => {
                filter_record_batch(&batch, &BooleanArray::new(keep, None)).ok()
            }
            _ => Some(batch),
        }
    }

    fn columns_of(&self, batch: &RecordBatch, fields: Option<RowFields>) -> Option<Columns> {
        let ids = |column: usize| {
            self.column(batch, column).map(|array| Some(array.as_primitive_opt::<UInt32Type>()?.values().clone()))
        };
        let figures =
            |column: usize| self.column(batch, column).map(|array| array.as_primitive_opt::<Int64Type>().cloned());
        let time = self
            .column(batch, TIME)
            .map(|array| Some(array.as_primitive_opt::<TimestampMillisecondType>()?.values().clone()));
        let count =
            self.column(batch, COUNT).map(|array| Some(array.as_primitive_opt::<UInt64Type>()?.values().clone()));
        let decimals = match self.column(batch, DECIMALS) {
            Some(array) => Decimals::Each(array.as_primitive_opt::<UInt8Type>()?.values().clone()),
            None => Decimals::All(self.decimals.unwrap_or(0)),
        };
        Some(Columns {
            rows: batch.num_rows(),
            series: flip(ids(SERIES))?,
            time: flip(time)?,
            fields: match fields {
                Some(fields) => fields,
                None => RowFields::Each(ids(FIELD)??),
            },
            count: flip(count)?,
            decimals,
            sum: flip(figures(SUM))?,
            min: flip(figures(MIN))?,
            max: flip(figures(MAX))?,
            state: flip(self.column(batch, STATE).map(|array| array.as_binary_opt::<i32>().cloned()))?,
        })
    }
}

/// A column that is not read is none; one of another type is a fault.
fn flip<T>(column: Option<Option<T>>) -> Option<Option<T>> {
    match column {
        None => Some(None),
        Some(column) => column.map(Some),
    }
}

#[cfg(test)]
mod tests;
