//! The examples, applied as a user would, count what the generator wrote.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::Local;
use serde_json::Value;

use crate::harness::generator::{self, Kind, Totals};
use crate::harness::{Stand, repository, wait_for};

/// Lines and sums as the server has them, of a monitor grouped by `key`.
pub(crate) async fn stored(stand: &Stand, monitor: &str, key: &str, sum: &str) -> Totals {
    let sql = format!(
        "SELECT to_unixtime(time) AS at, {key} AS key, sum(count) AS lines, sum({sum}) AS total \
         FROM monitor.\"{monitor}\" GROUP BY time, {key}"
    );
    let rows = stand.sql(&sql).await;
    let row = |row: &Value| {
        let at = row["at"].as_i64().expect("a time") * 1000;
        let total = row["total"].as_f64().expect("a sum");
        (
            (at, row["key"].as_str().expect("a key").to_owned()),
            (row["lines"].as_f64().expect("lines") as u64, total as i64),
        )
    };
    rows.iter().map(row).collect()
}

/// Says where two totals differ, rather than showing both.
pub(crate) fn difference(counted: &Totals, written: &Totals) -> Result<(), String> {
    let sums = |totals: &Totals| totals.values().fold((0, 0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1));
    if counted == written {
        return Ok(());
    }
    let keys: std::collections::BTreeSet<_> = counted.keys().chain(written.keys()).collect();
    let different: Vec<String> = keys
        .into_iter()
        .filter(|key| counted.get(*key) != written.get(*key))
        .take(5)
        .map(|key| format!("{key:?}: counted {:?}, written {:?}", counted.get(key), written.get(key)))
        .collect();
    Err(format!("counted {:?}, written {:?}; {}", sums(counted), sums(written), different.join("; ")))
}

#[tokio::test(flavor = "multi_thread")]
async fn examples_count_what_was_written() {
    let mut stand = Stand::start().await;
    let logs = stand.path("logs");
    std::fs::create_dir(&logs).unwrap();
    let start = (Local::now() - Duration::from_secs(1800)).format("%Y-%m-%d %H:%M:00").to_string();
    let trade = generator::write(Kind::Trade, &logs.join("trade.log"), 20_000, 4_000, &start);
    let toll = generator::write(Kind::Toll, &logs.join("toll-1.log"), 3_000, 1_000, &start);

    let examples = stand.path("examples");
    std::fs::create_dir(&examples).unwrap();
    for name in ["trade.yaml", "toll.yaml", "service.yaml", "top.yaml", "people.yaml"] {
        let text = std::fs::read_to_string(repository().join("examples").join(name)).unwrap();
        let here = logs.to_str().unwrap();
        std::fs::write(examples.join(name), text.replace("/home/admin/logs", here)).unwrap();
    }
    let applied = stand.nightjar(&["apply", "-f", examples.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&applied.stdout).into_owned();
    assert!(applied.status.success(), "{text}{}", String::from_utf8_lossy(&applied.stderr));
    assert_eq!(text.lines().filter(|line| line.contains("created")).count(), 20, "{text}");
    let again = stand.nightjar(&["apply", "-f", examples.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert_eq!(text.lines().filter(|line| line.contains("unchanged")).count(), 20, "{text}");

    stand.start_agent("agent", &["app=trade"]).await;
    wait_for("the trades", Duration::from_secs(60), async || {
        difference(&stored(&stand, "trade-create", "goods", "cost_sum").await, &trade)
    })
    .await;
    wait_for("the tolls", Duration::from_secs(30), async || {
        let sql = "SELECT to_unixtime(time) AS at, station, count, cost_avg FROM monitor.\"toll-station\"";
        let rows = stand.sql(sql).await;
        let counted: Totals = rows
            .iter()
            .map(|row| {
                let lines = row["count"].as_u64().unwrap();
                let sum = (row["cost_avg"].as_f64().unwrap() * lines as f64).round() as i64;
                ((row["at"].as_i64().unwrap() * 1000, row["station"].as_str().unwrap().to_owned()), (lines, sum))
            })
            .collect();
        difference(&counted, &toll)
    })
    .await;

    // The same log as service metrics: nothing is counted that did not succeed or fail.
    wait_for("the service", Duration::from_secs(30), async || {
        let sql = "SELECT to_unixtime(time) AS at, station, total, success + failure AS told, cost_avg, success_rate, \
                   success FROM monitor.\"toll-service\"";
        let counted = stand.sql(sql).await;
        for row in &counted {
            let [total, success] = ["total", "success"].map(|name| row[name].as_f64().unwrap());
            let rate = row["success_rate"].as_f64().unwrap();
            if (rate - success * 100.0 / total).abs() > 1e-9 || row["told"] != row["total"] {
                return Err(format!("{row}"));
            }
        }
        let figures = |row: &Value| {
            let lines = row["total"].as_u64().unwrap();
            let sum = (row["cost_avg"].as_f64().unwrap() * lines as f64).round() as i64;
            ((row["at"].as_i64().unwrap() * 1000, row["station"].as_str().unwrap().to_owned()), (lines, sum))
        };
        difference(&counted.iter().map(figures).collect(), &toll)
    })
    .await;
    // And by the second, of which the minutes are the sum.
    wait_for("the seconds", Duration::from_secs(30), async || {
        let by_minute = |totals: &Totals| {
            let mut minutes = BTreeMap::<i64, u64>::new();
            totals.iter().for_each(|((at, _), (lines, _))| *minutes.entry(at / 60_000).or_default() += lines);
            minutes
        };
        let rows = stand.sql("SELECT to_unixtime(time) AS at, count FROM monitor.\"toll-live\"").await;
        let seconds =
            |row: &Value| ((row["at"].as_i64().unwrap() * 1000, String::new()), (row["count"].as_u64().unwrap(), 0));
        let counted: Totals = rows.iter().map(seconds).collect();
        let (counted, written) = (by_minute(&counted), by_minute(&toll));
        if counted == written { Ok(()) } else { Err(format!("counted {counted:?}, written {written:?}")) }
    })
    .await;

    tops(&stand, &logs.join("trade.log"), &trade).await;

    // The same through the windows of the API: one figure a minute, every one of them complete.
    let mut minutes = BTreeMap::<i64, u64>::new();
    trade.iter().for_each(|((at, _), (lines, _))| *minutes.entry(*at).or_default() += lines);
    let from = chrono::DateTime::from_timestamp_millis(*minutes.keys().next().unwrap()).unwrap();
    let until = chrono::DateTime::from_timestamp_millis(minutes.keys().last().unwrap() + 60_000).unwrap();
    let text = |time: chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let path = format!("workspaces/default/monitors/trade-total/windows?from={}&until={}", text(from), text(until));
    let answer = stand.get(&path).await;
    let points = answer["series"][0]["points"].as_array().expect("points");
    let counted: Vec<u64> = points.iter().map(|point| point["values"]["count"].as_f64().unwrap() as u64).collect();
    assert_eq!(counted, minutes.values().copied().collect::<Vec<_>>());
}

/// The goods of `top.yaml` are few and exact; its orders are more than an agent keeps, and within their bounds.
async fn tops(stand: &Stand, log: &std::path::Path, trade: &Totals) {
    let mut expected = BTreeMap::<i64, Vec<(i64, String, u64)>>::new();
    for ((at, goods), (lines, sum)) in trade {
        expected.entry(*at).or_default().push((-sum, goods.clone(), *lines));
    }
    for goods in expected.values_mut() {
        goods.sort_by(|a, b| (a.0, -(a.2 as i64), &a.1).cmp(&(b.0, -(b.2 as i64), &b.1)));
        goods.truncate(10);
    }
    wait_for("the Top of the goods", Duration::from_secs(30), async || {
        let sql = "SELECT to_unixtime(time) AS at, goods, count, cost_sum, cost_avg, count_error + cost_sum_error AS error \
                   FROM monitor.\"trade-top\" ORDER BY time, cost_sum DESC, count DESC, goods";
        let mut found = BTreeMap::<i64, Vec<(i64, String, u64)>>::new();
        for row in stand.sql(sql).await {
            let (sum, lines) = (row["cost_sum"].as_f64().unwrap(), row["count"].as_u64().unwrap());
            if row["error"] != 0.0 || (row["cost_avg"].as_f64().unwrap() * lines as f64 - sum).abs() > 1e-6 {
                return Err(format!("{row}"));
            }
            let goods = (-sum as i64, row["goods"].as_str().unwrap().to_owned(), lines);
            found.entry(row["at"].as_i64().unwrap() * 1000).or_default().push(goods);
        }
        if found == expected { Ok(()) } else { Err(format!("found {found:?}, written {expected:?}")) }
    })
    .await;

    let mut costs = BTreeMap::<String, f64>::new();
    for line in std::fs::read_to_string(log).unwrap().lines() {
        let parts: Vec<&str> = line.split(',').collect();
        *costs.entry(parts[1].to_owned()).or_default() += parts[5].parse::<f64>().unwrap();
    }
    let first = chrono::DateTime::from_timestamp_millis(*expected.keys().next().unwrap()).unwrap();
    let until = first + Duration::from_secs(600);
    let path = format!(
        "workspaces/default/monitors/trade-top-orders/windows?from={}&until={}&limit=50",
        first.format("%FT%TZ"),
        until.format("%FT%TZ"),
    );
    wait_for("the Top of the orders", Duration::from_secs(30), async || {
        let answer = stand.get(&path).await;
        let windows = answer["top"]["windows"].as_array().cloned().unwrap_or_default();
        let lines = |point: &Value| point["values"]["cost_sum"].as_f64().unwrap();
        let all: f64 = answer["series"][0]["points"].as_array().into_iter().flatten().map(lines).sum();
        if windows.len() < expected.len() || (all - costs.values().sum::<f64>()).abs() > 1e-3 {
            return Err(format!("{} windows, {all} in all", windows.len()));
        }
        for window in &windows {
            assert_eq!((window["exact"].as_bool(), window["keysKept"].as_u64()), (Some(false), Some(1024)), "{window}");
            let items = window["items"].as_array().unwrap();
            assert_eq!(items.len(), 50);
            for item in items {
                let value = item["values"]["cost_sum"].as_f64().unwrap();
                let error = item["errors"]["cost_sum"].as_f64().unwrap_or_default();
                let truth = costs[item["keys"]["order"].as_str().unwrap()];
                assert!((value - error..=value).contains(&truth), "{truth}: {item}");
                assert!(error <= window["errors"]["cost_sum"].as_f64().unwrap(), "{window}");
            }
        }
        Ok(())
    })
    .await;
}
