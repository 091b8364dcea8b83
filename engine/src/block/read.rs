//! Reading blocks: row groups and pages that cannot hold what is wanted are not read.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, TimestampMillisecondType, UInt32Type, UInt64Type};
use base64::Engine as _;
use futures::StreamExt;
use nightjar_model::delta::Partial;
use nightjar_model::{Decimal, Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use roaring::RoaringBitmap;

use super::{BlockMeta, COUNT, FIELD, MAX, METRIC, MIN, Row, SERIES, SERIES_KEY, SUM, TIME};
use crate::storage::{BlockFile, Storage, block_error};

const BATCH_ROWS: usize = 8 * 1024;

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
    fn can_hold(&self, column: usize, low: i64, high: i64) -> bool {
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

/// The wanted rows of one block, in order, a batch at a time.
pub(crate) struct BlockRows {
    id: u64,
    wanted: Wanted,
    stream: ParquetRecordBatchStream<BlockFile>,
}

impl BlockRows {
    pub(crate) async fn open(storage: &Storage, block: &BlockMeta, wanted: Wanted) -> Result<Self> {
        let footer = storage.footer(block).await?;
        let metadata = footer.metadata();
        let last = if wanted.figures { MAX } else { COUNT };
        let mask = ProjectionMask::leaves(metadata.file_metadata().schema_descr(), 0..=last);
        let groups: Vec<usize> =
            (0..metadata.num_row_groups()).filter(|group| group_fits(metadata, *group, &wanted)).collect();
        let selection = page_selection(metadata, &groups, &wanted);
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(storage.reader(block), footer.clone())
            .with_projection(mask)
            .with_row_groups(groups)
            .with_batch_size(BATCH_ROWS);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let stream = builder.build().map_err(|error| block_error(block.id, error))?;
        Ok(Self { id: block.id, wanted, stream })
    }

    /// Replaces `rows` by the next ones; there are none at the end.
    pub(crate) async fn next(&mut self, rows: &mut Vec<Row>) -> Result<()> {
        rows.clear();
        while rows.is_empty() {
            let Some(batch) = self.stream.next().await else { return Ok(()) };
            let batch = batch.map_err(|error| block_error(self.id, error))?;
            decode(&batch, &self.wanted, rows)
                .ok_or_else(|| Error::internal(format!("block {} has other columns than expected", self.id)))?;
        }
        Ok(())
    }
}

/// The series that a block holds.
pub(crate) async fn series(storage: &Storage, block: &BlockMeta) -> Result<RoaringBitmap> {
    let footer = storage.footer(block).await?;
    let pairs = footer.metadata().file_metadata().key_value_metadata();
    let value = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == SERIES_KEY)?.value.as_ref());
    value
        .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok())
        .and_then(|bytes| RoaringBitmap::deserialize_from(bytes.as_slice()).ok())
        .ok_or_else(|| Error::internal(format!("block {} does not say which series it holds", block.id)))
}

fn decode(batch: &RecordBatch, wanted: &Wanted, rows: &mut Vec<Row>) -> Option<()> {
    let metric = batch.column(METRIC).as_primitive_opt::<UInt32Type>()?.values();
    let series = batch.column(SERIES).as_primitive_opt::<UInt32Type>()?.values();
    let time = batch.column(TIME).as_primitive_opt::<TimestampMillisecondType>()?.values();
    let field = batch.column(FIELD).as_primitive_opt::<UInt32Type>()?.values();
    let count = batch.column(COUNT).as_primitive_opt::<UInt64Type>()?.values();
    let figure = |column: usize| batch.columns().get(column).and_then(|c| c.as_primitive_opt::<Decimal128Type>());
    let figures = match (figure(SUM), figure(MIN), figure(MAX)) {
        (Some(sum), Some(min), Some(max)) => Some((sum, min, max)),
        _ if wanted.figures => return None,
        _ => None,
    };
    rows.reserve(batch.num_rows());
    for at in 0..batch.num_rows() {
        if !wanted.accepts(metric[at], series[at], time[at]) {
            continue;
        }
        let partial = match figures {
            Some((sum, min, max)) if sum.is_valid(at) => Partial {
                count: count[at],
                sum: Decimal(sum.value(at)),
                min: Decimal(min.value(at)),
                max: Decimal(max.value(at)),
            },
            _ => Partial::lines(count[at]),
        };
        rows.push(Row { table: metric[at], series: series[at], time: time[at], field: field[at], partial });
    }
    Some(())
}

fn group_fits(metadata: &ParquetMetaData, group: usize, wanted: &Wanted) -> bool {
    [METRIC, SERIES, TIME].into_iter().all(|column| {
        let bounds = match metadata.row_group(group).column(column).statistics() {
            // Ids are unsigned, in the sign bit's company.
            Some(Statistics::Int32(s)) => {
                s.min_opt().zip(s.max_opt()).map(|(a, b)| (i64::from(*a as u32), i64::from(*b as u32)))
            }
            Some(Statistics::Int64(s)) => s.min_opt().zip(s.max_opt()).map(|(a, b)| (*a, *b)),
            _ => None,
        };
        bounds.is_none_or(|(low, high)| wanted.can_hold(column, low, high))
    })
}

/// Rows of the groups whose pages can hold something wanted; `None` when there is no page index.
fn page_selection(metadata: &ParquetMetaData, groups: &[usize], wanted: &Wanted) -> Option<RowSelection> {
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
mod tests {
    use std::sync::Arc;

    use super::super::write::BlockWriter;
    use super::*;

    #[tokio::test]
    async fn what_a_block_says_of_its_columns_is_not_asked() {
        let dir = tempfile::tempdir().expect("tempdir");
        let storage = Arc::new(Storage::local(dir.path()).expect("storage"));
        let mut writer = BlockWriter::new(&storage, 1, 0, 10, 0).expect("writer");
        let row = Row { table: 1, series: 2, time: 3, field: 4, partial: Partial::lines(5) };
        writer.write(&[row]).await.expect("written");
        let meta = writer.finish(Vec::new()).await.expect("finished");
        let path = dir.path().join(crate::storage::name(1).as_ref());
        let mut bytes = std::fs::read(&path).expect("read");
        let key = b"ARROW:schema";
        let at = bytes.windows(key.len()).rposition(|part| part == key).expect("it says so") + key.len() + 8;
        bytes[at..at + 400].fill(b'A');
        std::fs::write(&path, bytes).expect("damaged");
        // A fresh one, which has not read its footer.
        let storage = Storage::local(dir.path()).expect("storage");
        let mut rows = Vec::new();
        BlockRows::open(&storage, &meta, Wanted::ALL).await.expect("open").next(&mut rows).await.expect("read");
        assert_eq!(rows, [row]);
    }
}
