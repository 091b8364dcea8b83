//! Compaction, retention, and monitors that change.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::fixture::{EPOCH, Fixture, MINUTE, batch, lines};

const HOUR: i64 = 60 * MINUTE;

fn blocks(fixture: &Fixture) -> usize {
    std::fs::read_dir(fixture.config.data_dir.join("blocks")).expect("blocks").count()
}

#[tokio::test]
async fn blocks_become_fewer_then_one_a_day_and_then_go() {
    let mut fixture = Fixture::of_one_retention().await;
    for sequence in 1..=3 {
        // Three spans of two hours each time.
        let entries = [(0, "x", 1), (130, "x", 2), (250, "y", 3)];
        fixture.take(batch("a", sequence, vec![lines(&entries)])).await.expect("taken");
        fixture.engine().flush().await.expect("flushed");
    }
    let before = fixture.totals().await;
    assert_eq!(blocks(&fixture), 9);
    // Of about one size there are more than eight.
    fixture.task("engine.compact").await;
    assert_eq!((blocks(&fixture), fixture.totals().await), (1, before.clone()));
    fixture.take(batch("a", 4, vec![lines(&[(0, "x", 1)])])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    let before = fixture.totals().await;
    fixture.task("engine.compact").await;
    assert_eq!(blocks(&fixture), 2);
    fixture.clock.set(EPOCH + 30 * HOUR);
    fixture.task("engine.compact").await;
    assert_eq!((blocks(&fixture), fixture.totals().await), (1, before.clone()));
    fixture.crash_and_open().await;
    assert_eq!((blocks(&fixture), fixture.totals().await), (1, before.clone()));
    // A fresh key, so that the old ones are no longer all there is.
    fixture.clock.set(EPOCH + 24 * 22 * HOUR);
    fixture.take(batch("a", 5, vec![lines(&[(22 * 24 * 60, "new", 1)])])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    fixture.task("engine.rollup").await;
    fixture.task("engine.retain").await;
    assert_eq!(blocks(&fixture), 1);
    for _ in 0..2 {
        let keys = fixture.csv("SELECT k, sum(count) AS c FROM monitor.m GROUP BY k ORDER BY k").await;
        assert_eq!(keys.expect("answered"), "k,c\nnew,1\n");
        fixture.crash_and_open().await;
    }
    // A key that was forgotten can come again.
    fixture.take(batch("a", 6, vec![lines(&[(22 * 24 * 60, "x", 1)])])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    fixture.crash_and_open().await;
    let keys = fixture.csv("SELECT k, sum(count) AS c FROM monitor.m GROUP BY k ORDER BY k").await;
    assert_eq!(keys.expect("answered"), "k,c\nnew,1\nx,1\n");
}

#[tokio::test]
async fn a_clock_that_jumped_ahead_deletes_nothing() {
    let fixture = Fixture::of_one_retention().await;
    fixture.take(batch("a", 1, vec![lines(&[(0, "x", 1)])])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    let day = 24 * HOUR;
    fixture.clock.set(EPOCH + 10 * day);
    fixture.take(batch("a", 2, vec![lines(&[(10 * 24 * 60, "x", 1)])])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    // The first day is rolled up.
    fixture.task("engine.rollup").await;
    for jumped in [22, 40, 4000] {
        fixture.clock.set(EPOCH + jumped * day);
        fixture.task("engine.retain").await;
        assert_eq!(blocks(&fixture), 4, "{jumped} days");
    }
    // It was right: with newer data the old goes.
    fixture.clock.set(EPOCH + 22 * day);
    fixture.take(batch("a", 3, vec![lines(&[(22 * 24 * 60, "x", 1)])])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    fixture.task("engine.rollup").await;
    fixture.task("engine.retain").await;
    assert_eq!(blocks(&fixture), 4);
}

#[tokio::test]
async fn windows_past_retention_are_not_taken() {
    let fixture = Fixture::new().await;
    let entries = [(-22 * 24 * 60, "x", 1), (0, "x", 1), (2 * 24 * 60, "x", 1)];
    fixture.take(batch("a", 1, vec![lines(&entries)])).await.expect("taken");
    assert_eq!(fixture.csv("SELECT count(*) AS n FROM monitor.m").await.expect("answered"), "n\n1\n");
}

#[tokio::test]
async fn what_an_old_monitor_did_not_have_is_null() {
    let fixture = Fixture::new().await;
    fixture.take(batch("a", 1, vec![lines(&[(0, "x", 4)])])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    fixture.catalog.define(
        "w",
        "m",
        &["k", "$host"],
        &[("count", "lines", ""), ("v_max", "max", "v"), ("u_sum", "sum", "u")],
    );
    let mut delta = lines(&[(1, "x", 5)]);
    delta.group_by = vec!["k".into(), "$host".into()];
    delta.fields = vec!["*".into(), "u".into()];
    delta.windows[0].keys.push("h1".into());
    fixture.take(batch("a", 2, vec![delta])).await.expect("taken");
    let all = fixture.csv("SELECT time, k, \"$host\", count, v_max, u_sum FROM monitor.m ORDER BY time").await;
    assert_eq!(
        all.expect("answered"),
        "time,k,$host,count,v_max,u_sum\n2026-01-31T08:00:00Z,x,,1,4.0,\n2026-01-31T08:01:00Z,x,h1,1,,5.0\n"
    );
    let old = fixture.csv("SELECT count(*) AS n FROM monitor.m WHERE \"$host\" IS NULL").await;
    assert_eq!(old.expect("answered"), "n\n1\n");
}

/// Copies are made all the while that blocks come, are merged, rolled up and go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_an_engine_at_work_opens_and_holds_what_was_taken_before() {
    let fixture = Fixture::of_one_retention().await;
    let taken = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let send = async || {
        for sequence in 1.. {
            if done.load(Ordering::SeqCst) {
                break;
            }
            let minute = (sequence as i64 * 37) % (3 * 24 * 60);
            fixture.take(batch("a", sequence, vec![lines(&[(minute, "x", 1)])])).await.expect("taken");
            taken.store(sequence, Ordering::SeqCst);
        }
    };
    let keep_up = async || {
        fixture.clock.set(EPOCH + 5 * 24 * HOUR);
        while !done.load(Ordering::SeqCst) {
            fixture.engine().flush().await.expect("flushed");
            for task in ["engine.compact", "engine.rollup", "engine.retain"] {
                fixture.task(task).await;
            }
        }
    };
    let copies = tempfile::tempdir().expect("tempdir");
    let copy = async || {
        for round in 0..6 {
            let before = taken.load(Ordering::SeqCst);
            let (from, into) = (fixture.config.data_dir.clone(), copies.path().join(round.to_string()));
            let of_thread = into.join("engine");
            let copied = tokio::task::spawn_blocking(move || nightjar_engine::copy(&from, &of_thread)).await;
            copied.expect("no panic").expect("copied");
            let opened = Fixture::at(&into, |config| {
                (config.hour_retention, config.day_retention) = (config.retention, config.retention);
            });
            let held: u64 = opened.await.totals().await.values().map(|(count, _)| count).sum();
            assert!((before..=taken.load(Ordering::SeqCst) + 1).contains(&held), "{held} of {before}");
        }
        done.store(true, Ordering::SeqCst);
    };
    tokio::join!(send(), keep_up(), copy());
}
