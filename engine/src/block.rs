//! Blocks: immutable Parquet files, each of a stretch of time.
//!
//! A row is one field of one window of one series: `metric, series, time, field, count, sum, min, max`,
//! sorted by the first four. `metric`, `series` and `field` are ids of the series index; the names of the
//! metrics and fields are in the file's metadata too. A block may hold parts of a window whose other parts
//! are in other blocks: readers merge.

pub(crate) mod merge;
pub(crate) mod read;
pub(crate) mod write;

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use nightjar_model::delta::Partial;
use serde::{Deserialize, Serialize};

/// One field of one window of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) table: u32,
    pub(crate) series: u32,
    /// The window's start, in milliseconds.
    pub(crate) time: i64,
    pub(crate) field: u32,
    pub(crate) partial: Partial,
}

impl Row {
    /// What rows are sorted by, and what makes two of them parts of one.
    pub(crate) fn key(&self) -> (u32, u32, i64, u32) {
        (self.table, self.series, self.time, self.field)
    }
}

/// What the manifest says of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockMeta {
    pub(crate) id: u64,
    /// The stretch of time it is of, aligned; its rows are in `[from, until)`.
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) created: i64,
    /// Tables in it, sorted.
    pub(crate) tables: Vec<u32>,
}

/// A block that readers can hold: its file stays until the last of them lets go.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) meta: BlockMeta,
}

impl Block {
    pub(crate) fn overlaps(&self, from: i64, until: i64) -> bool {
        self.meta.from < until && from < self.meta.until
    }

    pub(crate) fn has(&self, table: u32) -> bool {
        self.meta.tables.binary_search(&table).is_ok()
    }
}

// Places of the columns.
const METRIC: usize = 0;
const SERIES: usize = 1;
const TIME: usize = 2;
const FIELD: usize = 3;
const COUNT: usize = 4;
const SUM: usize = 5;
const MIN: usize = 6;
const MAX: usize = 7;

const PRECISION: u8 = 38;
const SCALE: i8 = 9;

/// Series in the block, as a roaring bitmap in base64.
const SERIES_KEY: &str = "nightjar.series";

pub(crate) fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let decimal = DataType::Decimal128(PRECISION, SCALE);
        Arc::new(Schema::new(vec![
            Field::new("metric", DataType::UInt32, false),
            Field::new("series", DataType::UInt32, false),
            Field::new("time", time, false),
            Field::new("field", DataType::UInt32, false),
            Field::new("count", DataType::UInt64, false),
            Field::new("sum", decimal.clone(), true),
            Field::new("min", decimal.clone(), true),
            Field::new("max", decimal, true),
        ]))
    });
    Arc::clone(&SCHEMA)
}
