//! What follows from the time of a window is computed once for each time of a batch: there are few, and truncating a
//! time that has a zone is slow.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{take, take_record_batch};
use arrow::datatypes::{FieldRef, Schema, TimestampMillisecondType};
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use hashbrown::HashMap;

/// The same value, if it follows from column `time` alone.
pub(super) fn of_time(value: &Arc<dyn PhysicalExpr>, time: usize) -> Arc<dyn PhysicalExpr> {
    let columns = collect_columns(value);
    if value.is::<Column>() || columns.len() != 1 || columns.iter().any(|c| c.index() != time) || is_volatile(value) {
        return Arc::clone(value);
    }
    Arc::new(OfTime { value: Arc::clone(value), time })
}

struct OfTime {
    value: Arc<dyn PhysicalExpr>,
    time: usize,
}

impl PhysicalExpr for OfTime {
    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.value.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let times =
            batch.columns().get(self.time).and_then(|array| array.as_primitive_opt::<TimestampMillisecondType>());
        let Some(times) = times else { return self.value.evaluate(batch) };
        let mut known: HashMap<i64, u32> = HashMap::new();
        let mut firsts: Vec<u32> = Vec::new();
        let mut places: Vec<u32> = Vec::with_capacity(times.len());
        for (row, time) in times.values().iter().enumerate() {
            places.push(*known.entry(*time).or_insert_with(|| {
                firsts.push(row as u32);
                firsts.len() as u32 - 1
            }));
        }
        let few = take_record_batch(batch, &UInt32Array::from(firsts))?;
        let values = self.value.evaluate(&few)?.into_array(few.num_rows())?;
        Ok(ColumnarValue::Array(take(&values, &UInt32Array::from(places), None)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.value]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let value = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.value));
        Ok(Arc::new(Self { value, time: self.time }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt_sql(f)
    }
}

impl fmt::Display for OfTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl fmt::Debug for OfTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl PartialEq for OfTime {
    fn eq(&self, other: &Self) -> bool {
        self.time == other.time && self.value.eq(&other.value)
    }
}

impl Eq for OfTime {}

impl Hash for OfTime {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.time.hash(state);
        self.value.hash(state);
    }
}
