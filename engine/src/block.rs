//! Blocks: immutable Parquet files, each of a stretch of time.
//!
//! A row is one field of one window of one series: `metric, series, time, field`, ids of the series index (but
//! the time); what they stand for is in the file's metadata too. A block may hold parts of a window whose
//! other parts are in other blocks: readers merge.
//!
//! A block is of one [`Tier`]. Its rows are sorted by metric, then stretch of time ([`Tier::stretch`]: of 120
//! windows), then series, time and field: a reader of a minute reads the one stretch it is in, whatever the
//! block covers, and one of a day reads stretches that do not overlap.
//!
//! **Format 2**: `metric, series, time, field, count, decimals, sum, min, max, state`. Lines have a count
//! alone. Of a number, `sum`, `min` and `max` are integers in units of 10^-`decimals`, as few as keep all
//! three exact; where they do not fit, and for every other kind of partial, `state` has the whole partial as
//! [`Partial::encode`] writes it, and `sum`, `min` and `max` are null (as they are for a number with a count of
//! 0). Metadata: `nightjar.format`; `nightjar.tier`; `nightjar.fields` and `nightjar.metrics`, JSON of what `field` and `metric`
//! stand for, a field with the kind of its partials; `nightjar.series`, a roaring bitmap in base64;
//! `nightjar.windows`, JSON of how many windows and rows each metric has, and of which fields. Where that is there, a
//! row group ends where a window does; older blocks of the format are without it.
//!
//! **Format 1**, still read: `metric, series, time, field, count, sum, min, max`, the figures as decimals with 9
//! places; `nightjar.fields` is a list of all names by id, and of which kind a field is follows from its name.
//! Sorted by metric, series, time and field, whatever it covers.

pub(crate) mod columns;
pub(crate) mod merge;
pub(crate) mod read;
pub(crate) mod roll;
pub(crate) mod write;

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use nightjar_model::delta::Partial;
use serde::{Deserialize, Serialize};

use crate::tier::Tier;

/// One field of one window of one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) table: u32,
    pub(crate) series: u32,
    /// The window's start, in milliseconds.
    pub(crate) time: i64,
    pub(crate) field: u32,
    pub(crate) partial: Partial,
}

/// What the rows of a tier are sorted by, and what makes two of them parts of one: metric, stretch of time,
/// series, time, field.
pub(crate) type RowKey = (u32, i64, u32, i64, u32);

impl Row {
    pub(crate) fn key(&self, tier: Tier) -> RowKey {
        (self.table, self.time.div_euclid(tier.stretch()), self.series, self.time, self.field)
    }
}

/// What the manifest says of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockMeta {
    pub(crate) id: u64,
    #[serde(default = "first_format")]
    pub(crate) format: u32,
    #[serde(default)]
    pub(crate) tier: Tier,
    /// The stretch of time it is of, aligned; its rows are in `[from, until)`.
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) created: i64,
    /// Tables in it, sorted.
    pub(crate) tables: Vec<u32>,
    /// The highest id of a series in it; blocks of format 1 do not say.
    #[serde(default)]
    pub(crate) highest_series: Option<u32>,
    /// Of a slot of time that was over when it was written: it is written anew only for what is worth it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) settled: bool,
    /// Its ids do not stand for what they stood for when it was written: nobody reads it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) quarantined: bool,
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

/// What blocks are written in.
pub(crate) const FORMAT: u32 = 2;

fn first_format() -> u32 {
    1
}

// Places of the columns; the first five are those of every format.
const METRIC: usize = 0;
const SERIES: usize = 1;
const TIME: usize = 2;
const FIELD: usize = 3;
const COUNT: usize = 4;

/// Where the columns of figures begin: sum, least, greatest.
const fn figures_at(format: u32) -> usize {
    if format == 1 { 5 } else { 6 }
}

const DECIMALS: usize = 5;
const STATE: usize = 9;

/// Places after the point of a [`Decimal`](nightjar_model::Decimal).
const PLACES: u8 = 9;

const TIER_KEY: &str = "nightjar.tier";
const FORMAT_KEY: &str = "nightjar.format";
pub(crate) const FIELDS_KEY: &str = "nightjar.fields";
pub(crate) const METRICS_KEY: &str = "nightjar.metrics";
const SERIES_KEY: &str = "nightjar.series";
const WINDOWS_KEY: &str = "nightjar.windows";

/// What a block says of the windows of one metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MetricWindows {
    metric: u32,
    windows: u64,
    rows: u64,
    /// That rows of it are of, sorted.
    fields: Vec<u32>,
}

impl MetricWindows {
    /// Whether every window has all the fields.
    fn is_regular(&self) -> bool {
        self.windows.checked_mul(self.fields.len() as u64) == Some(self.rows)
    }

    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + size_of_val(self.fields.as_slice())
    }
}

/// Columns of a format; `None` for one of a later version.
pub(crate) fn schema(format: u32) -> Option<SchemaRef> {
    static SCHEMAS: LazyLock<[SchemaRef; 2]> = LazyLock::new(|| {
        let ids = || {
            let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
            vec![
                Field::new("metric", DataType::UInt32, false),
                Field::new("series", DataType::UInt32, false),
                Field::new("time", time, false),
                Field::new("field", DataType::UInt32, false),
                Field::new("count", DataType::UInt64, false),
            ]
        };
        let (mut first, mut second) = (ids(), ids());
        let figure = |kind: DataType| ["sum", "min", "max"].map(|name| Field::new(name, kind.clone(), true));
        first.extend(figure(DataType::Decimal128(38, PLACES as i8)));
        second.push(Field::new("decimals", DataType::UInt8, false));
        second.extend(figure(DataType::Int64));
        second.push(Field::new("state", DataType::Binary, true));
        [first, second].map(|fields| Arc::new(Schema::new(fields)))
    });
    SCHEMAS.get((format as usize).checked_sub(1)?).map(Arc::clone)
}
