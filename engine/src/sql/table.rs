//! A monitor as a table: `time`, the group-by columns, the statistics, `completeness`.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, PoisonError};

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use nightjar_model::kinds::monitor::{MonitorSpec, Stat};
use nightjar_model::ports::DefinedMonitor;
use roaring::RoaringBitmap;

use super::pushdown::{TimeRange, key_column, time_range};
use super::scan::{Output, WindowScan};
use crate::engine::Shared;
use crate::snapshot::Snapshot;

/// The columns of a monitor's table.
#[derive(Debug)]
pub(crate) struct TableShape {
    pub(crate) uid: Option<String>,
    pub(crate) group_by: Vec<String>,
    pub(crate) stats: Vec<Stat>,
    pub(crate) schema: SchemaRef,
}

impl TableShape {
    pub(crate) fn of(defined: &DefinedMonitor) -> Self {
        Self::new(defined.uid(), &defined.spec)
    }

    /// Of those that everybody has `uid` is `None`.
    pub(crate) fn new(uid: Option<String>, spec: &MonitorSpec) -> Self {
        let (group_by, stats) = (spec.group_by.clone(), spec.stats.clone());
        let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let mut fields = vec![Field::new("time", time, false)];
        fields.extend(group_by.iter().map(|name| Field::new(name, DataType::Utf8, true)));
        fields.extend(stats.iter().map(|stat| Field::new(&stat.name, stat_type(stat), true)));
        fields.push(Field::new("completeness", DataType::Utf8, false));
        Self { uid, group_by, stats, schema: Arc::new(Schema::new(fields)) }
    }

    /// What stands in column `at`.
    pub(crate) fn output(&self, at: usize) -> Output {
        let (keys, stats) = (self.group_by.len(), self.stats.len());
        match at {
            0 => Output::Time,
            _ if at <= keys => Output::Key(self.group_by[at - 1].clone()),
            _ if at <= keys + stats => Output::Stat(self.stats[at - 1 - keys].clone()),
            _ => Output::Completeness,
        }
    }
}

fn stat_type(stat: &Stat) -> DataType {
    if stat.function.is_count() { DataType::Int64 } else { DataType::Float64 }
}

/// A monitor's windows as of one moment.
pub(crate) struct MonitorTable {
    pub(crate) shared: Arc<Shared>,
    pub(crate) shape: Arc<TableShape>,
    pub(crate) snapshot: Snapshot,
}

impl fmt::Debug for MonitorTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitorTable").field("shape", &self.shape).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for MonitorTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.shape.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let exact = |filter: &&Expr| {
            if time_range(filter).is_some() || key_column(filter, &self.shape.group_by).is_some() {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        };
        Ok(filters.iter().map(exact).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut range = TimeRange::ALL;
        let mut by_column: BTreeMap<&str, Vec<&Expr>> = BTreeMap::new();
        for filter in filters {
            if let Some(of_filter) = time_range(filter) {
                range = range.and(of_filter);
            } else if let Some(column) = key_column(filter, &self.shape.group_by) {
                by_column.entry(column).or_default().push(filter);
            } else {
                return Err(DataFusionError::Internal(format!(
                    "a filter was handed down that was not asked for: {filter}"
                )));
            }
        }
        let mut series: Option<RoaringBitmap> = None;
        for (column, filters) in by_column {
            let selected = self.select(session, column, &filters)?;
            series = Some(series.map_or_else(|| selected.clone(), |so_far| so_far & &selected));
        }
        let all: Vec<usize> = (0..self.shape.schema.fields().len()).collect();
        let projection = projection.unwrap_or(&all);
        let schema = Arc::new(self.shape.schema.project(projection)?);
        let outputs = projection.iter().map(|at| self.shape.output(*at)).collect();
        let partitions = session.config().target_partitions();
        let scan = WindowScan::new(&self.shared, &self.snapshot, schema, outputs, range, series, limit, partitions);
        Ok(Arc::new(scan))
    }
}

impl MonitorTable {
    /// Series for whose value of `column` all the filters hold. They are evaluated once for each value there
    /// is, not for each row.
    fn select(&self, session: &dyn Session, column: &str, filters: &[&Expr]) -> Result<RoaringBitmap> {
        let mut values: Vec<Option<String>> = {
            let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
            let of_table = |(table, _): &(u32, i64)| {
                state.index.values(*table, column).map(|value| Some(value.to_string())).collect::<Vec<_>>()
            };
            self.snapshot.tables.iter().flat_map(of_table).collect()
        };
        values.push(None);
        let schema = Arc::new(Schema::new(vec![Field::new(column, DataType::Utf8, true)]));
        let named = DFSchema::try_from(Arc::clone(&schema))?;
        let batch = RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(values.clone()))])?;
        let mut accepted: HashSet<&Option<String>> = values.iter().collect();
        for filter in filters {
            let holds = session.create_physical_expr((*filter).clone(), &named)?.evaluate(&batch)?;
            let holds = holds.into_array(values.len())?;
            let holds = holds
                .as_boolean_opt()
                .ok_or_else(|| DataFusionError::Plan(format!("`{filter}` is not a condition")))?;
            for (value, holds) in values.iter().zip(holds) {
                if holds != Some(true) {
                    accepted.remove(value);
                }
            }
        }
        let accepted: HashSet<Option<&str>> = accepted.into_iter().map(Option::as_deref).collect();
        let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut selected = RoaringBitmap::new();
        for (table, _) in &self.snapshot.tables {
            selected |= state.index.select(*table, column, |value| accepted.contains(&value));
        }
        Ok(selected)
    }
}
