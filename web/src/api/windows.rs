//! A monitor's figures as series, for charts and tables.

mod top;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use nightjar_model::builtin;
use nightjar_model::delta::{LINES_FIELD, Partial};
use nightjar_model::kinds::alert_rule::KeyMatch;
use nightjar_model::kinds::monitor::{MonitorSpec, Stat};
use nightjar_model::names::MonitorKey;
use nightjar_model::query::{Completeness, CompletenessRun, SeriesWindows, WindowAnswer, WindowQuery};
use nightjar_model::{Error, Kind, ResourceKey, Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use self::top::TopWindows;
use super::Routes;
use super::readings::{BlindWindow, blind};
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
#[serde(rename_all = "camelCase")]
pub(crate) struct Windows {
    /// Columns that keep series apart.
    by: Vec<String>,
    /// The monitor's statistics.
    stats: Vec<String>,
    /// Those with the most lines first. Of a Top one: all its keys together, kept or not.
    series: Vec<Series>,
    /// Whether there are series beyond `limit`.
    truncated: bool,
    /// One for each window that has begun.
    completeness: Vec<Completeness>,
    /// Windows whose figures say nothing of what was logged: lines came and none was understood, or no file
    /// was there. Their zeros are none.
    blind: Vec<BlindWindow>,
    /// Of monitors of type `minute_top`.
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<TopWindows>,
    /// Before it windows as fine as asked for are not kept any more, and coarser ones are: a longer `step` shows them.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_from: Option<Timestamp>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Series {
    keys: BTreeMap<String, String>,
    /// By time: windows that have data, and unless `fill=none`, complete windows that have none, with their zeros, but
    /// for those in `blind`. A window that is in neither is not known.
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

/// What stands for windows without a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fill {
    #[default]
    Zero,
    None,
}

/// A monitor's figures as series
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/monitors/{name}/windows", tag = "figures", operation_id = "monitor_windows",
    params(("ws" = String, Path), ("name" = String, Path),
        ("from" = Option<Timestamp>, Query, description = "An hour before `until` without it"),
        ("until" = Option<Timestamp>, Query, description = "Now without it"),
        ("step" = Option<Span>, Query, description = "Length of a window; as stored without it"),
        ("by" = Option<String>, Query, description = "Columns to keep apart, with commas; all without it, none if empty"),
        ("where.COLUMN" = Option<String>, Query, description = "Keys to keep, with commas"),
        ("fill" = inline(Option<Fill>), Query, description = "`zero`, as without it: a complete window without a line is a point with \
            counts and sums of 0 and no other figures, and without columns to keep apart there is a series even where no \
            line ever came; `none`: only windows that have data"),
        ("limit" = Option<u32>, Query, description = "Series, from 1 to 500; 20 without it. Of a Top items of each window, from 1 to 1000; as many as it \
            shows without it")),
    responses((status = 200, body = Windows)),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn windows(
    State(shared): State<Arc<Shared>>,
    Path((ws, name)): Path<(String, String)>,
    mut params: Params,
) -> Answer {
    let spec = stored(&shared, &ws, &name).await?;
    let until = params.time("until").unwrap_or_else(|| shared.services.clock.now());
    let from = params.time("from").unwrap_or_else(|| until.saturating_sub(DEFAULT_RANGE));
    if from >= until {
        params.refuse("from", "must be before `until`");
    }
    let step = params.value::<Span>("step").map(|step| step.0);
    let width = step.unwrap_or_else(|| spec.width());
    if width.is_zero() || until.since(from).as_millis() / width.as_millis().max(1) > MOST_WINDOWS {
        params.refuse("step", format!("gives more than {MOST_WINDOWS} windows; take a longer one, or a shorter range"));
    }
    let (usual, most) = spec.top.as_ref().map_or((20, 500), |top| (top.n, 1000));
    let limit = params.number("limit", usual, most) as usize;
    let fill = params.value::<Fill>("fill").unwrap_or_default();
    let by = params.raw("by").map(|text| list(&text));
    let filter =
        params.with_prefix("where.").into_iter().map(|(column, keys)| (column, KeyMatch::In(list(&keys)))).collect();
    params.finish()?;
    // A window that has begun counts as a whole: part of one would look like all of it.
    let from = from.floor(width);
    let until = until.saturating_sub(Duration::from_millis(1)).floor(width).saturating_add(width);
    let monitor = MonitorKey::new(&ws, &name);
    let query = WindowQuery { monitor, from, until, filter, by, step, max_series: MOST_SERIES_READ };
    let answer = shared.services.windows.windows(query).await?;
    let blind = blind(&shared, &ws, &name, (from, until), step).await?;
    json(&shape(answer, blind, &spec, limit, fill))
}

async fn stored(shared: &Shared, ws: &str, name: &str) -> Answer<MonitorSpec> {
    if let Some(spec) = builtin::monitor(name) {
        return Ok(MonitorSpec::clone(spec));
    }
    let monitor = shared.services.resources.get(&ResourceKey::new(Kind::Monitor, ws, name)).await?;
    match monitor.spec.as_monitor() {
        Some(spec) => Ok(spec.clone()),
        None => Err(Error::internal("the store answered another kind than it was asked for").into()),
    }
}

fn shape(mut answer: WindowAnswer, blind: Vec<BlindWindow>, spec: &MonitorSpec, limit: usize, fill: Fill) -> Windows {
    let stats = &spec.stats;
    let top = spec.top.as_ref().map(|_| top::windows(spec, answer.series.first(), limit, MOST_POINTS));
    // Every statistic of a Top is of its one summary.
    let of_top = spec.top_field();
    let field_of = |stat: &Stat| {
        let wanted = of_top.as_deref().unwrap_or_else(|| stat.field().unwrap_or(LINES_FIELD));
        answer.fields.iter().position(|field| field == wanted)
    };
    let fields: Vec<Option<usize>> = stats.iter().map(field_of).collect();
    let lines = |series: &SeriesWindows| -> u64 {
        series.windows.iter().filter_map(|(_, partials)| partials.first()).map(|partial| partial.count()).sum()
    };
    if fill == Fill::Zero && answer.by.is_empty() && answer.series.is_empty() {
        answer.series.push(SeriesWindows { keys: Vec::new(), windows: Vec::new() });
    }
    let mut ranked: Vec<(u64, SeriesWindows)> =
        std::mem::take(&mut answer.series).into_iter().map(|series| (lines(&series), series)).collect();
    ranked.sort_by(|(a, left), (b, right)| b.cmp(a).then_with(|| left.keys.cmp(&right.keys)));
    let all = ranked.len();
    let mut points = 0;
    let series: Vec<Series> = ranked
        .into_iter()
        .take(limit)
        .map_while(|(_, series)| {
            let windows = if fill == Fill::Zero { filled(&answer, &series, &blind) } else { series.windows };
            points += windows.len();
            let runs = answer.instances.of(&series.keys).map(<[_]>::to_vec);
            points += runs.as_ref().map_or(0, Vec::len);
            (points <= MOST_POINTS).then(|| Series {
                completeness: runs,
                keys: answer.by.iter().cloned().zip(series.keys).collect(),
                points: windows.iter().map(|(time, partials)| point(*time, partials, stats, &fields)).collect(),
            })
        })
        .collect();
    Windows {
        truncated: series.len() < all,
        by: answer.by,
        stats: stats.iter().map(|stat| stat.name.clone()).collect(),
        series,
        completeness: answer.completeness,
        blind,
        top,
        kept_from: answer.kept_from,
    }
}

/// The series' windows, and those without a line that are complete for its keys.
fn filled(answer: &WindowAnswer, series: &SeriesWindows, blind: &[BlindWindow]) -> Vec<(Timestamp, Vec<Partial>)> {
    let known: BTreeSet<Timestamp> = series.windows.iter().map(|(time, _)| *time).collect();
    let quiet = answer.completeness.iter().map(|mark| mark.time).filter(|time| {
        !known.contains(time)
            && !blind.iter().any(|one| one.covers(*time))
            && answer.mark(&series.keys, *time).is_some_and(|mark| mark.state.is_complete())
    });
    let mut windows: Vec<_> = quiet.map(|time| (time, Vec::new())).chain(series.windows.iter().cloned()).collect();
    windows.sort_by_key(|(time, _)| *time);
    windows
}

fn point(time: Timestamp, partials: &[Partial], stats: &[Stat], fields: &[Option<usize>]) -> Point {
    // Of a window without a line there is no partial, nor of a field that nobody has sent yet.
    let value = |stat: &Stat, field: &Option<usize>| match field.and_then(|at| partials.get(at)) {
        Some(partial) => stat.value(partial),
        None => stat.value(&Partial::empty(stat.kind())),
    };
    Point {
        time,
        values: stats.iter().zip(fields).map(|(stat, field)| (stat.name.clone(), value(stat, field))).collect(),
    }
}

/// `a,b` → `a`, `b`; empty is no key at all.
fn list(text: &str) -> Vec<String> {
    text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
