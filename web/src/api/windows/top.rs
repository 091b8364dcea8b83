//! A Top's windows: the greatest keys of each, and how sure they are.

use std::collections::BTreeMap;

use nightjar_model::Timestamp;
use nightjar_model::delta::Partial;
use nightjar_model::kinds::monitor::{MonitorSpec, Stat, TopFigure};
use nightjar_model::partial::{TopEntry, TopRank, TopState};
use nightjar_model::query::SeriesWindows;
use serde::Serialize;
use utoipa::ToSchema;

/// The greatest keys of each window.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TopWindows {
    /// The columns that an item's keys are of.
    group_by: Vec<String>,
    /// The statistic that items are ranked by.
    ranked_by: String,
    /// By time; only windows that have data.
    windows: Vec<TopWindow>,
    /// Whether the latest windows are left out because there are too many items in all.
    truncated: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TopWindow {
    /// The window's start.
    time: Timestamp,
    /// Whether there were no more keys than are kept: every figure and the ranking are exact then.
    exact: bool,
    /// By statistic, the greatest error of an item's figure; null where nothing can be said of one.
    errors: BTreeMap<String, Option<f64>>,
    /// The most that a key may have which is not among the items, of the statistic that they are ranked by: items that
    /// surely have more belong to the Top for sure.
    absent_at_most: f64,
    /// Keys that are kept: all there were where the window is exact.
    keys_kept: usize,
    /// The greatest first.
    items: Vec<TopItem>,
}

/// A key of a window.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TopItem {
    keys: BTreeMap<String, String>,
    /// By statistic; null where nothing can be said, as of the average of a key that may have no line.
    values: BTreeMap<String, Option<f64>>,
    /// By statistic, how much less than its value the truth may be; 0 is left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    errors: BTreeMap<String, f64>,
}

/// Of the one series that a Top has, at most `limit` items of each window, and `most` in all.
pub(super) fn windows(spec: &MonitorSpec, series: Option<&SeriesWindows>, limit: usize, most: usize) -> TopWindows {
    let mut windows = Vec::new();
    let (mut items, mut truncated) = (0, false);
    for (time, partials) in series.into_iter().flat_map(|series| &series.windows) {
        let Some(state) = partials.iter().find_map(Partial::as_top).filter(|state| state.count() > 0) else { continue };
        let window = window(spec, *time, state, limit);
        items += window.items.len();
        if items > most {
            truncated = true;
            break;
        }
        windows.push(window);
    }
    let ranked_by = spec.top.as_ref().map(|top| top.by.clone()).unwrap_or_default();
    TopWindows { group_by: spec.group_by.clone(), ranked_by, windows, truncated }
}

fn window(spec: &MonitorSpec, time: Timestamp, state: &TopState, limit: usize) -> TopWindow {
    let mut items = state.highest();
    let shown = spec.top.as_ref().map_or(0, |top| top.n as usize).min(limit);
    let others = items.split_off(shown.min(items.len()));
    let error = |stat: &Stat| {
        let figures: Option<Vec<f64>> =
            items.iter().map(|entry| stat.of_key(entry).map(|figure| figure.error)).collect();
        figures.map(|errors| errors.into_iter().fold(0.0, f64::max))
    };
    let (lines, sums) = state.absent();
    let by_lines = matches!(spec.top_rank(), Some(TopRank::Count));
    let absent = if by_lines { lines as f64 } else { sums.end().to_f64() };
    // The greatest of those that are kept and are no items, as it may be at most. They may be ranked by something else.
    let most = |entry: &&TopEntry| if by_lines { entry.count as f64 } else { entry.sum.to_f64() };
    let next = others.iter().map(most).reduce(f64::max);
    TopWindow {
        time,
        exact: state.is_exact(),
        errors: spec.stats.iter().map(|stat| (stat.name.clone(), error(stat))).collect(),
        absent_at_most: next.map_or(absent, |next| next.max(absent)),
        keys_kept: state.entries().len(),
        items: items.iter().map(|entry| item(spec, entry)).collect(),
    }
}

fn item(spec: &MonitorSpec, entry: &TopEntry) -> TopItem {
    let figures = || spec.stats.iter().map(|stat| (stat.name.clone(), stat.of_key(entry)));
    let error = |figure: TopFigure| Some(figure.error).filter(|error| *error > 0.0);
    TopItem {
        keys: spec.group_by.iter().cloned().zip(entry.key.iter().map(|part| part.to_string())).collect(),
        values: figures().map(|(name, figure)| (name, figure.map(|figure| figure.value))).collect(),
        errors: figures().filter_map(|(name, figure)| Some((name, figure.and_then(error)?))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use nightjar_model::Decimal;
    use nightjar_model::partial::TopRank;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_window_says_how_sure_it_is() {
        let spec: MonitorSpec = serde_json::from_value(json!({
            "type": "minute_top",
            "source": { "log": { "paths": [{ "path": "/x" }] } },
            "columns": [{ "name": "url", "pick": { "split": { "by": ",", "index": 1 } } },
                        { "name": "cost", "pick": { "split": { "by": ",", "index": 2 } } }],
            "group_by": ["url"],
            "stats": [{ "name": "count", "fn": "lines" }, { "name": "cost_avg", "fn": "avg", "column": "cost" }],
            "top": { "n": 2, "by": "count" },
        }))
        .expect("a monitor");
        let state = |keys: &[(&str, u64)]| {
            let keys: Vec<([&str; 1], u64)> = keys.iter().map(|(key, count)| ([*key], *count)).collect();
            let fed = keys.iter().map(|(key, count)| (key.as_slice(), *count, Decimal::from_int(*count as i64 * 2)));
            TopState::of_exact(2, TopRank::Count, fed)
        };
        let exact = state(&[("/a", 5), ("/b", 3)]);
        let mut merged = state(&[("/a", 5), ("/b", 3), ("/c", 2)]);
        merged.merge(&state(&[("/a", 1), ("/d", 9)]));
        let series = SeriesWindows {
            keys: Vec::new(),
            windows: [exact, merged]
                .into_iter()
                .enumerate()
                .map(|(at, state)| (Timestamp(at as i64 * 60_000), vec![state.into()]))
                .collect(),
        };
        let shown = serde_json::to_value(windows(&spec, Some(&series), 1, 100)).expect("JSON");
        let expected = json!({
            "groupBy": ["url"], "rankedBy": "count", "truncated": false,
            "windows": [
                { "time": "1970-01-01T00:00:00Z", "exact": true, "errors": { "count": 0.0, "cost_avg": 0.0 },
                  "absentAtMost": 3.0, "keysKept": 2,
                  "items": [{ "keys": { "url": "/a" }, "values": { "count": 5.0, "cost_avg": 2.0 } }] },
                { "time": "1970-01-01T00:01:00Z", "exact": false,
                  "errors": { "count": 2.0, "cost_avg": 22.0 / 9.0 - 18.0 / 11.0 },
                  "absentAtMost": 6.0, "keysKept": 2,
                  "items": [{ "keys": { "url": "/d" }, "values": { "count": 11.0, "cost_avg": 22.0 / 9.0 },
                              "errors": { "count": 2.0, "cost_avg": 22.0 / 9.0 - 18.0 / 11.0 } }] },
            ],
        });
        assert_eq!(shown, expected);
        assert!(windows(&spec, Some(&series), 2, 3).truncated, "more items than are answered");
    }
}
