//! What keeping a day costs: windows a second, what is written for what is kept, and what a few late lines
//! write anew.
//!
//! `ingest DIRECTORY KEYS FLUSHES`: a day of KEYS keys, of each minute a count of lines and a number, as one batch
//! that is decoded from what an agent sends; FLUSHES times in even parts written to blocks, after each of which
//! everything that is due is compacted and rolled up. Then 30 lines come late, twenty minutes after one another and
//! each flushed alone. Time goes by as the windows say; how long it takes is by the clock on the wall.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nightjar_engine::{Engine, EngineConfig};
use nightjar_model::delta::{Batch, MonitorDelta, Number, Partial, WindowDelta};
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{DefinedMonitor, Intake, MonitorCatalog};
use nightjar_model::protocol::{decode_gathered, encode_gathered};
use nightjar_model::{Clock, Decimal, Timestamp};

/// A midnight.
const DAY: i64 = 1_769_817_600_000;
const MINUTE: i64 = 60_000;
const MINUTES: i64 = 1440;
const LATE: i64 = 30;

type Outcome<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

struct At(AtomicI64);

impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

struct Catalog(Arc<MonitorSpec>);

#[async_trait]
impl MonitorCatalog for Catalog {
    async fn monitors(&self, _workspace: &str) -> nightjar_model::Result<Vec<DefinedMonitor>> {
        Ok(vec![DefinedMonitor { name: "day".into(), uid: String::new(), spec: Arc::clone(&self.0) }])
    }
}

fn catalog() -> Outcome<Arc<Catalog>> {
    let spec = serde_json::json!({
        "type": "minute_multi_key",
        "source": { "log": { "paths": [{ "path": "/x" }] } },
        "columns": [
            { "name": "key", "pick": { "split": { "by": ",", "index": 0 } } },
            { "name": "cost", "pick": { "split": { "by": ",", "index": 1 } } }
        ],
        "group_by": ["key"],
        "stats": [{ "name": "count", "fn": "lines" }, { "name": "cost", "fn": "sum", "column": "cost" }]
    });
    Ok(Arc::new(Catalog(Arc::new(serde_json::from_value(spec)?))))
}

/// Scattered, so that blocks do not come out smaller than those of real figures.
fn scattered(key: i64, minute: i64) -> u64 {
    let mut x = (key as u64) << 32 | minute as u64;
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        x = (x ^ (x >> 30)).wrapping_mul(factor);
    }
    x ^ (x >> 31)
}

/// What an agent sends for a minute, uncompressed.
fn payload(minute: i64, keys: std::ops::Range<i64>) -> Vec<u8> {
    let window = |key: i64| {
        let random = scattered(key, minute);
        let costs = [random % 500, (random >> 16) % 500].map(|cost| Decimal::from_int(cost as i64));
        let cost: Number = costs.into_iter().collect();
        WindowDelta {
            start: Timestamp(DAY + minute * MINUTE),
            keys: vec![format!("key-{key}")],
            partials: vec![Partial::lines(1 + (random >> 32) % 40), cost.into()],
        }
    };
    let delta = MonitorDelta {
        monitor: MonitorKey::new("default", "day"),
        uid: None,
        width: Duration::from_secs(60),
        group_by: vec!["key".into()],
        fields: vec!["*".into(), "cost".into()],
        windows: keys.map(window).collect(),
    };
    encode_gathered(&[delta], &[])
}

/// What is measured: apart from the making of what an agent sends.
#[derive(Default)]
struct Cost {
    wall: Duration,
    /// In ticks of the kernel.
    processor: u64,
    written: u64,
}

impl Cost {
    fn now(started: Instant) -> Outcome<Self> {
        let written = std::fs::read_to_string("/proc/self/io")?;
        let written =
            written.lines().find_map(|line| line.strip_prefix("wchar: ")).ok_or("no wchar in /proc/self/io")?;
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        // Those after the name, which may have blanks itself: of the twelfth and thirteenth, user and system.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let [user, system, ..] = fields.get(11..).unwrap_or_default() else {
            return Err("no times in /proc/self/stat".into());
        };
        let processor = user.parse::<u64>()? + system.parse::<u64>()?;
        Ok(Self { wall: started.elapsed(), processor, written: written.parse()? })
    }

    fn add(&mut self, before: &Self, after: &Self) {
        self.wall += after.wall - before.wall;
        self.processor += after.processor - before.processor;
        self.written += after.written - before.written;
    }
}

struct Bench {
    engine: Arc<Engine>,
    clock: Arc<At>,
    started: Instant,
    sequence: u64,
    /// Of what was sent until it was durable: what it writes is the log.
    taking: Cost,
    /// Of flushes, compactions and roll-ups.
    settling: Cost,
}

impl Bench {
    fn at(&self, minute: i64) {
        self.clock.0.store(DAY + minute * MINUTE, Ordering::SeqCst);
    }

    async fn take(&mut self, payload: &[u8]) -> Outcome {
        let before = Cost::now(self.started)?;
        let (deltas, watermarks) = decode_gathered("default", payload)?;
        self.sequence += 1;
        let (agent, sequence) = (AgentId("ingest".into()), self.sequence);
        self.engine.take(Batch { agent, incarnation: 1, sequence, digest: 0, deltas, watermarks }).await?;
        self.taking.add(&before, &Cost::now(self.started)?);
        Ok(())
    }

    /// Does what is due, after a flush.
    async fn settle(&mut self) -> Outcome {
        let before = Cost::now(self.started)?;
        self.engine.flush().await?;
        for task in self.engine.reconcilers() {
            task.activate().await?;
        }
        self.settling.add(&before, &Cost::now(self.started)?);
        Ok(())
    }
}

/// How many blocks, and their bytes.
fn stored(directory: &Path) -> Outcome<(usize, u64)> {
    let sizes = std::fs::read_dir(directory.join("blocks"))?.map(|entry| Ok(entry?.metadata()?.len()));
    let sizes: Vec<u64> = sizes.collect::<std::io::Result<_>>()?;
    Ok((sizes.len(), sizes.iter().sum()))
}

#[expect(clippy::print_stdout, reason = "a program for people")]
#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, keys, flushes] = arguments.as_slice() else { return Err("ingest DIRECTORY KEYS FLUSHES".into()) };
    let directory = PathBuf::from(directory).join("engine");
    let (keys, flushes): (i64, i64) = (keys.parse()?, flushes.parse()?);
    let clock = Arc::new(At(AtomicI64::new(DAY)));
    let config = EngineConfig { data_dir: directory.clone(), ..EngineConfig::default() };
    let engine = Engine::open(config, clock.clone(), catalog()?).await?;
    let (taking, settling) = (Cost::default(), Cost::default());
    let mut bench = Bench { engine, clock, started: Instant::now(), sequence: 0, taking, settling };

    for minute in 0..MINUTES {
        let payload = payload(minute, 0..keys);
        bench.at(minute + 1);
        bench.take(&payload).await?;
        if (minute + 1) * flushes / MINUTES > minute * flushes / MINUTES {
            bench.settle().await?;
        }
    }
    // The day is over, and then quiet for long enough to be settled and rolled up.
    for hours in [1, 2, 3] {
        bench.at(MINUTES + hours * 60);
        bench.settle().await?;
    }
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let (blocks, bytes) = stored(&directory)?;
    let windows = keys * MINUTES;
    let wall = (bench.taking.wall + bench.settling.wall).as_secs_f64();
    // Linux tells ticks of a hundredth of a second, whatever its own.
    let processor = (bench.taking.processor + bench.settling.processor) as f64 / 100.0;
    println!(
        "{windows} windows in {wall:.1} s, {processor:.1} s of processor: {:.0} a second, {:.0} a second of processor",
        windows as f64 / wall,
        windows as f64 / processor
    );
    println!(
        "  taken {:.1} s; flushed {flushes} times, compacted and rolled up {:.1} s",
        bench.taking.wall.as_secs_f64(),
        bench.settling.wall.as_secs_f64()
    );
    println!(
        "  written {:.1} MB beside the log of {:.1} MB, stored {:.1} MB in {blocks} blocks: written ÷ stored {:.2}",
        megabytes(bench.settling.written),
        megabytes(bench.taking.written),
        megabytes(bytes),
        bench.settling.written as f64 / bytes as f64
    );

    let before = (bench.taking.written, bench.settling.written);
    for late in 0..LATE {
        bench.at(MINUTES + 4 * 60 + late * 20);
        let key = late * keys / LATE;
        bench.take(&payload(late * MINUTES / LATE, key..key + 1)).await?;
        bench.settle().await?;
    }
    for hours in [1, 2] {
        bench.at(MINUTES + 4 * 60 + LATE * 20 + hours * 60);
        bench.settle().await?;
    }
    println!(
        "{LATE} late lines: written {:.3} MB beside the log of {:.3} MB, {} blocks then",
        megabytes(bench.settling.written - before.1),
        megabytes(bench.taking.written - before.0),
        stored(&directory)?.0
    );
    bench.engine.close().await?;
    Ok(())
}
