//! The physical scan of a monitor: blocks and memory merged, one row for each window of each series.
//!
//! Blocks and windows in memory are put into groups that do not overlap in time. A group is merged as one;
//! partitions take groups in turn, so memory use does not grow with the time asked for.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMillisecondArray,
    new_null_array,
};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions};
use nightjar_model::delta::{LINES_FIELD, Partial, PartialKind};
use nightjar_model::kinds::monitor::{Stat, TopFigure, TopSpec};
use nightjar_model::partial::TopEntry;
use roaring::RoaringBitmap;

use super::link::Link;
use super::pushdown::TimeRange;
use super::rolled;
use super::table::{Labels, external};
use super::wire::{FieldData, TableData};
use crate::block::merge::{Cursor, Merge};
use crate::block::read::{BlockRows, FieldKinds, Wanted, rows_of};
use crate::block::{BlockMeta, Row};
use crate::completeness::StateSteps;
use crate::storage::Storage;
use crate::tier::Tier;

const BATCH_ROWS: usize = 8 * 1024;

/// Windows of a Top in a batch: each has up to some hundred KiB.
const MOST_TOPS: usize = 64;

/// States of windows are asked for so many milliseconds ahead.
const AHEAD: i64 = 7_200_000;

/// What stands in a column.
#[derive(Debug, Clone)]
pub(super) enum Output {
    Time,
    Key(String),
    Stat(Stat),
    /// Part of a key of a Top.
    TopKey(usize),
    TopFigure(Stat),
    TopError(Stat),
    Completeness,
}

impl Output {
    pub(super) fn key(&self) -> Option<&str> {
        if let Self::Key(column) = self { Some(column) } else { None }
    }
}

/// What is read, of which windows.
pub(super) struct Scanned {
    pub(super) link: Arc<Link>,
    pub(super) storage: Arc<Storage>,
    pub(super) data: Arc<TableData>,
    /// Whose windows are shown; [`Tier::Raw`] stands for those that agents sent.
    pub(super) tier: Tier,
    pub(super) outputs: Vec<Output>,
    pub(super) range: TimeRange,
    /// These series only; all without.
    pub(super) wanted: Option<RoaringBitmap>,
    /// Of the columns that are shown, or tell whose states a series has.
    pub(super) labels: HashMap<String, Labels>,
    pub(super) limit: Option<usize>,
}

pub(super) struct WindowScan {
    inner: Arc<Inner>,
    properties: Arc<PlanProperties>,
}

struct Inner {
    scanned: Scanned,
    schema: SchemaRef,
    /// Fields that a column reads: the place of each id, and of each output.
    fields: HashMap<u32, usize>,
    places: Vec<Option<usize>>,
    field_count: usize,
    figures: bool,
    completeness: bool,
    /// Windows of a batch.
    batch: usize,
    partitions: Vec<Vec<Group>>,
}

/// What overlaps in time, of one tier.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) tier: Tier,
    pub(super) from: i64,
    pub(super) until: i64,
    pub(super) blocks: Vec<BlockMeta>,
    pub(super) memory: bool,
    /// Of this table only.
    pub(super) table: Option<u32>,
    /// Into windows of this tier.
    pub(super) roll: Option<Tier>,
}

impl WindowScan {
    pub(super) fn new(scanned: Scanned, schema: SchemaRef, partitions: usize) -> Self {
        let groups = match scanned.tier {
            tier if tier.is_raw() => groups(&scanned.data, scanned.range),
            tier => rolled::groups(&scanned.data, scanned.range, tier),
        };
        let count = groups.len().clamp(1, partitions.max(1));
        let mut parts = vec![Vec::new(); count];
        for (at, group) in groups.into_iter().enumerate() {
            parts[at % count].push(group);
        }
        let top = scanned.data.shape.top.as_ref();
        // The field of a Top is the first, whatever is asked: it says how many rows there are.
        let mut names: Vec<(&str, PartialKind)> =
            top.map(|top| (top.field.as_str(), PartialKind::Top)).into_iter().collect();
        let places = scanned.outputs.iter().map(|output| {
            let Output::Stat(stat) = output else { return None };
            let name = (stat.field().unwrap_or(LINES_FIELD), stat.kind());
            Some(names.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            }))
        });
        let places = places.collect();
        let place = |field: &FieldData| {
            Some((field.id, names.iter().position(|(name, kind)| field.name == *name && field.kind == *kind)?))
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(count),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let inner = Inner {
            batch: top.map_or(BATCH_ROWS, |top| (BATCH_ROWS / top.spec.n.max(1) as usize).clamp(1, MOST_TOPS)),
            figures: names.iter().any(|(_, kind)| *kind != PartialKind::Lines),
            field_count: names.len(),
            fields: scanned.data.fields.iter().filter_map(place).collect(),
            completeness: scanned.outputs.iter().any(|output| matches!(output, Output::Completeness)),
            places,
            schema,
            scanned,
            partitions: parts,
        };
        Self { inner: Arc::new(inner), properties: Arc::new(properties) }
    }
}

fn groups(data: &TableData, range: TimeRange) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let blocks = data.blocks.iter().filter(|block| block.tier.is_raw());
    for block in blocks.filter(|block| block.from < range.until && range.from < block.until) {
        let BlockMeta { tier, from, until, .. } = *block;
        groups.push(Group { tier, from, until, blocks: vec![block.clone()], ..Group::default() });
    }
    // Windows in memory are read a stretch at a time, with the blocks of that stretch.
    let mut last = None;
    for (tier, start) in data.memory.iter().filter(|(_, start)| (range.from..range.until).contains(start)) {
        let (tier, stretch) = (*tier, tier.stretch());
        let from = start.div_euclid(stretch) * stretch;
        if last.replace((tier, from)) != Some((tier, from)) {
            groups.push(Group { tier, from, until: from + stretch, memory: true, ..Group::default() });
        }
    }
    groups.sort_by_key(|group| (group.tier, group.from));
    let mut merged: Vec<Group> = Vec::new();
    for group in groups {
        match merged.last_mut() {
            Some(last) if group.tier == last.tier && group.from < last.until => {
                last.until = last.until.max(group.until);
                last.blocks.extend(group.blocks);
                last.memory |= group.memory;
            }
            _ => merged.push(group),
        }
    }
    merged
}

impl fmt::Debug for WindowScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowScan").field("outputs", &self.inner.scanned.outputs).finish_non_exhaustive()
    }
}

impl DisplayAs for WindowScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowScan: partitions={}, limit={:?}", self.inner.partitions.len(), self.inner.scanned.limit)
    }
}

impl ExecutionPlan for WindowScan {
    fn name(&self) -> &str {
        "WindowScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let groups = self.inner.partitions.get(partition).cloned().unwrap_or_default();
        let reader = Reader {
            inner: Arc::clone(&self.inner),
            groups: groups.into(),
            merge: None,
            rows: Vec::new(),
            windows: Windows::default(),
            states: States::default(),
            left: self.inner.scanned.limit.unwrap_or(usize::MAX),
            reservation: MemoryConsumer::new("scan").register(context.memory_pool()),
        };
        let stream = futures::stream::try_unfold(reader, |mut reader| async move {
            let batch = reader.next().await.map_err(external)?;
            batch.map(|batch| Ok((batch?, reader))).transpose()
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.inner.schema), stream)))
    }
}

/// Windows on their way into a batch; of each field a figure or none.
#[derive(Default)]
struct Windows {
    series: Vec<u32>,
    time: Vec<i64>,
    fields: Vec<Vec<Option<Partial>>>,
}

struct Reader {
    inner: Arc<Inner>,
    groups: VecDeque<Group>,
    merge: Option<Merge>,
    rows: Vec<Row>,
    windows: Windows,
    states: States,
    left: usize,
    reservation: MemoryReservation,
}

/// States of the windows that start in `[from, until)`.
#[derive(Default)]
struct States {
    from: i64,
    until: i64,
    steps: Option<StateSteps>,
    /// Where those of a series are, of the series that came.
    places: HashMap<u32, usize>,
}

impl States {
    /// Asks for those of the group, unless they are here.
    async fn reach(&mut self, inner: &Inner, group: &Group) -> nightjar_model::Result<()> {
        let Scanned { link, data, range, tier, .. } = &inner.scanned;
        let (from, until) = (group.from.max(range.from), group.until.min(range.until));
        if !inner.completeness || (self.steps.is_some() && self.from <= from && until <= self.until) {
            return Ok(());
        }
        let until = until.max(from.saturating_add(AHEAD).min(range.until));
        let step = (!tier.is_raw()).then(|| tier.width());
        let steps = link.completeness(&data.shape.name, step, from, until).await?;
        *self = Self { from, until, steps: Some(steps), places: HashMap::new() };
        Ok(())
    }

    fn names(&mut self, windows: &Windows, labels: &HashMap<String, Labels>) -> StringArray {
        let Some(steps) = &self.steps else { return StringArray::new_null(windows.time.len()) };
        let name = |(time, series): (&i64, &u32)| {
            let place = *self.places.entry(*series).or_insert_with(|| {
                // Without any states by key the values say nothing.
                if steps.is_by_key() { steps.of(|column| labels.get(column)?.value(*series)) } else { 0 }
            });
            Some(steps.state(place, *time).name())
        };
        windows.time.iter().zip(&windows.series).map(name).collect()
    }
}

impl Reader {
    async fn next(&mut self) -> nightjar_model::Result<Option<Result<RecordBatch>>> {
        while self.left > 0 {
            let Some(merge) = &mut self.merge else {
                match self.groups.pop_front() {
                    Some(group) => {
                        self.states.reach(&self.inner, &group).await?;
                        self.merge = Some(open(&self.inner, &self.reservation, group).await?);
                    }
                    None => break,
                }
                continue;
            };
            self.rows.clear();
            merge.next(self.inner.batch, &mut self.rows).await?;
            if self.rows.is_empty() {
                self.merge = None;
                self.reservation.free();
            }
            let rows = std::mem::take(&mut self.rows);
            rows.iter().for_each(|row| self.windows.add(row, &self.inner));
            self.rows = rows;
            // The last window may have more fields to come, unless its group is at its end.
            let open = usize::from(self.merge.is_some());
            let whole = self.windows.time.len().saturating_sub(open);
            if whole >= self.inner.batch.min(self.left) || (open == 0 && whole > 0) {
                return Ok(Some(self.emit(whole)));
            }
        }
        Ok(None)
    }

    /// A batch of the first `whole` windows.
    fn emit(&mut self, whole: usize) -> Result<RecordBatch> {
        let whole = whole.min(self.left);
        self.left -= whole;
        let rest = self.windows.split_off(whole);
        let windows = std::mem::replace(&mut self.windows, rest);
        let (scanned, states) = (&self.inner.scanned, &mut self.states);
        if let Some(top) = &scanned.data.shape.top {
            return top_rows(&windows, &top.spec, &self.inner, states);
        }
        let columns = scanned.outputs.iter().zip(&self.inner.places).map(|(output, place)| match output {
            Output::Time => {
                Arc::new(TimestampMillisecondArray::from(windows.time.clone()).with_timezone("UTC")) as ArrayRef
            }
            Output::Key(column) => {
                let labels = scanned.labels.get(column);
                let value = |id: &u32| labels.and_then(|labels| labels.value(*id));
                Arc::new(windows.series.iter().map(value).collect::<StringArray>())
            }
            Output::Stat(stat) => {
                let partials = place.and_then(|place| windows.fields.get(place)).map(Vec::as_slice).unwrap_or_default();
                stat_column(stat, partials)
            }
            Output::Completeness => Arc::new(states.names(&windows, &scanned.labels)),
            Output::TopKey(_) | Output::TopFigure(_) | Output::TopError(_) => new_null_array(&DataType::Null, whole),
        });
        let options = RecordBatchOptions::new().with_row_count(Some(whole));
        let columns: Vec<ArrayRef> = columns.collect();
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.inner.schema), columns, &options)?)
    }
}

async fn open(inner: &Inner, reservation: &MemoryReservation, group: Group) -> nightjar_model::Result<Merge> {
    let Scanned { link, storage, data, range, wanted: series, .. } = &inner.scanned;
    let (from, until) = (group.from.max(range.from), group.until.min(range.until));
    let wanted = |table: Option<u32>| Wanted { table, series: series.clone(), from, until, figures: inner.figures };
    let mut cursors = Vec::new();
    if group.memory {
        let kinds: FieldKinds = data.kinds.iter().copied().collect();
        for run in link.memory(&data.shape.name, group.tier, series.as_ref(), from, until).await? {
            let mut rows = Vec::new();
            for batch in &run {
                rows_of(batch, &kinds, &Wanted { table: group.table, ..Wanted::ALL }, &mut rows)?;
            }
            let states: usize = rows.iter().map(|row| row.partial.heap_bytes()).sum();
            reservation.try_grow(rows.len() * size_of::<Row>() + states).map_err(|_| {
                nightjar_model::Error::invalid(
                    "windows in memory are more than a statement can hold: ask for less time",
                    Vec::new(),
                )
            })?;
            // Equal keys of two memtables stand next to each other; the merge joins those too.
            cursors.push(Cursor::rows(rows));
        }
    }
    for block in &group.blocks {
        let tables = data.tables.iter().map(|(table, _)| *table).filter(|table| block.tables.contains(table));
        for table in tables.filter(|table| group.table.is_none_or(|only| only == *table)) {
            cursors.push(Cursor::block(BlockRows::open(storage, block, wanted(Some(table))).await?));
        }
    }
    let merge = Merge::new(group.tier, cursors);
    match group.roll {
        Some(tier) => rolled::roll(merge, tier, group.table, reservation).await,
        None => Ok(merge),
    }
}

/// A row for each of the greatest keys of each window.
fn top_rows(windows: &Windows, top: &TopSpec, inner: &Inner, states: &mut States) -> Result<RecordBatch> {
    let mut rows: Vec<&TopEntry> = Vec::new();
    let mut of = Windows::default();
    for (at, partial) in windows.fields.first().into_iter().flatten().enumerate() {
        let items = partial.as_ref().and_then(Partial::as_top).map_or_else(Vec::new, |state| top.items(state));
        of.time.extend(items.iter().map(|_| windows.time[at]));
        of.series.extend(items.iter().map(|_| windows.series[at]));
        rows.extend(items);
    }
    let figures = |stat: &Stat, of: fn(TopFigure) -> f64| -> ArrayRef {
        let figures = rows.iter().map(|entry| stat.of_key(entry).map(of));
        if stat.function.is_count() {
            Arc::new(figures.map(|figure| figure.map(|figure| figure as i64)).collect::<Int64Array>())
        } else {
            Arc::new(figures.collect::<Float64Array>())
        }
    };
    let columns = inner.scanned.outputs.iter().map(|output| match output {
        Output::Time => Arc::new(TimestampMillisecondArray::from(of.time.clone()).with_timezone("UTC")) as ArrayRef,
        Output::TopKey(at) => Arc::new(rows.iter().map(|entry| entry.key.get(*at)).collect::<StringArray>()),
        Output::TopFigure(stat) => figures(stat, |figure| figure.value),
        Output::TopError(stat) => figures(stat, |figure| figure.error),
        Output::Completeness => Arc::new(states.names(&of, &inner.scanned.labels)),
        Output::Key(_) | Output::Stat(_) => new_null_array(&DataType::Null, rows.len()),
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(&inner.schema), columns, &options)?)
}

fn stat_column(stat: &Stat, partials: &[Option<Partial>]) -> ArrayRef {
    if stat.function.is_count() {
        let count = |partial: &Option<Partial>| partial.as_ref().and_then(|p| stat.value(p)).map(|value| value as i64);
        Arc::new(partials.iter().map(count).collect::<Int64Array>())
    } else {
        let value = |partial: &Option<Partial>| partial.as_ref().and_then(|p| stat.value(p));
        Arc::new(partials.iter().map(value).collect::<Float64Array>())
    }
}

impl Windows {
    fn add(&mut self, row: &Row, inner: &Inner) {
        self.fields.resize_with(inner.field_count, Vec::new);
        if self.series.last() != Some(&row.series) || self.time.last() != Some(&row.time) {
            self.series.push(row.series);
            self.time.push(row.time);
            self.fields.iter_mut().for_each(|field| field.push(None));
        }
        let field = inner.fields.get(&row.field).and_then(|place| self.fields.get_mut(*place)?.last_mut());
        if let Some(field) = field {
            *field = Some(row.partial.clone());
        }
    }

    fn split_off(&mut self, at: usize) -> Self {
        Self {
            series: self.series.split_off(at),
            time: self.time.split_off(at),
            fields: self.fields.iter_mut().map(|field| field.split_off(at)).collect(),
        }
    }
}
