//! The physical scan of a monitor: blocks and memory merged, one row for each window of each series.
//!
//! Blocks and windows in memory are put into groups that do not overlap in time. A group is merged as one;
//! partitions take groups in turn, so memory use does not grow with the time asked for.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, PoisonError};

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions};
use nightjar_model::delta::{LINES_FIELD, Partial, PartialKind};
use nightjar_model::kinds::monitor::Stat;
use roaring::RoaringBitmap;

use super::admission::BATCH_ROWS;
use super::pushdown::TimeRange;
use crate::block::merge::{Cursor, Merge};
use crate::block::read::{BlockRows, Wanted};
use crate::block::{Block, Row};
use crate::completeness::StateSteps;
use crate::engine::Shared;
use crate::memtable::Window;
use crate::series::Series;
use crate::snapshot::Snapshot;
use crate::tier::Tier;

/// What stands in a column.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    Time,
    Key(String),
    Stat(Stat),
    Completeness,
}

pub(crate) struct WindowScan {
    inner: Arc<Inner>,
    properties: Arc<PlanProperties>,
}

struct Inner {
    shared: Arc<Shared>,
    schema: SchemaRef,
    outputs: Vec<Output>,
    range: TimeRange,
    /// These only; all without.
    wanted: Option<RoaringBitmap>,
    /// Labels, when a column shows them.
    series: HashMap<u32, Arc<Series>>,
    /// Fields that a column reads: the place of each id, and of each output.
    fields: HashMap<u32, usize>,
    places: Vec<Option<usize>>,
    field_count: usize,
    figures: bool,
    states: StateSteps,
    /// Where the states of each series are; the first where it is not named.
    of_series: HashMap<u32, usize>,
    limit: Option<usize>,
    tables: Vec<u32>,
    partitions: Vec<Vec<Group>>,
}

/// What overlaps in time, of one tier.
#[derive(Debug, Clone, Default)]
struct Group {
    tier: Tier,
    from: i64,
    until: i64,
    blocks: Vec<Arc<Block>>,
    memory: Vec<(u32, i64, Arc<Window>)>,
}

impl WindowScan {
    #[expect(clippy::too_many_arguments, reason = "all of what a scan is about, from one caller")]
    pub(crate) fn new(
        shared: &Arc<Shared>,
        snapshot: &Snapshot,
        schema: SchemaRef,
        outputs: Vec<Output>,
        range: TimeRange,
        wanted: Option<RoaringBitmap>,
        limit: Option<usize>,
        partitions: usize,
    ) -> Self {
        let span = shared.config.block_span.0.as_millis() as i64;
        let groups = groups(snapshot, range, span);
        let count = groups.len().clamp(1, partitions.max(1));
        let mut parts = vec![Vec::new(); count];
        for (at, group) in groups.into_iter().enumerate() {
            parts[at % count].push(group);
        }
        let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<(&str, PartialKind)> = Vec::new();
        let places = outputs.iter().map(|output| {
            let Output::Stat(stat) = output else { return None };
            let name = (stat.field().unwrap_or(LINES_FIELD), stat.kind());
            Some(names.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            }))
        });
        let places = places.collect();
        let field =
            |(place, (name, kind)): (usize, &(&str, PartialKind))| Some((state.index.field(name, *kind)?, place));
        let fields = names.iter().enumerate().filter_map(field).collect();
        let mut series = HashMap::new();
        let width = snapshot.tables.first().map_or(1, |(_, width)| (*width).max(1));
        let asked = outputs.iter().any(|output| matches!(output, Output::Completeness));
        let track = snapshot.track.as_deref().filter(|_| asked);
        let states = StateSteps::new(track, width, shared.clock.now().0);
        if states.is_by_key() || outputs.iter().any(|output| matches!(output, Output::Key(_))) {
            for (table, _) in &snapshot.tables {
                let of_table = state.index.select(*table, "", |_| true);
                let shown = wanted.as_ref().map_or_else(|| of_table.clone(), |wanted| &of_table & wanted);
                series.extend(shown.iter().filter_map(|id| Some((id, Arc::clone(state.index.get(id)?)))));
            }
        }
        drop(state);
        let place = |(id, series): (&u32, &Arc<Series>)| (*id, states.of(|column| series.value(column).map(|v| &**v)));
        let of_series = if states.is_by_key() { series.iter().map(place).collect() } else { HashMap::new() };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(count),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let inner = Inner {
            shared: Arc::clone(shared),
            range,
            series,
            figures: names.iter().any(|(_, kind)| *kind != PartialKind::Lines),
            field_count: names.len(),
            places,
            fields,
            states,
            of_series,
            tables: snapshot.tables.iter().map(|(table, _)| *table).collect(),
            schema,
            wanted,
            limit,
            partitions: parts,
            outputs,
        };
        Self { inner: Arc::new(inner), properties: Arc::new(properties) }
    }
}

fn groups(snapshot: &Snapshot, range: TimeRange, span: i64) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for block in snapshot.blocks.iter().filter(|block| block.overlaps(range.from, range.until)) {
        let (tier, from, until) = (block.meta.tier, block.meta.from, block.meta.until);
        groups.push(Group { tier, from, until, blocks: vec![Arc::clone(block)], memory: Vec::new() });
    }
    let tiers: HashMap<u32, Tier> =
        snapshot.tables.iter().map(|(table, width)| (*table, Tier::of_width(*width))).collect();
    let mut in_memory: HashMap<(Tier, i64), Group> = HashMap::new();
    for window in snapshot.memory.iter().filter(|(_, start, _)| (range.from..range.until).contains(start)) {
        let (from, tier) = (window.1.div_euclid(span) * span, tiers.get(&window.0).copied().unwrap_or_default());
        let group = in_memory.entry((tier, from)).or_insert_with(|| Group {
            tier,
            from,
            until: from + span,
            ..Group::default()
        });
        group.memory.push(window.clone());
    }
    groups.extend(in_memory.into_values());
    groups.sort_by_key(|group| (group.tier, group.from));
    let mut merged: Vec<Group> = Vec::new();
    for group in groups {
        match merged.last_mut() {
            Some(last) if group.tier == last.tier && group.from < last.until => {
                last.until = last.until.max(group.until);
                last.blocks.extend(group.blocks);
                last.memory.extend(group.memory);
            }
            _ => merged.push(group),
        }
    }
    merged
}

impl fmt::Debug for WindowScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowScan").field("outputs", &self.inner.outputs).finish_non_exhaustive()
    }
}

impl DisplayAs for WindowScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowScan: partitions={}, limit={:?}", self.inner.partitions.len(), self.inner.limit)
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
            left: self.inner.limit.unwrap_or(usize::MAX),
            reservation: MemoryConsumer::new("scan").register(context.memory_pool()),
        };
        let stream = futures::stream::try_unfold(reader, |mut reader| async move {
            let batch = reader.next().await.map_err(|error| DataFusionError::External(Box::new(error)))?;
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
    left: usize,
    reservation: MemoryReservation,
}

impl Reader {
    async fn next(&mut self) -> nightjar_model::Result<Option<Result<RecordBatch>>> {
        while self.left > 0 {
            let Some(merge) = &mut self.merge else {
                match self.groups.pop_front() {
                    Some(group) => self.merge = Some(open(&self.inner, &self.reservation, group).await?),
                    None => break,
                }
                continue;
            };
            self.rows.clear();
            merge.next(BATCH_ROWS, &mut self.rows).await?;
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
            if whole >= BATCH_ROWS.min(self.left) || (open == 0 && whole > 0) {
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
        let columns = self.inner.outputs.iter().zip(&self.inner.places).map(|(output, place)| match output {
            Output::Time => {
                Arc::new(TimestampMillisecondArray::from(windows.time.clone()).with_timezone("UTC")) as ArrayRef
            }
            Output::Key(column) => {
                let value = |id: &u32| self.inner.series.get(id).and_then(|series| series.value(column)).map(|v| &**v);
                Arc::new(windows.series.iter().map(value).collect::<StringArray>())
            }
            Output::Stat(stat) => {
                let partials = place.and_then(|place| windows.fields.get(place)).map(Vec::as_slice).unwrap_or_default();
                stat_column(stat, partials)
            }
            Output::Completeness => {
                let states = &self.inner.states;
                let of = |series: &u32| self.inner.of_series.get(series).copied().unwrap_or(0);
                let state = |(time, series): (&i64, &u32)| Some(states.state(of(series), *time).name());
                Arc::new(windows.time.iter().zip(&windows.series).map(state).collect::<StringArray>())
            }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(whole));
        let columns: Vec<ArrayRef> = columns.collect();
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.inner.schema), columns, &options)?)
    }
}

async fn open(inner: &Inner, reservation: &MemoryReservation, group: Group) -> nightjar_model::Result<Merge> {
    let (range, tier) = (inner.range, group.tier);
    let mut cursors = Vec::new();
    let mut memory = Vec::new();
    for (table, start, window) in &group.memory {
        let wanted = |series| inner.wanted.as_ref().is_none_or(|wanted| wanted.contains(series));
        window.rows(*table, *start, wanted, &mut memory);
    }
    reservation.try_grow(memory.len() * size_of::<Row>()).map_err(|_| {
        nightjar_model::Error::unavailable("queries have no memory left now: ask for less time, or try again later")
    })?;
    memory.sort_unstable_by_key(|row| row.key(tier));
    // Equal keys of two memtables stand next to each other; the merge joins those too.
    cursors.push(Cursor::rows(memory));
    for block in &group.blocks {
        for table in inner.tables.iter().filter(|table| block.has(**table)) {
            let wanted = Wanted {
                table: Some(*table),
                series: inner.wanted.clone(),
                from: range.from,
                until: range.until,
                figures: inner.figures,
            };
            cursors.push(Cursor::block(BlockRows::open(&inner.shared.storage, &block.meta, wanted).await?));
        }
    }
    Ok(Merge::new(tier, cursors))
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
