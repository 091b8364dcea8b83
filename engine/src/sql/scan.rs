//! The physical scan of a monitor: blocks and memory merged, one row for each window of each series.
//!
//! What a partition reads is divided into units ([`units`]), and each is read by itself, so memory use does not grow
//! with the time asked for. Rows of a block that nothing overlaps stay columns on their way ([`source`]); all come
//! together to windows in one place ([`builder`]).

mod builder;
mod source;
mod units;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMillisecondArray,
    UInt32Array, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
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

use self::builder::{Builder, Windows};
use self::source::Source;
pub(super) use self::units::Group;
use self::units::Unit;
use super::link::Link;
use super::pushdown::TimeRange;
use super::table::{Labels, external};
use super::wire::TableData;
use crate::block::columns::Need;
use crate::block::read::Wanted;
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
    /// The id of the series, which stands for all its keys.
    Series,
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
    pub(super) range: TimeRange,
    /// These series only; all without.
    pub(super) series: Option<RoaringBitmap>,
    /// Of the columns that are shown, or tell whose states a series has.
    pub(super) labels: HashMap<String, Labels>,
    pub(super) limit: Option<usize>,
}

impl Scanned {
    fn wanted(&self, group: &Group, table: u32, figures: bool) -> Wanted {
        let (from, until) = (group.from.max(self.range.from), group.until.min(self.range.until));
        Wanted { table: Some(table), series: self.series.clone(), from, until, figures }
    }
}

pub(super) struct WindowScan {
    inner: Arc<Inner>,
    properties: Arc<PlanProperties>,
}

struct Inner {
    scanned: Arc<Scanned>,
    outputs: Vec<Output>,
    schema: SchemaRef,
    /// Those of the outputs, in their order, with the id of the field of each.
    stats: Vec<(Stat, Option<u32>)>,
    /// The id of the field of a Top.
    top: Option<u32>,
    need: Need,
    /// Windows of a batch.
    batch: usize,
    partitions: Arc<Vec<Vec<Unit>>>,
}

impl Inner {
    /// Whether more than counts is read.
    fn figures(&self) -> bool {
        self.need.figures() || self.scanned.data.shape.top.is_some()
    }
}

impl WindowScan {
    pub(super) async fn plan(
        scanned: Scanned,
        outputs: Vec<Output>,
        schema: SchemaRef,
        partitions: usize,
    ) -> nightjar_model::Result<Self> {
        let shares = units::shares(&scanned, partitions).await?;
        Ok(Self::new(Arc::new(scanned), outputs, schema, Arc::new(shares)))
    }

    /// The key that stands in column `at`, if it is one.
    pub(super) fn key(&self, at: usize) -> Option<&str> {
        self.inner.outputs.get(at)?.key()
    }

    /// Where the time stands.
    pub(super) fn time(&self) -> Option<usize> {
        self.inner.outputs.iter().position(|output| matches!(output, Output::Time))
    }

    pub(super) fn scanned(&self) -> &Arc<Scanned> {
        &self.inner.scanned
    }

    /// The same, with the id of the series in the place of each key.
    pub(super) fn with_series(&self) -> Self {
        let inner = &self.inner;
        let output = |output: &Output| if output.key().is_some() { Output::Series } else { output.clone() };
        let outputs: Vec<Output> = inner.outputs.iter().map(output).collect();
        let fields = inner.schema.fields().iter().zip(&outputs).map(|(field, output)| match output {
            Output::Series => Arc::new(Field::new(field.name(), DataType::UInt32, false)),
            _ => Arc::clone(field),
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self::new(Arc::clone(&inner.scanned), outputs, schema, Arc::clone(&inner.partitions))
    }

    fn new(scanned: Arc<Scanned>, outputs: Vec<Output>, schema: SchemaRef, partitions: Arc<Vec<Vec<Unit>>>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let field = |name: &str, kind: PartialKind| {
            scanned.data.fields.iter().find(|field| field.name == name && field.kind == kind).map(|field| field.id)
        };
        let top = scanned.data.shape.top.as_ref();
        let batch = top.map_or(BATCH_ROWS, |top| (BATCH_ROWS / top.spec.n.max(1) as usize).clamp(1, MOST_TOPS));
        // Whatever is asked: it says how many rows there are.
        let top = top.and_then(|top| field(&top.field, PartialKind::Top));
        let stats: Vec<Stat> = outputs
            .iter()
            .filter_map(|output| if let Output::Stat(stat) = output { Some(stat.clone()) } else { None })
            .collect();
        let has = |is: &dyn Fn(&Output) -> bool| outputs.iter().any(is);
        let completeness = has(&|output| matches!(output, Output::Completeness));
        let time = has(&|output| matches!(output, Output::Time));
        let series = has(&|output| matches!(output, Output::Series | Output::Key(_)));
        let need = builder::need(&stats, series || completeness, time || completeness);
        let stats = stats
            .into_iter()
            .map(|stat| {
                let field = field(stat.field().unwrap_or(LINES_FIELD), stat.kind());
                (stat, field)
            })
            .collect();
        let inner = Inner { scanned, outputs, schema, stats, top, need, batch, partitions };
        Self { inner: Arc::new(inner), properties: Arc::new(properties) }
    }
}

impl fmt::Debug for WindowScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowScan").field("outputs", &self.inner.outputs).finish_non_exhaustive()
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
        let inner = Arc::clone(&self.inner);
        let reader = Reader {
            units: inner.partitions.get(partition).cloned().unwrap_or_default().into(),
            source: None,
            builder: Builder::new(inner.need, inner.stats.clone(), inner.top),
            states: States::default(),
            left: inner.scanned.limit.unwrap_or(usize::MAX),
            reservation: MemoryConsumer::new("scan").register(context.memory_pool()),
            inner,
        };
        let stream = futures::stream::try_unfold(reader, |mut reader| async move {
            let batch = reader.next().await.map_err(external)?;
            batch.map(|batch| Ok((batch?, reader))).transpose()
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.inner.schema), stream)))
    }
}

struct Reader {
    inner: Arc<Inner>,
    units: VecDeque<Unit>,
    source: Option<Source>,
    builder: Builder,
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
        let Scanned { link, data, range, tier, .. } = &*inner.scanned;
        let (from, until) = (group.from.max(range.from), group.until.min(range.until));
        let is_asked = inner.outputs.iter().any(|output| matches!(output, Output::Completeness));
        if !is_asked || (self.steps.is_some() && self.from <= from && until <= self.until) {
            return Ok(());
        }
        let until = until.max(from.saturating_add(AHEAD).min(range.until));
        let step = (!tier.is_raw()).then(|| tier.width());
        let steps = link.completeness(&data.shape.name, step, from, until).await?;
        *self = Self { from, until, steps: Some(steps), places: HashMap::new() };
        Ok(())
    }

    fn names(&mut self, series: &[u32], time: &[i64], labels: &HashMap<String, Labels>) -> StringArray {
        let Some(steps) = &self.steps else { return StringArray::new_null(time.len()) };
        let name = |(time, series): (&i64, &u32)| {
            let place = *self.places.entry(*series).or_insert_with(|| {
                // Without any states by key the values say nothing.
                if steps.is_by_key() { steps.of(|column| labels.get(column)?.value(*series)) } else { 0 }
            });
            Some(steps.state(place, *time).name())
        };
        time.iter().zip(series).map(name).collect()
    }
}

impl Reader {
    async fn next(&mut self) -> nightjar_model::Result<Option<Result<RecordBatch>>> {
        while self.left > 0 {
            let Some(source) = &mut self.source else {
                let Some(unit) = self.units.pop_front() else { break };
                self.states.reach(&self.inner, &unit.group).await?;
                self.source = Some(Source::open(&self.inner, &self.reservation, &unit).await?);
                continue;
            };
            if !source.next(self.inner.batch, &mut self.builder).await? {
                self.source = None;
                self.builder.end();
                self.reservation.free();
            }
            let whole = self.builder.whole();
            if whole >= self.inner.batch.min(self.left) || (self.source.is_none() && whole > 0) {
                return Ok(Some(self.emit(whole)));
            }
        }
        Ok(None)
    }

    /// A batch of the first `whole` windows.
    fn emit(&mut self, whole: usize) -> Result<RecordBatch> {
        let whole = whole.min(self.left);
        self.left -= whole;
        let windows = self.builder.take(whole);
        let (scanned, states) = (&self.inner.scanned, &mut self.states);
        if let Some(top) = &scanned.data.shape.top {
            return top_rows(&windows, &top.spec, &self.inner, states);
        }
        let Windows { series, time, stats, .. } = windows;
        let mut stats = stats.into_iter();
        let columns = self.inner.outputs.iter().filter_map(|output| {
            Some(match output {
                Output::Time => {
                    Arc::new(TimestampMillisecondArray::from(time.clone()).with_timezone("UTC")) as ArrayRef
                }
                Output::Key(column) => {
                    let labels = scanned.labels.get(column);
                    let value = |id: &u32| labels.and_then(|labels| labels.value(*id));
                    Arc::new(series.iter().map(value).collect::<StringArray>())
                }
                Output::Stat(_) => stats.next()?,
                Output::Completeness => Arc::new(states.names(&series, &time, &scanned.labels)),
                Output::Series => Arc::new(UInt32Array::from(series.clone())),
                Output::TopKey(_) | Output::TopFigure(_) | Output::TopError(_) => {
                    new_null_array(&DataType::Null, whole)
                }
            })
        });
        let columns: Vec<ArrayRef> = columns.collect();
        let options = RecordBatchOptions::new().with_row_count(Some(whole));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.inner.schema), columns, &options)?)
    }
}

/// A row for each of the greatest keys of each window.
fn top_rows(windows: &Windows, top: &TopSpec, inner: &Inner, states: &mut States) -> Result<RecordBatch> {
    let mut rows: Vec<&TopEntry> = Vec::new();
    let (mut times, mut series) = (Vec::new(), Vec::new());
    for (at, partial) in windows.tops.iter().enumerate() {
        let items = partial.as_ref().and_then(Partial::as_top).map_or_else(Vec::new, |state| top.items(state));
        times.extend(items.iter().map(|_| windows.time[at]));
        series.extend(items.iter().map(|_| windows.series[at]));
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
    let columns = inner.outputs.iter().map(|output| match output {
        Output::Time => Arc::new(TimestampMillisecondArray::from(times.clone()).with_timezone("UTC")) as ArrayRef,
        Output::TopKey(at) => Arc::new(rows.iter().map(|entry| entry.key.get(*at)).collect::<StringArray>()),
        Output::TopFigure(stat) => figures(stat, |figure| figure.value),
        Output::TopError(stat) => figures(stat, |figure| figure.error),
        Output::Completeness => Arc::new(states.names(&series, &times, &inner.scanned.labels)),
        Output::Key(_) | Output::Stat(_) | Output::Series => new_null_array(&DataType::Null, rows.len()),
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(&inner.schema), columns, &options)?)
}
