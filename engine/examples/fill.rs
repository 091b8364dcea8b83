//! Fills an engine with windows, or opens one and says how long that took: the start benchmark.
//!
//! `fill write DIR [SERIES] [MINUTES]` (default 1000 series, 10000 minutes: ten million windows), then
//! `fill open DIR`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nightjar_engine::{Engine, EngineConfig};
use nightjar_model::delta::{Batch, MonitorDelta, Number, Partial, Watermark, WindowDelta};
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{DefinedMonitor, Intake, MonitorCatalog, WindowReader};
use nightjar_model::query::SqlFormat;
use nightjar_model::{Clock, Decimal, Span, SystemClock, Timestamp};

struct Catalog(Arc<MonitorSpec>);

#[async_trait]
impl MonitorCatalog for Catalog {
    async fn monitors(&self, _workspace: &str) -> nightjar_model::Result<Vec<DefinedMonitor>> {
        Ok(vec![DefinedMonitor { name: "fill".into(), uid: String::new(), spec: Arc::clone(&self.0) }])
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
        "stats": [{ "name": "count", "fn": "lines" }, { "name": "cost_avg", "fn": "avg", "column": "cost" }]
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

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program for people")]
async fn run() {
    let mut args = std::env::args().skip(1);
    let (mode, dir) = (args.next().unwrap_or_default(), args.next());
    let mut number = |default: i64| args.next().map_or(default, |text| text.parse().expect("a number"));
    let (series, minutes) = (number(1000), number(10_000));
    let config = EngineConfig {
        data_dir: PathBuf::from(dir.expect("a directory")),
        // Reading everything is shown for comparison, also where the build is not optimised.
        query_timeout: Span::from_secs(600),
        ..EngineConfig::default()
    };
    match mode.as_str() {
        "write" => write(config, series, minutes).await,
        "open" => {
            let started = Instant::now();
            let engine = Engine::open(config, Arc::new(SystemClock), catalog()).await.expect("opened");
            println!("ready after {:.3} s, {} MiB resident", started.elapsed().as_secs_f64(), resident_mib());
            let started = Instant::now();
            let sql = "SELECT count(*) AS windows, sum(count) AS lines FROM monitor.fill";
            let answer = engine.sql("default", sql, SqlFormat::Csv).await.expect("answered");
            let text = String::from_utf8(answer.body.read().await.expect("read")).expect("text").replace("\r\n", " ");
            println!("{text}in {:.3} s, {} MiB resident", started.elapsed().as_secs_f64(), resident_mib());
            engine.close().await.expect("closed");
        }
        other => panic!("unknown mode `{other}`: write or open"),
    }
}

#[expect(clippy::print_stdout, reason = "a program for people")]
async fn write(config: EngineConfig, series: i64, minutes: i64) {
    let engine = Engine::open(config, Arc::new(SystemClock), catalog()).await.expect("opened");
    let started = Instant::now();
    let first = SystemClock.now().0.div_euclid(60_000) - minutes;
    for minute in 0..minutes {
        let at = Timestamp((first + minute) * 60_000);
        let window = |key: i64| {
            let cost: Number = [Decimal::from_int((key * 7 + minute) % 500)].into_iter().collect();
            WindowDelta { start: at, keys: vec![format!("key-{key}")], partials: vec![Partial::lines(1), cost.into()] }
        };
        let monitor = MonitorKey::new("default", "fill");
        let delta = MonitorDelta {
            monitor: monitor.clone(),
            uid: None,
            width: Duration::from_secs(60),
            group_by: vec!["key".into()],
            fields: vec!["*".into(), "cost".into()],
            windows: (0..series).map(window).collect(),
        };
        let batch = Batch {
            agent: AgentId("fill".into()),
            incarnation: first as u64,
            sequence: minute as u64 + 1,
            digest: 0,
            deltas: vec![delta],
            watermarks: vec![Watermark::new(monitor, at)],
        };
        engine.take(batch).await.expect("taken");
        // About the memtable's budget.
        if (minute + 1) % (250_000 / series).max(1) == 0 {
            engine.flush().await.expect("flushed");
        }
    }
    engine.flush().await.expect("flushed");
    for task in engine.reconcilers().iter().filter(|task| task.name() == "engine.compact") {
        task.activate().await.expect("compacted");
    }
    engine.close().await.expect("closed");
    println!("{} windows in {:.1} s", series * minutes, started.elapsed().as_secs_f64());
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
