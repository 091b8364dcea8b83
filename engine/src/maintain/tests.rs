use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use nightjar_model::delta::{Batch, MonitorDelta, Number, Partial, WindowDelta};
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{DefinedMonitor, Intake, MonitorCatalog};
use nightjar_model::{Clock, Result, Timestamp};

use super::*;
use crate::block::Block;
use crate::block::read::{BlockRows, Wanted};
use crate::rollups::Level;
use crate::tier::{DAY, HOUR, Tier};
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
        send(&engine, sequence, &[(NOW - 86_400_000, "")]).await;
    }
    engine
}

async fn send(engine: &Engine, sequence: u64, windows: &[(i64, &str)]) {
    take(engine, sequence, windows).await;
    engine.flush().await.expect("flushed");
}

async fn take(engine: &Engine, sequence: u64, windows: &[(i64, &str)]) {
    let window = |(start, key): &(i64, &str)| WindowDelta {
        start: Timestamp(*start),
        keys: vec![(*key).to_owned()],
        partials: vec![Partial::lines(1)],
    };
    let delta = MonitorDelta {
        monitor: MonitorKey::new("w", "m"),
        uid: None,
        width: Duration::from_secs(60),
        group_by: vec!["k".into()],
        fields: vec!["*".into()],
        windows: windows.iter().map(window).collect(),
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

#[tokio::test]
async fn more_series_than_fit_into_memory_are_rolled_up_in_passes() {
    let dir = tempfile::tempdir().expect("tempdir");
    let engine = engine(dir.path(), 1..=1).await;
    let begin = NOW.div_euclid(DAY) * DAY - 2 * DAY;
    let keys: Vec<String> = (0..150).map(|key| key.to_string()).collect();
    for sequence in 2..=4 {
        // Minutes of three hours, far apart.
        let minute = |at: i64| begin + (at % 3) * 5 * HOUR + (at / 3) * 60_000 * sequence as i64;
        let windows: Vec<(i64, &str)> =
            keys.iter().flat_map(|key| (0..12).map(move |at| (minute(at), key.as_str()))).collect();
        send(&engine, sequence, &windows).await;
    }
    rollup::roll_up(&engine.shared).await.expect("rolled up");
    let blocks = Arc::clone(&engine.shared.state.read().expect("state").blocks);
    for (tier, windows) in [(Tier::Hour, 150 * 3), (Tier::Day, 150)] {
        let rolled: Vec<&Arc<Block>> = blocks.iter().filter(|block| block.meta.tier == tier).collect();
        assert_eq!(rolled.len(), 1);
        let mut source = BlockRows::open(&engine.shared.storage, &rolled[0].meta, Wanted::ALL).await.expect("open");
        let (mut all, mut rows) = (Vec::new(), Vec::new());
        loop {
            source.next(&mut rows).await.expect("read");
            if rows.is_empty() {
                break;
            }
            all.append(&mut rows);
        }
        assert_eq!(all.len(), windows);
        assert_eq!(all.iter().map(|row| row.partial.count()).sum::<u64>(), 3 * 12 * 150);
    }
}

#[tokio::test]
async fn what_is_flushed_while_it_is_rolled_up_is_late() {
    let dir = tempfile::tempdir().expect("tempdir");
    let engine = engine(dir.path(), 1..=1).await;
    let begin = NOW.div_euclid(DAY) * DAY - 2 * DAY;
    send(&engine, 2, &[(begin, "x")]).await;
    take(&engine, 3, &[(begin, "x"), (begin, "y")]).await;
    let before = files(dir.path());
    let turn = engine.shared.turn().await.expect("the turn");
    // Both wait for the turn, the flush first, and the roll-up has read what there was.
    let flush = async { engine.flush().await.expect("flushed") };
    let roll_up = async { rollup::roll_up(&engine.shared).await.expect("rolled up") };
    let release = async {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while files(dir.path()) < before + 2 {
            assert!(std::time::Instant::now() < deadline, "it is not rolled up");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(turn);
    };
    tokio::join!(flush, roll_up, release);
    let rows = || {
        let state = engine.shared.state.read().expect("state");
        let late = state.rollups.late(Level::Days, begin);
        let rolled = state.blocks.iter().filter(|block| block.meta.tier == Tier::Hour);
        (late.len(), rolled.map(|block| block.meta.rows).sum::<u64>())
    };
    // So it was done again, with the late ones.
    assert_eq!(rows(), (0, 2));
}
