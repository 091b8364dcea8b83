use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use nightjar_model::delta::{Batch, MonitorDelta, Number, Partial, WindowDelta};
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{DefinedMonitor, Intake, MonitorCatalog};
use nightjar_model::{Clock, Timestamp};

use super::*;
use crate::{Engine, EngineConfig};

const NOW: i64 = 1_769_846_400_000;

struct Nothing;

impl Clock for Nothing {
    fn now(&self) -> Timestamp {
        Timestamp(NOW)
    }
}

#[async_trait]
impl MonitorCatalog for Nothing {
    async fn monitors(&self, _: &str) -> Result<Vec<DefinedMonitor>> {
        Ok(Vec::new())
    }
}

async fn engine(dir: &Path, sequences: std::ops::RangeInclusive<u64>) -> Arc<Engine> {
    let config = EngineConfig { data_dir: dir.to_owned(), ..EngineConfig::default() };
    let engine = Engine::open(config, Arc::new(Nothing), Arc::new(Nothing)).await.expect("opened");
    for sequence in sequences {
        let window =
            WindowDelta { start: Timestamp(NOW - 86_400_000), keys: Vec::new(), partials: vec![Partial::lines(1)] };
        let delta = MonitorDelta {
            monitor: MonitorKey::new("w", "m"),
            uid: None,
            width: Duration::from_secs(60),
            group_by: Vec::new(),
            fields: vec!["*".into()],
            windows: vec![window],
        };
        let batch = Batch {
            agent: AgentId("a".into()),
            incarnation: 1,
            sequence,
            digest: 0,
            deltas: vec![delta],
            watermarks: Vec::new(),
        };
        engine.take(batch).await.expect("taken");
        engine.flush().await.expect("flushed");
    }
    engine
}

fn files(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("blocks")).expect("blocks").count()
}

#[tokio::test]
async fn a_block_that_is_read_stays_until_its_reader_is_done() {
    let dir = tempfile::tempdir().expect("tempdir");
    let engine = engine(dir.path(), 1..=8).await;
    let snapshot = {
        let state = engine.shared.state.read().expect("state");
        state.snapshot(&MonitorKey::new("w", "m"), None, i64::MIN, i64::MAX)
    };
    compact::compact(&engine.shared).await.expect("compacted");
    assert_eq!((snapshot.blocks.len(), files(dir.path())), (8, 9));
    drop(snapshot);
    compact::compact(&engine.shared).await.expect("swept");
    assert_eq!(files(dir.path()), 1);
}

#[tokio::test]
async fn a_flush_that_fails_leaves_nothing_behind_and_is_tried_again() {
    let dir = tempfile::tempdir().expect("tempdir");
    let engine = engine(dir.path(), 1..=1).await;
    let taken = Batch {
        agent: AgentId("a".into()),
        incarnation: 1,
        sequence: 2,
        digest: 0,
        deltas: Vec::new(),
        watermarks: Vec::new(),
    };
    engine.take(taken.clone()).await.expect("taken");
    // The manifest cannot be written where a directory is in its way.
    let obstacle = dir.path().join("manifest.new");
    std::fs::create_dir(&obstacle).expect("made");
    assert!(engine.flush().await.is_err());
    std::fs::remove_dir(&obstacle).expect("removed");
    assert_eq!(files(dir.path()), 1);
    let log = || std::fs::read_dir(dir.path().join("wal")).expect("wal").count();
    assert_eq!(log(), 2, "what is not in blocks is still in the log");
    engine.flush().await.expect("flushed");
    assert_eq!(log(), 1);
    assert_eq!(engine.take(taken).await.expect("known"), nightjar_model::ports::Taken::Repeat);
}

/// Windows of `keys` in the minutes `[from, until)` of the day before.
fn minutes(sequence: u64, keys: u32, from: i64, until: i64) -> Batch {
    let day = (NOW - 86_400_000).div_euclid(86_400_000) * 86_400_000;
    let window = |minute: i64, key: u32| {
        // Figures without a pattern, as they are: those with one are packed far better in large blocks.
        let mixed = (u64::from(key) << 32 | minute as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let cost: Number = [nightjar_model::Decimal::from_int(mixed as i64 % 1000)].into_iter().collect();
        WindowDelta {
            start: Timestamp(day + minute * 60_000),
            keys: vec![format!("key-{key}")],
            partials: vec![Partial::lines(3), cost.into()],
        }
    };
    let delta = MonitorDelta {
        monitor: MonitorKey::new("w", "m"),
        uid: None,
        width: Duration::from_secs(60),
        group_by: vec!["k".into()],
        fields: vec!["*".into(), "v".into()],
        windows: (from..until).flat_map(|minute| (0..keys).map(move |key| window(minute, key))).collect(),
    };
    Batch {
        agent: AgentId("a".into()),
        incarnation: 1,
        sequence,
        digest: 0,
        deltas: vec![delta],
        watermarks: Vec::new(),
    }
}

fn stored(engine: &Engine) -> u64 {
    engine.shared.manifest.lock().expect("manifest").blocks.iter().map(|block| block.bytes).sum()
}

#[tokio::test]
async fn what_is_written_is_a_few_times_what_is_stored_and_late_lines_cost_little() {
    let dir = tempfile::tempdir().expect("tempdir");
    let clock = Arc::new(Moving(AtomicI64::new(NOW)));
    let config = EngineConfig { data_dir: dir.path().to_owned(), ..EngineConfig::default() };
    let engine = Engine::open(config, Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(Nothing)).await.expect("opened");
    let (keys, flushes) = (1000, 50);
    for flush in 0..flushes {
        engine.take(minutes(flush as u64 + 1, keys, flush * 10, flush * 10 + 10)).await.expect("taken");
        engine.flush().await.expect("flushed");
        compact::compact(&engine.shared).await.expect("compacted");
    }
    clock.0.store(NOW + 3_600_000, Ordering::SeqCst);
    compact::compact(&engine.shared).await.expect("compacted");
    assert_eq!(files(dir.path()), 1);
    let written = engine.shared.storage.written();
    assert!(written <= 5 * stored(&engine), "{written} written for {}", stored(&engine));
    // Thirty times a late line, and time enough to settle after each.
    let mut now = NOW + 3_600_000;
    for late in 0..30 {
        engine.take(minutes(51 + late, 1, 5 + late as i64, 6 + late as i64)).await.expect("taken");
        engine.flush().await.expect("flushed");
        now += 3_600_000;
        clock.0.store(now, Ordering::SeqCst);
        compact::compact(&engine.shared).await.expect("compacted");
    }
    let late = engine.shared.storage.written() - written;
    assert!(late < 500_000, "{late}");
    assert!(files(dir.path()) <= 4, "{}", files(dir.path()));
}

struct Moving(AtomicI64);

impl Clock for Moving {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}
