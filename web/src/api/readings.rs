//! What monitors read: whether their lines are understood, and whether there is anything to read at all.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use nightjar_model::agents::{AgentHealth, MonitorReport};
use nightjar_model::builtin::{Blindness, INTAKE_MONITOR, Intake};
use nightjar_model::delta::FaultReason;
use nightjar_model::kinds::alert_rule::KeyMatch;
use nightjar_model::names::MonitorKey;
use nightjar_model::ports::ListQuery;
use nightjar_model::query::{WindowAnswer, WindowQuery};
use nightjar_model::{Kind, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{ItemsPage, Routes};
use crate::body::json;
use crate::params::Params;
use crate::problem::Answer;
use crate::serve::Shared;

const MINUTE: Duration = Duration::from_secs(60);
/// What is looked at for the present state.
const RECENT: Duration = Duration::from_secs(600);
const MOST_MONITORS: usize = 100_000;
/// Why a line is not counted, though no filter dropped it.
const NOT_UNDERSTOOD: [FaultReason; 4] =
    [FaultReason::TimeUnreadable, FaultReason::ColumnMissing, FaultReason::TimeInFuture, FaultReason::TimeTooOld];

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(readings))
}

/// What a monitor makes of its logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReadingState {
    /// Lines are read, and at least half of them understood.
    Reading,
    /// Less than half of the lines are understood.
    HardlyUnderstood,
    /// Lines are read, and none is understood.
    NotUnderstood,
    /// Lines count, and no figure can be taken of any: none of their values is a number.
    NotNumbers,
    /// There are files, and nothing was written to them.
    Quiet,
    /// No file is where the monitor's paths say.
    NoFile,
    /// No connected agent collects it.
    NoAgent,
    /// It is disabled.
    Off,
}

/// What a monitor read in the last ten minutes.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reading {
    pub(crate) monitor: String,
    pub(crate) state: ReadingState,
    lines: u64,
    /// Of these, in percent; what a filter drops was understood. Null without lines.
    understood: Option<f64>,
    /// Of `lines`.
    counted: u64,
    /// Read now, on all agents together.
    files: u64,
    /// Why lines are not understood, the most frequent reason since the agents started.
    reason: Option<String>,
    /// A line of that reason: its place and its start.
    example: Option<String>,
}

/// A window whose figures say nothing of what was logged.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BlindWindow {
    /// The window's start.
    time: Timestamp,
    reason: Blindness,
    /// Its length.
    #[serde(skip)]
    length: Duration,
}

impl BlindWindow {
    /// Whether a window that starts then lies within.
    pub(super) fn covers(&self, start: Timestamp) -> bool {
        self.time <= start && start < self.time.saturating_add(self.length)
    }
}

/// What every monitor read in the last ten minutes
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/readings", tag = "figures",
    params(("ws" = String, Path),
        ("limit" = Option<u32>, Query, description = "From 1 to 1000; 100 without it"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, body = ItemsPage<Reading>)),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn readings(State(shared): State<Arc<Shared>>, Path(ws): Path<String>, mut params: Params) -> Answer {
    let page = params.page();
    params.finish()?;
    let query = ListQuery { kind: Some(Kind::Monitor), workspace: Some(ws.clone()), ..ListQuery::default() };
    let monitors = shared.services.resources.list(&query).await?.items;
    let enabled = |spec: &nightjar_model::kinds::Spec| spec.as_monitor().is_some_and(|spec| spec.enabled);
    let wanted: Vec<(&str, bool)> =
        monitors.iter().map(|one| (one.metadata.name.as_str(), enabled(&one.spec))).collect();
    let all = read(&shared, &ws, &wanted).await?;
    json(&ItemsPage::of(all, |reading| reading.monitor.clone(), &page))
}

/// Of each monitor, with whether it is enabled.
pub(crate) async fn read(shared: &Shared, ws: &str, monitors: &[(&str, bool)]) -> Answer<Vec<Reading>> {
    let now = shared.services.clock.now();
    let filter = match monitors {
        [(name, _)] => BTreeMap::from([("monitor".to_owned(), KeyMatch::In(vec![(*name).to_owned()]))]),
        _ => BTreeMap::new(),
    };
    let query = WindowQuery {
        monitor: MonitorKey::new(ws, INTAKE_MONITOR),
        from: now.saturating_sub(RECENT).floor(MINUTE),
        until: now,
        filter,
        by: Some(vec!["monitor".to_owned()]),
        step: None,
        max_series: MOST_MONITORS,
    };
    let answer = shared.services.windows.windows(query).await?;
    let intake = intake_by_monitor(&answer);
    let fleet = shared.services.fleet.agents(ws).await?;
    let mut reports: HashMap<&str, Vec<&MonitorReport>> = HashMap::new();
    let connected = fleet.iter().filter(|view| !matches!(view.health, AgentHealth::Lost | AgentHealth::Left));
    for report in connected.flat_map(|view| &view.monitors) {
        reports.entry(report.monitor.as_str()).or_default().push(report);
    }
    let of = |(name, enabled): &(&str, bool)| {
        let reports = reports.get(*name).map(Vec::as_slice).unwrap_or_default();
        reading(name, *enabled, intake.get(*name).copied().unwrap_or_default(), reports)
    };
    Ok(monitors.iter().map(of).collect())
}

fn intake_by_monitor(answer: &WindowAnswer) -> BTreeMap<&str, Intake> {
    let mut found: BTreeMap<&str, Intake> = BTreeMap::new();
    for series in &answer.series {
        let intake = found.entry(series.keys.first().map_or("", String::as_str)).or_default();
        series.windows.iter().for_each(|(_, partials)| intake.add(&Intake::from_partials(partials)));
    }
    found
}

/// `reports` are those of the agents that are there.
fn reading(name: &str, enabled: bool, intake: Intake, reports: &[&MonitorReport]) -> Reading {
    let files = reports.iter().map(|report| u64::from(report.files)).sum();
    let count =
        |reason: FaultReason| -> u64 { reports.iter().filter_map(|report| report.faults.get(reason.name())).sum() };
    let lines: u64 = reports.iter().map(|report| report.lines).sum();
    let no_numbers = lines > 0 && count(FaultReason::NotANumber) >= lines;
    let state = match intake {
        _ if !enabled => ReadingState::Off,
        // What was read until then says nothing of now.
        _ if reports.is_empty() => ReadingState::NoAgent,
        Intake { lines: 0, .. } if files == 0 => ReadingState::NoFile,
        Intake { lines: 0, .. } => ReadingState::Quiet,
        Intake { understood: 0, .. } => ReadingState::NotUnderstood,
        Intake { lines, understood, .. } if understood < lines.div_ceil(2) => ReadingState::HardlyUnderstood,
        _ if no_numbers => ReadingState::NotNumbers,
        _ => ReadingState::Reading,
    };
    let worst = NOT_UNDERSTOOD.into_iter().map(|reason| (count(reason), reason)).max_by_key(|(count, _)| *count);
    let reason = worst.filter(|(count, _)| *count > 0 && intake.understood < intake.lines).map(|(_, r)| r.name());
    let reason = reason.or_else(|| no_numbers.then(|| FaultReason::NotANumber.name()));
    let example = reason.and_then(|reason| reports.iter().find_map(|report| report.examples.get(reason)));
    Reading {
        monitor: name.to_owned(),
        state,
        lines: intake.lines,
        understood: (intake.lines > 0).then(|| intake.understood as f64 * 100.0 / intake.lines as f64),
        counted: intake.counted,
        files,
        reason: reason.map(str::to_owned),
        example: example.cloned(),
    }
}

/// Windows of a monitor in which nothing was understood, or nothing could be read.
pub(super) async fn blind(
    shared: &Shared,
    ws: &str,
    name: &str,
    (from, until): (Timestamp, Timestamp),
    step: Option<Duration>,
) -> Answer<Vec<BlindWindow>> {
    if nightjar_model::builtin::monitor(name).is_some() {
        return Ok(Vec::new());
    }
    // What was read is known by the minute.
    let step = step.filter(|step| step.as_millis() % MINUTE.as_millis() == 0);
    let query = WindowQuery {
        monitor: MonitorKey::new(ws, INTAKE_MONITOR),
        from: from.floor(MINUTE),
        until,
        filter: BTreeMap::from([("monitor".to_owned(), KeyMatch::In(vec![name.to_owned()]))]),
        by: Some(Vec::new()),
        step,
        max_series: 1,
    };
    let answer = shared.services.windows.windows(query).await?;
    let windows = answer.series.iter().flat_map(|series| &series.windows);
    let length = step.unwrap_or(MINUTE);
    let found = windows
        .filter_map(|(time, partials)| Some(BlindWindow { time: *time, reason: Blindness::of(partials)?, length }));
    Ok(found.collect())
}

/// Those that read nothing of use.
pub(super) fn is_blind(reading: &Reading) -> bool {
    matches!(reading.state, ReadingState::NotUnderstood | ReadingState::HardlyUnderstood | ReadingState::NoFile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_without_a_number_is_not_well() {
        let report = |bad: u64| MonitorReport {
            monitor: "m".into(),
            files: 1,
            lines: 5,
            faults: [("not_a_number".to_owned(), bad)].into(),
            ..MonitorReport::default()
        };
        let intake = Intake { lines: 5, understood: 5, counted: 5 };
        let state = |enabled, reports: &[&MonitorReport]| reading("m", enabled, intake, reports).state;
        assert_eq!(state(true, &[&report(5)]), ReadingState::NotNumbers);
        assert_eq!(state(true, &[&report(4)]), ReadingState::Reading);
        // Whatever was read until a moment ago: nobody reads now.
        assert_eq!(state(true, &[]), ReadingState::NoAgent);
        assert_eq!(state(false, &[&report(5)]), ReadingState::Off);
    }
}
