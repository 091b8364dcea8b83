//! What is read as columns is what is read row by row: the same windows, in one block of a day, and in memory and
//! blocks that overlap.

use std::time::Duration;

use nightjar_model::delta::{MonitorDelta, Number, Partial, WindowDelta};
use nightjar_model::names::MonitorKey;
use nightjar_model::ports::WindowReader;
use nightjar_model::query::WindowQuery;
use nightjar_model::{Decimal, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::fixture::{EPOCH, Fixture, MINUTE, batch};

const DAY: i64 = 86_400_000;

/// Width in minutes, which fields, and windows: minute, key, host, value.
type Part = (i64, usize, Vec<(i64, u8, u8, Option<Decimal>)>);

const FIELDS: [&[&str]; 3] = [&["*"], &["*", "v"], &["*", "v", "u"]];

fn values() -> impl Strategy<Value = Option<Decimal>> {
    prop_oneof![
        1 => Just(None),
        3 => (-50i64..1000).prop_map(|value| Some(Decimal::from_int(value))),
        2 => (-5_000_000i128..5_000_000).prop_map(|units| Some(Decimal(units * 1_250))),
        // What fits no integer of 64 bits has a state.
        1 => (1i128..9).prop_map(|value| Some(Decimal(value * 10i128.pow(25) + 1))),
    ]
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let windows = proptest::collection::vec((-1400i64..-1200, 0u8..6, 0u8..2, values()), 1..60);
    // Most parts have the same fields, so that there are blocks of which all windows have.
    let fields = prop_oneof![4 => Just(1usize), 1 => 0usize..3];
    let width = prop_oneof![5 => Just(1i64), 1 => Just(5)];
    proptest::collection::vec((width, fields, windows), 1..5)
}

fn delta((width, fields, windows): &Part) -> MonitorDelta {
    let window = |(minute, key, host, value): &(i64, u8, u8, Option<Decimal>)| {
        let number: Number = value.iter().copied().collect();
        let fields = FIELDS[*fields].iter().map(|field| match *field {
            "*" => Partial::lines(u64::from(*key) + 1),
            _ => number.into(),
        });
        WindowDelta {
            start: Timestamp(EPOCH + minute.div_euclid(*width) * width * MINUTE),
            keys: vec![format!("k{key}"), format!("h{host}")],
            partials: fields.collect(),
        }
    };
    MonitorDelta {
        monitor: MonitorKey::new("w", "c"),
        uid: None,
        width: Duration::from_secs(*width as u64 * 60),
        group_by: vec!["k".into(), "$host".into()],
        fields: FIELDS[*fields].iter().map(|field| (*field).to_owned()).collect(),
        windows: windows.iter().map(window).collect(),
    }
}

async fn told(parts: &[Part], flushed: impl Fn(usize) -> bool) -> Fixture {
    let fixture = Fixture::new().await;
    let stats = [
        ("n", "lines", ""),
        ("v_sum", "sum", "v"),
        ("v_avg", "avg", "v"),
        ("v_min", "min", "v"),
        ("v_max", "max", "v"),
        ("u_sum", "sum", "u"),
    ];
    fixture.catalog.define("w", "c", &["k", "$host"], &stats);
    for (at, part) in parts.iter().enumerate() {
        fixture.take(batch("a", at as u64 + 1, vec![delta(part)])).await.expect("taken");
        if flushed(at) {
            fixture.engine().flush().await.expect("flushed");
        }
    }
    fixture
}

async fn answers(fixture: &Fixture) -> Vec<String> {
    let mut answers = Vec::new();
    for sql in [
        "SELECT * FROM monitor.c ORDER BY time, k, \"$host\", n, v_sum, v_avg",
        "SELECT count(*), sum(n), count(v_sum), max(v_max) FROM monitor.c",
        "SELECT count(u_sum), min(v_min) FROM monitor.c WHERE k = 'k1' OR k IS NULL",
        "SELECT k, count(*), sum(n), max(v_max), min(v_avg) FROM monitor.c GROUP BY k ORDER BY k",
        "SELECT \"$host\", k, date_trunc('hour', time) AS h, sum(n), count(v_avg) FROM monitor.c GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        "SELECT k, count(DISTINCT \"$host\"), sum(n) FILTER (WHERE v_max > 100) FROM monitor.c \
         WHERE time >= timestamp '2026-01-30T09:30:00Z' AND time < timestamp '2026-01-30T11:01:00Z' GROUP BY k ORDER BY k",
        "SELECT upper(k) AS u, sum(n) FROM monitor.c WHERE k <> 'k2' GROUP BY upper(k) ORDER BY 1",
        "SELECT DISTINCT k FROM monitor.c ORDER BY k",
    ] {
        answers.push(fixture.csv(sql).await.expect(sql));
    }
    for (by, step) in [(None, 1), (Some(vec!["k".to_owned()]), 30), (Some(Vec::new()), 1440)] {
        let query = WindowQuery {
            monitor: MonitorKey::new("w", "c"),
            from: Timestamp(EPOCH - DAY),
            until: Timestamp(EPOCH - DAY + 1440 * MINUTE),
            filter: Default::default(),
            by,
            step: Some(Duration::from_secs(step * 60)),
            max_series: 100,
        };
        let answer = fixture.engine().windows(query).await.expect("windows");
        answers.push(format!("{:?}", answer.series));
    }
    answers
}

#[tokio::test]
async fn columns_and_rows_answer_the_same() {
    let mut runner = TestRunner::deterministic();
    for case in 0..12 {
        let parts = parts().new_tree(&mut runner).expect("generated").current();
        let rows = answers(&told(&parts, |at| at % 2 == 0).await).await;
        let mut columns = told(&parts, |_| true).await;
        columns.clock.set(EPOCH + 2 * DAY);
        columns.task("engine.compact").await;
        let mut one = answers(&columns).await;
        // How much of it is complete has changed since.
        assert_eq!(one.len(), rows.len());
        let states = |text: &String| text.replace("in_progress", "never");
        one = one.iter().map(states).collect();
        assert_eq!(one, rows.iter().map(states).collect::<Vec<_>>(), "{case}");
        columns.crash_and_open().await;
        assert_eq!(answers(&columns).await.iter().map(states).collect::<Vec<_>>(), one, "{case}, opened again");
    }
}
