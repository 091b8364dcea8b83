//! A monitor is its uid and its name a label; an id is given once; what nobody knows any more is not shown under
//! another's name.

use std::collections::BTreeMap;
use std::time::Duration;

use nightjar_model::Timestamp;
use nightjar_model::delta::{MonitorDelta, Watermark};
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{Expectation, Intake, WindowReader};
use nightjar_model::query::{CompletenessState, WindowQuery};

use crate::fixture::{EPOCH, Fixture, MINUTE, batch, change_manifest, lines, through};

const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn of(uid: Option<&str>, entries: &[(i64, &str, i64)]) -> MonitorDelta {
    MonitorDelta { uid: uid.map(str::to_owned), ..lines(entries) }
}

async fn shown(fixture: &Fixture) -> String {
    let sql = "SELECT k, sum(count) AS c FROM monitor.m GROUP BY k ORDER BY k";
    let text = fixture.csv(sql).await.expect("answered");
    let by_windows: u64 = fixture.totals().await.values().map(|(count, _)| count).sum();
    let by_sql: u64 = text.lines().skip(1).filter_map(|line| line.split(',').nth(1)?.parse::<u64>().ok()).sum();
    assert_eq!(by_windows, by_sql, "{text}");
    text.lines().skip(1).map(|line| format!("{line};")).collect()
}

fn block_bytes(fixture: &Fixture) -> Vec<u64> {
    let files = std::fs::read_dir(fixture.config.data_dir.join("blocks")).expect("blocks");
    let mut bytes: Vec<u64> = files.map(|file| file.expect("a file").metadata().expect("there").len()).collect();
    bytes.sort_unstable();
    bytes
}

#[tokio::test]
async fn one_made_again_shows_nothing_of_the_one_before_whose_windows_are_deleted_a_day_later() {
    let mut fixture = Fixture::new().await;
    fixture.catalog.define("w", "other", &["k"], &[("count", "lines", "")]);
    fixture.catalog.identify("w", "m", "u1");
    fixture.catalog.identify("w", "other", "o1");
    let mut other = of(Some("o1"), &[(0, "stays", 1)]);
    other.monitor.name = "other".into();
    let keys: Vec<String> = (0..2000).map(|key| format!("key-{key}")).collect();
    let many: Vec<(i64, &str, i64)> = keys.iter().map(|key| (0, key.as_str(), 1)).collect();
    fixture.take(batch("a", 1, vec![of(Some("u1"), &many), other])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    let full = block_bytes(&fixture);
    fixture.catalog.delete("w", "m");
    fixture.task("engine.retain").await;
    fixture.catalog.define("w", "m", &["k"], &[("count", "lines", ""), ("v_sum", "sum", "v")]);
    fixture.catalog.identify("w", "m", "u2");
    assert_eq!(shown(&fixture).await, "");
    // Late lines of the deleted one are not the new one's, be it that they say so or that nobody says anything.
    fixture.take(batch("a", 2, vec![of(Some("u2"), &[(1, "new", 1)])])).await.expect("taken");
    fixture.take(batch("a", 3, vec![of(Some("u1"), &[(1, "late", 1)])])).await.expect("taken");
    fixture.take(batch("a", 4, vec![of(None, &[(2, "nameless", 1)])])).await.expect("taken");
    for step in 0..4 {
        assert_eq!(shown(&fixture).await, "nameless,1;new,1;", "step {step}");
        match step {
            0 => fixture.engine().flush().await.expect("flushed"),
            1 => fixture.crash_and_open().await,
            _ => fixture.task("engine.compact").await,
        }
    }
    fixture.clock.set(EPOCH + 20 * HOUR);
    fixture.task("engine.retain").await;
    assert!(block_bytes(&fixture).iter().sum::<u64>() >= full.iter().sum::<u64>(), "it can still be restored");
    fixture.clock.set(EPOCH + DAY + HOUR);
    for _ in 0..2 {
        fixture.task("engine.retain").await;
        assert!(block_bytes(&fixture).iter().sum::<u64>() < full.iter().sum::<u64>(), "{:?}", block_bytes(&fixture));
        assert_eq!(shown(&fixture).await, "nameless,1;new,1;");
        let text = fixture.csv("SELECT k, count FROM monitor.other").await.expect("answered");
        assert_eq!(text, "k,count\nstays,1\n");
        fixture.crash_and_open().await;
    }
}

#[tokio::test]
async fn one_that_was_restored_within_the_day_keeps_its_windows() {
    let mut fixture = Fixture::new().await;
    fixture.catalog.identify("w", "m", "u1");
    fixture.take(batch("a", 1, vec![of(Some("u1"), &[(0, "x", 1)])])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    fixture.catalog.delete("w", "m");
    fixture.task("engine.retain").await;
    fixture.catalog.define("w", "m", &["k"], &[("count", "lines", ""), ("v_sum", "sum", "v")]);
    fixture.catalog.identify("w", "m", "u1");
    fixture.task("engine.retain").await;
    fixture.clock.set(EPOCH + 2 * DAY);
    fixture.task("engine.retain").await;
    fixture.crash_and_open().await;
    assert_eq!(shown(&fixture).await, "x,1;");
}

#[tokio::test]
async fn what_had_no_uid_is_of_the_first_that_has_the_name() {
    let mut fixture = Fixture::new().await;
    fixture.take(batch("a", 1, vec![of(None, &[(0, "old", 1)])])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    fixture.catalog.identify("w", "m", "u1");
    assert_eq!(shown(&fixture).await, "old,1;", "before anything was written of it");
    fixture.task("engine.retain").await;
    fixture.crash_and_open().await;
    fixture.catalog.identify("w", "m", "u2");
    assert_eq!(shown(&fixture).await, "");
    fixture.engine().flush().await.expect("flushed");
    fixture.crash_and_open().await;
    assert_eq!(shown(&fixture).await, "");
    fixture.catalog.identify("w", "m", "u1");
    assert_eq!(shown(&fixture).await, "old,1;");
}

#[tokio::test]
async fn a_key_does_not_come_back_under_the_name_of_another() {
    let mut fixture = Fixture::of_one_retention().await;
    let far = -20 * 24 * 60;
    // The highest ids are of windows that are about to go.
    fixture.take(batch("a", 1, vec![lines(&[(0, "stays", 1)])])).await.expect("taken");
    fixture.take(batch("a", 2, vec![lines(&[(far, "gone-1", 1), (far, "gone-2", 1)])])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    fixture.clock.set(EPOCH + 2 * DAY);
    fixture.task("engine.rollup").await;
    fixture.task("engine.retain").await;
    assert_eq!(shown(&fixture).await, "stays,1;");
    for (sequence, key) in [(3, "new-1"), (4, "new-2"), (5, "new-3")] {
        fixture.crash_and_open().await;
        fixture.take(batch("a", sequence, vec![lines(&[(0, key, 1)])])).await.expect("taken");
        fixture.engine().flush().await.expect("flushed");
    }
    fixture.crash_and_open().await;
    assert_eq!(shown(&fixture).await, "new-1,1;new-2,1;new-3,1;stays,1;");
}

/// As if the index came from another backup than the blocks.
fn forget_series(fixture: &Fixture) {
    change_manifest(fixture, |manifest| {
        manifest["series_file"]["bytes"] = 0.into();
        manifest["series_stored"] = serde_json::json!({ "tables": 0, "fields": 0, "series": 0 });
    });
}

#[tokio::test]
async fn a_monitor_made_again_takes_over_nothing_that_was_complete() {
    let mut fixture = Fixture::new().await;
    let (key, agent) = (MonitorKey::new("w", "m"), AgentId("a".into()));
    let expect = async |fixture: &Fixture, uid: &str| {
        let one = Expectation::new(key.clone(), Duration::from_secs(60), [agent.clone()]);
        fixture.engine().expect(vec![Expectation { uid: Some(uid.into()), ..one }]).await.expect("expected");
        fixture.catalog.identify("w", "m", uid);
    };
    let read = async |fixture: &Fixture, sequence: u64, uid: &str, minute: i64| {
        let told =
            Watermark { uid: Some(uid.into()), ..Watermark::new(key.clone(), Timestamp(EPOCH + minute * MINUTE)) };
        let mut of = batch("a", sequence, vec![]);
        of.watermarks.push(told);
        fixture.take(of).await.expect("taken");
    };
    let states = async |fixture: &Fixture| {
        let query = WindowQuery {
            monitor: key.clone(),
            from: Timestamp(EPOCH),
            until: Timestamp(EPOCH + 8 * MINUTE),
            filter: BTreeMap::new(),
            by: None,
            step: None,
            max_series: 10,
        };
        let answer = fixture.engine().windows(query).await.expect("windows");
        answer.completeness.iter().map(|one| format!("{:?}", one.state).remove(0)).collect::<String>()
    };
    expect(&fixture, "u1").await;
    read(&fixture, 1, "u1", 0).await;
    fixture.clock.set(EPOCH + 4 * MINUTE);
    read(&fixture, 2, "u1", 4).await;
    assert_eq!(states(&fixture).await, "NCCCI");
    // Deleted and made again: what it has of before is not shown, so those minutes are no healthy zeros.
    expect(&fixture, "u2").await;
    assert_eq!(states(&fixture).await, "NNNII");
    // What was read for the old one is not read for the new one.
    fixture.clock.set(EPOCH + 8 * MINUTE);
    read(&fixture, 3, "u1", 8).await;
    assert!(!states(&fixture).await.contains('C'));
    read(&fixture, 4, "u2", 5).await;
    read(&fixture, 5, "u2", 8).await;
    let expected = "NNNNNNCC";
    assert_eq!(states(&fixture).await, expected);
    fixture.crash_and_open().await;
    assert_eq!(states(&fixture).await, expected);
    fixture.engine().flush().await.expect("flushed");
    fixture.crash_and_open().await;
    expect(&fixture, "u2").await;
    assert_eq!(states(&fixture).await, expected);
}

#[tokio::test]
async fn a_block_whose_keys_nobody_knows_is_left_out_and_kept() {
    let mut fixture = Fixture::of_one_retention().await;
    fixture.expect(&["a"]).await;
    fixture.clock.set(EPOCH + 3 * MINUTE);
    fixture.take(through(batch("a", 1, vec![lines(&[(1, "lost", 1)])]), 2 * MINUTE)).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    let state = async |fixture: &Fixture| {
        let query = WindowQuery {
            monitor: MonitorKey::new("w", "m"),
            from: Timestamp(EPOCH + MINUTE),
            until: Timestamp(EPOCH + 2 * MINUTE),
            filter: BTreeMap::new(),
            by: None,
            step: None,
            max_series: 10,
        };
        fixture.engine().windows(query).await.expect("windows").completeness[0].state
    };
    let before = state(&fixture).await;
    fixture.crash();
    forget_series(&fixture);
    fixture.crash_and_open().await;
    assert_eq!(shown(&fixture).await, "");
    // Nor does a minute of which something is gone pass for one without lines.
    assert_eq!((before, state(&fixture).await), (CompletenessState::Complete, CompletenessState::Never));
    fixture.take(batch("a", 2, vec![lines(&[(1, "fresh", 1)])])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    for _ in 0..2 {
        fixture.task("engine.compact").await;
        fixture.task("engine.retain").await;
        assert_eq!((shown(&fixture).await.as_str(), block_bytes(&fixture).len()), ("fresh,1;", 2));
        fixture.crash_and_open().await;
    }
    // It goes with its time.
    fixture.clock.set(EPOCH + 22 * DAY);
    fixture.take(batch("a", 3, vec![lines(&[(22 * 24 * 60, "later", 1)])])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    fixture.task("engine.rollup").await;
    fixture.task("engine.retain").await;
    assert_eq!(block_bytes(&fixture).len(), 1);
}

#[tokio::test]
async fn seconds_go_before_minutes() {
    let fixture = Fixture::new().await;
    fixture.catalog.define("w", "seconds", &["k"], &[("count", "lines", "")]);
    let mut seconds = lines(&[(0, "x", 1)]);
    seconds.monitor.name = "seconds".into();
    seconds.width = Duration::from_secs(1);
    fixture.take(batch("a", 1, vec![lines(&[(0, "x", 1)]), seconds])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    let count = async |monitor: &str| {
        fixture.csv(&format!("SELECT count(*) AS n FROM monitor.{monitor}")).await.expect("answered")
    };
    assert_eq!((block_bytes(&fixture).len(), count("seconds").await.as_str()), (2, "n\n1\n"));
    // Something newer, so that the clock is believed.
    fixture.clock.set(EPOCH + 4 * DAY);
    fixture.take(batch("a", 2, vec![lines(&[(4 * 24 * 60, "x", 1)])])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
    // Not before they are rolled up.
    fixture.task("engine.retain").await;
    assert_eq!(count("seconds").await, "n\n1\n");
    fixture.task("engine.rollup").await;
    fixture.task("engine.retain").await;
    assert_eq!((count("seconds").await.as_str(), count("m").await.as_str()), ("n\n0\n", "n\n2\n"));
}
