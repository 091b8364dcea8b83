//! Roll-ups say what their source says, whatever happens in whatever order, and what it said once it is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use nightjar_model::delta::MonitorDelta;
use nightjar_model::names::MonitorKey;
use nightjar_model::ports::{Intake, WindowReader};
use nightjar_model::query::{WindowAnswer, WindowQuery};
use nightjar_model::{Span, Timestamp};
use proptest::prelude::*;

use crate::fixture::{EPOCH, Fixture, MINUTE, batch, lines};

const SECOND: i64 = 1000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Monitor, start and key of a window; lines, sum, least and greatest value.
type Windows = BTreeMap<(i64, String), (u64, i64, i64, i64)>;

/// Monitors, with the width of their windows.
const MONITORS: [(&str, i64); 2] = [("m", MINUTE), ("s", SECOND)];

async fn fixture() -> Fixture {
    let fixture = Fixture::with(|config| {
        config.second_retention = Span::from_secs(26 * 3600);
        config.retention = Span::from_secs(2 * 86_400);
        config.hour_retention = Span::from_secs(200 * 86_400);
        config.day_retention = Span::from_secs(400 * 86_400);
    });
    let fixture = fixture.await;
    let stats = [
        ("count", "lines", ""),
        ("v_sum", "sum", "v"),
        ("v_avg", "avg", "v"),
        ("v_min", "min", "v"),
        ("v_max", "max", "v"),
    ];
    fixture.catalog.define("w", "m", &["k"], &stats);
    fixture.catalog.define_as("second_multi_key", "w", "s", &["k"], &stats);
    fixture
}

/// Windows of a monitor, each of a line, that start at these times.
fn delta(monitor: usize, entries: &[(i64, &str, i64)]) -> MonitorDelta {
    let (name, width) = MONITORS[monitor];
    let mut delta = lines(entries);
    delta.monitor.name = name.to_owned();
    delta.width = Duration::from_millis(width as u64);
    for (window, (at, _, _)) in delta.windows.iter_mut().zip(entries) {
        window.start = Timestamp(at.div_euclid(width) * width);
    }
    delta
}

fn query(monitor: usize, from: i64, until: i64, step: i64) -> WindowQuery {
    WindowQuery {
        monitor: MonitorKey::new("w", MONITORS[monitor].0),
        from: Timestamp(from),
        until: Timestamp(until),
        filter: BTreeMap::new(),
        by: None,
        step: Some(Duration::from_millis(step as u64)),
        max_series: 1000,
    }
}

fn whole(value: nightjar_model::Decimal) -> i64 {
    (value.0 / 1_000_000_000) as i64
}

fn shown(answer: WindowAnswer) -> Windows {
    let mut found = Windows::new();
    for series in answer.series {
        for (time, partials) in series.windows {
            let number = partials[1].as_number().expect("a number");
            let figures = (partials[0].count(), whole(number.sum), whole(number.min), whole(number.max));
            found.insert((time.0, series.keys[0].clone()), figures);
        }
    }
    found
}

async fn windows(fixture: &Fixture, monitor: usize, from: i64, until: i64, step: i64) -> Windows {
    shown(fixture.engine().windows(query(monitor, from, until, step)).await.expect("windows"))
}

async fn table(fixture: &Fixture, schema: &str, monitor: usize) -> Windows {
    let name = MONITORS[monitor].0;
    let sql =
        format!("SELECT cast(time AS BIGINT) AS at, k, count, v_sum, v_min, v_max, v_avg FROM {schema}.\"{name}\"");
    let text = fixture.csv(&sql).await.expect("answered");
    let mut found = Windows::new();
    for line in text.lines().skip(1) {
        let columns: Vec<&str> = line.split(',').collect();
        let number = |at: usize| columns[at].parse::<f64>().expect("a number");
        let time: i64 = columns[0].parse().expect("a time");
        let figures = (number(2) as u64, number(3) as i64, number(4) as i64, number(5) as i64);
        assert!((number(6) - number(3) / number(2)).abs() < 1e-9, "the average of all, not of averages: {line}");
        let twice = found.insert((time, columns[1].to_owned()), figures);
        assert_eq!(twice, None, "a window stands once: {line}");
    }
    found
}

/// What was taken, in windows of `width`.
fn rolled(taken: &[(i64, &'static str, i64)], width: i64) -> Windows {
    let mut windows = Windows::new();
    for (at, key, value) in taken {
        let window = windows.entry((at.div_euclid(width) * width, (*key).to_owned())).or_insert((0, 0, *value, *value));
        *window = (window.0 + 1, window.1 + value, window.2.min(*value), window.3.max(*value));
    }
    windows
}

#[derive(Debug, Clone)]
enum Step {
    Send { monitor: usize, entries: Vec<(i64, usize, i64)> },
    Flush,
    RollUp,
    Compact,
    Retain,
    Crash,
    Later { minutes: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Most come in time, some late, and some too late.
    let back = prop_oneof![3 => 0i64..7200, 2 => 0i64..90_000, 1 => 0i64..250_000];
    let entry = (back, 0usize..3, -1000i64..1000);
    let step = prop_oneof![
        6 => (0usize..2, proptest::collection::vec(entry, 1..12))
            .prop_map(|(monitor, entries)| Step::Send { monitor, entries }),
        4 => Just(Step::Flush),
        4 => Just(Step::RollUp),
        2 => Just(Step::Compact),
        3 => Just(Step::Retain),
        2 => Just(Step::Crash),
        5 => (1i64..2000).prop_map(|minutes| Step::Later { minutes }),
    ];
    proptest::collection::vec(step, 1..40)
}

const KEYS: [&str; 3] = ["x", "y", "z"];

async fn run(steps: Vec<Step>) {
    let mut fixture = fixture().await;
    let mut taken: [Vec<(i64, &str, i64)>; 2] = Default::default();
    let (mut now, mut sequence) = (EPOCH, 0);
    let count = steps.len();
    for (place, step) in steps.into_iter().enumerate() {
        match step {
            Step::Send { monitor, entries } => {
                sequence += 1;
                let width = Duration::from_millis(MONITORS[monitor].1 as u64);
                let accepted = fixture.engine().accepts(Timestamp(now), width);
                let entries: Vec<(i64, &str, i64)> =
                    entries.iter().map(|(back, key, value)| (now - back * SECOND, KEYS[*key], *value)).collect();
                fixture.take(batch("a", sequence, vec![delta(monitor, &entries)])).await.expect("taken");
                let width = MONITORS[monitor].1;
                let starts = entries.into_iter().map(|(at, key, value)| (at.div_euclid(width) * width, key, value));
                taken[monitor].extend(starts.filter(|(at, _, _)| accepted.contains(&Timestamp(*at))));
            }
            Step::Flush => fixture.engine().flush().await.expect("flushed"),
            Step::RollUp => fixture.task("engine.rollup").await,
            Step::Compact => fixture.task("engine.compact").await,
            Step::Retain => fixture.task("engine.retain").await,
            Step::Crash => fixture.crash_and_open().await,
            Step::Later { minutes } => {
                now += minutes * MINUTE;
                fixture.clock.set(now);
            }
        }
        check(&fixture, &taken, now, place % 5 == 0 || place + 1 == count).await;
    }
}

async fn check(fixture: &Fixture, taken: &[Vec<(i64, &'static str, i64)>; 2], now: i64, sql: bool) {
    let from = EPOCH.div_euclid(DAY) * DAY - 4 * DAY;
    for (monitor, (_, width)) in MONITORS.into_iter().enumerate() {
        let taken = &taken[monitor];
        for step in [HOUR, 6 * HOUR, DAY] {
            assert_eq!(windows(fixture, monitor, from, now + DAY, step).await, rolled(taken, step), "{monitor}/{step}");
        }
        // Out of step with the clock, and where all of the source is kept.
        let kept = fixture.engine().accepts(Timestamp(now), Duration::from_millis(width as u64)).start.0;
        let kept = -(-kept).div_euclid(MINUTE) * MINUTE;
        let recent: Vec<_> = taken.iter().filter(|(at, _, _)| *at >= kept).copied().collect();
        let odd = |at: i64| kept + (at - kept).div_euclid(HOUR) * HOUR;
        let shifted: Vec<_> = recent.iter().map(|(at, key, value)| (odd(*at) - kept, *key, *value)).collect();
        let shifted: Windows =
            rolled(&shifted, HOUR).into_iter().map(|((at, key), figures)| ((at + kept, key), figures)).collect();
        assert_eq!(windows(fixture, monitor, kept, now + DAY, HOUR).await, shifted, "{monitor} from {kept}");
        if sql {
            for (schema, width) in [("minute", MINUTE), ("hour", HOUR), ("day", DAY)] {
                let found = table(fixture, schema, monitor).await;
                if schema == "minute" && monitor == 0 {
                    // Of this there is nothing but the source.
                    let found: Windows = found.into_iter().filter(|((at, _), _)| *at >= kept).collect();
                    assert_eq!(found, rolled(&recent, width), "minute.m");
                } else if schema != "minute" {
                    assert_eq!(found, rolled(taken, width), "{schema}/{monitor}");
                }
            }
            let found: Windows =
                table(fixture, "monitor", monitor).await.into_iter().filter(|((at, _), _)| *at >= kept).collect();
            assert_eq!(found, rolled(&recent, width), "{monitor} as sent");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 300, ..ProptestConfig::default() })]
    #[test]
    fn roll_ups_and_source_agree_after_every_step(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(run(steps));
    }
}

fn blocks(fixture: &Fixture) -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(fixture.config.data_dir.join("manifest")).expect("read");
    let (_, body) = text.split_once('\n').expect("two lines");
    let manifest: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let mut tiers = BTreeMap::new();
    for block in manifest["blocks"].as_array().expect("blocks") {
        *tiers.entry(block["tier"].as_str().expect("a tier").to_owned()).or_default() += 1;
    }
    tiers
}

fn tiers(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(tier, count)| ((*tier).to_owned(), *count)).collect()
}

async fn send(fixture: &Fixture, sequence: u64, monitor: usize, entries: &[(i64, &str, i64)]) {
    fixture.take(batch("a", sequence, vec![delta(monitor, entries)])).await.expect("taken");
    fixture.engine().flush().await.expect("flushed");
}

async fn upkeep(fixture: &Fixture) {
    for task in ["engine.rollup", "engine.retain", "engine.compact"] {
        fixture.task(task).await;
    }
}

#[tokio::test]
async fn what_is_gone_is_answered_by_its_roll_up_and_the_answer_says_where_finer_windows_begin() {
    let mut fixture = fixture().await;
    let day = EPOCH.div_euclid(DAY) * DAY;
    for monitor in [0, 1] {
        send(&fixture, 1 + monitor as u64, monitor, &[(EPOCH, "x", 1), (EPOCH + 61 * MINUTE, "x", 5)]).await;
    }
    let asked = async |fixture: &Fixture, monitor: usize, step: i64| {
        let answer = fixture.engine().windows(query(monitor, day, day + DAY, step)).await.expect("windows");
        (answer.kept_from.map(|at| at.0 - day), shown(answer).len())
    };
    fixture.clock.set(day + DAY + 30 * MINUTE);
    upkeep(&fixture).await;
    // An hour has not passed since the end of the day; of its seconds it has.
    assert_eq!(blocks(&fixture), tiers(&[("minute", 1), ("raw", 1), ("second", 1)]));
    fixture.clock.set(day + DAY + HOUR);
    upkeep(&fixture).await;
    assert_eq!(blocks(&fixture)["hour"], 1);
    assert_eq!((asked(&fixture, 0, MINUTE).await, asked(&fixture, 1, MINUTE).await), ((None, 2), (None, 2)));
    // Newer ones, so that the clock is believed.
    fixture.clock.set(day + 5 * DAY);
    send(&fixture, 3, 0, &[(day + 5 * DAY, "x", 9)]).await;
    for _ in 0..2 {
        upkeep(&fixture).await;
        assert_eq!(blocks(&fixture), tiers(&[("day", 1), ("hour", 1), ("raw", 1)]));
        for monitor in [0, 1] {
            assert_eq!(asked(&fixture, monitor, MINUTE).await, (Some(DAY), 0));
            assert_eq!(asked(&fixture, monitor, HOUR).await, (None, 2));
            assert_eq!(asked(&fixture, monitor, DAY).await, (None, 1));
        }
        fixture.crash_and_open().await;
    }
    // Nothing is taken of what only roll-ups are left of.
    send(&fixture, 4, 0, &[(day + 2 * DAY, "late", 1)]).await;
    assert_eq!(table(&fixture, "hour", 0).await.len(), 3);
}

#[tokio::test]
async fn late_rows_are_in_every_answer_at_once_and_in_the_roll_up_when_it_is_done_again() {
    let fixture = fixture().await;
    let day = EPOCH.div_euclid(DAY) * DAY;
    let mut all = [(day, "x", 1), (day + 61 * MINUTE, "x", 5), (day + DAY - SECOND, "y", 3)].to_vec();
    for monitor in [0, 1] {
        send(&fixture, 1 + monitor as u64, monitor, &all).await;
    }
    fixture.clock.set(day + DAY + 2 * HOUR);
    fixture.task("engine.rollup").await;
    let before = blocks(&fixture);
    let late = (day + 5 * MINUTE, "late", 7);
    for (sequence, monitor) in [(3, 1), (4, 0)] {
        fixture.take(batch("a", sequence, vec![delta(monitor, &[late])])).await.expect("taken");
    }
    all.push(late);
    let check = async || {
        for (monitor, (_, width)) in MONITORS.into_iter().enumerate() {
            let starts: Vec<_> =
                all.iter().map(|(at, key, value)| (at.div_euclid(width) * width, *key, *value)).collect();
            for (schema, width) in [("minute", MINUTE), ("hour", HOUR), ("day", DAY)] {
                assert_eq!(table(&fixture, schema, monitor).await, rolled(&starts, width), "{schema}");
                assert_eq!(windows(&fixture, monitor, day, day + DAY, width).await, rolled(&starts, width), "{schema}");
            }
        }
    };
    check().await;
    fixture.engine().flush().await.expect("flushed");
    check().await;
    // More may come: it waits.
    fixture.task("engine.rollup").await;
    let with_late: BTreeMap<String, usize> = before
        .into_iter()
        .map(|(tier, count)| if tier == "raw" || tier == "second" { (tier, count + 1) } else { (tier, count) })
        .collect();
    assert_eq!(blocks(&fixture), with_late);
    fixture.clock.set(day + DAY + 3 * HOUR);
    fixture.task("engine.rollup").await;
    assert_eq!(blocks(&fixture), with_late);
    check().await;
}

#[tokio::test]
async fn what_cannot_be_rolled_up_is_kept_beyond_its_time_and_not_for_ever() {
    for monitor in [0, 1] {
        is_kept_beyond_its_time(monitor).await;
    }
}

async fn is_kept_beyond_its_time(monitor: usize) {
    let fixture = fixture().await;
    let day = EPOCH.div_euclid(DAY) * DAY;
    send(&fixture, 1, monitor, &[(day, "x", 1)]).await;
    let blocks = std::fs::read_dir(fixture.config.data_dir.join("blocks")).expect("blocks");
    let damaged = blocks.map(|entry| entry.expect("a block").path()).next().expect("a block");
    let length = std::fs::metadata(&damaged).expect("there").len();
    std::fs::write(&damaged, vec![0; length as usize]).expect("damaged");
    let upkeep = async || {
        for task in fixture.engine().reconcilers().iter().filter(|task| task.name() != "engine.flush") {
            // That of the damaged day fails, and says so.
            drop(task.activate().await);
        }
    };
    for (sequence, days, is_there) in [(2, 4, true), (3, 8, true), (4, 12, false)] {
        fixture.clock.set(day + days * DAY);
        send(&fixture, sequence, 0, &[(day + days * DAY, "x", 1)]).await;
        for _ in 0..3 {
            upkeep().await;
        }
        assert_eq!(damaged.exists(), is_there, "of monitor {monitor}, after {days} days");
    }
}

/// A block of the tier is left out of answers, as after a backup whose parts are not of one moment.
async fn quarantine(fixture: &mut Fixture, tier: &str) {
    fixture.crash();
    crate::fixture::change_manifest(fixture, |manifest| {
        let blocks = manifest["blocks"].as_array_mut().expect("blocks");
        let source = blocks.iter_mut().find(|block| block["tier"] == tier).expect("a block");
        source["quarantined"] = true.into();
    });
    fixture.crash_and_open().await;
}

#[tokio::test]
async fn late_seconds_are_in_the_hours_beside_seconds_that_are_lost() {
    let mut fixture = fixture().await;
    let day = EPOCH.div_euclid(DAY) * DAY;
    send(&fixture, 1, 1, &[(day, "x", 1)]).await;
    fixture.clock.set(day + DAY + 2 * HOUR);
    fixture.task("engine.rollup").await;
    quarantine(&mut fixture, "second").await;
    send(&fixture, 2, 1, &[(day + 20 * HOUR, "late", 7)]).await;
    fixture.clock.set(day + DAY + 4 * HOUR);
    for _ in 0..2 {
        fixture.task("engine.rollup").await;
        let expected = rolled(&[(day, "x", 1), (day + 20 * HOUR, "late", 7)], HOUR);
        assert_eq!(table(&fixture, "hour", 1).await, expected);
    }
}

#[tokio::test]
async fn a_roll_up_keeps_what_its_source_has_lost() {
    let mut fixture = fixture().await;
    let day = EPOCH.div_euclid(DAY) * DAY;
    send(&fixture, 1, 0, &[(day, "x", 1)]).await;
    fixture.clock.set(day + DAY + 2 * HOUR);
    fixture.task("engine.rollup").await;
    let hours = table(&fixture, "hour", 0).await;
    quarantine(&mut fixture, "raw").await;
    send(&fixture, 2, 0, &[(day + HOUR, "late", 7)]).await;
    fixture.clock.set(day + DAY + 4 * HOUR);
    // As long as there is a source, its rows are shown.
    for _ in 0..2 {
        fixture.task("engine.rollup").await;
        assert_eq!(table(&fixture, "hour", 0).await, rolled(&[(day + HOUR, "late", 7)], HOUR));
        assert_eq!(blocks(&fixture)["hour"], 1);
    }
    // Then what the roll-up has.
    fixture.clock.set(day + 5 * DAY);
    send(&fixture, 3, 0, &[(day + 5 * DAY, "x", 9)]).await;
    for _ in 0..2 {
        upkeep(&fixture).await;
        fixture.crash_and_open().await;
    }
    let found = table(&fixture, "hour", 0).await;
    assert!(hours.iter().all(|(window, figures)| found.get(window) == Some(figures)), "{found:?}");
}

#[tokio::test]
async fn roll_ups_of_many_days_become_one_block_and_go_with_their_monitor() {
    let mut fixture = Fixture::with(|config| {
        config.second_retention = Span::from_secs(3600);
        config.retention = Span::from_secs(86_400);
    })
    .await;
    fixture.catalog.define("w", "m", &["k"], &[("count", "lines", "")]);
    fixture.catalog.define_as("second_multi_key", "w", "s", &["k"], &[("count", "lines", "")]);
    // Of stretches of ten days, the first that begins then.
    let begin = -(-EPOCH).div_euclid(10 * DAY) * 10 * DAY;
    for day in 0..13 {
        fixture.clock.set(begin + day * DAY + 2 * HOUR);
        for monitor in [0, 1] {
            let at = begin + day * DAY + HOUR;
            send(&fixture, (1 + 2 * day + monitor) as u64, monitor as usize, &[(at, "x", 1)]).await;
        }
        upkeep(&fixture).await;
    }
    assert_eq!(blocks(&fixture)["hour"], 3);
    let lines = async |fixture: &Fixture, table: &str| {
        fixture.csv(&format!("SELECT count(*) AS n, sum(count) AS c FROM {table}")).await.expect("answered")
    };
    for reopened in [false, true] {
        if reopened {
            fixture.crash_and_open().await;
        }
        for table in ["hour.m", "hour.s", "day.m", "day.s"] {
            assert_eq!(lines(&fixture, table).await, "n,c\n13,13\n", "{table}");
        }
    }
    fixture.catalog.delete("w", "m");
    fixture.task("engine.retain").await;
    fixture.clock.set(begin + 14 * DAY);
    fixture.task("engine.retain").await;
    upkeep(&fixture).await;
    assert_eq!(lines(&fixture, "hour.s").await, "n,c\n13,13\n");
    fixture.crash_and_open().await;
    fixture.catalog.define("w", "m", &["k"], &[("count", "lines", "")]);
    assert_eq!(lines(&fixture, "hour.m").await, "n,c\n0,\n");
    assert_eq!(lines(&fixture, "day.s").await, "n,c\n13,13\n");
}

#[tokio::test]
async fn a_statement_reads_several_tiers_as_of_one_moment_and_looks_conditions_up() {
    let fixture = fixture().await;
    let day = EPOCH.div_euclid(DAY) * DAY;
    let entries: Vec<(i64, &str, i64)> =
        (0..72).map(|n| (day - DAY + n * 40 * MINUTE, KEYS[n as usize % 3], n)).collect();
    fixture.clock.set(day + DAY + 2 * HOUR);
    send(&fixture, 1, 0, &entries).await;
    fixture.task("engine.rollup").await;
    let sql = format!(
        "SELECT d.k, d.count, h.n FROM day.m d JOIN (SELECT k, sum(count) AS n FROM hour.m \
         WHERE time > to_timestamp_millis({}) AND time < to_timestamp_millis({}) GROUP BY k) h ON d.k = h.k \
         WHERE d.time = to_timestamp_millis({day}) AND d.k <> 'z' ORDER BY d.k",
        day - HOUR / 2,
        day + DAY
    );
    assert_eq!(fixture.csv(&sql).await.expect("answered"), "k,count,n\nx,12,12\ny,12,12\n");
    let states = fixture.csv("SELECT DISTINCT completeness FROM day.m").await.expect("answered");
    assert_eq!(states, "completeness\nnever\n");
    let error = fixture.csv("SELECT * FROM week.m").await.expect_err("no such table");
    assert!(error.message.contains("minute, hour and day.\"name\""), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_rows_flushes_roll_ups_and_readers_at_once_agree() {
    let fixture = fixture().await;
    let day = EPOCH.div_euclid(DAY) * DAY;
    // So long after that it is rolled up though rows still come.
    fixture.clock.set(day + 2 * DAY);
    let send_all = async || {
        for sequence in 1..=40u64 {
            let entries: Vec<(i64, &str, i64)> =
                (0..50).map(|at| (day + 12 * HOUR + at * 7 * MINUTE, KEYS[at as usize % 3], 1)).collect();
            fixture.take(batch("a", sequence, vec![delta(0, &entries)])).await.expect("taken");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let keep_up = async || {
        for _ in 0..20 {
            fixture.engine().flush().await.expect("flushed");
            fixture.clock.set(nightjar_model::Clock::now(&*fixture.clock).0 + 5 * MINUTE);
            for task in ["engine.rollup", "engine.compact", "engine.retain"] {
                fixture.task(task).await;
            }
        }
    };
    let also_flush = async || {
        for _ in 0..40 {
            fixture.engine().flush().await.expect("flushed");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    let read = async || {
        let mut last = 0;
        for round in 0..60 {
            let found = match round % 6 {
                0 => table(&fixture, "hour", 0).await,
                1 | 3 | 5 => windows(&fixture, 0, day, day + DAY, HOUR).await,
                _ => windows(&fixture, 0, day, day + DAY, DAY).await,
            };
            let lines: u64 = found.values().map(|(count, ..)| *count).sum();
            assert!(lines >= last && lines.is_multiple_of(50), "whole batches, and never fewer: {lines} after {last}");
            last = lines;
        }
    };
    tokio::join!(send_all(), keep_up(), also_flush(), read());
    fixture.engine().flush().await.expect("flushed");
    fixture.clock.set(nightjar_model::Clock::now(&*fixture.clock).0 + 5 * MINUTE);
    fixture.task("engine.rollup").await;
    assert_eq!(blocks(&fixture)["hour"], 1);
    for step in [HOUR, DAY] {
        let lines: u64 = windows(&fixture, 0, day, day + DAY, step).await.values().map(|(count, ..)| *count).sum();
        assert_eq!(lines, 40 * 50);
    }
}
