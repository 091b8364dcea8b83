//! Reading blocks: row groups and pages that cannot hold what is wanted are not read.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type, TimestampMillisecondType, UInt8Type, UInt32Type, UInt64Type};
use base64::Engine as _;
use futures::{FutureExt, StreamExt};
use nightjar_model::delta::{Number, Partial, PartialKind};
use nightjar_model::{Decimal, Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use roaring::RoaringBitmap;

use super::{
    BlockMeta, COUNT, DECIMALS, FIELD, FIELDS_KEY, FORMAT, METRIC, MetricWindows, PLACES, Row, SERIES, SERIES_KEY,
    STATE, TIME, WINDOWS_KEY, figures_at,
};
use crate::storage::{BlockFile, Footer, Storage, block_error};

const BATCH_ROWS: usize = 8 * 1024;

/// Large partials of a batch, about; read, they take a few times as much.
const BATCH_STATE_BYTES: usize = 4 << 20;

/// Which rows are wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// One table, or every one.
    pub(crate) table: Option<u32>,
    /// These series, or every one.
    pub(crate) series: Option<RoaringBitmap>,
    pub(crate) from: i64,
    pub(crate) until: i64,
    /// Whether more than counts is wanted.
    pub(crate) figures: bool,
}

impl Wanted {
    pub(crate) const ALL: Self = Self { table: None, series: None, from: i64::MIN, until: i64::MAX, figures: true };

    fn accepts(&self, table: u32, series: u32, time: i64) -> bool {
        self.table.is_none_or(|wanted| wanted == table)
            && (self.from..self.until).contains(&time)
            && self.series.as_ref().is_none_or(|wanted| wanted.contains(series))
    }

    /// Whether something between these can be wanted: of `(lowest, highest)` metric, series, or time.
    pub(super) fn can_hold(&self, column: usize, low: i64, high: i64) -> bool {
        match column {
            METRIC => self.table.is_none_or(|table| (low..=high).contains(&i64::from(table))),
            SERIES => self.series.as_ref().is_none_or(|wanted| {
                let (low, high) = (u32::try_from(low).unwrap_or(0), u32::try_from(high).unwrap_or(u32::MAX));
                wanted.range_cardinality(low..=high) > 0
            }),
            TIME => low < self.until && high >= self.from,
            _ => true,
        }
    }
}

/// Of which kind the partials of each field in a block are.
pub(crate) type FieldKinds = HashMap<u32, PartialKind>;

/// The wanted rows of one block, in order, a batch at a time.
pub(crate) struct BlockRows {
    meta: BlockMeta,
    footer: Footer,
    file: BlockFile,
    parts: Parts,
    reading: Option<(Wanted, ParquetRecordBatchStream<BlockFile>)>,
}

/// The next batch of a block. Where bytes are damaged the library may panic; that is this block's error, and says so.
pub(crate) async fn next_batch(
    block: u64,
    stream: &mut ParquetRecordBatchStream<BlockFile>,
) -> Result<Option<RecordBatch>> {
    match AssertUnwindSafe(stream.next()).catch_unwind().await {
        Ok(batch) => batch.transpose().map_err(|error| block_error(block, error)),
        Err(_panic) => Err(Error::internal(format!("block {block} cannot be read: it is damaged"))),
    }
}

impl BlockRows {
    pub(crate) async fn open(storage: &Storage, block: &BlockMeta, wanted: Wanted) -> Result<Self> {
        let footer = storage.footer(block).await?;
        let parts = Parts::new(block, wanted);
        Ok(Self { meta: block.clone(), footer, file: storage.reader(block), parts, reading: None })
    }

    /// Replaces `rows` by the next ones; there are none at the end.
    pub(crate) async fn next(&mut self, rows: &mut Vec<Row>) -> Result<()> {
        rows.clear();
        while rows.is_empty() {
            let Some((wanted, stream)) = &mut self.reading else {
                let Some(wanted) = self.parts.next() else { return Ok(()) };
                let stream = self.stream(&wanted)?;
                self.reading = Some((wanted, stream));
                continue;
            };
            let Some(batch) = next_batch(self.meta.id, stream).await? else {
                self.reading = None;
                continue;
            };
            decode(&batch, self.meta.format, &self.footer.kinds, wanted, rows)
                .map_err(|what| Error::internal(format!("block {}: {what}", self.meta.id)))?;
        }
        Ok(())
    }

    fn stream(&self, wanted: &Wanted) -> Result<ParquetRecordBatchStream<BlockFile>> {
        let metadata = self.footer.arrow.metadata();
        let columns = metadata.file_metadata().schema_descr();
        let last = if wanted.figures { columns.num_columns() } else { COUNT + 1 };
        let mask = ProjectionMask::leaves(columns, 0..last);
        let groups: Vec<usize> =
            (0..metadata.num_row_groups()).filter(|group| group_fits(metadata, *group, wanted)).collect();
        let selection = page_selection(metadata, &groups, wanted);
        let batch_size = if wanted.figures { batch_rows(metadata, &groups, BATCH_ROWS) } else { BATCH_ROWS };
        let file = self.file.clone();
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(file, self.footer.arrow.clone())
            .with_projection(mask)
            .with_row_groups(groups)
            .with_batch_size(batch_size);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        builder.build().map_err(|error| block_error(self.meta.id, error))
    }
}

/// Rows of a batch, given how large the partials are that have a state: `most` at most.
pub(super) fn batch_rows(metadata: &ParquetMetaData, groups: &[usize], most: usize) -> usize {
    let states = groups.iter().filter_map(|group| {
        let group = metadata.row_group(*group);
        let column = group.columns().get(STATE)?;
        let absent = column.statistics().and_then(Statistics::null_count_opt)?;
        let present = (group.num_rows() as u64).saturating_sub(absent);
        (present > 0).then(|| column.uncompressed_size().max(0) as u64 / present)
    });
    let largest = states.max().unwrap_or(0).max(1) as usize;
    (BATCH_STATE_BYTES / largest).clamp(16, most)
}

/// What to read, part by part, so that all of it comes in order: one part, but for a block of a format whose order
/// is another. Of that each stretch of each table is read by itself.
#[derive(Debug)]
struct Parts {
    wanted: Wanted,
    stretch: i64,
    /// The stretches, first and last, and the tables; none where all is read as one.
    cut: Option<(i64, i64, Vec<u32>)>,
    /// How many parts were taken.
    taken: u64,
}

impl Parts {
    fn new(block: &BlockMeta, wanted: Wanted) -> Self {
        let stretch = block.tier.stretch();
        let first = block.from.max(wanted.from).div_euclid(stretch);
        let last = block.until.min(wanted.until).saturating_sub(1).div_euclid(stretch);
        let tables = block.tables.iter().copied().filter(|table| wanted.table.is_none_or(|wanted| wanted == *table));
        let cut = (block.format == 1 && first < last).then(|| (first, last, tables.collect()));
        Self { wanted, stretch, cut, taken: 0 }
    }

    fn next(&mut self) -> Option<Wanted> {
        let at = self.taken;
        self.taken += 1;
        let Some((first, last, tables)) = &self.cut else { return (at == 0).then(|| self.wanted.clone()) };
        let stretches = last.abs_diff(*first) + 1;
        let table = *tables.get(usize::try_from(at / stretches).ok()?)?;
        let from = first.saturating_add_unsigned(at % stretches).saturating_mul(self.stretch);
        Some(Wanted {
            table: Some(table),
            from: self.wanted.from.max(from),
            until: self.wanted.until.min(from.saturating_add(self.stretch)),
            ..self.wanted.clone()
        })
    }
}

/// The rows of a batch as a block of today's format holds them, of those that are wanted.
pub(crate) fn rows_of(batch: &RecordBatch, kinds: &FieldKinds, wanted: &Wanted, rows: &mut Vec<Row>) -> Result<()> {
    decode(batch, FORMAT, kinds, wanted, rows).map_err(|what| Error::internal(format!("rows in memory: {what}")))
}

/// The series that a block holds.
pub(crate) async fn series(storage: &Storage, block: &BlockMeta) -> Result<RoaringBitmap> {
    let footer = storage.footer(block).await?;
    value(footer.arrow.metadata(), SERIES_KEY)
        .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok())
        .and_then(|bytes| RoaringBitmap::deserialize_from(bytes.as_slice()).ok())
        .ok_or_else(|| Error::internal(format!("block {} does not say which series it holds", block.id)))
}

fn value<'a>(metadata: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let pairs = metadata.file_metadata().key_value_metadata()?;
    pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
}

/// What a block says of its windows; older ones do not.
pub(crate) fn metric_windows(metadata: &ParquetMetaData) -> Option<Vec<MetricWindows>> {
    serde_json::from_str(value(metadata, WINDOWS_KEY)?).ok()
}

#[derive(serde::Deserialize)]
struct FieldName {
    id: u32,
    kind: String,
}

/// What a block says of its fields.
///
/// # Errors
/// What is wrong with it, or a kind that is not known to this version.
pub(crate) fn field_kinds(format: u32, metadata: &ParquetMetaData) -> std::result::Result<FieldKinds, String> {
    let text = value(metadata, FIELDS_KEY).ok_or("it does not say which fields it holds")?;
    if format == 1 {
        let names: Vec<String> = serde_json::from_str(text).map_err(|error| format!("its fields: {error}"))?;
        return Ok((0..).zip(names.iter().map(|name| PartialKind::of_untyped(name))).collect());
    }
    let fields: Vec<FieldName> = serde_json::from_str(text).map_err(|error| format!("its fields: {error}"))?;
    let kind = |field: FieldName| match PartialKind::from_name(&field.kind) {
        Some(kind) => Ok((field.id, kind)),
        None => Err(format!("partials of kind `{}` are not known to this version", field.kind)),
    };
    fields.into_iter().map(kind).collect()
}

/// The figures of a batch; none where counts alone are read.
enum Figures<'a> {
    None,
    First([&'a arrow::array::PrimitiveArray<Decimal128Type>; 3]),
    Second {
        decimals: &'a [u8],
        figures: [&'a arrow::array::PrimitiveArray<Int64Type>; 3],
        state: &'a arrow::array::BinaryArray,
    },
}

impl<'a> Figures<'a> {
    fn of(batch: &'a RecordBatch, format: u32) -> Option<Self> {
        let at = figures_at(format);
        if batch.num_columns() <= at {
            return Some(Self::None);
        }
        let columns = [batch.column(at), batch.columns().get(at + 1)?, batch.columns().get(at + 2)?];
        if format == 1 {
            let [sum, min, max] = columns.map(|column| column.as_primitive_opt::<Decimal128Type>());
            return Some(Self::First([sum?, min?, max?]));
        }
        let [sum, min, max] = columns.map(|column| column.as_primitive_opt::<Int64Type>());
        Some(Self::Second {
            decimals: batch.column(DECIMALS).as_primitive_opt::<UInt8Type>()?.values(),
            figures: [sum?, min?, max?],
            state: batch.columns().get(STATE)?.as_binary_opt::<i32>()?,
        })
    }

    fn partial(&self, at: usize, kind: PartialKind, count: u64) -> std::result::Result<Partial, String> {
        let number = |[sum, min, max]: [i128; 3]| {
            Partial::Number(Number { count, sum: Decimal(sum), min: Decimal(min), max: Decimal(max) })
        };
        match self {
            Self::Second { state, .. } if state.is_valid(at) => {
                Partial::decode(kind, state.value(at)).map_err(|error| error.to_string())
            }
            _ if kind == PartialKind::Lines => Ok(Partial::Lines(count)),
            Self::First(figures) if figures[0].is_valid(at) => Ok(number(figures.map(|figure| figure.value(at)))),
            Self::Second { decimals, figures, .. } if figures[0].is_valid(at) => {
                let missing = PLACES.checked_sub(decimals[at]).ok_or("a figure has more than 9 decimals")?;
                let unit = 10i128.pow(u32::from(missing));
                Ok(number(figures.map(|figure| i128::from(figure.value(at)) * unit)))
            }
            // Counts alone are read, or there is nothing to count.
            _ if kind == PartialKind::Number => Ok(Partial::Number(Number { count, ..Number::EMPTY })),
            Self::None => Ok(Partial::empty(kind)),
            _ => Err(format!("a partial of kind `{}` has no state", kind.name())),
        }
    }
}

fn decode(
    batch: &RecordBatch,
    format: u32,
    kinds: &FieldKinds,
    wanted: &Wanted,
    rows: &mut Vec<Row>,
) -> std::result::Result<(), String> {
    let unfit = || "it has other columns than expected".to_owned();
    let ids = |column: usize| batch.column(column).as_primitive_opt::<UInt32Type>().ok_or_else(unfit);
    let (metric, series, field) = (ids(METRIC)?.values(), ids(SERIES)?.values(), ids(FIELD)?.values());
    let time = batch.column(TIME).as_primitive_opt::<TimestampMillisecondType>().ok_or_else(unfit)?.values();
    let count = batch.column(COUNT).as_primitive_opt::<UInt64Type>().ok_or_else(unfit)?.values();
    let figures = Figures::of(batch, format).ok_or_else(unfit)?;
    let mut last = None;
    rows.reserve(batch.num_rows());
    for at in 0..batch.num_rows() {
        if !wanted.accepts(metric[at], series[at], time[at]) {
            continue;
        }
        let kind = match last {
            Some((known, kind)) if known == field[at] => kind,
            _ => *kinds.get(&field[at]).ok_or_else(|| format!("it does not say what field {} is", field[at]))?,
        };
        last = Some((field[at], kind));
        let partial = figures.partial(at, kind, count[at])?;
        rows.push(Row { table: metric[at], series: series[at], time: time[at], field: field[at], partial });
    }
    Ok(())
}

pub(super) fn group_fits(metadata: &ParquetMetaData, group: usize, wanted: &Wanted) -> bool {
    [METRIC, SERIES, TIME]
        .into_iter()
        .all(|column| bounds(metadata, group, column).is_none_or(|(low, high)| wanted.can_hold(column, low, high)))
}

/// The least and the greatest value of a column of a row group, where it says so.
pub(super) fn bounds(metadata: &ParquetMetaData, group: usize, column: usize) -> Option<(i64, i64)> {
    match metadata.row_group(group).column(column).statistics()? {
        // Ids are unsigned, in the sign bit's company.
        Statistics::Int32(s) => s.min_opt().zip(s.max_opt()).map(|(a, b)| (i64::from(*a as u32), i64::from(*b as u32))),
        Statistics::Int64(s) => s.min_opt().zip(s.max_opt()).map(|(a, b)| (*a, *b)),
        _ => None,
    }
}

/// Rows of the groups whose pages can hold something wanted; `None` when there is no page index.
pub(super) fn page_selection(metadata: &ParquetMetaData, groups: &[usize], wanted: &Wanted) -> Option<RowSelection> {
    let (columns, offsets) = (metadata.column_index()?, metadata.offset_index()?);
    let mut selectors: Vec<RowSelector> = Vec::new();
    for group in groups {
        let rows = metadata.row_group(*group).num_rows() as usize;
        let mut selection = RowSelection::from(vec![RowSelector::select(rows)]);
        for column in [METRIC, SERIES, TIME] {
            let index = columns.get(*group)?.get(column)?;
            let pages = offsets.get(*group)?.get(column)?.page_locations();
            let mut fits = Vec::with_capacity(pages.len());
            for (page, location) in pages.iter().enumerate() {
                let bounds = match index {
                    ColumnIndexMetaData::INT32(index) => index
                        .min_value(page)
                        .zip(index.max_value(page))
                        .map(|(a, b)| (i64::from(*a as u32), i64::from(*b as u32))),
                    ColumnIndexMetaData::INT64(index) => {
                        index.min_value(page).zip(index.max_value(page)).map(|(a, b)| (*a, *b))
                    }
                    _ => None,
                };
                let first = location.first_row_index as usize;
                let end = pages.get(page + 1).map_or(rows, |next| next.first_row_index as usize);
                let fit = bounds.is_none_or(|(low, high)| wanted.can_hold(column, low, high));
                fits.push(RowSelector { row_count: end.saturating_sub(first), skip: !fit });
            }
            selection = selection.intersection(&RowSelection::from(fits));
        }
        let mut covered = 0;
        for selector in selection.iter() {
            covered += selector.row_count;
            selectors.push(*selector);
        }
        // Trailing rows that are skipped may be left out of a selection; the next group's follow here.
        if covered < rows {
            selectors.push(RowSelector::skip(rows - covered));
        }
    }
    Some(RowSelection::from(selectors))
}

#[cfg(test)]
mod tests;
