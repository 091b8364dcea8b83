//! What the server tells the process of a statement: of one workspace, as of one moment.
//!
//! The state's lock is held for a few thousand series at a time, on threads that nothing else waits for.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use arrow::array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::ipc::writer::StreamWriter;
use nightjar_model::delta::{LINES_FIELD, PartialKind};
use nightjar_model::kinds::monitor::{MonitorSpec, Stat};
use nightjar_model::names::MonitorKey;
use nightjar_model::ports::DefinedMonitor;
use nightjar_model::{Error, Result, Timestamp, builtin};
use roaring::RoaringBitmap;

use super::wire::{FieldData, MonitorShape, Question, Reply, TableData, TopShape};
use crate::block::Row;
use crate::block::write::batches;
use crate::completeness::StateSteps;
use crate::memtable::Window;
use crate::series::Series;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::tier::Tier;

/// Series of one reply, and of one turn with the state.
const LABELS: usize = 64 << 10;
const LOCKED: usize = 4 << 10;

/// Rows in memory of one reply, about.
const ROWS: usize = 512 << 10;

/// As many bytes of large partials, about.
const STATE_BYTES: usize = 64 << 20;

pub(super) struct Host {
    shared: Arc<Shared>,
    workspace: String,
    now: Timestamp,
    monitors: HashMap<String, MonitorShape>,
    snapshots: HashMap<String, Arc<Snapshot>>,
}

impl Host {
    /// `now` is the moment by which windows are over or not.
    pub(super) fn new(shared: &Arc<Shared>, workspace: &str, defined: &[DefinedMonitor], now: Timestamp) -> Self {
        let defined = defined.iter().map(|defined| shape(&defined.name, defined.uid(), &defined.spec));
        let everybodys = builtin::monitors().map(|(name, spec)| shape(name, None, spec));
        let monitors = defined.chain(everybodys).map(|shape| (shape.name.clone(), shape)).collect();
        let (shared, workspace) = (Arc::clone(shared), workspace.to_owned());
        Self { shared, workspace, now, monitors, snapshots: HashMap::new() }
    }

    /// Reply and what goes with it.
    pub(super) async fn answer(&mut self, question: Question, body: Vec<u8>) -> Result<(Reply, Vec<u8>)> {
        match question {
            Question::Monitors => {
                let mut all: Vec<MonitorShape> = self.monitors.values().cloned().collect();
                all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
                Ok((Reply::Monitors(all), Vec::new()))
            }
            Question::Tables(names) => Ok((Reply::Tables(self.tables(&names)), Vec::new())),
            Question::Completeness { table, step, from, until } => {
                let (snapshot, now) = (self.snapshot(&table)?, self.now.0);
                blocking(move || {
                    let width = snapshot.tables.first().map_or(1, |(_, width)| (*width).max(1));
                    let step = step.unwrap_or(width).max(width);
                    let states = StateSteps::new(snapshot.track.as_deref(), (width, step), now, (from, until));
                    Ok((Reply::Completeness(states), Vec::new()))
                })
                .await
            }
            Question::Lookup { table, column, values } => {
                let (shared, snapshot) = (Arc::clone(&self.shared), self.snapshot(&table)?);
                blocking(move || Ok((Reply::Lookup, written(&lookup(&shared, &snapshot, &column, &values))))).await
            }
            Question::Labels { table, columns, after } => {
                let (shared, snapshot) = (Arc::clone(&self.shared), self.snapshot(&table)?);
                blocking(move || {
                    let wanted = bitmap(&body)?;
                    let (batch, more) = labels(&shared, &snapshot, &columns, wanted, after)?;
                    Ok((Reply::Labels { more }, stream(&[batch])?))
                })
                .await
            }
            Question::Memory { table, tier, from, until } => {
                let snapshot = self.snapshot(&table)?;
                blocking(move || {
                    let (batches, next) = memory(&snapshot, tier, bitmap(&body)?.as_ref(), from, until)?;
                    Ok((Reply::Memory { next }, stream(&batches)?))
                })
                .await
            }
        }
    }

    fn snapshot(&self, table: &str) -> Result<Arc<Snapshot>> {
        let snapshot = self.snapshots.get(table).cloned();
        snapshot.ok_or_else(|| Error::internal(format!("`{table}` is asked for before it is a table")))
    }

    fn tables(&mut self, names: &[String]) -> Vec<TableData> {
        let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut tables = Vec::new();
        for shape in names.iter().filter_map(|name| self.monitors.get(name)) {
            let monitor = MonitorKey::new(&self.workspace, &shape.name);
            let snapshot = state.snapshot(&monitor, shape.uid.as_deref(), i64::MIN, i64::MAX);
            let tiers: HashMap<u32, Tier> =
                snapshot.tables.iter().map(|(table, width)| (*table, Tier::of_width(*width))).collect();
            let in_memory = |(table, start, _): &(u32, i64, Arc<Window>)| Some((*tiers.get(table)?, *start));
            let mut memory: Vec<(Tier, i64)> = snapshot.memory.iter().filter_map(in_memory).collect();
            memory.sort_unstable();
            memory.dedup();
            let field =
                |name: &str, kind| Some(FieldData { id: state.index.field(name, kind)?, name: name.to_owned(), kind });
            let of_stat = |stat: &Stat| field(stat.field().unwrap_or(LINES_FIELD), stat.kind());
            let found: Vec<FieldData> = match &shape.top {
                Some(top) => field(&top.field, PartialKind::Top).into_iter().collect(),
                None => shape.stats.iter().filter_map(of_stat).collect(),
            };
            let mut fields: Vec<FieldData> = Vec::new();
            for field in found {
                if fields.iter().all(|known| known.id != field.id) {
                    fields.push(field);
                }
            }
            let kinds = (0..).zip(state.index.fields()).map(|(id, (_, kind))| (id, *kind)).collect();
            tables.push(TableData {
                shape: shape.clone(),
                tables: snapshot.tables.clone(),
                blocks: snapshot.blocks.iter().map(|block| block.meta.clone()).collect(),
                rolled: snapshot.rolled.clone(),
                memory,
                instance_columns: snapshot.track.as_ref().map_or_else(Vec::new, |track| track.columns().to_vec()),
                fields,
                kinds,
            });
            self.snapshots.insert(shape.name.clone(), Arc::new(snapshot));
        }
        tables
    }
}

fn shape(name: &str, uid: Option<String>, spec: &MonitorSpec) -> MonitorShape {
    MonitorShape {
        name: name.to_owned(),
        uid,
        group_by: spec.group_by.clone(),
        stats: spec.stats.clone(),
        top: spec.top.clone().zip(spec.top_field()).map(|(spec, field)| TopShape { spec, field }),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::internal(error.to_string()))?
}

fn lookup(shared: &Shared, snapshot: &Snapshot, column: &str, values: &[String]) -> RoaringBitmap {
    let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
    let mut found = RoaringBitmap::new();
    for (table, _) in &snapshot.tables {
        for value in values {
            found |= state.index.with_value(*table, column, value);
        }
    }
    found
}

/// Labels of the next series, sorted by id, and whether there are more.
fn labels(
    shared: &Shared,
    snapshot: &Snapshot,
    columns: &[String],
    wanted: Option<RoaringBitmap>,
    after: Option<u32>,
) -> Result<(RecordBatch, bool)> {
    let ids = wanted.unwrap_or_else(|| {
        let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
        let of_table = |(table, _): &(u32, i64)| state.index.select(*table, "", |_| true);
        snapshot.tables.iter().map(of_table).fold(RoaringBitmap::new(), |all, some| all | some)
    });
    let mut left = ids.range(after.map_or(0, |after| after.saturating_add(1))..);
    let mut series: Vec<(u32, Arc<Series>)> = Vec::new();
    let mut more = true;
    while more && series.len() < LABELS {
        let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut looked = 0;
        for id in left.by_ref().take(LOCKED) {
            looked += 1;
            series.extend(state.index.get(id).map(|one| (id, Arc::clone(one))));
        }
        more = looked == LOCKED;
    }
    let mut fields = vec![Field::new("series", DataType::UInt32, false)];
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from_iter_values(series.iter().map(|(id, _)| *id)))];
    for column in columns {
        // Equal values are one text in the index: they are known by its place.
        let mut known: HashMap<*const u8, i32> = HashMap::new();
        let mut values: Vec<&str> = Vec::new();
        let mut codes: Vec<Option<i32>> = Vec::with_capacity(series.len());
        for (_, one) in &series {
            codes.push(one.value(column).map(|value| {
                *known.entry(value.as_ptr()).or_insert_with(|| {
                    values.push(value);
                    values.len() as i32 - 1
                })
            }));
        }
        let values: ArrayRef = Arc::new(StringArray::from_iter_values(values));
        let column_array =
            DictionaryArray::<Int32Type>::try_new(Int32Array::from(codes), values).map_err(arrow_error)?;
        fields.push(Field::new(column, column_array.data_type().clone(), true));
        arrays.push(Arc::new(column_array));
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(arrow_error)?;
    Ok((batch, more))
}

/// Rows of windows of `tier` that start in `[from, until)`, and the start of those that did not fit.
fn memory(
    snapshot: &Snapshot,
    tier: Tier,
    wanted: Option<&RoaringBitmap>,
    from: i64,
    until: i64,
) -> Result<(Vec<RecordBatch>, Option<i64>)> {
    let is_of_tier = |(_, width): &&(u32, i64)| Tier::of_width(*width) == tier;
    let tables: HashSet<u32> = snapshot.tables.iter().filter(is_of_tier).map(|(table, _)| *table).collect();
    let is_wanted =
        |(table, start, _): &&(u32, i64, Arc<Window>)| (from..until).contains(start) && tables.contains(table);
    let mut windows: Vec<&(u32, i64, Arc<Window>)> = snapshot.memory.iter().filter(is_wanted).collect();
    windows.sort_unstable_by_key(|(_, start, _)| *start);
    let mut rows: Vec<Row> = Vec::new();
    let (mut next, mut last, mut states) = (None, None, 0);
    for (table, start, window) in windows {
        if (rows.len() >= ROWS || states >= STATE_BYTES) && last != Some(*start) {
            next = Some(*start);
            break;
        }
        last = Some(*start);
        let before = rows.len();
        window.rows(*table, *start, |series| wanted.is_none_or(|wanted| wanted.contains(series)), &mut rows);
        states += rows[before..].iter().map(|row| row.partial.heap_bytes()).sum::<usize>();
    }
    rows.sort_unstable_by_key(|row| row.key(tier));
    Ok((batches(&rows).map_err(arrow_error)?, next))
}

fn bitmap(bytes: &[u8]) -> Result<Option<RoaringBitmap>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let read = RoaringBitmap::deserialize_from(bytes);
    read.map(Some).map_err(|error| Error::internal(format!("a bitmap cannot be read: {error}")))
}

fn written(bitmap: &RoaringBitmap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(bitmap.serialized_size());
    // Writing to memory does not fail.
    drop(bitmap.serialize_into(&mut bytes));
    bytes
}

fn stream(batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let Some(first) = batches.first() else { return Ok(Vec::new()) };
    let mut writer = StreamWriter::try_new(Vec::new(), &first.schema()).map_err(arrow_error)?;
    for batch in batches {
        writer.write(batch).map_err(arrow_error)?;
    }
    writer.into_inner().map_err(arrow_error)
}

fn arrow_error(error: arrow::error::ArrowError) -> Error {
    Error::internal(error.to_string())
}
