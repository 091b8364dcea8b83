//! Whatever happens in whatever order, acknowledged windows are there once, and of the monitor they were gathered
//! for.
//!
//! Histories are made of seeds. `NIGHTJAR_HISTORIES=5000 cargo test -p nightjar-engine crash` runs as many, and
//! `PROPTEST_RNG_SEED` others than always.

use std::collections::BTreeMap;

use nightjar_model::delta::MonitorDelta;
use nightjar_model::names::AgentId;
use nightjar_model::ports::{Intake, Taken};
use nightjar_model::{ErrorKind, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::fixture::{EPOCH, Fixture, MINUTE, batch, lines};

#[derive(Debug, Clone)]
enum Step {
    /// Lines of so many minutes after now. Those of a monitor made before, where there was one, come late.
    Send {
        agent: usize,
        entries: Vec<(i64, usize, i64)>,
        late: bool,
    },
    Repeat {
        agent: usize,
        back: u64,
    },
    Skip {
        agent: usize,
    },
    /// The monitor is deleted.
    Delete,
    /// The monitor is made, also if it was not deleted before.
    Make,
    Flush,
    Compact,
    Retain,
    RollUp,
    /// A copy is made and takes the place of what it was made of.
    PutBack,
    Crash,
    TearTail {
        bytes: u64,
    },
    Later {
        minutes: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let entry = (-3000i64..60, 0usize..KEYS.len(), -1000i64..1000);
    let send = (0usize..3, proptest::collection::vec(entry, 0..12), proptest::bool::weighted(0.1));
    let step = prop_oneof![
        8 => send.prop_map(|(agent, entries, late)| Step::Send { agent, entries, late }),
        2 => (0usize..3, 0u64..4).prop_map(|(agent, back)| Step::Repeat { agent, back }),
        1 => (0usize..3).prop_map(|agent| Step::Skip { agent }),
        1 => Just(Step::Delete),
        1 => Just(Step::Make),
        3 => Just(Step::Flush),
        2 => Just(Step::Compact),
        2 => Just(Step::Retain),
        2 => Just(Step::RollUp),
        1 => Just(Step::PutBack),
        3 => Just(Step::Crash),
        1 => (1u64..40).prop_map(|bytes| Step::TearTail { bytes }),
        1 => (1i64..200).prop_map(|minutes| Step::Later { minutes }),
        // Days, so that windows, keys and monitors go.
        2 => (1i64..6).prop_map(|days| Step::Later { minutes: days * DAY }),
    ];
    proptest::collection::vec(step, 1..40)
}

const AGENTS: [&str; 3] = ["a", "b", "c"];
const KEYS: [&str; 6] = ["x", "y", "z,\"q\"", "", "衣", "k5"];
/// In minutes.
const DAY: i64 = 1440;
const RETENTION: i64 = 21 * DAY;

/// Minute after the epoch and key to lines and sum.
type Totals = BTreeMap<(i64, String), (u64, i64)>;

struct History {
    fixture: Fixture,
    /// Of each monitor that was made, in turn.
    expected: Vec<Totals>,
    there: bool,
    sequences: [u64; 3],
    /// Minutes after the epoch.
    now: i64,
}

impl History {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        fixture.catalog.identify("w", "m", &uid(0));
        Self { fixture, expected: vec![Totals::new()], there: true, sequences: [0; 3], now: 0 }
    }

    async fn send(&mut self, agent: usize, entries: &[(i64, usize, i64)], of: usize) {
        self.sequences[agent] += 1;
        let named: Vec<(i64, &str, i64)> =
            entries.iter().map(|(at, key, value)| (self.now + at, KEYS[*key], *value)).collect();
        // The first monitor is of a time when nobody said a uid, as long as it is the only one.
        let said = (self.expected.len() > 1).then(|| uid(of));
        let delta = MonitorDelta { uid: said, ..lines(&named) };
        let taken = self.fixture.take(batch(AGENTS[agent], self.sequences[agent], vec![delta])).await;
        assert_eq!(taken.expect("taken"), Taken::New);
        for (at, key, value) in named {
            let total = self.expected[of].entry((at, key.to_owned())).or_default();
            total.0 += 1;
            total.1 += value;
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Send { agent, entries, late } => {
                let made = self.expected.len();
                let of = if late && made > 1 { made - 2 } else { made - 1 };
                self.send(agent, &entries, of).await;
            }
            Step::Repeat { agent, back } if self.sequences[agent] > back => {
                let again = batch(AGENTS[agent], self.sequences[agent] - back, vec![lines(&[(self.now, "x", 999)])]);
                assert_eq!(self.fixture.take(again).await.expect("known"), Taken::Repeat);
            }
            Step::Repeat { .. } => {}
            Step::Skip { agent } => {
                let ahead = batch(AGENTS[agent], self.sequences[agent] + 2, vec![lines(&[(self.now, "x", 999)])]);
                assert_eq!(self.fixture.take(ahead).await.expect_err("a gap").kind, ErrorKind::Conflict);
            }
            Step::Delete => {
                self.fixture.catalog.delete("w", "m");
                self.there = false;
            }
            Step::Make => {
                if self.expected.len() == 1 {
                    // A server looks who has which name when it starts.
                    self.define(0);
                    self.fixture.task("engine.retain").await;
                }
                self.expected.push(Totals::new());
                self.define(self.expected.len() - 1);
            }
            Step::Flush => self.fixture.engine().flush().await.expect("flushed"),
            Step::Compact => self.fixture.task("engine.compact").await,
            Step::Retain => self.fixture.task("engine.retain").await,
            Step::RollUp => self.fixture.task("engine.rollup").await,
            Step::PutBack => {
                let dir = self.fixture.config.data_dir.clone();
                let copy = dir.with_extension("copy");
                nightjar_engine::copy(&dir, &copy).expect("copied");
                self.fixture.crash();
                std::fs::remove_dir_all(&dir).expect("removed");
                std::fs::rename(copy, dir).expect("renamed");
                self.fixture.crash_and_open().await;
            }
            Step::Crash => self.fixture.crash_and_open().await,
            Step::TearTail { bytes } => {
                self.fixture.crash();
                tear(&self.fixture, bytes);
                self.fixture.crash_and_open().await;
            }
            Step::Later { minutes } => {
                self.now += minutes;
                self.fixture.clock.set(EPOCH + self.now * MINUTE);
                // The agents are still there.
                for agent in 0..AGENTS.len() {
                    self.send(agent, &[], self.expected.len() - 1).await;
                }
            }
        }
    }

    /// Makes the monitor the one with this number.
    fn define(&mut self, number: usize) {
        self.fixture.catalog.define("w", "m", &["k"], &[("count", "lines", ""), ("v_sum", "sum", "v")]);
        self.fixture.catalog.identify("w", "m", &uid(number));
        self.there = true;
    }

    async fn found(&self) -> Totals {
        let totals = self.fixture.totals_between(self.now - RETENTION - 2 * DAY, self.now + DAY).await;
        totals.into_iter().map(|(key, (count, sum))| (key, (count, (sum.0 / 1_000_000_000) as i64))).collect()
    }

    /// Of the last monitor that was made all is there that is not too old; of the others nothing that was not.
    async fn check(&mut self) {
        let is_there = self.there;
        for number in (0..self.expected.len()).rev() {
            self.define(number);
            let (found, expected) = (self.found().await, &self.expected[number]);
            let is_kept = |((at, _), _): &(&(i64, String), &(u64, i64))| *at >= self.now - RETENTION;
            let is_last = number + 1 == self.expected.len();
            // One that was deleted may be gone.
            if is_last && is_there {
                let kept: Totals = expected.iter().filter(is_kept).map(|(key, total)| (key.clone(), *total)).collect();
                let of_found: Totals = found.iter().filter(is_kept).map(|(key, total)| (key.clone(), *total)).collect();
                assert_eq!(of_found, kept);
                self.check_sql(&found).await;
            }
            for (key, (count, _)) in &found {
                let all = expected.get(key).map_or(0, |(count, _)| *count);
                assert!(*count <= all, "{key:?} of monitor {number}: {count} of {all}");
            }
        }
        self.there = is_there;
        for (agent, sequence) in AGENTS.iter().zip(self.sequences) {
            let last = self.fixture.engine().last_sequence(&AgentId((*agent).into()), 1).await;
            assert_eq!(last.expect("known"), sequence);
        }
    }

    async fn check_sql(&self, found: &Totals) {
        let lines: u64 = found.values().map(|(count, _)| *count).sum();
        let sum: i64 = found.values().map(|(_, sum)| *sum).sum();
        let from = Timestamp(EPOCH + (self.now - RETENTION - 2 * DAY) * MINUTE);
        let sql = format!(
            "SELECT coalesce(sum(count), 0) AS c, cast(coalesce(sum(v_sum), 0) AS BIGINT) AS v FROM monitor.m \
             WHERE time >= TIMESTAMP '{from}'"
        );
        let text = self.fixture.csv(&sql).await;
        assert_eq!(text.expect("answered"), format!("c,v\n{lines},{sum}\n"));
    }
}

fn uid(number: usize) -> String {
    format!("uid-{number}")
}

async fn run(steps: Vec<Step>) {
    let mut history = History::new().await;
    for step in steps {
        history.step(step).await;
    }
    for _ in 0..2 {
        history.check().await;
        history.fixture.crash_and_open().await;
    }
}

/// Appends the beginning of a frame that was being written when the power went.
fn tear(fixture: &Fixture, bytes: u64) {
    let dir = fixture.config.data_dir.join("wal");
    let segments = std::fs::read_dir(dir).expect("wal").map(|entry| entry.expect("entry").path());
    let last = segments.max().expect("a segment");
    let mut content = std::fs::read(&last).expect("read");
    let mut torn = vec![0xff, b'N', b'J', 0xfe, 200, 0, 0, 0];
    torn.resize(bytes as usize, 7);
    content.extend(torn);
    std::fs::write(last, content).expect("write");
}

/// A quarter of all histories, so that all processors are used.
fn histories(quarter: u64) {
    let wanted = std::env::var("NIGHTJAR_HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(520);
    let seed = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let config = ProptestConfig {
        cases: wanted / 4,
        rng_seed: RngSeed::Fixed(seed * 4 + quarter),
        max_shrink_iters: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in steps())| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(run(steps));
    });
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_1() {
    histories(0);
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_2() {
    histories(1);
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_3() {
    histories(2);
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_4() {
    histories(3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_agents_flushes_and_readers_agree() {
    let fixture = Fixture::with(|config| config.memtable_bytes = 1 << 20).await;
    let engine = fixture.engine();
    let send = async |agent: &str| {
        for sequence in 1..=60 {
            let entries: Vec<(i64, &str, i64)> = (0..50).map(|at| (at, KEYS[at as usize % 4], 1)).collect();
            assert_eq!(engine.take(batch(agent, sequence, vec![lines(&entries)])).await.expect("taken"), Taken::New);
        }
    };
    let flush = async || {
        for _ in 0..15 {
            engine.flush().await.expect("flushed");
            fixture.task("engine.compact").await;
        }
    };
    let read = async || {
        let mut last = 0;
        for _ in 0..20 {
            let lines: u64 = fixture.totals().await.values().map(|(count, _)| *count).sum();
            assert!(lines >= last && lines.is_multiple_of(50), "whole batches, and never fewer: {lines} after {last}");
            last = lines;
        }
    };
    tokio::join!(send("a"), send("b"), send("c"), flush(), read());
    let lines: u64 = fixture.totals().await.values().map(|(count, _)| *count).sum();
    assert_eq!(lines, 3 * 60 * 50);
}

#[tokio::test]
async fn a_damaged_log_is_refused_and_named() {
    let mut fixture = Fixture::new().await;
    for sequence in 1..=3 {
        fixture.take(batch("a", sequence, vec![lines(&[(0, "x", 1)])])).await.expect("taken");
    }
    fixture.crash();
    let path = fixture.config.data_dir.join("wal/0000000000000000.wal");
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).expect("write");
    let error = fixture.try_open().await.err().expect("damaged");
    assert!(error.message.contains("0000000000000000.wal at offset 8"), "{error}");
}

#[tokio::test]
async fn a_directory_belongs_to_one_engine() {
    let fixture = Fixture::new().await;
    let error = fixture.try_open().await.err().expect("in use");
    assert!(error.message.contains("in use"), "{error}");
}

#[tokio::test]
async fn a_missing_block_is_named_and_only_stray_ones_are_deleted() {
    let mut fixture = Fixture::new().await;
    fixture.take(batch("a", 1, vec![lines(&[(0, "x", 1)])])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    let blocks = fixture.config.data_dir.join("blocks");
    let stray = blocks.join("000000000999.parquet");
    std::fs::write(&stray, b"half").expect("write");
    let staged = blocks.join("000000000998.parquet#1");
    std::fs::write(&staged, b"half").expect("write");
    let block = blocks.join("000000000001.parquet");
    assert!(block.exists());
    let foreign = ["lost+found", "copy of 000000000001.parquet", "1.parquet", "000000000001.parquet.bak", "#1"];
    let foreign = foreign.map(|name| blocks.join(name));
    std::fs::create_dir(&foreign[0]).expect("made");
    foreign[1..].iter().for_each(|path| std::fs::write(path, b"kept").expect("write"));
    fixture.crash_and_open().await;
    assert!(!stray.exists() && !staged.exists());
    foreign.iter().for_each(|path| assert!(path.exists(), "{}", path.display()));
    fixture.crash();
    std::fs::remove_file(&block).expect("removed");
    let error = fixture.try_open().await.err().expect("missing");
    assert!(error.message.contains(block.file_name().and_then(|n| n.to_str()).expect("name")), "{error}");
}
