//! Golden queries: `sql/*.slt`, each run with the windows in memory, in blocks, and in compacted ones.
//!
//! A case is `query` or `error`, the statement, `----`, and what is answered as CSV (or a part of the
//! error), up to an empty line.

use std::time::Duration;

use nightjar_model::delta::{FAULT_KEYS, FAULTS_MONITOR, MonitorDelta, Number, Partial, WindowDelta};
use nightjar_model::names::MonitorKey;
use nightjar_model::ports::WindowReader;
use nightjar_model::query::SqlFormat;
use nightjar_model::{Decimal, Timestamp};

use crate::fixture::{EPOCH, Fixture, MINUTE, batch};

fn delta(monitor: &str, group_by: &[&str], fields: &[&str], rows: &[(i64, &[&str], u64, &[i64])]) -> MonitorDelta {
    let window = |(minute, keys, count, values): &(i64, &[&str], u64, &[i64])| {
        let mut partials = vec![Partial::lines(*count)];
        if fields.len() > 1 {
            let figures: Number = values.iter().map(|value| Decimal(i128::from(*value) * 500_000_000)).collect();
            partials.push(figures.into());
        }
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        WindowDelta { start: Timestamp(EPOCH + minute * MINUTE), keys, partials }
    };
    MonitorDelta {
        monitor: MonitorKey::new("w", monitor),
        uid: None,
        width: Duration::from_secs(60),
        group_by: group_by.iter().map(|key| (*key).to_owned()).collect(),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        windows: rows.iter().map(window).collect(),
    }
}

async fn filled() -> Fixture {
    let fixture = Fixture::new().await;
    let stats = [
        ("count", "lines", ""),
        ("cost_sum", "sum", "cost"),
        ("cost_avg", "avg", "cost"),
        ("cost_min", "min", "cost"),
        ("cost_max", "max", "cost"),
    ];
    fixture.catalog.define("w", "trade-create", &["goods", "$host"], &stats);
    fixture.catalog.define("w", "login", &[], &[("count", "lines", "")]);
    fixture.catalog.define("w", "visits", &["user", "interval"], &[("count", "lines", "")]);
    fixture.clock.set(EPOCH);
    let agents = [("a", "h1"), ("b", "h2")].map(|(agent, _)| nightjar_model::names::AgentId(agent.into()));
    let expected = ["trade-create", "login"].map(|name| {
        nightjar_model::ports::Expectation::new(MonitorKey::new("w", name), Duration::from_secs(60), agents.clone())
    });
    nightjar_model::ports::Intake::expect(fixture.engine(), expected.to_vec()).await.expect("expected");
    for agent in ["a", "b"] {
        fixture.begin(agent, &expected.each_ref().map(|expectation| &expectation.monitor)).await;
    }
    fixture.clock.set(EPOCH + 200 * MINUTE);
    let trade = |rows: &[(i64, &[&str], u64, &[i64])]| delta("trade-create", &["goods", "$host"], &["*", "cost"], rows);
    let first = trade(&[
        (1, &["book", "h1"], 3, &[20, 40, 60]),
        (1, &["pen", "h1"], 1, &[7]),
        (2, &["book", "h1"], 2, &[10]),
        (130, &["book", "h1"], 1, &[]),
    ]);
    let second = trade(&[(1, &["book", "h2"], 2, &[100, 300]), (2, &["it's, \"so\"", "h2"], 1, &[1])]);
    let late = trade(&[(1, &["book", "h1"], 1, &[80])]);
    let login = delta("login", &[], &["*"], &[(1, &[], 5, &[]), (2, &[], 6, &[])]);
    let faults = delta(FAULTS_MONITOR, &FAULT_KEYS, &["*"], &[(1, &["trade-create", "time_unreadable", "h1"], 9, &[])]);
    let through = |monitor: &str, minute: i64| {
        nightjar_model::delta::Watermark::new(MonitorKey::new("w", monitor), Timestamp(EPOCH + minute * MINUTE))
    };
    let visits =
        delta("visits", &["user", "interval"], &["*"], &[(1, &["ann", "b"], 1, &[]), (1, &["ann", "a"], 2, &[])]);
    let mut one = batch("a", 1, vec![first, login, visits, faults]);
    one.watermarks = vec![through("trade-create", 131), through("login", 2)];
    let mut two = batch("b", 1, vec![second]);
    two.watermarks = vec![through("trade-create", 3), through("login", 2)];
    for batch in [one, two, batch("a", 2, vec![late])] {
        fixture.take(batch).await.expect("taken");
    }
    fixture
}

async fn check(fixture: &Fixture, state: &str) {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engine/sql");
    let mut cases = 0;
    for entry in std::fs::read_dir(dir).expect("golden files") {
        let path = entry.expect("entry").path();
        let text = std::fs::read_to_string(&path).expect("read");
        for case in text.split("\n\n").map(str::trim).filter(|case| !case.is_empty() && !case.starts_with('#')) {
            let (kind, rest) = case.split_once('\n').expect("a kind");
            let (sql, expected) = rest.split_once("\n----").expect("an answer");
            let answer = fixture.csv(sql).await;
            let context = format!("{}, {state}: {sql}", path.display());
            match kind {
                "query" => assert_eq!(answer.expect(&context).trim_end(), expected.trim_start(), "{context}"),
                "error" => {
                    let error = answer.expect_err(&context);
                    assert!(error.message.contains(expected.trim()), "{context}: {error}");
                }
                other => panic!("unknown kind {other} in {}", path.display()),
            }
            cases += 1;
        }
    }
    assert!(cases > 20, "only {cases} cases were found");
}

#[tokio::test]
async fn answers_are_the_same_wherever_the_windows_are() {
    let mut fixture = filled().await;
    check(&fixture, "in memory").await;
    fixture.crash_and_open().await;
    check(&fixture, "replayed").await;
    fixture.engine().flush().await.expect("flushed");
    check(&fixture, "in blocks").await;
    fixture.clock.set(EPOCH + 3 * 1440 * MINUTE);
    fixture.task("engine.compact").await;
    fixture.clock.set(EPOCH + 200 * MINUTE);
    check(&fixture, "in a day's block").await;
    fixture.crash_and_open().await;
    check(&fixture, "reopened").await;
}

#[tokio::test]
async fn json_says_names_types_and_values() {
    let fixture = filled().await;
    let sql = "SELECT time, goods, count, cost_avg, completeness FROM monitor.\"trade-create\" \
               WHERE goods LIKE 'it%' OR time > '2026-01-31T10:00:00Z' ORDER BY time";
    let answer = fixture.engine().sql("w", sql, SqlFormat::Json).await.expect("answered");
    assert_eq!(answer.content_type, "application/json");
    let mut json: serde_json::Value = serde_json::from_slice(&answer.body.read().await.expect("read")).expect("JSON");
    assert!(json.as_object_mut().expect("an object").remove("elapsed_ms").expect("there").is_u64());
    let expected = serde_json::json!({
        "columns": [
            { "name": "time", "type": "TIMESTAMP" }, { "name": "goods", "type": "VARCHAR" },
            { "name": "count", "type": "BIGINT" }, { "name": "cost_avg", "type": "DOUBLE" },
            { "name": "completeness", "type": "VARCHAR" }
        ],
        "rows": [
            { "time": "2026-01-31T08:02:00Z", "goods": "it's, \"so\"", "count": 1, "cost_avg": 0.5, "completeness": "complete" },
            { "time": "2026-01-31T10:10:00Z", "goods": "book", "count": 1, "cost_avg": null, "completeness": "partial" }
        ]
    });
    assert_eq!(json, expected);
}

#[tokio::test]
async fn arrow_streams_are_read_back() {
    let fixture = filled().await;
    let answer = fixture.engine().sql("w", "SELECT count FROM monitor.login ORDER BY time", SqlFormat::Arrow).await;
    let body = answer.expect("answered").body.read().await.expect("read");
    let reader = arrow::ipc::reader::StreamReader::try_new(body.as_slice(), None).expect("a stream");
    let rows: usize = reader.map(|batch| batch.expect("a batch").num_rows()).sum();
    assert_eq!(rows, 2);
}
