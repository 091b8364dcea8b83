//! Writing a block.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Builder, RecordBatch, TimestampMillisecondBuilder, UInt32Builder, UInt64Builder,
};
use base64::Engine as _;
use nightjar_model::{Error, Result};
use object_store::buffered::BufWriter;
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use roaring::RoaringBitmap;

use super::{BlockMeta, PRECISION, Row, SCALE, SERIES_KEY, schema};
use crate::storage::{self, Storage};

const ROW_GROUP_ROWS: usize = 128 * 1024;
const PAGE_ROWS: usize = 8 * 1024;
const BATCH_ROWS: usize = 8 * 1024;

/// Names that a block carries for those who read it without the index, `(key, JSON)`.
pub(crate) type Names = Vec<(String, String)>;

/// Writes rows that come in order.
pub(crate) struct BlockWriter {
    storage: Arc<Storage>,
    writer: AsyncArrowWriter<BufWriter>,
    columns: Columns,
    meta: BlockMeta,
    series: RoaringBitmap,
    last: Option<(u32, u32, i64, u32)>,
}

struct Columns {
    metric: UInt32Builder,
    series: UInt32Builder,
    time: TimestampMillisecondBuilder,
    field: UInt32Builder,
    count: UInt64Builder,
    figures: [Decimal128Builder; 3],
}

impl BlockWriter {
    /// Begins block `id` of `[from, until)`.
    pub(crate) fn new(storage: &Arc<Storage>, id: u64, from: i64, until: i64, created: i64) -> Result<Self> {
        let delta = |name: &str| ColumnPath::from(name);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_write_batch_size(PAGE_ROWS)
            .set_column_dictionary_enabled(delta("time"), false)
            .set_column_encoding(delta("time"), Encoding::DELTA_BINARY_PACKED)
            .set_column_dictionary_enabled(delta("series"), false)
            .set_column_encoding(delta("series"), Encoding::DELTA_BINARY_PACKED)
            .build();
        let writer = AsyncArrowWriter::try_new(storage.writer(id), schema(), Some(properties))
            .map_err(|error| storage::block_error(id, error))?;
        Ok(Self {
            storage: Arc::clone(storage),
            writer,
            columns: Columns::new(),
            meta: BlockMeta { id, from, until, rows: 0, bytes: 0, created, tables: Vec::new() },
            series: RoaringBitmap::new(),
            last: None,
        })
    }

    pub(crate) async fn write(&mut self, rows: &[Row]) -> Result<()> {
        for row in rows {
            if self.last >= Some(row.key()) || !(self.meta.from..self.meta.until).contains(&row.time) {
                return Err(Error::internal("rows of a block are out of order or out of its time"));
            }
            if self.meta.tables.last() != Some(&row.table) {
                self.meta.tables.push(row.table);
            }
            self.last = Some(row.key());
            self.series.insert(row.series);
            self.columns.push(row);
            self.meta.rows += 1;
            if self.columns.metric_len() == BATCH_ROWS {
                self.write_batch().await?;
            }
        }
        Ok(())
    }

    /// Ends the block; it is durable then.
    pub(crate) async fn finish(mut self, names: Names) -> Result<BlockMeta> {
        self.write_batch().await?;
        let mut bitmap = Vec::new();
        self.series.serialize_into(&mut bitmap).map_err(|error| Error::internal(error.to_string()))?;
        let series = base64::engine::general_purpose::STANDARD.encode(bitmap);
        self.writer.append_key_value_metadata(KeyValue::new(SERIES_KEY.to_owned(), series));
        for (key, value) in names {
            self.writer.append_key_value_metadata(KeyValue::new(key, value));
        }
        let id = self.meta.id;
        self.writer.finish().await.map_err(|error| storage::block_error(id, error))?;
        self.meta.bytes = self.writer.bytes_written() as u64;
        self.storage.make_durable(&storage::name(id)).await?;
        Ok(self.meta)
    }

    async fn write_batch(&mut self) -> Result<()> {
        if self.columns.metric_len() == 0 {
            return Ok(());
        }
        let id = self.meta.id;
        let batch = self.columns.finish().map_err(|error| storage::block_error(id, error))?;
        self.writer.write(&batch).await.map_err(|error| storage::block_error(id, error))
    }
}

impl Columns {
    fn new() -> Self {
        let decimal = || {
            let kind = arrow::datatypes::DataType::Decimal128(PRECISION, SCALE);
            Decimal128Builder::with_capacity(BATCH_ROWS).with_data_type(kind)
        };
        Self {
            metric: UInt32Builder::with_capacity(BATCH_ROWS),
            series: UInt32Builder::with_capacity(BATCH_ROWS),
            time: TimestampMillisecondBuilder::with_capacity(BATCH_ROWS).with_timezone("UTC"),
            field: UInt32Builder::with_capacity(BATCH_ROWS),
            count: UInt64Builder::with_capacity(BATCH_ROWS),
            figures: [decimal(), decimal(), decimal()],
        }
    }

    fn metric_len(&self) -> usize {
        arrow::array::ArrayBuilder::len(&self.metric)
    }

    fn push(&mut self, row: &Row) {
        self.metric.append_value(row.table);
        self.series.append_value(row.series);
        self.time.append_value(row.time);
        self.field.append_value(row.field);
        self.count.append_value(row.partial.count);
        // Lines, and columns that were never a number, have a count alone.
        let has_figures = row.partial.min <= row.partial.max;
        let values = [row.partial.sum.0, row.partial.min.0, row.partial.max.0];
        for (builder, value) in self.figures.iter_mut().zip(values) {
            builder.append_option(has_figures.then_some(value));
        }
    }

    fn finish(&mut self) -> Result<RecordBatch, arrow::error::ArrowError> {
        let [sum, min, max] = &mut self.figures;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.metric.finish()),
            Arc::new(self.series.finish()),
            Arc::new(self.time.finish()),
            Arc::new(self.field.finish()),
            Arc::new(self.count.finish()),
            Arc::new(sum.finish()),
            Arc::new(min.finish()),
            Arc::new(max.finish()),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}
