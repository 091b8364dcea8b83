//! An engine in a directory of its own, a clock that stands still, and deltas in short.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use nightjar_engine::{Engine, EngineConfig};
use nightjar_model::delta::{Batch, MonitorDelta, Number, Partial, Watermark, WindowDelta};
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{DefinedMonitor, Expectation, Intake, MonitorCatalog, Taken, WindowReader};
use nightjar_model::query::{SqlFormat, WindowQuery};
use nightjar_model::{Clock, Decimal, Result, Timestamp};

/// 2026-01-31T08:00:00Z
pub(crate) const EPOCH: i64 = 1_769_846_400_000;
pub(crate) const MINUTE: i64 = 60_000;
const BEGINNINGS: u64 = 99;

pub(crate) struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

impl TestClock {
    pub(crate) fn set(&self, at: i64) {
        self.0.store(at, Ordering::SeqCst);
    }
}

#[derive(Default)]
pub(crate) struct Catalog(std::sync::Mutex<BTreeMap<String, Monitors>>);

type Monitors = Vec<DefinedMonitor>;

#[async_trait]
impl MonitorCatalog for Catalog {
    async fn monitors(&self, workspace: &str) -> Result<Vec<DefinedMonitor>> {
        Ok(self.0.lock().expect("catalog").get(workspace).cloned().unwrap_or_default())
    }
}

impl Catalog {
    /// Defines a monitor; `stats` are `(name, fn, column)`.
    pub(crate) fn define(&self, workspace: &str, name: &str, group_by: &[&str], stats: &[(&str, &str, &str)]) {
        let kind = if group_by.is_empty() { "minute" } else { "minute_multi_key" };
        self.define_as(kind, workspace, name, group_by, stats);
    }

    pub(crate) fn define_as(
        &self,
        kind: &str,
        workspace: &str,
        name: &str,
        group_by: &[&str],
        stats: &[(&str, &str, &str)],
    ) {
        let stats: Vec<serde_json::Value> = stats
            .iter()
            .map(|(name, function, column)| match *column {
                "" => serde_json::json!({ "name": name, "fn": function }),
                _ => serde_json::json!({ "name": name, "fn": function, "column": column }),
            })
            .collect();
        let spec = serde_json::json!({
            "type": kind,
            "source": { "log": { "paths": [{ "path": "/x" }] } },
            "group_by": group_by,
            "stats": stats,
        });
        self.define_spec(workspace, name, spec);
    }

    pub(crate) fn define_spec(&self, workspace: &str, name: &str, spec: serde_json::Value) {
        let spec: MonitorSpec = serde_json::from_value(spec).expect("a monitor");
        let mut all = self.0.lock().expect("catalog");
        let of_workspace = all.entry(workspace.to_owned()).or_default();
        let uid =
            of_workspace.iter().find(|known| known.name == name).map_or_else(String::new, |known| known.uid.clone());
        of_workspace.retain(|known| known.name != name);
        of_workspace.push(DefinedMonitor { name: name.to_owned(), uid, spec: Arc::new(spec) });
    }

    /// From now on it is the one with this uid.
    pub(crate) fn identify(&self, workspace: &str, name: &str, uid: &str) {
        let mut all = self.0.lock().expect("catalog");
        for known in all.get_mut(workspace).into_iter().flatten().filter(|known| known.name == name) {
            uid.clone_into(&mut known.uid);
        }
    }

    pub(crate) fn delete(&self, workspace: &str, name: &str) {
        let mut all = self.0.lock().expect("catalog");
        all.entry(workspace.to_owned()).or_default().retain(|known| known.name != name);
    }
}

pub(crate) struct Fixture {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) config: EngineConfig,
    engine: Option<Arc<Engine>>,
    _dir: Option<tempfile::TempDir>,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// Where roll-ups go with their source.
    pub(crate) async fn of_one_retention() -> Self {
        Self::with(|config| (config.hour_retention, config.day_retention) = (config.retention, config.retention)).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut EngineConfig)) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut fixture = Self::at(dir.path(), change).await;
        fixture._dir = Some(dir);
        fixture
    }

    pub(crate) async fn at(dir: &Path, change: impl FnOnce(&mut EngineConfig)) -> Self {
        let mut config = EngineConfig { data_dir: dir.join("engine"), ..EngineConfig::default() };
        config.statement_program = vec![env!("CARGO_BIN_EXE_nightjar-statements").to_owned()];
        change(&mut config);
        let catalog = Arc::new(Catalog::default());
        catalog.define("w", "m", &["k"], &[("count", "lines", ""), ("v_sum", "sum", "v")]);
        let clock = Arc::new(TestClock(AtomicI64::new(EPOCH)));
        let mut fixture = Self { clock, catalog, config, engine: None, _dir: None };
        fixture.open().await;
        fixture
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("open")
    }

    async fn open(&mut self) {
        // What an answered query leaves behind is aborted, and holds the directory until it has ended.
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        let opened = loop {
            match self.try_open().await {
                Err(error) if error.message.contains("in use") && std::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                opened => break opened,
            }
        };
        self.engine = Some(opened.expect("opened"));
    }

    pub(crate) async fn try_open(&self) -> Result<Arc<Engine>> {
        let catalog = Arc::clone(&self.catalog) as Arc<dyn MonitorCatalog>;
        Engine::open(self.config.clone(), Arc::clone(&self.clock) as Arc<dyn Clock>, catalog).await
    }

    pub(crate) fn crash(&mut self) {
        self.engine = None;
    }

    /// Without closing: what is in memory only is gone.
    pub(crate) async fn crash_and_open(&mut self) {
        self.crash();
        self.open().await;
    }

    pub(crate) async fn task(&self, name: &str) {
        for task in self.engine().reconcilers().iter().filter(|task| task.name() == name) {
            task.activate().await.expect("done");
        }
    }

    pub(crate) async fn expect(&self, agents: &[&str]) {
        let ids = agents.iter().map(|agent| AgentId((*agent).into()));
        let monitor = MonitorKey::new("w", "m");
        let expectation = Expectation::new(monitor.clone(), Duration::from_secs(60), ids);
        self.engine().expect(vec![expectation]).await.expect("expected");
        let contributors = self.engine().contributors(&monitor).await.expect("contributors");
        for known in contributors.iter().filter(|known| known.through.is_none()) {
            self.begin(&known.agent.0, &[&monitor]).await;
        }
    }

    /// The agent begins to read now, as a journal of its own tells.
    pub(crate) async fn begin(&self, agent: &str, monitors: &[&MonitorKey]) {
        let id = AgentId(agent.into());
        let begun = self.engine().last_sequence(&id, BEGINNINGS).await.expect("known");
        let through = self.clock.now();
        let watermarks = monitors.iter().map(|m| Watermark::new((*m).clone(), through)).collect();
        let batch =
            Batch { agent: id, incarnation: BEGINNINGS, sequence: begun + 1, digest: 0, deltas: vec![], watermarks };
        self.take(batch).await.expect("begun");
    }

    pub(crate) async fn take(&self, batch: Batch) -> Result<Taken> {
        self.engine().take(batch).await
    }

    pub(crate) async fn csv(&self, sql: &str) -> Result<String> {
        let answer = self.engine().sql("w", sql, SqlFormat::Csv).await?;
        Ok(String::from_utf8(answer.body.read().await?).expect("text").replace("\r\n", "\n"))
    }

    /// Lines and sum of every window of `m`: by minute after the epoch and key.
    pub(crate) async fn totals(&self) -> BTreeMap<(i64, String), (u64, Decimal)> {
        let days = 15 * 24 * 60;
        self.totals_between(-days, days).await
    }

    /// Of the windows that start in those minutes after the epoch.
    pub(crate) async fn totals_between(&self, from: i64, until: i64) -> BTreeMap<(i64, String), (u64, Decimal)> {
        let query = WindowQuery {
            monitor: MonitorKey::new("w", "m"),
            from: Timestamp(EPOCH + from * MINUTE),
            until: Timestamp(EPOCH + until * MINUTE),
            filter: BTreeMap::new(),
            by: None,
            step: None,
            max_series: 1000,
        };
        let answer = self.engine().windows(query).await.expect("windows");
        let mut totals = BTreeMap::new();
        for series in answer.series {
            for (time, partials) in series.windows {
                let key = ((time.0 - EPOCH) / MINUTE, series.keys[0].clone());
                let sum = partials[1].as_number().expect("a number").sum;
                totals.insert(key, (partials[0].count(), sum));
            }
        }
        totals
    }
}

/// Of monitor `w/m`: minute after the epoch, key, value; each is a line.
pub(crate) fn lines(entries: &[(i64, &str, i64)]) -> MonitorDelta {
    let window = |(minute, key, value): &(i64, &str, i64)| {
        let figures: Number = [Decimal::from_int(*value)].into_iter().collect();
        WindowDelta {
            start: Timestamp(EPOCH + minute * MINUTE),
            keys: vec![(*key).to_owned()],
            partials: vec![Partial::lines(1), figures.into()],
        }
    };
    MonitorDelta {
        monitor: MonitorKey::new("w", "m"),
        uid: None,
        width: Duration::from_secs(60),
        group_by: vec!["k".into()],
        fields: vec!["*".into(), "v".into()],
        windows: entries.iter().map(window).collect(),
    }
}

/// Of an engine that is not open.
pub(crate) fn change_manifest(fixture: &Fixture, change: impl FnOnce(&mut serde_json::Value)) {
    let path = fixture.config.data_dir.join("manifest");
    let text = std::fs::read_to_string(&path).expect("read");
    let (_, body) = text.split_once('\n').expect("two lines");
    let mut manifest: serde_json::Value = serde_json::from_str(body).expect("JSON");
    change(&mut manifest);
    let body = manifest.to_string();
    let text = format!("nightjar-manifest 1 {:08x}\n{body}", crc32fast::hash(body.as_bytes()));
    std::fs::write(path, text).expect("written");
}

pub(crate) fn batch(agent: &str, sequence: u64, deltas: Vec<MonitorDelta>) -> Batch {
    Batch { agent: AgentId(agent.into()), incarnation: 1, sequence, digest: 0, deltas, watermarks: Vec::new() }
}

/// Read everything up to so many milliseconds after the epoch.
pub(crate) fn through(mut batch: Batch, millis: i64) -> Batch {
    batch.watermarks.push(Watermark::new(MonitorKey::new("w", "m"), Timestamp(EPOCH + millis)));
    batch
}
