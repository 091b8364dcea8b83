//! What the rows of a table say that a statement's process is told by the server: whose states a window has,
//! and windows of every width, in memory and in blocks.

use std::time::Duration;

use nightjar_model::delta::MonitorDelta;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{Expectation, ExpectedAgent, Intake};

use crate::fixture::{EPOCH, Fixture, MINUTE, batch, lines, through};

#[tokio::test]
async fn each_row_has_the_state_of_its_key() {
    let mut fixture = Fixture::new().await;
    let monitor = MonitorKey::new("w", "m");
    let agent = |id: &str, key: &str| ExpectedAgent { id: AgentId(id.into()), keys: vec![key.into()] };
    let mut expected = Expectation::new(monitor.clone(), Duration::from_secs(60), []);
    expected.columns = vec!["k".into()];
    expected.agents = vec![agent("a", "x"), agent("b", "y")];
    fixture.engine().expect(vec![expected]).await.expect("expected");
    for agent in ["a", "b"] {
        fixture.begin(agent, &[&monitor]).await;
    }
    fixture.clock.set(EPOCH + 300 * MINUTE);
    // z is of nobody in particular: it is as complete as all are together.
    let entries = [(1, "x", 1), (200, "x", 1), (1, "z", 1), (200, "z", 1)];
    fixture.take(through(batch("a", 1, vec![lines(&entries)]), 201 * MINUTE)).await.expect("taken");
    fixture.take(through(batch("b", 1, vec![lines(&[(1, "y", 1), (200, "y", 1)])]), 2 * MINUTE)).await.expect("taken");
    let minute = |minute: i64| if minute == 1 { "2026-01-31T08:01:00Z" } else { "2026-01-31T11:20:00Z" };
    let states = [(1, "CCC"), (200, "CPP")];
    let mut expected = "time,k,completeness\n".to_owned();
    for (at, states) in states {
        for (key, state) in ["x", "y", "z"].into_iter().zip(states.chars()) {
            let name = if state == 'C' { "complete" } else { "partial" };
            expected.push_str(&format!("{},{key},{name}\n", minute(at)));
        }
    }
    for step in ["in memory", "replayed", "in blocks", "with some in memory again"] {
        match step {
            "replayed" => fixture.crash_and_open().await,
            "in blocks" => fixture.engine().flush().await.expect("flushed"),
            "with some in memory again" => {
                let late = through(batch("a", 2, vec![lines(&[(200, "z", 1)])]), 202 * MINUTE);
                fixture.take(late).await.expect("taken");
            }
            _ => {}
        }
        let rows = fixture.csv("SELECT time, k, completeness FROM monitor.m ORDER BY time, k").await;
        assert_eq!(rows.expect("answered"), expected, "{step}");
        // Whose state it is is known without the key being shown.
        let sql = "SELECT completeness, count(*) AS n FROM monitor.m WHERE time > '2026-01-31T09:00:00Z' GROUP BY 1 ORDER BY 1";
        assert_eq!(fixture.csv(sql).await.expect("answered"), "completeness,n\ncomplete,1\npartial,2\n", "{step}");
        let sql = "SELECT completeness FROM monitor.m WHERE k = 'x' ORDER BY time DESC LIMIT 1";
        assert_eq!(fixture.csv(sql).await.expect("answered"), "completeness\ncomplete\n", "{step}");
    }
}

#[tokio::test]
async fn windows_of_a_second_and_of_a_minute_are_rows_of_one_table() {
    let mut fixture = Fixture::new().await;
    fixture.clock.set(EPOCH + 300 * MINUTE);
    let keys: Vec<String> = (0..5).map(|key| format!("key-{key}")).collect();
    let entries: Vec<(i64, &str, i64)> =
        (0..240).flat_map(|minute| keys.iter().map(move |key| (minute, key.as_str(), minute))).collect();
    let minutes = lines(&entries);
    // The same, a second each, so that some starts are those of minutes, too.
    let mut seconds = MonitorDelta { width: Duration::from_secs(1), ..minutes.clone() };
    for window in &mut seconds.windows {
        window.start.0 = EPOCH + (window.start.0 - EPOCH) / 60;
    }
    fixture.take(batch("a", 1, vec![minutes.clone(), seconds])).await.expect("taken");
    let sql = "SELECT count(*) AS rows, sum(count) AS lines, sum(v_sum) AS total, count(DISTINCT time) AS times, \
               min(time) AS first, max(time) AS last FROM monitor.m";
    let all = |lines: u64| {
        let total = 2 * 5 * (0..240).sum::<u64>() + (lines - 2400) * 7;
        format!(
            "rows,lines,total,times,first,last\n2400,{lines},{total}.0,476,2026-01-31T08:00:00Z,2026-01-31T11:59:00Z\n"
        )
    };
    for step in ["in memory", "in blocks", "with parts in memory", "in two blocks each", "compacted"] {
        match step {
            "in blocks" | "in two blocks each" => fixture.engine().flush().await.expect("flushed"),
            "with parts in memory" => {
                let late = lines(&[(3, "key-1", 7), (239, "key-2", 7)]);
                let second = MonitorDelta { width: Duration::from_secs(1), ..lines(&[(3, "key-1", 7)]) };
                fixture.take(batch("a", 2, vec![late, second])).await.expect("taken");
            }
            "compacted" => {
                fixture.task("engine.compact").await;
                fixture.crash_and_open().await;
            }
            _ => {}
        }
        let lines = if step == "in memory" || step == "in blocks" { 2400 } else { 2403 };
        assert_eq!(fixture.csv(sql).await.expect("answered"), all(lines), "{step}");
        let some = "SELECT count(*) AS n FROM monitor.m WHERE k = 'key-3' AND time < '2026-01-31T08:04:00Z'";
        assert_eq!(fixture.csv(some).await.expect("answered"), "n\n244\n", "{step}");
    }
}
