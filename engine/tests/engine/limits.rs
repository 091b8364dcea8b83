//! Bounds, and what happens at them.

use nightjar_engine::{EngineConfig, Fsync};
use nightjar_model::names::{AgentId, OTHER_KEY};
use nightjar_model::ports::{Taken, WindowReader};
use nightjar_model::query::SqlFormat;
use nightjar_model::{Error, ErrorKind, Span};

use crate::fixture::{EPOCH, Fixture, batch, lines};

fn keys(count: i64) -> Vec<String> {
    (0..count).map(|n| format!("key-{n}")).collect()
}

#[tokio::test]
async fn memory_at_its_hard_limit_pushes_back_until_a_flush() {
    let fixture = Fixture::with(|config| {
        config.memtable_bytes = 1 << 20;
        config.memtable_hard_limit_bytes = 1 << 20;
    })
    .await;
    let names = keys(200);
    let mut sequence = 0;
    let refused: Error = loop {
        let entries: Vec<(i64, &str, i64)> = names.iter().map(|key| (sequence as i64, key.as_str(), 1)).collect();
        match fixture.take(batch("a", sequence + 1, vec![lines(&entries)])).await {
            Ok(_) => sequence += 1,
            Err(error) => break error,
        }
        assert!(sequence < 1000, "1 MiB holds less than this");
    };
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    assert_eq!(fixture.take(batch("a", sequence, vec![])).await.expect("known"), Taken::Repeat);
    // What the reconciler does by itself, as it is over its budget.
    fixture.task("engine.flush").await;
    assert_eq!(fixture.take(batch("a", sequence + 1, vec![])).await.expect("room again"), Taken::New);
}

#[tokio::test]
async fn keys_over_the_limit_are_folded() {
    let fixture = Fixture::with(|config| config.max_series = 3).await;
    let names = keys(10);
    let entries: Vec<(i64, &str, i64)> = names.iter().map(|key| (0, key.as_str(), 1)).collect();
    fixture.take(batch("a", 1, vec![lines(&entries)])).await.expect("taken");
    let totals = fixture.totals().await;
    assert_eq!(totals.get(&(0, OTHER_KEY.to_owned())).map(|(count, _)| *count), Some(8));
    assert_eq!(totals.values().map(|(count, _)| *count).sum::<u64>(), 10);
}

#[tokio::test]
async fn only_queries_on_the_own_workspace_run() {
    let fixture = Fixture::new().await;
    fixture.catalog.define("other", "secret", &["k"], &[("count", "lines", "")]);
    fixture.take(batch("a", 1, vec![lines(&[(0, "x", 1)])])).await.expect("taken");
    for sql in [
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "CREATE FUNCTION f(INT) RETURNS INT RETURN $1",
        "DROP TABLE monitor.m",
        "INSERT INTO monitor.m SELECT * FROM monitor.m",
        "DELETE FROM monitor.m",
        "UPDATE monitor.m SET k = 'x'",
        "TRUNCATE monitor.m",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "EXPLAIN COPY (SELECT 1) TO '/tmp/x.csv'",
        "EXPLAIN ANALYZE INSERT INTO monitor.m SELECT * FROM monitor.m",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "SHOW ALL",
        "PREPARE p AS SELECT 1",
        "BEGIN",
        "SELECT * INTO t FROM monitor.m",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "SELECT * FROM 'file:///etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM monitor.secret",
        "EXPLAIN SELECT * FROM monitor.secret",
        "DESCRIBE monitor.secret",
        "SELECT * FROM other.secret",
        "SELECT * FROM nightjar.monitor.m",
        "SELECT * FROM information_schema.tables",
        "SELECT (SELECT count(*) FROM monitor.secret)",
        "SELECT 1; SELECT 2",
        "SELECT",
        "",
    ] {
        let error = fixture.csv(sql).await.expect_err(sql);
        assert_eq!(error.kind, ErrorKind::InvalidInput, "{sql}: {error}");
        assert!(!error.message.is_empty() && !error.message.contains("atacktrace"), "{sql}: {error}");
    }
    let tables = fixture.csv("SHOW TABLES").await.expect("shown");
    assert!(tables.contains("\nmonitor,m,k,\"count, v_sum\"\n") && !tables.contains("secret"), "{tables}");
    let error = fixture.engine().sql("other", "SELECT * FROM monitor.m", SqlFormat::Json).await.expect_err("not there");
    assert_eq!(error.kind, ErrorKind::InvalidInput);
    let there = fixture.engine().sql("other", "SELECT count(*) AS n FROM monitor.secret", SqlFormat::Csv).await;
    assert_eq!(there.expect("its own").body.read().await.expect("read"), b"n\r\n0\r\n");
}

#[tokio::test]
async fn what_cannot_be_a_batch_is_refused() {
    let fixture = Fixture::new().await;
    let mut delta = lines(&[(0, "x", 1)]);
    delta.windows[0].start.0 += 1;
    let error = fixture.take(batch("a", 1, vec![delta])).await.expect_err("not aligned");
    assert_eq!(error.kind, ErrorKind::InvalidInput);
    // It took nothing: the sequence is free.
    assert_eq!(fixture.take(batch("a", 1, vec![])).await.expect("taken"), Taken::New);
}

#[tokio::test]
async fn batches_can_share_a_write() {
    let fixture =
        Fixture::with(|config| config.fsync = Fsync::Interval(Span(std::time::Duration::from_millis(20)))).await;
    let takes = (0..20).map(|n| {
        let mut one = batch("a", 1, vec![lines(&[(0, "x", 1)])]);
        one.agent = AgentId(format!("agent-{n}"));
        fixture.take(one)
    });
    for taken in futures::future::join_all(takes).await {
        assert_eq!(taken.expect("taken"), Taken::New);
    }
    assert_eq!(fixture.totals().await[&(0, "x".to_owned())].0, 20);
}

#[tokio::test]
async fn a_closed_engine_takes_nothing_and_has_everything_in_blocks() {
    let mut fixture = Fixture::new().await;
    fixture.take(batch("a", 1, vec![lines(&[(0, "x", 1)])])).await.expect("taken");
    fixture.engine().close().await.expect("closed");
    let error = fixture.take(batch("a", 2, vec![])).await.expect_err("closed");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    fixture.crash_and_open().await;
    assert_eq!(fixture.totals().await[&(0, "x".to_owned())].0, 1);
    assert_eq!(fixture.take(batch("a", 1, vec![])).await.expect("known"), Taken::Repeat);
}

/// The files of blocks, after the periodic flush had its turn.
async fn blocks_after_a_turn(fixture: &Fixture) -> usize {
    fixture.task("engine.flush").await;
    std::fs::read_dir(fixture.config.data_dir.join("blocks")).expect("blocks").count()
}

#[tokio::test]
async fn each_of_the_limits_of_memory_log_and_time_makes_a_flush() {
    let key = "k".repeat(200);
    let big: Vec<(i64, &str, i64)> = (0..3000).map(|at| (at % 600, key.as_str(), 1)).collect();
    let check = async |change: fn(&mut EngineConfig), wait: i64, expected: bool| {
        let fixture = Fixture::with(|config| {
            config.block_span = Span::from_secs(86_400);
            change(config);
        })
        .await;
        for sequence in 1..=4 {
            fixture.take(batch("a", sequence, vec![lines(&big)])).await.expect("taken");
        }
        fixture.clock.set(EPOCH + wait);
        assert_eq!(blocks_after_a_turn(&fixture).await > 0, expected);
        // What is flushed does not make another one.
        let blocks = blocks_after_a_turn(&fixture).await;
        assert_eq!(blocks_after_a_turn(&fixture).await, blocks);
    };
    check(|_| (), 0, false).await;
    check(|config| config.wal_bytes = 1 << 20, 0, true).await;
    check(|config| config.wal_bytes = 64 << 20, 0, false).await;
    check(|config| config.flush_every = Span::from_secs(60), 59_000, false).await;
    check(|config| config.flush_every = Span::from_secs(60), 60_000, true).await;
    let many: Vec<String> = (0..8000).map(|key| key.to_string()).collect();
    let many: Vec<(i64, &str, i64)> = many.iter().map(|key| (0, key.as_str(), 1)).collect();
    for (limit, expected) in [(1 << 20, 1), (64 << 20, 0)] {
        let fixture = Fixture::with(|config| config.memtable_bytes = limit).await;
        fixture.take(batch("a", 1, vec![lines(&many)])).await.expect("taken");
        assert_eq!(blocks_after_a_turn(&fixture).await, expected);
    }
}

#[tokio::test]
async fn fresh_blocks_are_of_the_span_that_is_set() {
    for (hours, expected) in [(2, 3), (24, 1), (1, 4)] {
        let fixture = Fixture::with(|config| config.block_span = Span::from_secs(hours * 3600)).await;
        fixture
            .take(batch("a", 1, vec![lines(&[(0, "x", 1), (119, "x", 1), (130, "x", 1), (250, "x", 1)])]))
            .await
            .expect("taken");
        fixture.engine().flush().await.expect("flushed");
        assert_eq!(
            std::fs::read_dir(fixture.config.data_dir.join("blocks")).expect("blocks").count(),
            expected,
            "{hours}"
        );
    }
}
