//! What a statement may not do to anybody else, and how it ends.

use std::time::{Duration, Instant};

use nightjar_engine::EngineConfig;
use nightjar_model::ports::WindowReader;
use nightjar_model::query::SqlFormat;
use nightjar_model::{ErrorKind, Span};

use crate::fixture::{Fixture, batch, lines};

/// What frees its threads "within a second" does so here, on a machine that also compiles.
const SOON: Duration = Duration::from_secs(5);

/// An engine whose processes can be told from those of other tests, with 60 windows.
async fn engine(name: &str, change: impl FnOnce(&mut EngineConfig)) -> Fixture {
    let fixture = Fixture::with(|config| {
        config.statement_program.push(tag(name));
        config.query_timeout = Span(Duration::from_secs(60));
        config.query_memory_bytes = 32 << 20;
        change(config);
    })
    .await;
    let names: Vec<String> = (0..60).map(|n| format!("key-{n}")).collect();
    let entries: Vec<(i64, &str, i64)> = names.iter().map(|key| (0, key.as_str(), 1)).collect();
    fixture.take(batch("a", 1, vec![lines(&entries)])).await.expect("taken");
    fixture
}

fn tag(name: &str) -> String {
    format!("{}-{name}", std::process::id())
}

/// Ids of the processes of an engine's statements.
fn processes(name: &str) -> Vec<u32> {
    let tag = tag(name);
    let all = std::fs::read_dir("/proc").expect("processes").filter_map(|entry| {
        let id: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
        line.split(|byte| *byte == 0).any(|part| part == tag.as_bytes()).then_some(id)
    });
    all.collect()
}

fn status(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// Waits until the engine has so many processes.
async fn until_processes(name: &str, accepts: impl Fn(usize) -> bool, within: Duration) {
    let deadline = Instant::now() + within;
    while !accepts(processes(name).len()) {
        assert!(Instant::now() < deadline, "{} processes are there", processes(name).len());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// 8^12 rows that no operator yields from.
fn product() -> String {
    let rows = ["SELECT 1 AS x"; 8].join(" UNION ALL ");
    let names: Vec<char> = ('a'..='l').collect();
    let from: Vec<String> = names.iter().map(|name| format!("t {name}")).collect();
    let sum: Vec<String> = names.iter().map(|name| format!("{name}.x")).collect();
    format!("WITH t AS ({rows}) SELECT count(*) FROM {} WHERE {} = 0", from.join(", "), sum.join(" + "))
}

#[tokio::test]
async fn a_statement_ends_when_its_client_leaves() {
    let fixture = engine("leaves", |config| config.query_concurrency = 4).await;
    let sql = product();
    {
        let statements = futures::future::join_all((0..3).map(|_| fixture.csv(&sql)));
        tokio::select! {
            answers = statements => panic!("they have no end: {answers:?}"),
            () = until_processes("leaves", |count| count == 3, SOON * 4) => {}
        }
    }
    // Nobody waits any more.
    until_processes("leaves", |count| count == 0, SOON).await;
    assert_eq!(fixture.csv("SELECT 1 AS one").await.expect("a turn"), "one\n1\n");
}

#[tokio::test]
async fn a_statement_ends_at_its_time_limit_and_others_go_on() {
    let fixture = engine("late", |config| {
        config.query_timeout = Span(Duration::from_secs(3));
        config.query_concurrency = 5;
    })
    .await;
    let sql = product();
    let started = Instant::now();
    let slow = async {
        let answers = futures::future::join_all((0..3).map(|_| fixture.csv(&sql))).await;
        for answer in answers {
            let error = answer.expect_err("it has no end");
            assert!(error.kind == ErrorKind::Timeout && error.message.contains("3s"), "{error}");
        }
        assert!(started.elapsed() < Duration::from_secs(3) + SOON, "{:?}", started.elapsed());
    };
    let others = async {
        let mut sequence = 1;
        while started.elapsed() < Duration::from_millis(2500) {
            sequence += 1;
            fixture.take(batch("a", sequence, vec![lines(&[(sequence as i64, "key-1", 1)])])).await.expect("written");
            fixture.engine().flush().await.expect("flushed");
            assert!(fixture.totals().await.len() >= 60);
            assert_eq!(fixture.csv("SELECT 1 AS one").await.expect("answered"), "one\n1\n");
        }
        assert!(sequence > 5, "only {sequence} rounds while statements ran");
    };
    tokio::join!(slow, others);
    until_processes("late", |count| count <= 1, SOON).await;
}

#[tokio::test]
async fn nothing_that_a_statement_asks_for_outlasts_it() {
    let fixture = engine("hostile", |config| {
        config.query_timeout = Span(Duration::from_secs(4));
        config.query_spill_bytes = 64 << 20;
    })
    .await;
    let nested = |open: &str, core: &str, close: &str, times: usize| {
        format!("SELECT {}{core}{} AS x", open.repeat(times), close.repeat(times))
    };
    let doubled = |start: &str, times: usize| {
        (0..times).fold(start.to_owned(), |sql, _| format!("SELECT s || s AS s FROM ({sql}) t"))
    };
    let unions = vec!["SELECT 1 AS x"; 20_000].join(" UNION ");
    let ctes = (0..40).fold("WITH t0 AS (SELECT 1 AS n)".to_owned(), |sql, n| {
        format!("{sql}, t{} AS (SELECT a.n FROM t{n} a, t{n} b)", n + 1)
    });
    let statements = [
        product(),
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t".into(),
        "WITH RECURSIVE t AS (SELECT 'x' AS s UNION ALL SELECT s || s FROM t) SELECT max(length(s)) FROM t".into(),
        "SELECT count(*) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b WHERE a.value + b.value = 0".into(),
        "SELECT sum(length(repeat(k, 100000000))) FROM monitor.m".into(),
        "SELECT length(repeat('x', 2000000000)) AS n".into(),
        "SELECT length(lpad('x', 2000000000, 'y')) AS n".into(),
        "SELECT array_length(range(0, 1000000000000)) AS n".into(),
        "SELECT array_repeat(1, 10000000000)".into(),
        "SELECT array_agg(a.k || b.k || c.k || d.k) FROM monitor.m a, monitor.m b, monitor.m c, monitor.m d".into(),
        "SELECT regexp_replace(repeat('a', 100000), '(a*)*(a*)*b', 'x') FROM monitor.m a, monitor.m b".into(),
        "SELECT regexp_like('a', '((((a{100}){100}){100}){100})')".into(),
        "SELECT a.k || b.k || c.k || d.k || e.k AS x, count(*) FROM monitor.m a, monitor.m b, monitor.m c, monitor.m d, \
         monitor.m e GROUP BY x ORDER BY x LIMIT 1".into(),
        "SELECT count(*) FROM monitor.m a JOIN monitor.m b ON a.count <= b.count JOIN monitor.m c ON b.count <= c.count \
         JOIN monitor.m d ON c.count <= d.count JOIN monitor.m e ON d.count <= e.count JOIN monitor.m f ON e.count <= f.count".into(),
        doubled("SELECT '0123456789abcdef' AS s", 40),
        doubled("SELECT k AS s FROM monitor.m", 40),
        nested("(", "1", ")", 100_000),
        nested("NOT ", "true", "", 100_000),
        nested("- ", "1", "", 100_000),
        nested("", "1", " + 1", 100_000),
        nested("CASE WHEN true THEN ", "1", " END", 20_000),
        nested("abs(", "1", ")", 100_000),
        nested("(SELECT ", "1", ")", 10_000),
        format!("{ctes} SELECT count(*) FROM t40"),
        unions,
        format!("SELECT {}", vec!["1 = 2"; 50_000].join(" OR ")),
        format!("SELECT 1 IN ({})", (0..100_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",")),
        "SELECT NULL::INT[1000000000]".into(),
        "SELECT approx_percentile_cont(count, 0.5, 1000000000) FROM monitor.m".into(),
        "SELECT to_char(time, repeat('%c', 100000000)) FROM monitor.m".into(),
        "x".repeat(2 << 20),
    ];
    for sql in statements {
        let shown: String = sql.chars().take(80).collect();
        let started = Instant::now();
        // Whatever the outcome: it comes, in time, and says what it is.
        if let Err(error) = fixture.csv(&sql).await {
            let kinds = [ErrorKind::InvalidInput, ErrorKind::TooLarge, ErrorKind::Timeout];
            assert!(kinds.contains(&error.kind), "{shown}: {:?} {error}", error.kind);
            assert!((10..1000).contains(&error.message.len()), "{shown}: {error}");
        }
        assert!(started.elapsed() < Duration::from_secs(4) + SOON, "{shown}: {:?}", started.elapsed());
        // Its memory at the highest, of those that run another one.
        for process in processes("hostile") {
            assert!(status(process, "VmHWM:") < 300 << 10, "{shown}: {} KiB", status(process, "VmHWM:"));
        }
    }
    assert_eq!(fixture.csv("SELECT count(*) AS n FROM monitor.m").await.expect("answered"), "n\n60\n");
    until_processes("hostile", |count| count <= 2, SOON).await;
    let spilled = std::fs::read_dir(fixture.config.data_dir.join("spill")).expect("there").count();
    assert!(spilled <= 2, "{spilled} directories of processes that are gone");
}

#[tokio::test]
async fn over_its_memory_or_rows_a_statement_says_so() {
    let fixture = engine("limits", |config| {
        config.query_row_limit = 50;
        config.query_memory_bytes = 16 << 20;
        config.query_spill_bytes = 0;
    })
    .await;
    let error = fixture.csv("SELECT * FROM monitor.m").await.expect_err("too many");
    assert!(error.kind == ErrorKind::InvalidInput && error.message.contains("more than 50 rows"), "{error}");
    assert_eq!(fixture.csv("SELECT k FROM monitor.m LIMIT 50").await.expect("just so many").lines().count(), 51);
    for sql in [
        "SELECT a.k || b.k || c.k || d.k || e.k AS x, count(*) FROM monitor.m a, monitor.m b, monitor.m c, \
         monitor.m d, monitor.m e GROUP BY x ORDER BY x LIMIT 1",
        "SELECT length(repeat('x', 1000000000)) AS n",
        "SELECT array_agg(a.k || b.k || c.k || d.k || e.k) FROM monitor.m a, monitor.m b, monitor.m c, monitor.m d, monitor.m e",
    ] {
        let error = fixture.csv(sql).await.expect_err("too much memory");
        assert!(error.kind == ErrorKind::InvalidInput && error.message.contains("16 MiB"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_statement_waits_for_its_turn_and_not_for_ever() {
    let fixture = engine("turns", |config| {
        config.query_concurrency = 1;
        config.query_timeout = Span(Duration::from_secs(3));
    })
    .await;
    let sql = product();
    // The turn is given back a moment after the first one's time is over, and so is the second one's.
    let (first, second) = tokio::join!(fixture.csv(&sql), fixture.csv("SELECT 2 AS two"));
    assert_eq!(first.expect_err("no end").kind, ErrorKind::Timeout);
    let error = second.expect_err("no turn");
    assert!(error.kind == ErrorKind::Timeout && error.message.contains("other queries"), "{error}");
    let mut first = Box::pin(fixture.csv(&sql));
    tokio::select! {
        answer = &mut first => panic!("it has no end: {answer:?}"),
        () = until_processes("turns", |count| count == 1, SOON * 4) => {}
    }
    drop(first);
    assert_eq!(fixture.csv("SELECT 2 AS two").await.expect("a turn"), "two\n2\n");
}

#[tokio::test]
async fn a_workspace_leaves_a_turn_to_the_others() {
    let fixture = engine("shares", |config| config.query_concurrency = 2).await;
    let endless = product();
    let mut running = Box::pin(async { tokio::join!(fixture.csv(&endless), fixture.csv(&endless)) });
    tokio::select! {
        answers = &mut running => panic!("they have no end: {answers:?}"),
        () = until_processes("shares", |count| count == 1, SOON * 4) => {}
    }
    let other = async { fixture.engine().sql("other", "SELECT 2 AS two", SqlFormat::Csv).await.map(|_| ()) };
    tokio::select! {
        answers = &mut running => panic!("they have no end: {answers:?}"),
        answer = other => answer.expect("its own turn"),
    }
}

#[tokio::test]
async fn a_hundred_statements_at_once_are_all_answered() {
    let fixture = engine("hundred", |_| ()).await;
    let sql = "SELECT count(*) AS n, sum(count) AS lines FROM monitor.m";
    for answer in futures::future::join_all((0..100).map(|_| fixture.csv(sql))).await {
        assert_eq!(answer.expect("answered"), "n,lines\n60,60\n");
    }
    assert!(processes("hundred").len() <= 2, "processes that wait for a statement");
}

#[tokio::test]
async fn a_closing_engine_ends_its_statements() {
    let mut fixture = engine("closing", |_| ()).await;
    let sql = product();
    {
        let ended = async {
            until_processes("closing", |count| count == 1, SOON * 4).await;
            let started = Instant::now();
            fixture.engine().close().await.expect("closed");
            assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
        };
        let (answer, ()) = tokio::join!(fixture.csv(&sql), ended);
        assert_eq!(answer.expect_err("it is ended").kind, ErrorKind::Unavailable);
    }
    assert_eq!(fixture.csv("SELECT 1").await.expect_err("closed").kind, ErrorKind::Unavailable);
    until_processes("closing", |count| count == 0, SOON).await;
    fixture.crash_and_open().await;
    assert_eq!(fixture.csv("SELECT count(*) AS n FROM monitor.m").await.expect("answered"), "n\n60\n");
}

#[tokio::test]
async fn a_long_answer_comes_in_pieces_and_ends_with_its_client() {
    let fixture = engine("pieces", |config| config.query_row_limit = 100_000_000).await;
    let sql = "SELECT a.k || b.k || c.k || d.k AS x FROM monitor.m a, monitor.m b, monitor.m c, monitor.m d";
    let answer = fixture.engine().sql("w", sql, SqlFormat::Csv).await.expect("answered");
    assert_eq!(answer.body.length(), None, "12,960,000 rows are not held");
    let mut body = answer.body;
    let mut bytes = 0;
    while bytes < 32 << 20 {
        bytes += body.next().await.expect("more").expect("a piece").len();
    }
    let most = processes("pieces").into_iter().map(|process| status(process, "VmHWM:")).max();
    assert!(most.is_some_and(|kib| kib < 300 << 10), "{most:?} KiB");
    drop(body);
    until_processes("pieces", |count| count == 0, SOON).await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_completed_breaks_off() {
    let fixture = engine("broken", |config| config.query_row_limit = 1_000_000).await;
    let sql = "SELECT a.k || b.k || c.k || d.k AS x FROM monitor.m a, monitor.m b, monitor.m c, monitor.m d";
    let answer = fixture.engine().sql("w", sql, SqlFormat::Csv).await.expect("it begins well");
    let error = answer.body.read().await.expect_err("it is too long");
    assert!(error.message.contains("more than 1000000 rows"), "{error}");
}
