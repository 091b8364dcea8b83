//! Whatever happens in whatever order, acknowledged windows are there once.

use std::collections::BTreeMap;

use nightjar_model::ErrorKind;
use nightjar_model::names::AgentId;
use nightjar_model::ports::{Intake, Taken};
use proptest::prelude::*;

use crate::fixture::{EPOCH, Fixture, MINUTE, batch, lines};

#[derive(Debug, Clone)]
enum Step {
    Send { agent: usize, entries: Vec<(i64, usize, i64)> },
    Repeat { agent: usize, back: u64 },
    Skip { agent: usize },
    Flush,
    Compact,
    Retain,
    Crash,
    TearTail { bytes: u64 },
    Later { minutes: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let entry = (-3000i64..60, 0usize..4, -1000i64..1000);
    let step = prop_oneof![
        6 => (0usize..3, proptest::collection::vec(entry, 0..12)).prop_map(|(agent, entries)| Step::Send { agent, entries }),
        2 => (0usize..3, 0u64..4).prop_map(|(agent, back)| Step::Repeat { agent, back }),
        1 => (0usize..3).prop_map(|agent| Step::Skip { agent }),
        2 => Just(Step::Flush),
        2 => Just(Step::Compact),
        1 => Just(Step::Retain),
        2 => Just(Step::Crash),
        1 => (1u64..40).prop_map(|bytes| Step::TearTail { bytes }),
        1 => (1i64..200).prop_map(|minutes| Step::Later { minutes }),
    ];
    proptest::collection::vec(step, 1..40)
}

const AGENTS: [&str; 3] = ["a", "b", "c"];
const KEYS: [&str; 4] = ["x", "y", "z,\"q\"", ""];

async fn run(steps: Vec<Step>) {
    let mut fixture = Fixture::new().await;
    let mut expected: BTreeMap<(i64, String), (u64, i64)> = BTreeMap::new();
    let mut sequences = [0u64; 3];
    let mut now = EPOCH;
    for step in steps {
        match step {
            Step::Send { agent, entries } => {
                sequences[agent] += 1;
                let named: Vec<(i64, &str, i64)> = entries.iter().map(|(at, key, v)| (*at, KEYS[*key], *v)).collect();
                let taken = fixture.take(batch(AGENTS[agent], sequences[agent], vec![lines(&named)])).await;
                assert_eq!(taken.expect("taken"), Taken::New);
                for (at, key, value) in named {
                    let total = expected.entry((at, key.to_owned())).or_default();
                    total.0 += 1;
                    total.1 += value;
                }
            }
            Step::Repeat { agent, back } if sequences[agent] > back => {
                let again = batch(AGENTS[agent], sequences[agent] - back, vec![lines(&[(0, "x", 999)])]);
                assert_eq!(fixture.take(again).await.expect("known"), Taken::Repeat);
            }
            Step::Repeat { .. } => {}
            Step::Skip { agent } => {
                let ahead = batch(AGENTS[agent], sequences[agent] + 2, vec![lines(&[(0, "x", 999)])]);
                assert_eq!(fixture.take(ahead).await.expect_err("a gap").kind, ErrorKind::Conflict);
            }
            Step::Flush => fixture.engine().flush().await.expect("flushed"),
            Step::Compact => fixture.task("engine.compact").await,
            Step::Retain => fixture.task("engine.retain").await,
            Step::Crash => fixture.crash_and_open().await,
            Step::TearTail { bytes } => {
                fixture.crash();
                tear(&fixture, bytes);
                fixture.crash_and_open().await;
            }
            Step::Later { minutes } => {
                now += minutes * MINUTE;
                fixture.clock.set(now);
            }
        }
    }
    for reopened in [false, true] {
        if reopened {
            fixture.crash_and_open().await;
        }
        let found: BTreeMap<_, _> = fixture
            .totals()
            .await
            .into_iter()
            .map(|(key, (count, sum))| (key, (count, (sum.0 / 1_000_000_000) as i64)))
            .collect();
        assert_eq!(found, expected);
        let lines: u64 = expected.values().map(|(count, _)| *count).sum();
        let sum: i64 = expected.values().map(|(_, sum)| *sum).sum();
        let text = fixture
            .csv("SELECT coalesce(sum(count), 0) AS c, cast(coalesce(sum(v_sum), 0) AS BIGINT) AS v FROM monitor.m")
            .await;
        assert_eq!(text.expect("answered"), format!("c,v\n{lines},{sum}\n"));
        for (agent, sequence) in AGENTS.iter().zip(sequences) {
            let last = fixture.engine().last_sequence(&AgentId((*agent).into()), 1).await;
            assert_eq!(last.expect("known"), sequence);
        }
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn nothing_acknowledged_is_lost_or_doubled(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(run(steps));
    }
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
