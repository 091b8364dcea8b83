//! What the engine says of windows, through restarts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nightjar_model::kinds::alert_rule::KeyMatch;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::WindowReader;
use nightjar_model::query::{CompletenessState, Contributor, WindowAnswer, WindowQuery};
use nightjar_model::{Decimal, ErrorKind, Timestamp};

use crate::fixture::{EPOCH, Fixture, MINUTE, batch, lines, through};

fn query(from: i64, until: i64) -> WindowQuery {
    WindowQuery {
        monitor: MonitorKey::new("w", "m"),
        from: Timestamp(EPOCH + from * MINUTE),
        until: Timestamp(EPOCH + until * MINUTE),
        filter: BTreeMap::new(),
        by: None,
        step: None,
        max_series: 100,
    }
}

fn states(answer: &WindowAnswer) -> String {
    let show = |one: &nightjar_model::query::Completeness| {
        let missing = || one.missing.iter().map(|a| a.0.as_str()).collect::<Vec<_>>().join("+");
        match one.state {
            CompletenessState::Complete => "C".to_owned(),
            CompletenessState::Revised => "R".to_owned(),
            CompletenessState::InProgress => "I".to_owned(),
            CompletenessState::Partial => format!("P{}", missing()),
            CompletenessState::Never => format!("N{}", missing()),
        }
    };
    answer.completeness.iter().map(show).collect::<Vec<_>>().join(" ")
}

async fn check(fixture: &Fixture, until: i64, expected: &str) {
    let answer = fixture.engine().windows(query(0, until)).await.expect("windows");
    assert_eq!(states(&answer), expected);
}

#[tokio::test]
async fn marks_and_progress_survive_crash_flush_and_restart() {
    let mut fixture = Fixture::new().await;
    fixture.expect(&["a", "b"]).await;
    fixture.clock.set(EPOCH + 5 * MINUTE);
    fixture.take(through(batch("a", 1, vec![lines(&[(1, "x", 1)])]), 4 * MINUTE)).await.expect("taken");
    fixture.take(through(batch("b", 1, vec![]), 3 * MINUTE)).await.expect("taken");
    // Minute 1 had been complete.
    fixture.take(batch("a", 2, vec![lines(&[(1, "x", 1)])])).await.expect("taken");
    let expected = "N R C Pb I I";
    check(&fixture, 9, expected).await;
    fixture.crash_and_open().await;
    check(&fixture, 9, expected).await;
    fixture.engine().flush().await.expect("flushed");
    fixture.crash_and_open().await;
    check(&fixture, 9, expected).await;
    // The same fleet again, as after a restart of the server, changes nothing.
    fixture.expect(&["a", "b"]).await;
    check(&fixture, 9, expected).await;
    // b goes: the windows it had begun stay without it.
    fixture.expect(&["a"]).await;
    check(&fixture, 9, "N R C Nb Na+b Na+b").await;
    fixture.take(through(batch("a", 3, vec![]), 6 * MINUTE)).await.expect("taken");
    // An agent's watermark is believed up to 3 s ahead of the server's clock only.
    check(&fixture, 9, "N R C Nb Nb Na+b").await;
    fixture.crash_and_open().await;
    check(&fixture, 9, "N R C Nb Nb Na+b").await;
    let progress = fixture.engine().progress(&MonitorKey::new("w", "m")).await.expect("progress");
    assert_eq!(progress.complete_through, Some(Timestamp(EPOCH + 3 * MINUTE)));
    let furthest = Some(Timestamp(EPOCH + 5 * MINUTE + 3000));
    let settled = Some(Timestamp(EPOCH + 5 * MINUTE));
    assert_eq!((progress.settled_through, progress.furthest, progress.expected), (settled, furthest, 1));
    let contributors = fixture.engine().contributors(&MonitorKey::new("w", "m")).await.expect("contributors");
    assert_eq!(contributors, [Contributor { agent: AgentId("a".into()), through: furthest }]);
}

#[tokio::test]
async fn listeners_hear_of_quiet_minutes_too() {
    let fixture = Fixture::new().await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    fixture.engine().on_closed(Arc::new(move |monitor, through| {
        hears.lock().expect("heard").push((monitor.to_string(), (through.0 - EPOCH) / MINUTE));
    }));
    fixture.expect(&["a"]).await;
    fixture.clock.set(EPOCH + 10 * MINUTE);
    for (sequence, minute) in [(1, 1), (2, 3), (3, 4)] {
        fixture.take(through(batch("a", sequence, vec![]), minute * MINUTE)).await.expect("taken");
    }
    // It is called after the acknowledgement; the next request is handled after it.
    fixture.take(batch("a", 4, vec![])).await.expect("taken");
    assert_eq!(*heard.lock().expect("heard"), [("w/m".to_owned(), 3), ("w/m".to_owned(), 4)]);
}

#[tokio::test]
async fn a_minute_that_nobody_was_expected_for_is_never_complete() {
    let fixture = Fixture::new().await;
    fixture.take(batch("a", 1, vec![lines(&[(0, "x", 1)])])).await.expect("taken");
    check(&fixture, 3, "I").await;
    fixture.clock.set(EPOCH + 2 * MINUTE);
    check(&fixture, 3, "N I I").await;
    let progress = fixture.engine().progress(&MonitorKey::new("w", "m")).await.expect("progress");
    assert_eq!(progress.complete_through, None);
}

#[tokio::test]
async fn windows_filter_group_and_step() {
    let fixture = Fixture::new().await;
    fixture.expect(&["a"]).await;
    fixture.clock.set(EPOCH + 10 * MINUTE);
    let entries = [(1, "x", 10), (1, "y", 5), (2, "x", 1), (4, "x", 7), (6, "y", 2)];
    fixture.take(through(batch("a", 1, vec![lines(&entries)]), 5 * MINUTE)).await.expect("taken");
    let shown = async |query: WindowQuery| {
        let answer = fixture.engine().windows(query).await.expect("windows");
        let of_series = |series: &nightjar_model::query::SeriesWindows| {
            let points: Vec<String> = series
                .windows
                .iter()
                .map(|(at, p)| {
                    format!("{}:{}/{}", (at.0 - EPOCH) / MINUTE, p[0].count(), p[1].as_number().expect("a number").sum)
                })
                .collect();
            format!("{}[{}]", series.keys.join(","), points.join(" "))
        };
        format!("{} | {}", answer.series.iter().map(of_series).collect::<Vec<_>>().join(" "), states(&answer))
    };
    for flushed in [false, true] {
        if flushed {
            fixture.engine().flush().await.expect("flushed");
        }
        assert_eq!(shown(query(1, 5)).await, "x[1:1/10 2:1/1 4:1/7] y[1:1/5] | C C C C");
        let merged = WindowQuery { by: Some(vec![]), step: Some(Duration::from_secs(120)), ..query(1, 7) };
        assert_eq!(shown(merged).await, "[1:3/16 3:1/7 5:1/2] | C C Pa");
        let keys = |matcher| WindowQuery { filter: BTreeMap::from([("k".to_owned(), matcher)]), ..query(1, 3) };
        assert_eq!(shown(keys(KeyMatch::In(vec!["y".into()]))).await, "y[1:1/5] | C C");
        assert_eq!(shown(keys(KeyMatch::NotIn(vec!["y".into()]))).await, "x[1:1/10 2:1/1] | C C");
        assert_eq!(shown(keys(KeyMatch::Any(true))).await, "x[1:1/10 2:1/1] y[1:1/5] | C C");
    }
    let refused = async |query: WindowQuery| fixture.engine().windows(query).await.expect_err("refused").kind;
    assert_eq!(refused(WindowQuery { max_series: 1, ..query(0, 9) }).await, ErrorKind::InvalidInput);
    assert_eq!(refused(WindowQuery { by: Some(vec!["q".into()]), ..query(0, 9) }).await, ErrorKind::InvalidInput);
    assert_eq!(
        refused(WindowQuery { step: Some(Duration::from_secs(90)), ..query(0, 9) }).await,
        ErrorKind::InvalidInput
    );
    assert_eq!(refused(query(0, 100_000_000)).await, ErrorKind::InvalidInput);
    let coarse = WindowQuery { step: Some(Duration::from_secs(60 * 100_000_000)), ..query(0, 100_000_000) };
    assert_eq!(refused(coarse).await, ErrorKind::InvalidInput);
    let unknown = WindowQuery { monitor: MonitorKey::new("w", "nn"), ..query(0, 9) };
    assert_eq!(refused(unknown).await, ErrorKind::NotFound);
    // Sums are exact.
    let answer = fixture.engine().windows(query(0, 9)).await.expect("windows");
    assert_eq!(answer.series[0].windows[0].1[1].as_number().expect("a number").sum, Decimal::from_int(10));
}
