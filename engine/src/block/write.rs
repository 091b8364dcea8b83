//! Writing a block.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, Int64Builder, RecordBatch, TimestampMillisecondBuilder, UInt8Builder, UInt32Builder,
    UInt64Builder,
};
use base64::Engine as _;
use nightjar_model::delta::{Number, Partial};
use nightjar_model::{Error, Result};
use object_store::buffered::BufWriter;
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use roaring::RoaringBitmap;

use super::{
    BlockMeta, FORMAT, FORMAT_KEY, MetricWindows, PLACES, Row, RowKey, SERIES_KEY, TIER_KEY, WINDOWS_KEY, schema,
};
use crate::storage::{self, Storage};
use crate::tier::Tier;

const ROW_GROUP_ROWS: usize = 128 * 1024;
const PAGE_ROWS: usize = 8 * 1024;
const BATCH_ROWS: usize = 8 * 1024;

/// A batch is cut, and so a page ends, where large partials take this much; a row group at as much encoded.
const BATCH_STATE_BYTES: usize = 4 << 20;
const ROW_GROUP_BYTES: usize = 64 << 20;

/// What a block's ids of metrics and fields stand for, for those who read it without the index: given the ids,
/// answers `(key, JSON)`.
pub(crate) type Names<'a> = &'a (dyn Fn(&BTreeSet<u32>, &BTreeSet<u32>) -> Vec<(String, String)> + Sync);

/// Writes rows that come in order.
pub(crate) struct BlockWriter {
    storage: Arc<Storage>,
    writer: AsyncArrowWriter<BufWriter>,
    columns: Columns,
    meta: BlockMeta,
    series: RoaringBitmap,
    fields: BTreeSet<u32>,
    windows: Vec<MetricWindows>,
    last: Option<RowKey>,
    /// The first and last stretch of time it has rows of.
    times: Option<(i64, i64)>,
    /// Rows of the row group, and at how many it ends with the window.
    grouped: usize,
    group_rows: usize,
}

struct Columns {
    metric: UInt32Builder,
    series: UInt32Builder,
    time: TimestampMillisecondBuilder,
    field: UInt32Builder,
    count: UInt64Builder,
    decimals: UInt8Builder,
    figures: [Int64Builder; 3],
    state: BinaryBuilder,
}

impl BlockWriter {
    /// Begins block `id` of `tier`, of `[from, until)`.
    pub(crate) fn new(
        storage: &Arc<Storage>,
        id: u64,
        tier: Tier,
        (from, until): (i64, i64),
        created: i64,
    ) -> Result<Self> {
        let delta = |name: &str| ColumnPath::from(name);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_statistics_enabled(EnabledStatistics::Page)
            // It is ended where a window is.
            .set_max_row_group_row_count(None)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_write_batch_size(PAGE_ROWS)
            .set_column_dictionary_enabled(delta("time"), false)
            .set_column_encoding(delta("time"), Encoding::DELTA_BINARY_PACKED)
            .set_column_dictionary_enabled(delta("series"), false)
            .set_column_encoding(delta("series"), Encoding::DELTA_BINARY_PACKED)
            // Where there are too many different ones for a dictionary.
            .set_column_encoding(delta("count"), Encoding::DELTA_BINARY_PACKED)
            .set_column_encoding(delta("sum"), Encoding::DELTA_BINARY_PACKED)
            .set_column_encoding(delta("min"), Encoding::DELTA_BINARY_PACKED)
            .set_column_encoding(delta("max"), Encoding::DELTA_BINARY_PACKED)
            .build();
        let columns = schema(FORMAT).ok_or_else(|| Error::internal("blocks have no columns"))?;
        let writer = AsyncArrowWriter::try_new(storage.writer(id), columns, Some(properties))
            .map_err(|error| storage::block_error(id, error))?;
        Ok(Self {
            storage: Arc::clone(storage),
            writer,
            columns: Columns::new(),
            meta: BlockMeta {
                id,
                format: FORMAT,
                tier,
                from,
                until,
                rows: 0,
                bytes: 0,
                created,
                tables: Vec::new(),
                highest_series: None,
                settled: false,
                quarantined: false,
            },
            series: RoaringBitmap::new(),
            fields: BTreeSet::new(),
            windows: Vec::new(),
            last: None,
            times: None,
            grouped: 0,
            group_rows: ROW_GROUP_ROWS,
        })
    }

    #[cfg(test)]
    pub(crate) fn with_group_rows(mut self, rows: usize) -> Self {
        self.group_rows = rows;
        self
    }

    /// Whether it is of a slot of time that is over.
    pub(crate) fn settled(mut self, settled: bool) -> Self {
        self.meta.settled = settled;
        self
    }

    /// Bytes of it so far, about.
    pub(crate) fn bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    pub(crate) async fn write(&mut self, rows: &[Row]) -> Result<()> {
        for row in rows {
            let key = row.key(self.meta.tier);
            if self.last >= Some(key) || !(self.meta.from..self.meta.until).contains(&row.time) {
                return Err(Error::internal("rows of a block are out of order or out of its time"));
            }
            if self.meta.tables.last() != Some(&row.table) {
                self.meta.tables.push(row.table);
                self.windows.push(MetricWindows { metric: row.table, windows: 0, rows: 0, fields: Vec::new() });
            }
            let begins = self.last.is_none_or(|last| (last.0, last.2, last.3) != (key.0, key.2, key.3));
            if begins && self.grouped >= self.group_rows {
                self.end_group().await?;
            }
            if let Some(windows) = self.windows.last_mut() {
                windows.windows += u64::from(begins);
                windows.rows += 1;
                if let Err(place) = windows.fields.binary_search(&row.field) {
                    windows.fields.insert(place, row.field);
                }
            }
            self.grouped += 1;
            self.last = Some(key);
            self.times = Some(self.times.map_or((key.1, key.1), |(least, most)| (key.1.min(least), key.1.max(most))));
            self.series.insert(row.series);
            self.fields.insert(row.field);
            self.columns.push(row);
            self.meta.rows += 1;
            if self.columns.is_full() {
                self.write_batch().await?;
            }
        }
        Ok(())
    }

    /// Ends the block; it is durable then.
    pub(crate) async fn finish(mut self, names: Names<'_>) -> Result<BlockMeta> {
        self.write_batch().await?;
        let mut bitmap = Vec::new();
        self.series.serialize_into(&mut bitmap).map_err(|error| Error::internal(error.to_string()))?;
        let series = base64::engine::general_purpose::STANDARD.encode(bitmap);
        self.writer.append_key_value_metadata(KeyValue::new(SERIES_KEY.to_owned(), series));
        self.writer.append_key_value_metadata(KeyValue::new(FORMAT_KEY.to_owned(), FORMAT.to_string()));
        self.meta.highest_series = self.series.max();
        // No more time than there is something of, so that fewer blocks overlap.
        if let Some((first, last)) = self.times {
            let stretch = self.meta.tier.stretch();
            self.meta.from = self.meta.from.max(first.saturating_mul(stretch));
            self.meta.until = self.meta.until.min((last + 1).saturating_mul(stretch));
        }
        let tier = serde_json::to_string(&self.meta.tier).map_err(|error| Error::internal(error.to_string()))?;
        self.writer.append_key_value_metadata(KeyValue::new(TIER_KEY.to_owned(), tier));
        let windows = serde_json::to_string(&self.windows).map_err(|error| Error::internal(error.to_string()))?;
        self.writer.append_key_value_metadata(KeyValue::new(WINDOWS_KEY.to_owned(), windows));
        let tables = self.meta.tables.iter().copied().collect();
        for (key, value) in names(&tables, &self.fields) {
            self.writer.append_key_value_metadata(KeyValue::new(key, value));
        }
        let id = self.meta.id;
        self.writer.finish().await.map_err(|error| storage::block_error(id, error))?;
        self.meta.bytes = self.writer.bytes_written() as u64;
        self.storage.make_durable(&storage::name(id)).await?;
        self.storage.wrote(self.meta.bytes);
        Ok(self.meta)
    }

    async fn end_group(&mut self) -> Result<()> {
        self.write_batch().await?;
        self.grouped = 0;
        self.writer.flush().await.map_err(|error| storage::block_error(self.meta.id, error))
    }

    async fn write_batch(&mut self) -> Result<()> {
        if self.columns.metric_len() == 0 {
            return Ok(());
        }
        let id = self.meta.id;
        let batch = self.columns.finish().map_err(|error| storage::block_error(id, error))?;
        self.writer.write(&batch).await.map_err(|error| storage::block_error(id, error))?;
        // What a row group has is in memory until it is whole; it ends with the window.
        if self.writer.in_progress_size() >= ROW_GROUP_BYTES {
            self.grouped = self.group_rows;
        }
        Ok(())
    }
}

/// Rows as a block holds them; they are sorted.
pub(crate) fn batches(rows: &[Row]) -> Result<Vec<RecordBatch>, arrow::error::ArrowError> {
    let (mut columns, mut batches) = (Columns::new(), Vec::new());
    for row in rows {
        columns.push(row);
        if columns.is_full() {
            batches.push(columns.finish()?);
        }
    }
    if columns.metric_len() > 0 {
        batches.push(columns.finish()?);
    }
    Ok(batches)
}

impl Columns {
    fn new() -> Self {
        let figures = || Int64Builder::with_capacity(BATCH_ROWS);
        Self {
            metric: UInt32Builder::with_capacity(BATCH_ROWS),
            series: UInt32Builder::with_capacity(BATCH_ROWS),
            time: TimestampMillisecondBuilder::with_capacity(BATCH_ROWS).with_timezone("UTC"),
            field: UInt32Builder::with_capacity(BATCH_ROWS),
            count: UInt64Builder::with_capacity(BATCH_ROWS),
            decimals: UInt8Builder::with_capacity(BATCH_ROWS),
            figures: [figures(), figures(), figures()],
            state: BinaryBuilder::new(),
        }
    }

    fn metric_len(&self) -> usize {
        arrow::array::ArrayBuilder::len(&self.metric)
    }

    fn is_full(&self) -> bool {
        self.metric_len() == BATCH_ROWS || self.state.values_slice().len() >= BATCH_STATE_BYTES
    }

    fn push(&mut self, row: &Row) {
        self.metric.append_value(row.table);
        self.series.append_value(row.series);
        self.time.append_value(row.time);
        self.field.append_value(row.field);
        self.count.append_value(row.partial.count());
        let (narrow, whole) = match &row.partial {
            Partial::Lines(_) => (None, None),
            Partial::Number(number) if number.count == 0 => (None, None),
            Partial::Number(number) => match narrow(number) {
                Some(narrow) => (Some(narrow), None),
                None => (None, Some(row.partial.encode())),
            },
            other => (None, Some(other.encode())),
        };
        let (decimals, figures) = narrow.map_or((0, [None; 3]), |(decimals, figures)| (decimals, figures.map(Some)));
        self.decimals.append_value(decimals);
        for (builder, figure) in self.figures.iter_mut().zip(figures) {
            builder.append_option(figure);
        }
        self.state.append_option(whole);
    }

    fn finish(&mut self) -> Result<RecordBatch, arrow::error::ArrowError> {
        let [sum, min, max] = &mut self.figures;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.metric.finish()),
            Arc::new(self.series.finish()),
            Arc::new(self.time.finish()),
            Arc::new(self.field.finish()),
            Arc::new(self.count.finish()),
            Arc::new(self.decimals.finish()),
            Arc::new(sum.finish()),
            Arc::new(min.finish()),
            Arc::new(max.finish()),
            Arc::new(self.state.finish()),
        ];
        let schema = schema(FORMAT).unwrap_or_else(|| Arc::new(arrow::datatypes::Schema::empty()));
        RecordBatch::try_new(schema, columns)
    }
}

/// The figures in units of 10^-decimals, with as few decimals as keep all of them; `None` if they do not fit.
fn narrow(number: &Number) -> Option<(u8, [i64; 3])> {
    let all = [number.sum.0, number.min.0, number.max.0];
    // Most figures are whole numbers, and of most others all places fit: the division is the slow part.
    let whole = 10i128.pow(u32::from(PLACES));
    if all.iter().all(|value| value % whole == 0) {
        return Some((0, fit(all.map(|value| value / whole))?));
    }
    if let Some(mut values) = fit(all) {
        let mut decimals = PLACES;
        while values.iter().all(|value| value % 10 == 0) {
            values = values.map(|value| value / 10);
            decimals -= 1;
        }
        return Some((decimals, values));
    }
    (1..PLACES).find_map(|decimals| {
        let unit = 10i128.pow(u32::from(PLACES - decimals));
        all.iter().all(|value| value % unit == 0).then(|| Some((decimals, fit(all.map(|value| value / unit))?)))?
    })
}

fn fit(values: [i128; 3]) -> Option<[i64; 3]> {
    let [a, b, c] = values.map(i64::try_from);
    Some([a.ok()?, b.ok()?, c.ok()?])
}
