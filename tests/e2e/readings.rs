//! A monitor that understands nothing of its log, and one that finds no file, are seen for what they are:
//! in the lists, on the minutes, by rules.

use std::io::Write;
use std::time::Duration;

use chrono::Local;
use serde_json::{Value, json};

use crate::harness::{Stand, wait_for};

fn monitor(name: &str, path: &std::path::Path) -> Value {
    json!({
        "kind": "Monitor",
        "metadata": { "name": name },
        "spec": { "type": "minute", "source": { "log": { "paths": [{ "path": path }], "start": "beginning" } } },
    })
}

fn log(stand: &Stand, name: &str, line: &str, times: usize) {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(stand.path(name)).unwrap();
    file.write_all(line.repeat(times).as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_no_green_zero() {
    let mut stand = Stand::start().await;
    let rule = |name: &str, on: &str, spec: Value| {
        let mut rule = json!({ "kind": "AlertRule", "metadata": { "name": name }, "spec": spec });
        rule["spec"]["monitor"] = json!(on);
        rule
    };
    let documents = json!([
        monitor("blind", &stand.path("blind.log")),
        monitor("well", &stand.path("well.log")),
        monitor("nowhere", &stand.path("nowhere.log")),
        rule(
            "little",
            "_intake",
            json!({
                "where": { "monitor": { "any": true } },
                "conditions": [{ "field": "understood", "op": "<", "threshold": 50 }],
            })
        ),
        rule(
            "faults",
            "_faults",
            json!({
                "where": { "monitor": { "in": ["blind"] }, "reason": { "any": true } },
                "conditions": [{ "field": "count", "op": ">=", "threshold": 10 }],
            })
        ),
    ]);
    stand.apply(documents).await;
    log(&stand, "blind.log", "10.0.0.1 no time here\n", 40);
    log(&stand, "well.log", &format!("{},x\n", Local::now().format("%Y-%m-%d %H:%M:%S")), 40);
    stand.start_agent("agent", &[]).await;

    wait_for("what each monitor reads", Duration::from_secs(60), async || {
        let answer = stand.get("workspaces/default/readings").await;
        let states: Vec<(&str, &str)> = answer["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| (item["monitor"].as_str().unwrap(), item["state"].as_str().unwrap()))
            .collect();
        let expected = [("blind", "not_understood"), ("nowhere", "no_file"), ("well", "reading")];
        if states == expected { Ok(()) } else { Err(format!("{states:?}")) }
    })
    .await;
    let status = stand.get("workspaces/default/monitors/blind/status").await;
    assert_eq!(status["reading"]["reason"], "time_unreadable", "{status}");
    assert!(status["reading"]["example"].as_str().unwrap().contains("no time here"), "{status}");
    let listed = String::from_utf8(stand.nightjar(&["get", "monitors"]).stdout).unwrap();
    assert!(listed.lines().any(|line| line.starts_with("blind") && line.contains("not_understood")), "{listed}");

    let rows = stand.sql("SELECT sum(lines) AS lines, sum(counted) AS counted FROM monitor.\"_intake\"").await;
    assert_eq!((rows[0]["lines"].as_f64(), rows[0]["counted"].as_f64()), (Some(80.0), Some(40.0)));

    // Both rules fire, each for the monitor that it should, and for no other. What is said of a part of the
    // lines is judged of whole minutes only, and the first one was begun in the middle.
    wait_for("the alerts", Duration::from_secs(200), async || {
        log(&stand, "blind.log", "10.0.0.1 no time here\n", 1);
        log(&stand, "well.log", &format!("{},x\n", Local::now().format("%Y-%m-%d %H:%M:%S")), 1);
        let alerts = stand.get("workspaces/default/alerts?status=firing").await;
        let mut firing: Vec<(String, String)> = alerts["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|alert| {
                (alert["rule"].as_str().unwrap().to_owned(), alert["keys"]["monitor"].as_str().unwrap().to_owned())
            })
            .collect();
        firing.sort();
        let expected = [("faults", "blind"), ("little", "blind")].map(|(rule, key)| (rule.to_owned(), key.to_owned()));
        if firing == expected { Ok(()) } else { Err(format!("{firing:?} of {alerts}")) }
    })
    .await;

    // The minutes are marked, those of the monitor that is well are not.
    let marks = async |name: &str| {
        let from = (Local::now().to_utc() - chrono::Duration::minutes(10)).format("%Y-%m-%dT%H:%M:%SZ");
        let answer = stand.get(&format!("workspaces/default/monitors/{name}/windows?from={from}")).await;
        let reasons = answer["blind"].as_array().unwrap().iter().map(|one| one["reason"].as_str().unwrap().to_owned());
        reasons.collect::<Vec<String>>()
    };
    assert!(marks("blind").await.contains(&"not_understood".to_owned()));
    assert_eq!(marks("well").await, Vec::<String>::new());
    wait_for("a minute without a file", Duration::from_secs(90), async || {
        let reasons = marks("nowhere").await;
        if reasons.contains(&"no_file".to_owned()) { Ok(()) } else { Err(format!("{reasons:?}")) }
    })
    .await;
}
