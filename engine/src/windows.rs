//! Windows by monitor, keys and time: what alerting judges and charts show.
//!
//! Each stretch of time is read from the coarsest tier that is rolled up and whose windows are parts of those asked
//! for. Of what is deleted there may be windows too coarse for the answer: it says up to where.

mod groups;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};

use datafusion::common::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use nightjar_model::builtin;
use nightjar_model::delta::PartialKind;
use nightjar_model::kinds::alert_rule::KeyMatch;
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::DefinedMonitor;
use nightjar_model::query::{
    Completeness, CompletenessRun, CompletenessState, IncompleteReason, InstanceCompleteness, SeriesWindows,
    WindowAnswer, WindowQuery,
};
use nightjar_model::{Error, ErrorKind, Result, Timestamp};
use roaring::RoaringBitmap;

use self::groups::{Groups, Places};
use crate::block::Block;
use crate::block::columns::{ColumnReader, Need, is_columnar, row_groups};
use crate::block::read::{BlockRows, Wanted};
use crate::completeness::{States, nobody};
use crate::rollups::{self, Piece};
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::sql::near;
use crate::tier::Tier;

/// More windows than this in one answer are an error: a coarser step shows as much.
const MAX_WINDOWS: i64 = 50_000;

/// As many windows of a key, three years of minutes, may be merged into those of one answer.
const MAX_MERGED: i64 = 1_600_000;

/// Fewer row groups of a block than this are not worth a second thread.
const TOGETHER: usize = 3;

/// The shape of a monitor's data.
pub(crate) struct Shape {
    pub(crate) uid: Option<String>,
    pub(crate) series_by: Vec<String>,
    is_top: bool,
    /// With the kind of the partials of each.
    pub(crate) fields: Vec<(String, PartialKind)>,
    pub(crate) width: i64,
}

impl Shape {
    fn of(defined: &DefinedMonitor) -> Self {
        Self::new(defined.uid(), &defined.spec)
    }

    /// Of those that everybody has `uid` is `None`.
    fn new(uid: Option<String>, spec: &MonitorSpec) -> Self {
        Self {
            uid,
            series_by: spec.series_by().to_vec(),
            is_top: spec.top.is_some(),
            fields: spec.typed_fields(),
            width: spec.width().as_millis() as i64,
        }
    }
}

/// What of a monitor is wanted, at one moment.
struct Plan {
    snapshot: Snapshot,
    places: Places,
    keys: Vec<Vec<String>>,
    /// Series that the filter keeps; `None` if it keeps all.
    wanted: Option<RoaringBitmap>,
    /// What each table is read from.
    pieces: Vec<(u32, Piece)>,
    from: i64,
    until: i64,
    step: i64,
    width: i64,
}

pub(crate) async fn windows(shared: &Arc<Shared>, query: WindowQuery) -> Result<WindowAnswer> {
    let started = std::time::Instant::now();
    let answer = tokio::time::timeout(shared.config.query_timeout.0, read(shared, query)).await;
    metrics::histogram!("nightjar_engine_query_seconds", "kind" => "windows").record(started.elapsed());
    answer.unwrap_or_else(|_| {
        let text = format!(
            "the windows were not read within {}: ask for less time or fewer keys",
            shared.config.query_timeout
        );
        Err(Error::new(ErrorKind::Timeout, text))
    })
}

async fn read(shared: &Arc<Shared>, query: WindowQuery) -> Result<WindowAnswer> {
    let shape = shape(shared, &query.monitor).await?;
    let by = by(&shape, &query)?;
    let step = step(&shape, &query)?;
    let from = query.from.0.div_euclid(shape.width) * shape.width;
    let from = if from < query.from.0 { from + shape.width } else { from };
    let until = query.until.0.max(from);
    if (until - from) / step > MAX_WINDOWS {
        return Err(Error::invalid(
            format!("more than {MAX_WINDOWS} windows: ask for less time or a longer step"),
            Vec::new(),
        ));
    }
    let work = Arc::clone(shared);
    let answer = async move {
        let (plan, kept_from, gone_until) = plan(&work, &query, &shape, &by, (from, until, step));
        if plan.merged() > MAX_MERGED {
            return Err(Error::invalid("that is more than three years of minutes: ask for less time", Vec::new()));
        }
        let reservation = MemoryConsumer::new("windows").register(&work.reading_memory);
        let (mut completeness, mut instances) = completeness(&work, &plan, &by, &query.filter, &reservation).await?;
        if let Some(gone_until) = gone_until {
            lose(&mut completeness, &mut instances, gone_until);
        }
        let series = gather(&work, plan, reservation).await?;
        let fields = shape.fields.into_iter().map(|(name, _)| name).collect();
        Ok(WindowAnswer { by, fields, series, completeness, instances, kept_from })
    };
    shared.reading.run("windows", answer).await
}

/// # Errors
/// `NotFound` for a monitor that is neither defined nor has data.
async fn shape(shared: &Shared, monitor: &MonitorKey) -> Result<Shape> {
    if let Some(spec) = builtin::monitor(&monitor.name) {
        return Ok(Shape::new(None, spec));
    }
    let defined = shared.catalog.monitors(&monitor.workspace).await?;
    if let Some(defined) = defined.iter().find(|defined| defined.name == monitor.name) {
        return Ok(Shape::of(defined));
    }
    let names = defined.iter().map(|defined| defined.name.as_str());
    Err(Error::not_found(format!("there is no monitor `{}`{}", monitor.name, near::suggestion(&monitor.name, names))))
}

fn by(shape: &Shape, query: &WindowQuery) -> Result<Vec<String>> {
    let unknown = query.by.iter().flatten().chain(query.filter.keys()).find(|column| !shape.series_by.contains(column));
    if let Some(column) = unknown {
        if shape.is_top {
            let text =
                format!("`{}` is a Top: its keys are in its windows, and no series to choose from", query.monitor.name);
            return Err(Error::invalid(text, Vec::new()));
        }
        let known = if shape.series_by.is_empty() { "nothing".to_owned() } else { shape.series_by.join(", ") };
        return Err(Error::invalid(
            format!("`{}` is not grouped by `{column}`; it is grouped by {known}", query.monitor.name),
            Vec::new(),
        ));
    }
    Ok(query.by.clone().unwrap_or_else(|| shape.series_by.clone()))
}

fn step(shape: &Shape, query: &WindowQuery) -> Result<i64> {
    let step = query.step.map_or(shape.width, |step| step.as_millis() as i64);
    if step <= 0 || step % shape.width != 0 {
        return Err(Error::invalid(format!("the step must be a multiple of {} ms", shape.width), Vec::new()));
    }
    Ok(step)
}

fn plan(
    shared: &Shared,
    query: &WindowQuery,
    shape: &Shape,
    by: &[String],
    (from, until, step): (i64, i64, i64),
) -> (Plan, Option<Timestamp>, Option<Timestamp>) {
    let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
    let snapshot = state.snapshot(&query.monitor, shape.uid.as_deref(), from, until);
    let mut wanted = RoaringBitmap::new();
    for (table, _) in &snapshot.tables {
        let mut selected = state.index.select(*table, "", |_| true);
        for (column, matcher) in &query.filter {
            selected &= state.index.select(*table, column, |value| matcher.accepts(value.unwrap_or_default()));
        }
        wanted |= selected;
    }
    let (mut groups, mut keys, mut known) = (HashMap::new(), Vec::new(), HashMap::new());
    for (id, series) in wanted.iter().filter_map(|id| Some((id, state.index.get(id)?))) {
        let key: Vec<&str> = by.iter().map(|column| series.value(column).map_or("", |value| value)).collect();
        let group = *known.entry(key).or_insert_with_key(|key| {
            keys.push(key.iter().map(|part| (*part).to_owned()).collect());
            keys.len() - 1
        });
        groups.insert(id, group);
    }
    let place = |(place, (name, kind)): (usize, &(String, PartialKind))| Some((state.index.field(name, *kind)?, place));
    let fields = shape.fields.iter().enumerate().filter_map(place).collect();
    // Windows of the answer are made of whole windows of what is read.
    let fits = |tier: Tier| step % tier.width() == 0 && from % tier.width() == 0;
    let (mut pieces, mut kept_from, mut gone_until) = (Vec::new(), None, None);
    for (table, _) in &snapshot.tables {
        let source = state.index.table(*table).map(|table| table.tier).unwrap_or_default();
        let of_table = rollups::pieces((*table, source), (from, until), &snapshot.rolled, 1, fits);
        let gone = of_table.iter().filter(|piece| piece.tier == source);
        let gone = gone.map(|piece| (piece.from, piece.until.min(state.rollups.kept_from(source))));
        for (from, until) in gone.filter(|(from, until)| from < until) {
            kept_from = kept_from.max(snapshot.coarser(*table, from, until));
            gone_until = gone_until.max(Some(until));
        }
        pieces.extend(of_table.into_iter().map(|piece| (*table, piece)));
    }
    let kinds = shape.fields.iter().map(|(_, kind)| *kind).collect();
    let places = Places { groups, fields, from, step, kinds, max_series: query.max_series };
    let wanted = (!query.filter.is_empty()).then_some(wanted);
    let plan = Plan { snapshot, places, keys, wanted, pieces, from, until, step, width: shape.width };
    (plan, kept_from.map(Timestamp), gone_until.map(Timestamp))
}

impl Plan {
    /// How many windows of a key are read at most.
    fn merged(&self) -> i64 {
        let of_piece = |(table, piece): &(u32, Piece)| {
            let blocks = self.blocks(*table, *piece).map(|block| block.meta.from);
            let memory = self.snapshot.memory.iter().filter(|(known, _, _)| known == table).map(|(_, start, _)| *start);
            // Where there was nothing yet, nothing is read.
            let Some(first) = blocks.chain(memory).min() else { return 0 };
            let width = if piece.tier.is_raw() { self.width } else { piece.tier.width() };
            (piece.until - first.max(piece.from)).max(0) / width
        };
        self.pieces.iter().map(of_piece).fold(0, i64::saturating_add)
    }

    fn blocks(&self, table: u32, piece: Piece) -> impl Iterator<Item = &Arc<Block>> {
        self.snapshot.blocks_of(table, piece.tier, piece.from, piece.until)
    }
}

/// Of every window of the answer that has begun, and by what is fixed for an agent.
async fn completeness(
    shared: &Shared,
    plan: &Plan,
    by: &[String],
    filter: &BTreeMap<String, KeyMatch>,
    reservation: &MemoryReservation,
) -> Result<(Vec<Completeness>, InstanceCompleteness)> {
    let (now, step) = (shared.clock.now().0, plan.step);
    let begun = if plan.from > now { 0 } else { (now - plan.from) / step + 1 };
    let until = plan.until.min(plan.from.saturating_add(begun.saturating_mul(step)));
    let Some(track) = &plan.snapshot.track else {
        let windows = (0..begun).map(|n| plan.from + n * step).take_while(|start| *start < until);
        let mark = |start: i64| {
            let (state, reason) = nobody((start + step).min(until) - plan.width, plan.width, now);
            Completeness { time: Timestamp(start), state, reason, missing: Vec::new(), missing_count: 0 }
        };
        let marks: Vec<Completeness> = windows.map(mark).collect();
        reservation.try_grow(marks.len() * size_of::<Completeness>()).map_err(no_memory)?;
        return Ok((marks, InstanceCompleteness::default()));
    };
    let (mut columns, mut kept) = (Vec::new(), Vec::new());
    for (at, column) in track.columns().iter().enumerate() {
        if let Some(place) = by.iter().position(|kept| kept == column) {
            columns.push(place);
            kept.push(at);
        }
    }
    let accepts = |keys: &[String]| {
        let matches = |(column, key): (&String, &String)| filter.get(column).is_none_or(|keys| keys.accepts(key));
        track.columns().iter().zip(keys).all(matches)
    };
    let states = States::new(track, now, &kept, &accepts);
    let mut completeness = Vec::new();
    for run in states.whole().runs(plan.from, until, step) {
        grow(reservation, &run)?;
        let windows = (run.until.0 - run.mark.time.0 + step - 1) / step;
        let bytes = (size_of::<Completeness>() + names(&run.mark)) * windows as usize;
        reservation.try_grow(bytes).map_err(no_memory)?;
        let times = (0..windows).map(|n| Timestamp(run.mark.time.0 + n * step));
        completeness.extend(times.map(|time| Completeness { time, ..run.mark.clone() }));
        // So that the time limit holds.
        tokio::task::consume_budget().await;
    }
    let mut runs = BTreeMap::new();
    for (keys, marks) in states.by_keys() {
        let of_key = marks.runs(plan.from, until, step);
        of_key.iter().try_for_each(|run| grow(reservation, run))?;
        runs.insert(keys.clone(), of_key);
        tokio::task::consume_budget().await;
    }
    Ok((completeness, InstanceCompleteness { columns, runs }))
}

/// Windows that start before are kept no longer: that there are none does not mean that there were none.
fn lose(completeness: &mut [Completeness], instances: &mut InstanceCompleteness, before: Timestamp) {
    let never = |mark: &mut Completeness| {
        (mark.state, mark.reason) = (CompletenessState::Never, Some(IncompleteReason::Lost));
    };
    completeness.iter_mut().filter(|mark| mark.time < before).for_each(never);
    for runs in instances.runs.values_mut() {
        let mut rest = Vec::new();
        for run in runs.iter_mut().filter(|run| run.mark.time < before) {
            if before < run.until {
                let mark = Completeness { time: before, ..run.mark.clone() };
                rest.push(CompletenessRun { mark, ..run.clone() });
                run.until = before;
            }
            never(&mut run.mark);
        }
        runs.extend(rest);
        runs.sort_by_key(|run| run.mark.time);
    }
}

fn grow(reservation: &MemoryReservation, run: &CompletenessRun) -> Result<()> {
    reservation.try_grow(size_of::<CompletenessRun>() + names(&run.mark)).map_err(no_memory)
}

fn names(mark: &Completeness) -> usize {
    mark.missing.iter().map(|agent| size_of::<AgentId>() + agent.0.len()).sum()
}

fn no_memory(_: DataFusionError) -> Error {
    Error::unavailable("the answer needs more memory than queries have now: ask for less time or fewer keys")
}

/// What of the blocks is read by itself.
struct Part {
    block: Arc<Block>,
    wanted: Wanted,
    /// These row groups, or all.
    row_groups: Option<Vec<usize>>,
}

async fn gather(shared: &Arc<Shared>, plan: Plan, reservation: MemoryReservation) -> Result<Vec<SeriesWindows>> {
    let figures = plan.places.kinds.iter().any(|kind| *kind != PartialKind::Lines);
    let mut shares: Vec<Vec<Part>> = (0..shared.config.query_threads.max(1)).map(|_| Vec::new()).collect();
    for (table, piece) in &plan.pieces {
        let (from, until) = (piece.from, piece.until);
        for block in plan.blocks(*table, *piece) {
            let wanted = Wanted { table: Some(*table), series: plan.wanted.clone(), from, until, figures };
            share(shared, block, wanted, &mut shares).await?;
        }
    }
    let Plan { snapshot, keys, places, .. } = plan;
    let places = Arc::new(places);
    // Those of one thread are read here: most questions are about little.
    let own = shares.pop().unwrap_or_default();
    let others = shares.into_iter().filter(|share| !share.is_empty()).map(|share| {
        let (work, places) = (Arc::clone(shared), Arc::clone(&places));
        let reservation = reservation.new_empty();
        shared.reading.run("windows", async move {
            let mut groups = Groups::new(&places);
            add(&work, &places, share, &reservation, &mut groups).await?;
            Ok((groups, reservation))
        })
    });
    let others = futures::future::try_join_all(others);
    let mut groups = Groups::new(&places);
    let here = add(shared, &places, own, &reservation, &mut groups);
    let (others, ()) = futures::future::try_join(others, here).await?;
    // What the others took stays taken until the answer is made.
    let mut taken = Vec::new();
    for (other, reserved) in others {
        groups.add_groups(&places, other)?;
        groups.reserve(&places, &reservation)?;
        taken.push(reserved);
    }
    let mut rows = Vec::new();
    for (table, start, window) in &snapshot.memory {
        rows.clear();
        window.rows(*table, *start, |series| places.groups.contains_key(&series), &mut rows);
        groups.add_rows(&places, &rows)?;
        groups.reserve(&places, &reservation)?;
    }
    let fields = places.kinds.len();
    let series = |(group, windows)| SeriesWindows { keys: keys.get(group).cloned().unwrap_or_default(), windows };
    let mut answer: Vec<SeriesWindows> = groups.finish(fields).map(series).collect();
    answer.sort_by(|a, b| a.keys.cmp(&b.keys));
    Ok(answer)
}

/// Divides what is to be read of a block among threads. A long one is read by all of them, if its row groups can be
/// read apart.
async fn share(shared: &Shared, block: &Arc<Block>, wanted: Wanted, shares: &mut [Vec<Part>]) -> Result<()> {
    let mut give = |at: usize, row_groups| {
        let place = at % shares.len();
        shares[place].push(Part { block: Arc::clone(block), wanted: wanted.clone(), row_groups });
    };
    let footer = if is_columnar(&block.meta) { Some(shared.storage.footer(&block.meta).await?) } else { None };
    let Some(footer) = footer.filter(|footer| footer.windows.is_some()) else {
        give(block.meta.id as usize, None);
        return Ok(());
    };
    let groups = row_groups(&footer, &wanted);
    let size = groups.len().div_ceil(shared.config.query_threads.max(1)).max(TOGETHER);
    for (at, groups) in groups.chunks(size).enumerate() {
        give(block.meta.id as usize + at, Some(groups.to_vec()));
    }
    Ok(())
}

async fn add(
    shared: &Shared,
    places: &Places,
    parts: Vec<Part>,
    reservation: &MemoryReservation,
    groups: &mut Groups,
) -> Result<()> {
    for Part { block, wanted, row_groups } in parts {
        let storage = &shared.storage;
        if is_columnar(&block.meta) {
            let need = if wanted.figures { Need::ALL } else { Need::COUNTS };
            let mut source = ColumnReader::open(storage, &block.meta, wanted, need, row_groups).await?;
            while let Some(columns) = source.next().await? {
                groups.add_columns(places, &columns)?;
                groups.reserve(places, reservation)?;
                // One long read does not keep the others waiting.
                tokio::task::consume_budget().await;
            }
            continue;
        }
        let mut source = BlockRows::open(storage, &block.meta, wanted).await?;
        let mut rows = Vec::new();
        loop {
            source.next(&mut rows).await?;
            if rows.is_empty() {
                break;
            }
            groups.add_rows(places, &rows)?;
            groups.reserve(places, reservation)?;
            tokio::task::consume_budget().await;
        }
    }
    Ok(())
}
