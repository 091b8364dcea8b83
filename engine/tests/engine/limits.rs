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
        "DROP TABLE monitor.m",
        "SELECT repeat('x', 2000000000)",
        "SELECT lpad('x', 2000000000, 'y')",
        "SELECT range(0, 1000000000000)",
        "SELECT array_repeat(1, 1000000000)",
        "SELECT replace('aaa', 'a', 'bbb')",
        "SELECT regexp_replace('aaa', 'a', 'bbb', 'g')",
        "SELECT overlay('abc' PLACING 'xyz' FROM 2)",
        "SELECT array_concat([1], [2])",
        "SELECT [1, 2]",
        "SELECT {'a': 1}",
        "SELECT string_agg(k, ',') FROM monitor.m",
        "SELECT array_agg(k) FROM monitor.m",
        "SELECT approx_percentile_cont(count, 0.5, 1000000000) FROM monitor.m",
        "SELECT approx_percentile_cont(0.5, 1000000000) WITHIN GROUP (ORDER BY count) FROM monitor.m",
        "SELECT to_char(time, k) FROM monitor.m",
        "SELECT NULL::INT[1000000000]",
        "SELECT count(*) FROM monitor.m GROUP BY CUBE (k, time)",
        "SELECT count(*) FROM monitor.m GROUP BY k WITH ROLLUP",
        "WITH RECURSIVE t AS (SELECT 'x' AS s UNION ALL SELECT s || s FROM t) SELECT max(length(s)) FROM t",
        "SELECT * FROM unnest([1, 2])",
        "INSERT INTO monitor.m SELECT * FROM monitor.m",
        "DELETE FROM monitor.m",
        "UPDATE monitor.m SET k = 'x'",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "SET datafusion.execution.batch_size = 1",
        "SHOW TABLES",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'file:///etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM monitor.secret",
        "SELECT * FROM other.secret",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM generate_series(1, 1000000000)",
        "SELECT (SELECT count(*) FROM monitor.secret)",
        "SELECT 1; SELECT 2",
        "SELECT",
        "",
    ] {
        let error = fixture.csv(sql).await.expect_err(sql);
        assert_eq!(error.kind, ErrorKind::InvalidInput, "{sql}: {error}");
        assert!(!error.message.is_empty() && !error.message.contains("atacktrace"), "{sql}: {error}");
    }
    let error = fixture.engine().sql("other", "SELECT * FROM monitor.m", SqlFormat::Json).await.expect_err("not there");
    assert_eq!(error.kind, ErrorKind::InvalidInput);
    let there = fixture.engine().sql("other", "SELECT count(*) AS n FROM monitor.secret", SqlFormat::Csv).await;
    assert_eq!(there.expect("its own").body, b"n\r\n0\r\n");
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test]
async fn no_statement_makes_much_memory_of_little() {
    let fixture = Fixture::with(|config| config.query_memory_bytes = 16 << 20).await;
    let names = keys(2000);
    let entries: Vec<(i64, &str, i64)> = names.iter().map(|key| (0, key.as_str(), 1)).collect();
    fixture.take(batch("a", 1, vec![lines(&entries)])).await.expect("taken");
    let before = peak_kib();
    let (a, b) = ("a".repeat(20_000), "b".repeat(20_000));
    let wide = |text: &str| {
        let columns: Vec<String> = (0..200).map(|n| format!("s AS s{n}")).collect();
        format!("SELECT {} FROM (SELECT '{text}' AS s FROM monitor.m)", columns.join(", "))
    };
    let doubled =
        |of: &str, times: usize, join: &dyn Fn(&str) -> String| (0..times).fold(of.to_owned(), |sql, _| join(&sql));
    let statements = [
        format!("SELECT length(replace('{a}', 'a', '{b}')) AS n"),
        format!("SELECT length(regexp_replace('{a}', 'a', '{b}', 'g')) AS n"),
        format!("SELECT length('{a}')"),
        doubled("SELECT '0123456789abcdef' AS s", 24, &|sql| format!("SELECT s || s AS s FROM ({sql}) t")),
        doubled("SELECT k AS s FROM monitor.m", 24, &|sql| format!("SELECT concat(s, s) AS s FROM ({sql}) t")),
        doubled("'0123456789abcdef'", 11, &|sql| format!("({sql} || {sql})")).replacen('(', "SELECT (", 1),
        format!("SELECT 1{}", "+1".repeat(30_000)),
        format!("SELECT {}1{}", "(".repeat(30_000), ")".repeat(30_000)),
        format!("SELECT {}true", "NOT ".repeat(15_000)),
        format!("SELECT {}", "*, ".repeat(15_000)),
        format!("SELECT a.s0 FROM ({}) a, ({}) b", wide("x"), wide("y")),
        format!("WITH t AS ({}) SELECT * FROM t a, t b, t c", wide("x").replace("200", "90")),
        (0..40).fold("WITH t0 AS (SELECT 1 AS n)".to_owned(), |sql, n| {
            format!("{sql}, t{} AS (SELECT a.n FROM t{n} a, t{n} b)", n + 1)
        }) + " SELECT count(*) FROM t40",
    ];
    for sql in statements {
        let shown: String = sql.chars().take(80).collect();
        let error = fixture.csv(&sql).await.expect_err(&shown);
        assert!(matches!(error.kind, ErrorKind::InvalidInput | ErrorKind::TooLarge), "{shown}: {error}");
        assert!(error.message.len() < 400, "{shown}: {error}");
    }
    let most = fixture.csv(&format!("SELECT count(s7) AS n FROM ({})", wide(&"x".repeat(1024)))).await;
    assert_eq!(most.expect("allowed").lines().last(), Some("2000"));
    let grown = peak_kib() - before;
    assert!(grown < 256 << 10, "{grown} KiB");
    let joined = fixture.csv("SELECT k || '/' || 1 AS a, concat(k, NULL) AS b, k || NULL AS c FROM monitor.m LIMIT 1");
    let joined = joined.await.expect("joined");
    assert!(joined.starts_with("a,b,c\nkey-") && joined.ends_with(",\n") && joined.contains("/1,key-"), "{joined}");
}

#[tokio::test]
async fn rows_memory_and_time_are_limited() {
    let fixture = Fixture::with(|config| {
        config.query_row_limit = 50;
        config.query_memory_bytes = 16 << 20;
        config.query_spill_bytes = 0;
    })
    .await;
    let names = keys(60);
    let entries: Vec<(i64, &str, i64)> = names.iter().map(|key| (0, key.as_str(), 1)).collect();
    fixture.take(batch("a", 1, vec![lines(&entries)])).await.expect("taken");
    let error = fixture.csv("SELECT * FROM monitor.m").await.expect_err("too many");
    assert!(error.kind == ErrorKind::InvalidInput && error.message.contains("more than 50 rows"), "{error}");
    assert_eq!(fixture.csv("SELECT k FROM monitor.m LIMIT 50").await.expect("just so many").lines().count(), 51);
    // 60^5 combinations, kept apart.
    let product = "SELECT a.k || b.k || c.k || d.k || e.k AS x, count(*) FROM monitor.m a, monitor.m b, monitor.m c, \
                   monitor.m d, monitor.m e GROUP BY x ORDER BY x LIMIT 1";
    let error = fixture.csv(product).await.expect_err("too much memory");
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");

    let slow = Fixture::with(|config| config.query_timeout = Span(std::time::Duration::from_millis(100))).await;
    slow.take(batch("a", 1, vec![lines(&entries)])).await.expect("taken");
    let product = "SELECT count(*) FROM monitor.m a, monitor.m b, monitor.m c, monitor.m d, monitor.m e, monitor.m f \
                   WHERE a.k || b.k || c.k || d.k || e.k || f.k = 'no'";
    let error = slow.csv(product).await.expect_err("too slow");
    assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
}

#[tokio::test]
async fn queries_take_nothing_from_what_rules_and_charts_read() {
    let fixture = Fixture::with(|config| config.query_threads = 1).await;
    let names = keys(60);
    let entries: Vec<(i64, &str, i64)> = names.iter().map(|key| (0, key.as_str(), 1)).collect();
    fixture.take(batch("a", 1, vec![lines(&entries)])).await.expect("taken");
    let product = "SELECT a.k || b.k || c.k || d.k || e.k AS x, count(*) FROM monitor.m a, monitor.m b, monitor.m c, \
                   monitor.m d, monitor.m e GROUP BY x ORDER BY x LIMIT 1";
    // For as long as there are reads.
    let queries = async {
        loop {
            let answers = futures::future::join_all((0..8).map(|_| fixture.csv(product))).await;
            assert!(answers.iter().all(Result::is_err));
        }
    };
    let reads = async {
        for _ in 0..20 {
            assert_eq!(fixture.totals().await.len(), 60);
        }
    };
    tokio::select! {
        biased;
        () = queries => unreachable!("they have no end"),
        () = reads => {}
    }
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
