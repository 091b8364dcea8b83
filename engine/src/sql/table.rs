//! A monitor as a table: `time`, the group-by columns, the statistics, `completeness`. That of a Top has the
//! error of each statistic too, and a row for each of the greatest keys.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit, UInt32Type};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use hashbrown::HashMap;
use nightjar_model::kinds::monitor::Stat;
use roaring::RoaringBitmap;

use super::link::Link;
use super::pushdown::{TimeRange, key_column, key_values, time_range};
use super::scan::{Output, Scanned, WindowScan};
use super::wire::{MonitorShape, TableData};
use crate::storage::Storage;
use crate::tier::Tier;

/// The columns of a monitor's table, and what stands in each.
fn columns(shape: &MonitorShape) -> Vec<(Field, Output)> {
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let mut columns = vec![(Field::new("time", time, false), Output::Time)];
    let key = |(at, name): (usize, &String)| {
        let output = if shape.top.is_some() { Output::TopKey(at) } else { Output::Key(name.clone()) };
        (Field::new(name, DataType::Utf8, true), output)
    };
    columns.extend(shape.group_by.iter().enumerate().map(key));
    for stat in &shape.stats {
        if shape.top.is_some() {
            let (figure, error) = (Output::TopFigure(stat.clone()), Output::TopError(stat.clone()));
            columns.push((Field::new(&stat.name, stat_type(stat), true), figure));
            columns.push((Field::new(stat.error_name(), stat_type(stat), true), error));
        } else {
            columns.push((Field::new(&stat.name, stat_type(stat), true), Output::Stat(stat.clone())));
            let is_taken =
                |name: &String| shape.stats.iter().any(|stat| stat.name == *name) || shape.group_by.contains(name);
            if let Some(weight) = stat.weight().filter(|weight| !is_taken(&weight.name)) {
                columns.push((Field::new(&weight.name, stat_type(&weight), true), Output::Stat(weight)));
            }
        }
    }
    columns.push((Field::new("completeness", DataType::Utf8, false), Output::Completeness));
    columns
}

fn stat_type(stat: &Stat) -> DataType {
    if stat.function.is_count() { DataType::Int64 } else { DataType::Float64 }
}

/// A monitor's windows of a tier as of one moment; [`Tier::Raw`] stands for those that agents sent.
pub(super) struct MonitorTable {
    link: Arc<Link>,
    storage: Arc<Storage>,
    data: Arc<TableData>,
    tier: Tier,
    schema: SchemaRef,
}

impl fmt::Debug for MonitorTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitorTable").field("shape", &self.data.shape).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for MonitorTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let exact = |filter: &&Expr| {
            if time_range(filter).is_some() || key_column(filter, self.data.shape.series_by()).is_some() {
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
            if let Expr::Literal(ScalarValue::Boolean(holds), _) = filter {
                // What is left of a condition once it is simplified: `NOT IN ('a', NULL)` holds nowhere.
                if *holds != Some(true) {
                    range = TimeRange::NONE;
                }
            } else if let Some(of_filter) = time_range(filter) {
                range = range.and(of_filter);
            } else if let Some(column) = key_column(filter, self.data.shape.series_by()) {
                by_column.entry(column).or_default().push(filter);
            } else {
                return Err(DataFusionError::Internal(format!(
                    "a filter was handed down that was not asked for: {filter}"
                )));
            }
        }
        if !self.tier.is_raw() {
            range = range.of_width(self.tier.width());
        }
        let mut series: Option<RoaringBitmap> = None;
        for (column, filters) in by_column {
            let selected = self.select(session, column, &filters).await?;
            series = Some(series.map_or_else(|| selected.clone(), |so_far| so_far & &selected));
        }
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let projection = projection.unwrap_or(&all);
        let schema = Arc::new(self.schema.project(projection)?);
        let known = columns(&self.data.shape);
        let outputs: Vec<Output> = projection.iter().map(|at| known[*at].1.clone()).collect();
        let mut labels = std::collections::HashMap::new();
        let is_complete = outputs.iter().any(|output| matches!(output, Output::Completeness));
        let of_states = self.data.instance_columns.iter().filter(|_| is_complete).map(String::as_str);
        let columns: BTreeSet<&str> = outputs.iter().filter_map(Output::key).chain(of_states).collect();
        for column in columns {
            labels.insert(column.to_owned(), self.labels(column, series.as_ref()).await?);
        }
        let scanned = Scanned {
            link: Arc::clone(&self.link),
            storage: Arc::clone(&self.storage),
            data: Arc::clone(&self.data),
            tier: self.tier,
            range,
            series,
            labels,
            // A window of a Top may have any number of rows.
            limit: limit.filter(|_| self.data.shape.top.is_none()),
        };
        let partitions = session.config().target_partitions();
        Ok(Arc::new(WindowScan::plan(scanned, outputs, schema, partitions).await.map_err(external)?))
    }
}

/// Values of one column, by series.
#[derive(Debug)]
pub(super) struct Labels {
    places: HashMap<u32, i32>,
    values: StringArray,
}

impl Labels {
    pub(super) fn value(&self, series: u32) -> Option<&str> {
        self.places.get(&series).map(|place| self.values.value(*place as usize))
    }
}

impl MonitorTable {
    pub(super) fn new(link: &Arc<Link>, storage: &Arc<Storage>, data: Arc<TableData>, tier: Tier) -> Self {
        let fields: Vec<Field> = columns(&data.shape).into_iter().map(|(field, _)| field).collect();
        let schema = Arc::new(Schema::new(fields));
        Self { link: Arc::clone(link), storage: Arc::clone(storage), data, tier, schema }
    }

    async fn labels(&self, column: &str, series: Option<&RoaringBitmap>) -> Result<Labels> {
        let batches = self.link.labels(&self.data.shape.name, &[column.to_owned()], series).await.map_err(external)?;
        let mut places = HashMap::new();
        let mut values = Vec::with_capacity(batches.len());
        let mut offset = 0;
        for batch in &batches {
            let (ids, codes, texts) = parts(batch)?;
            let known = ids.values().iter().zip(codes.keys().iter());
            places.extend(known.filter_map(|(id, code)| Some((*id, code? + offset))));
            offset += texts.len() as i32;
            values.push(texts as &dyn Array);
        }
        let values = if values.is_empty() { StringArray::new_null(0) } else { concat(&values)?.as_string().clone() };
        Ok(Labels { places, values })
    }

    /// Series for whose value of `column` all the filters hold. They are evaluated once for each value there
    /// is, not for each row.
    async fn select(&self, session: &dyn Session, column: &str, filters: &[&Expr]) -> Result<RoaringBitmap> {
        let name = &self.data.shape.name;
        let mut selected: Option<RoaringBitmap> = None;
        let mut others = Vec::new();
        for filter in filters {
            let Some(values) = key_values(filter) else {
                others.push(*filter);
                continue;
            };
            let found = self.link.lookup(name, column, values).await.map_err(external)?;
            selected = Some(selected.map_or_else(|| found.clone(), |so_far| so_far & &found));
        }
        if others.is_empty() {
            return Ok(selected.unwrap_or_default());
        }
        let schema = Arc::new(Schema::new(vec![Field::new(column, DataType::Utf8, true)]));
        let named = DFSchema::try_from(Arc::clone(&schema))?;
        let mut accepted = RoaringBitmap::new();
        let columns = [column.to_owned()];
        for batch in self.link.labels(name, &columns, selected.as_ref()).await.map_err(external)? {
            let (ids, codes, texts) = parts(&batch)?;
            // After the values comes none at all.
            let values: StringArray = texts.iter().chain([None]).collect();
            let values = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(values)])?;
            let mut keeps = vec![true; values.num_rows()];
            for filter in &others {
                let holds = session.create_physical_expr((*filter).clone(), &named)?.evaluate(&values)?;
                let holds = holds.into_array(values.num_rows())?;
                let holds = holds
                    .as_boolean_opt()
                    .ok_or_else(|| DataFusionError::Plan(format!("`{filter}` is not a condition")))?;
                keeps.iter_mut().zip(holds).for_each(|(keep, holds)| *keep &= holds == Some(true));
            }
            let kept = ids.values().iter().zip(codes.keys().iter()).filter(|(_, code)| {
                let place = code.map_or(texts.len(), |code| code as usize);
                keeps[place]
            });
            accepted.extend(kept.map(|(id, _)| *id));
        }
        Ok(accepted)
    }
}

type Parts<'a> = (&'a arrow::array::UInt32Array, &'a arrow::array::DictionaryArray<Int32Type>, &'a StringArray);

/// Series, codes, and what the codes stand for.
fn parts(batch: &RecordBatch) -> Result<Parts<'_>> {
    let unexpected = || DataFusionError::Internal("labels have other columns than expected".to_owned());
    let ids = batch.column(0).as_primitive_opt::<UInt32Type>().ok_or_else(unexpected)?;
    let codes = batch.column(1).as_dictionary_opt::<Int32Type>().ok_or_else(unexpected)?;
    let texts = codes.values().as_string_opt().ok_or_else(unexpected)?;
    Ok((ids, codes, texts))
}

pub(super) fn external(error: nightjar_model::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
