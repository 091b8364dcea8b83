//! Writes a day of windows, and says how long reading it takes: the query benchmark.
//!
//! `query write DIR KEYS MINUTES [PARTS]`: windows of a past day, compacted. With PARTS, each window comes in so
//! many parts, flushed one after another and not compacted, so that reading has to merge.
//! `query measure DIR RUNS [KEYS]`: a line `name milliseconds` for each run; with KEYS, of one key out of so many.
//! `query answers DIR [KEYS]`: what the statements answer, to compare. `query ask DIR SQL`: a statement, three times.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nightjar_engine::{Engine, EngineConfig};
use nightjar_model::delta::{Batch, MonitorDelta, Number, Partial, WindowDelta};
use nightjar_model::kinds::alert_rule::KeyMatch;
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{DefinedMonitor, Intake, MonitorCatalog, WindowReader};
use nightjar_model::query::{SqlFormat, WindowQuery};
use nightjar_model::{Clock, Decimal, Span, SystemClock, Timestamp};

const MINUTE: i64 = 60_000;
const DAY: i64 = 1440 * MINUTE;

struct Catalog(Arc<MonitorSpec>);

#[async_trait]
impl MonitorCatalog for Catalog {
    async fn monitors(&self, _workspace: &str) -> nightjar_model::Result<Vec<DefinedMonitor>> {
        Ok(vec![DefinedMonitor { name: "day".into(), uid: String::new(), spec: Arc::clone(&self.0) }])
    }
}

fn catalog() -> Arc<Catalog> {
    let spec = serde_json::json!({
        "type": "minute_multi_key",
        "source": { "log": { "paths": [{ "path": "/x" }] } },
        "columns": [
            { "name": "key", "pick": { "split": { "by": ",", "index": 0 } } },
            { "name": "cost", "pick": { "split": { "by": ",", "index": 1 } } }
        ],
        "group_by": ["key"],
        "stats": [
            { "name": "count", "fn": "lines" },
            { "name": "cost", "fn": "sum", "column": "cost" },
            { "name": "cost_avg", "fn": "avg", "column": "cost" },
            { "name": "cost_max", "fn": "max", "column": "cost" }
        ]
    });
    Arc::new(Catalog(Arc::new(serde_json::from_value(spec).expect("a monitor"))))
}

fn main() -> std::process::ExitCode {
    // The engine starts this program for statements.
    if std::env::args().nth(1).is_some_and(|argument| argument == "sql-statements") {
        return nightjar_engine::serve_statements();
    }
    run();
    std::process::ExitCode::SUCCESS
}

#[tokio::main(worker_threads = 2)]
async fn run() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| args.get(at).map(|text| text.parse::<i64>().expect("a number"));
    let config = EngineConfig {
        data_dir: PathBuf::from(args.get(1).expect("a directory")),
        query_timeout: Span::from_secs(600),
        retention: Span::from_secs(30 * 86_400),
        ..EngineConfig::default()
    };
    let engine = Engine::open(config, Arc::new(SystemClock), catalog()).await.expect("opened");
    match args[0].as_str() {
        "write" => write(&engine, number(2).expect("keys"), number(3).expect("minutes"), number(4)).await,
        "measure" => measure(&engine, number(2).expect("runs"), number(3)).await,
        "answers" => answers(&engine, number(2)).await,
        "ask" => ask_for(&engine, args.get(2).expect("a statement")).await,
        other => panic!("unknown mode `{other}`: write, measure, answers or ask"),
    }
    engine.close().await.expect("closed");
}

/// The day before yesterday: its blocks become one.
fn day() -> i64 {
    (SystemClock.now().0.div_euclid(DAY) - 2) * DAY
}

async fn write(engine: &Engine, keys: i64, minutes: i64, parts: Option<i64>) {
    let monitor = MonitorKey::new("default", "day");
    let mut sequence = 0;
    for stretch in 0..(minutes + 119) / 120 {
        for part in 0..parts.unwrap_or(1) {
            for minute in stretch * 120..minutes.min((stretch + 1) * 120) {
                let window = |key: i64| {
                    let cost: Number = [Decimal::from_int((key * 7 + minute * 13 + part) % 500)].into_iter().collect();
                    WindowDelta {
                        start: Timestamp(day() + minute * MINUTE),
                        keys: vec![format!("key-{key}")],
                        partials: vec![Partial::lines(1), cost.into()],
                    }
                };
                let delta = MonitorDelta {
                    monitor: monitor.clone(),
                    uid: None,
                    width: Duration::from_secs(60),
                    group_by: vec!["key".into()],
                    fields: vec!["*".into(), "cost".into()],
                    windows: (0..keys).map(window).collect(),
                };
                sequence += 1;
                let batch = Batch {
                    agent: AgentId("fill".into()),
                    incarnation: 1,
                    sequence,
                    digest: 0,
                    deltas: vec![delta],
                    watermarks: Vec::new(),
                };
                engine.take(batch).await.expect("taken");
                let last = minute + 1 == minutes.min((stretch + 1) * 120);
                if last || (parts.is_none() && (minute + 1) % (300_000 / keys).max(1) == 0) {
                    engine.flush().await.expect("flushed");
                }
            }
        }
    }
    if parts.is_none() {
        for task in engine.reconcilers().iter().filter(|task| task.name() == "engine.compact") {
            task.activate().await.expect("compacted");
        }
    }
}

/// Names and statements; those of one key are of another set of windows.
fn statements(keys: Option<i64>) -> Vec<(&'static str, String)> {
    let Some(keys) = keys else {
        let minute = "TIMESTAMP '{}'".replace("{}", &Timestamp(day() + 700 * MINUTE).to_string().replace('Z', ""));
        let groups = "count(*) AS groups, sum(n) AS n, sum(c) AS c";
        return vec![
            ("count", "SELECT count(*) FROM monitor.day".into()),
            ("sum", "SELECT sum(count), sum(cost) FROM monitor.day".into()),
            ("max", "SELECT max(cost_max) FROM monitor.day".into()),
            (
                "key",
                format!(
                    "SELECT {groups} FROM (SELECT key, sum(count) AS n, sum(cost) AS c FROM monitor.day GROUP BY key)"
                ),
            ),
            (
                "hour-key",
                format!(
                    "SELECT {groups} FROM (SELECT date_trunc('hour', time) AS h, key, sum(count) AS n, sum(cost) AS c \
                     FROM monitor.day GROUP BY 1, 2)"
                ),
            ),
            ("minute", format!("SELECT key, count, cost FROM monitor.day WHERE time = {minute}")),
        ];
    };
    vec![("one-key", format!("SELECT time, count, cost FROM monitor.day WHERE key = 'key-{}'", keys / 2))]
}

fn windows(keys: Option<i64>) -> Vec<(&'static str, WindowQuery)> {
    let all = WindowQuery {
        monitor: MonitorKey::new("default", "day"),
        from: Timestamp(day()),
        until: Timestamp(day() + DAY),
        filter: BTreeMap::new(),
        by: None,
        step: Some(Duration::from_secs(86_400)),
        max_series: 1_000_000,
    };
    let minute = Timestamp(day() + 700 * MINUTE);
    let minute_end = Timestamp(minute.0 + MINUTE);
    if let Some(keys) = keys {
        let matches = KeyMatch::In(vec![format!("key-{}", keys / 2)]);
        let filter = BTreeMap::from([("key".to_owned(), matches)]);
        return vec![("windows-one-key", WindowQuery { filter, step: None, ..all })];
    }
    vec![
        ("windows-day", all.clone()),
        ("windows-total", WindowQuery { by: Some(Vec::new()), step: None, ..all.clone() }),
        ("windows-minute", WindowQuery { from: minute, until: minute_end, step: None, ..all }),
    ]
}

async fn ask(engine: &Engine, sql: &str) -> String {
    let answer = engine.sql("default", sql, SqlFormat::Csv).await.expect("answered");
    String::from_utf8(answer.body.read().await.expect("read")).expect("text")
}

#[expect(clippy::print_stdout, reason = "a program for people")]
async fn ask_for(engine: &Engine, sql: &str) {
    for _ in 0..3 {
        let started = Instant::now();
        let answer = ask(engine, sql).await;
        println!("{:.1} ms\n{answer}", started.elapsed().as_secs_f64() * 1000.0);
    }
}

#[expect(clippy::print_stdout, reason = "a program for people")]
async fn measure(engine: &Engine, runs: i64, keys: Option<i64>) {
    let milliseconds = |started: Instant| started.elapsed().as_secs_f64() * 1000.0;
    for (name, sql) in statements(keys) {
        // The first run brings the files into memory.
        for run in 0..=runs {
            let started = Instant::now();
            ask(engine, &sql).await;
            if run > 0 {
                println!("{name} {:.2}", milliseconds(started));
            }
        }
    }
    for (name, query) in windows(keys) {
        for run in 0..=runs {
            let started = Instant::now();
            let answer = engine.windows(query.clone()).await.expect("answered");
            if run > 0 {
                println!("{name} {:.2}", milliseconds(started));
            }
            drop(answer);
        }
    }
}

/// Of statements with few rows the answer, of others how many.
#[expect(clippy::print_stdout, reason = "a program for people")]
async fn answers(engine: &Engine, keys: Option<i64>) {
    for (name, sql) in statements(keys) {
        let text = ask(engine, &sql).await;
        let rows = text.lines().count() - 1;
        println!(
            "{name} {}",
            if rows == 1 { text.lines().nth(1).unwrap_or_default().to_owned() } else { rows.to_string() }
        );
    }
    for (name, query) in windows(keys) {
        let answer = engine.windows(query).await.expect("answered");
        let lines = answer.series.iter().flat_map(|series| &series.windows).map(|(_, partials)| partials[0].count());
        println!("{name} {} {}", answer.series.len(), lines.sum::<u64>());
    }
}
