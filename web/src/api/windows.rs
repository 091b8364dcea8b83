//! A monitor's figures as series, for charts and tables.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use nightjar_model::delta::{FAULTS_MONITOR, FAULTS_WIDTH, LINES_FIELD, Partial};
use nightjar_model::kinds::alert_rule::KeyMatch;
use nightjar_model::kinds::monitor::{Stat, StatFn};
use nightjar_model::names::MonitorKey;
use nightjar_model::query::{Completeness, CompletenessRun, SeriesWindows, WindowAnswer, WindowQuery};
use nightjar_model::{Error, Kind, ResourceKey, Span, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Routes;
use crate::body::json;
use crate::params::Params;
use crate::problem::Answer;
use crate::serve::Shared;

const DEFAULT_RANGE: Duration = Duration::from_secs(3600);
const MOST_WINDOWS: u128 = 11_000;
/// Series and windows answered, together.
const MOST_POINTS: usize = 500_000;
/// Series read to find the largest among them.
const MOST_SERIES_READ: usize = 100_000;

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(windows))
}

/// A monitor's figures over a time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Windows {
    /// Columns that keep series apart.
    by: Vec<String>,
    /// The monitor's statistics.
    stats: Vec<String>,
    /// Those with the most lines first.
    series: Vec<Series>,
    /// Whether there are series beyond `limit`.
    truncated: bool,
    /// One for each window that has begun.
    completeness: Vec<Completeness>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Series {
    keys: BTreeMap<String, String>,
    /// Windows that have data, by time.
    points: Vec<Point>,
    /// Where the series is of one agent or some, as by its `$host`: theirs. That of the whole counts where
    /// it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    completeness: Option<Vec<CompletenessRun>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Point {
    /// The window's start.
    time: Timestamp,
    /// By statistic; null where there is no figure, such as the average of nothing.
    values: BTreeMap<String, Option<f64>>,
}

/// A monitor's figures as series
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/monitors/{name}/windows", tag = "figures", operation_id = "monitor_windows",
    params(("ws" = String, Path), ("name" = String, Path),
        ("from" = Option<Timestamp>, Query, description = "An hour before `until` without it"),
        ("until" = Option<Timestamp>, Query, description = "Now without it"),
        ("step" = Option<Span>, Query, description = "Length of a window; as stored without it"),
        ("by" = Option<String>, Query, description = "Columns to keep apart, with commas; all without it, none if empty"),
        ("where.COLUMN" = Option<String>, Query, description = "Keys to keep, with commas"),
        ("limit" = Option<u32>, Query, description = "Series, from 1 to 500; 20 without it")),
    responses((status = 200, body = Windows)),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn windows(
    State(shared): State<Arc<Shared>>,
    Path((ws, name)): Path<(String, String)>,
    mut params: Params,
) -> Answer {
    let (stats, stored) = stored(&shared, &ws, &name).await?;
    let until = params.time("until").unwrap_or_else(|| shared.services.clock.now());
    let from = params.time("from").unwrap_or_else(|| until.saturating_sub(DEFAULT_RANGE));
    if from >= until {
        params.refuse("from", "must be before `until`");
    }
    let step = params.value::<Span>("step").map(|step| step.0);
    let width = step.unwrap_or(stored);
    if width.is_zero() || until.since(from).as_millis() / width.as_millis().max(1) > MOST_WINDOWS {
        params.refuse("step", format!("gives more than {MOST_WINDOWS} windows; take a longer one, or a shorter range"));
    }
    let limit = params.number("limit", 20, 500) as usize;
    let by = params.raw("by").map(|text| list(&text));
    let filter =
        params.with_prefix("where.").into_iter().map(|(column, keys)| (column, KeyMatch::In(list(&keys)))).collect();
    params.finish()?;
    // A window that has begun counts as a whole.
    let from = from.floor(width);
    let query =
        WindowQuery { monitor: MonitorKey::new(ws, name), from, until, filter, by, step, max_series: MOST_SERIES_READ };
    let answer = shared.services.windows.windows(query).await?;
    json(&shape(answer, &stats, limit))
}

/// The statistics that a monitor stores, and the length of its windows.
async fn stored(shared: &Shared, ws: &str, name: &str) -> Answer<(Vec<Stat>, Duration)> {
    if name == FAULTS_MONITOR {
        return Ok((vec![Stat { name: "count".into(), function: StatFn::Lines, column: None }], FAULTS_WIDTH));
    }
    let monitor = shared.services.resources.get(&ResourceKey::new(Kind::Monitor, ws, name)).await?;
    match monitor.spec.as_monitor() {
        Some(spec) => Ok((spec.stats.clone(), spec.width())),
        None => Err(Error::internal("the store answered another kind than it was asked for").into()),
    }
}

fn shape(answer: WindowAnswer, stats: &[Stat], limit: usize) -> Windows {
    let field_of = |stat: &Stat| answer.fields.iter().position(|field| field == stat.field().unwrap_or(LINES_FIELD));
    let fields: Vec<Option<usize>> = stats.iter().map(field_of).collect();
    let lines = |series: &SeriesWindows| -> u64 {
        series.windows.iter().filter_map(|(_, partials)| partials.first()).map(|partial| partial.count()).sum()
    };
    let mut ranked: Vec<(u64, SeriesWindows)> =
        answer.series.into_iter().map(|series| (lines(&series), series)).collect();
    ranked.sort_by(|(a, left), (b, right)| b.cmp(a).then_with(|| left.keys.cmp(&right.keys)));
    let all = ranked.len();
    let instances = answer.instances;
    let mut points = 0;
    let series: Vec<Series> = ranked
        .into_iter()
        .take(limit)
        .map_while(|(_, series)| {
            points += series.windows.len();
            let runs = instances.of(&series.keys).map(<[_]>::to_vec);
            points += runs.as_ref().map_or(0, Vec::len);
            (points <= MOST_POINTS).then(|| Series {
                completeness: runs,
                keys: answer.by.iter().cloned().zip(series.keys).collect(),
                points: series
                    .windows
                    .into_iter()
                    .map(|(time, partials)| point(time, &partials, stats, &fields))
                    .collect(),
            })
        })
        .collect();
    Windows {
        truncated: series.len() < all,
        by: answer.by,
        stats: stats.iter().map(|stat| stat.name.clone()).collect(),
        series,
        completeness: answer.completeness,
    }
}

fn point(time: Timestamp, partials: &[Partial], stats: &[Stat], fields: &[Option<usize>]) -> Point {
    let value = |stat: &Stat, field: &Option<usize>| field.and_then(|at| partials.get(at)).and_then(|p| stat.value(p));
    Point {
        time,
        values: stats.iter().zip(fields).map(|(stat, field)| (stat.name.clone(), value(stat, field))).collect(),
    }
}

/// `a,b` → `a`, `b`; empty is no key at all.
fn list(text: &str) -> Vec<String> {
    text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
