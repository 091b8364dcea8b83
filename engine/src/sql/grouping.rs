//! Grouping by the ids of series instead of the texts of their keys.
//!
//! A series stands for all its keys, so what is grouped by keys can first be grouped by series: by numbers. Only
//! the sums of each series get their keys, and the second step of the grouping, which brings the partitions together,
//! brings together the series of equal keys too.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, UInt32Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::projection::ProjectionExec;

use super::of_time::of_time;
use super::scan::{Scanned, WindowScan};

#[derive(Debug)]
pub(super) struct GroupBySeries;

impl PhysicalOptimizerRule for GroupBySeries {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let by_series = |plan: Arc<dyn ExecutionPlan>| match plan.downcast_ref::<AggregateExec>().map(by_series) {
            Some(changed) => Ok(changed?.map_or_else(|| Transformed::no(plan), Transformed::yes)),
            None => Ok(Transformed::no(plan)),
        };
        plan.transform_up(by_series).data()
    }

    fn name(&self) -> &str {
        "group_by_series"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The first step of a grouping, by series; `None` where that is not what it is.
fn by_series(aggregate: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let group_by = aggregate.group_expr();
    let Some(scan) = aggregate.input().downcast_ref::<WindowScan>() else { return Ok(None) };
    if *aggregate.mode() != AggregateMode::Partial || !group_by.is_single() || aggregate.limit_options().is_some() {
        return Ok(None);
    }
    let key = |expr: &Arc<dyn PhysicalExpr>| {
        let column = expr.downcast_ref::<Column>()?;
        scan.key(column.index()).map(|key| (column.index(), key.to_owned()))
    };
    let keys: Vec<Option<(usize, String)>> = group_by.expr().iter().map(|(expr, _)| key(expr)).collect();
    let others = group_by.expr().iter().zip(&keys).filter(|(_, key)| key.is_none()).map(|((expr, _), _)| expr);
    let arguments: Vec<Arc<dyn PhysicalExpr>> =
        aggregate.aggr_expr().iter().flat_map(|one| one.all_expressions().args).collect();
    let orders: Vec<Arc<dyn PhysicalExpr>> =
        aggregate.aggr_expr().iter().flat_map(|one| one.all_expressions().order_by_exprs).collect();
    let read = others.chain(&arguments).chain(&orders).chain(aggregate.filter_expr().iter().flatten());
    let reads_keys = read.flat_map(collect_columns).any(|column| scan.key(column.index()).is_some());
    let Some(first) = keys.iter().position(Option::is_some) else { return Ok(None) };
    if reads_keys {
        return Ok(None);
    }
    let input = Arc::new(scan.with_series());
    let mut groups = Vec::new();
    let mut columns: Vec<(Arc<dyn PhysicalExpr>, String)> = Vec::new();
    let mut place = None;
    let schema = aggregate.schema();
    for (at, ((expr, name), key)) in group_by.expr().iter().zip(&keys).enumerate() {
        let shown = schema.field(at).name().clone();
        let Some((_, key)) = key else {
            columns.push((Arc::new(Column::new(name, groups.len())), shown));
            let value = scan.time().map_or_else(|| Arc::clone(expr), |time| of_time(expr, time));
            groups.push((value, name.clone()));
            continue;
        };
        if at == first {
            place = Some(groups.len());
            groups.push((Arc::clone(expr), name.clone()));
        }
        let series: Arc<dyn PhysicalExpr> = Arc::new(Column::new(&group_by.expr()[first].1, place.unwrap_or(0)));
        columns.push((Arc::new(Key { series, column: key.clone(), scanned: Arc::clone(scan.scanned()) }), shown));
    }
    let states = schema.fields().len() - group_by.expr().len();
    let grouped = groups.len();
    let schema_of_input = input.schema();
    let aggregate = AggregateExec::try_new(
        AggregateMode::Partial,
        PhysicalGroupBy::new_single(groups),
        aggregate.aggr_expr().to_vec(),
        aggregate.filter_expr().to_vec(),
        input,
        schema_of_input,
    )?;
    for at in grouped..grouped + states {
        let name = aggregate.schema().field(at).name().clone();
        columns.push((Arc::new(Column::new(&name, at)), name));
    }
    Ok(Some(Arc::new(ProjectionExec::try_new(columns, Arc::new(aggregate))?)))
}

/// The value of a key, from the id of a series.
struct Key {
    series: Arc<dyn PhysicalExpr>,
    column: String,
    scanned: Arc<Scanned>,
}

impl PhysicalExpr for Key {
    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(&self.column, DataType::Utf8, true)))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let ids = self.series.evaluate(batch)?.into_array(batch.num_rows())?;
        let Some(ids) = ids.as_primitive_opt::<UInt32Type>() else {
            return Err(DataFusionError::Internal("ids of series are of another type".to_owned()));
        };
        let labels = self.scanned.labels.get(&self.column);
        let value = |id: &u32| labels.and_then(|labels| labels.value(*id));
        Ok(ColumnarValue::Array(Arc::new(ids.values().iter().map(value).collect::<StringArray>())))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.series]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let series = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.series));
        Ok(Arc::new(Self { series, column: self.column.clone(), scanned: Arc::clone(&self.scanned) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.column, self.series)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.column == other.column && self.series.eq(&other.series) && Arc::ptr_eq(&self.scanned, &other.scanned)
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.series.hash(state);
    }
}
