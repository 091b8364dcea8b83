//! A monitor tried on lines at hand: what each line gave, and the figures of all. It is the code that
//! counts on the agents, so what is shown is what will be counted; but lines of any age count.

use std::collections::BTreeMap;
use std::path::Path;

use nightjar_model::agents::{TrialLine, TrialReport, TrialRow};
use nightjar_model::delta::{FaultReason, MonitorDelta, Partial, WindowDelta};
use nightjar_model::kinds::monitor::{MonitorSpec, TopSpec};
use nightjar_model::names::MonitorKey;
use nightjar_model::partial::TopEntry;
use nightjar_model::{Clock, Error, Result, SystemClock, Timestamp};

pub use crate::derive::derive;
use crate::pipeline::{HostFacts, Outcome, Pipeline};

/// More lines than this are not tried.
pub const MAX_LINES: usize = 10_000;

/// Tries `spec` on `lines` as on this machine.
///
/// # Errors
/// `InvalidInput` for more than [`MAX_LINES`] lines. What is wrong with `spec` is in the report.
pub fn try_lines(spec: &MonitorSpec, lines: &[String]) -> Result<TrialReport> {
    try_lines_on(&HostFacts::of_this_machine(), spec, lines)
}

/// As [`try_lines`], on a host of which these facts hold.
pub fn try_lines_on(host: &HostFacts, spec: &MonitorSpec, lines: &[String]) -> Result<TrialReport> {
    try_lines_at(SystemClock.now(), host, spec, lines)
}

/// `now` is what a time without a year is near.
fn try_lines_at(now: Timestamp, host: &HostFacts, spec: &MonitorSpec, lines: &[String]) -> Result<TrialReport> {
    if lines.len() > MAX_LINES {
        return Err(Error::invalid(format!("a trial takes at most {MAX_LINES} lines"), Vec::new()));
    }
    let mut pipeline = match Pipeline::build(MonitorKey::new("", "trial"), spec, host, true) {
        Ok(pipeline) => pipeline.of_any_age(),
        Err(problems) => return Ok(TrialReport { problems, ..TrialReport::default() }),
    };
    let tried = lines.iter().map(|line| try_line(&mut pipeline, spec, line, now)).collect();
    let faults = &pipeline.counters().faults;
    Ok(TrialReport {
        lines: tried,
        faults: faults.iter().map(|(reason, count)| (reason.name().to_owned(), *count)).collect(),
        rows: pipeline.drain().map_or_else(Vec::new, |delta| rows(spec, &delta)),
        problems: Vec::new(),
    })
}

fn try_line(pipeline: &mut Pipeline, spec: &MonitorSpec, line: &str, now: Timestamp) -> TrialLine {
    let (outcome, picked) = pipeline.examine(line, Path::new("line"), now);
    let columns: BTreeMap<String, String> =
        spec.columns.iter().zip(picked).filter_map(|(column, value)| Some((column.name.clone(), value?))).collect();
    let reason = reason(&outcome).map(str::to_owned);
    let time_format = outcome.time.map(|_| pipeline.time_format().to_owned());
    let unread = outcome.unread.name().map(str::to_owned);
    TrialLine {
        text: line.to_owned(),
        time: outcome.time,
        time_format,
        columns,
        counted: outcome.counted,
        reason,
        unread,
    }
}

fn reason(outcome: &Outcome) -> Option<&'static str> {
    match outcome.fault {
        Some(fault) => Some(fault.name()),
        None if outcome.over_limit => Some(FaultReason::KeyOverLimit.name()),
        None if !outcome.counted => Some("filtered"),
        None => None,
    }
}

/// By time, then keys.
fn rows(spec: &MonitorSpec, delta: &MonitorDelta) -> Vec<TrialRow> {
    if let Some(top) = &spec.top {
        return delta.windows.iter().flat_map(|window| top_rows(spec, top, window)).collect();
    }
    let mut rows: Vec<TrialRow> = delta
        .windows
        .iter()
        .map(|window| {
            let figure = |name: Option<&str>| {
                let at = name.and_then(|name| delta.fields.iter().position(|field| field == name)).unwrap_or(0);
                &window.partials[at]
            };
            TrialRow {
                time: window.start,
                keys: spec.group_by.iter().cloned().zip(window.keys.iter().cloned()).collect(),
                stats: spec.stats.iter().map(|s| (s.name.clone(), s.value(figure(s.field())))).collect(),
            }
        })
        .collect();
    rows.sort_by(|a, b| (a.time, &a.keys).cmp(&(b.time, &b.keys)));
    rows
}

/// The keys of a window of a Top, the greatest first, with the error of each statistic.
fn top_rows(spec: &MonitorSpec, top: &TopSpec, window: &WindowDelta) -> Vec<TrialRow> {
    let items = window.partials.iter().find_map(Partial::as_top).map_or_else(Vec::new, |state| top.items(state));
    let row = |entry: &TopEntry| TrialRow {
        time: window.start,
        keys: spec.group_by.iter().cloned().zip(entry.key.iter().map(|part| part.to_string())).collect(),
        stats: (spec.stats.iter())
            .flat_map(|stat| {
                let figure = stat.of_key(entry);
                let (value, error) = (figure.map(|figure| figure.value), figure.map(|figure| figure.error));
                [(stat.name.clone(), value), (stat.error_name(), error)]
            })
            .collect(),
    };
    items.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(spec: &str, lines: &[&str], expected: &Expect) {
        let value = nightjar_model::syntax::parse_yaml(spec).expect("YAML").remove(0);
        let mut problems = nightjar_model::Problems::new();
        let spec = nightjar_model::kinds::Spec::decode(nightjar_model::Kind::Monitor, &value, &mut problems);
        let spec = spec.and_then(|spec| spec.as_monitor().cloned()).expect("a monitor");
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let report = try_lines(&spec, &lines).expect("a report");
        let mut shown = String::new();
        for line in &report.lines {
            let time = line.time.map_or("-".to_owned(), |time| time.to_string());
            let reason = line.reason.as_deref().unwrap_or("-");
            shown.push_str(&format!("{time} counted={} {reason} {:?}\n", line.counted, line.columns));
        }
        for row in &report.rows {
            shown.push_str(&format!("{} {:?} {:?}\n", row.time, row.keys, row.stats));
        }
        shown.push_str(&format!("{:?}\n", report.faults));
        for problem in &report.problems {
            shown.push_str(&format!("{}: {}\n", problem.path, problem.message));
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn tells_what_became_of_each_line() {
        let spec = r#"
            type: minute_multi_key
            app: trade
            source: { log: { paths: [{ path: /x.log }], time: { timezone: Asia/Shanghai } } }
            columns:
              - { name: goods, pick: { split: { by: ",", index: 1 } } }
              - { name: cost, pick: { split: { by: ",", index: 2 } } }
              - { name: result, pick: { split: { by: ",", index: 3 } } }
              - { name: unused, pick: { split: { by: ",", index: 0 } } }
            filter: { exclude: [{ column: result, in: [T] }] }
            group_by: [goods, $app]
            stats: [{ name: count, fn: lines }, { name: cost_avg, fn: avg, column: cost }]
        "#;
        check(
            spec,
            &[
                "2026-11-20 12:00:00,衣服,7,Y",
                "2026-11-20 12:00:59,衣服,x,Y",
                "2026-11-20 12:01:00,食品,3,T",
                "no time,a,1,Y",
                "2026-11-20 12:01:00,食品",
                "\tat com.example.Main",
            ],
            &expect![[r#"
                2026-11-20T04:00:00Z counted=true - {"cost": "7", "goods": "衣服", "result": "Y", "unused": "2026-11-20 12:00:00"}
                2026-11-20T04:00:59Z counted=true not_a_number {"cost": "x", "goods": "衣服", "result": "Y", "unused": "2026-11-20 12:00:59"}
                2026-11-20T04:01:00Z counted=false filtered {"cost": "3", "goods": "食品", "result": "T", "unused": "2026-11-20 12:01:00"}
                - counted=false time_unreadable {"cost": "1", "goods": "a", "result": "Y", "unused": "no time"}
                2026-11-20T04:01:00Z counted=false column_missing {"goods": "食品", "unused": "2026-11-20 12:01:00"}
                - counted=false time_unreadable {"unused": "\tat com.example.Main"}
                2026-11-20T04:00:00Z [("goods", "衣服"), ("$app", "trade")] [("count", Some(2.0)), ("cost_avg", Some(7.0))]
                {"column_missing": 1, "not_a_number": 1, "time_unreadable": 2}
            "#]],
        );
    }

    #[test]
    fn says_why_a_time_cannot_be_read() {
        let why = |zone: &str, line: &str| {
            let log = format!("{{ paths: [{{ path: /x.log }}], time: {zone} }}");
            let spec = format!("{{ type: minute, source: {{ log: {log} }}, stats: [{{ name: n, fn: lines }}] }}");
            let value = nightjar_model::syntax::parse_yaml(&spec).expect("YAML").remove(0);
            let spec: MonitorSpec = serde_json::from_value(value).expect("a monitor");
            let report = try_lines(&spec, &[line.to_owned()]).expect("a report");
            report.lines[0].unread.clone()
        };
        let line = "Fri Nov 27 10:00:00 CST 2026";
        assert_eq!(why("{}", line).as_deref(), Some("shared_zone"));
        assert_eq!(why("{ timezone: Europe/Berlin }", line).as_deref(), Some("shared_zone"));
        assert_eq!(why("{ timezone: Asia/Shanghai }", line), None);
        assert_eq!(why("{}", "05/06/2026 10:00:00").as_deref(), Some("two_meanings"));
        assert_eq!(why("{}", "no time"), None);
    }

    #[test]
    fn service_metrics_count_successes_and_failures() {
        let spec = r#"
            type: service_metrics
            source: { log: { paths: [{ path: /x.log }], time: { timezone: UTC } } }
            columns:
              - { name: station, pick: { split: { by: ",", index: 1 } } }
              - { name: cost, pick: { split: { by: ",", index: 2 } } }
              - { name: result, pick: { split: { by: ",", index: 3 } } }
            group_by: [station]
            service: { result: result, success: [Y, OK], cost: cost }
        "#;
        check(
            spec,
            &[
                "2026-11-20 12:00:00,a,7,Y",
                "2026-11-20 12:00:01,a,8,OK",
                "2026-11-20 12:00:02,a,x,N",
                "2026-11-20 12:00:03,a,5,",
                "2026-11-20 12:00:03,b,5",
            ],
            &expect![[r#"
                2026-11-20T12:00:00Z counted=true - {"cost": "7", "result": "Y", "station": "a"}
                2026-11-20T12:00:01Z counted=true - {"cost": "8", "result": "OK", "station": "a"}
                2026-11-20T12:00:02Z counted=true not_a_number {"cost": "x", "result": "N", "station": "a"}
                2026-11-20T12:00:03Z counted=true - {"cost": "5", "result": "", "station": "a"}
                2026-11-20T12:00:03Z counted=false column_missing {"cost": "5", "station": "b"}
                2026-11-20T12:00:00Z [("station", "a")] [("total", Some(4.0)), ("success", Some(2.0)), ("failure", Some(2.0)), ("success_rate", Some(50.0)), ("cost_avg", Some(6.666666666666667))]
                {"column_missing": 1, "not_a_number": 1}
            "#]],
        );
    }

    #[test]
    fn reports_what_is_wrong_with_the_monitor() {
        let spec = r#"
            type: minute
            source: { log: { paths: [{ path: x.log }], charset: klingon } }
        "#;
        check(
            spec,
            &["x"],
            &expect![[r#"
            {}
            spec.source.log.paths[0]: must be absolute: write the whole path, beginning with `/`
        "#]],
        );
        check(
            &spec.replace("x.log", "/x.log"),
            &["x"],
            &expect![[r#"
            {}
            spec.source.log.charset: `klingon` is not an encoding; known are auto, utf-8, gbk, big5, latin1 and the other labels of WHATWG
        "#]],
        );
    }
}
