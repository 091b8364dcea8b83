//! Servers and agents that go back in time: a backup put back, a data directory restored from a copy, a copy
//! used beside the original. What was acknowledged and is gone is never called complete.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nightjar_model::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};

use crate::harness::{Stand, wait_for};

const MINUTE: Duration = Duration::from_secs(60);

fn now() -> Timestamp {
    SystemClock.now()
}

/// Writes lines of now.
fn write_lines(log: &Path, count: usize) {
    let mut file = fs::OpenOptions::new().append(true).create(true).open(log).unwrap();
    for _ in 0..count {
        writeln!(file, "{} line", now()).unwrap();
    }
}

async fn stand_with_agent() -> (Stand, PathBuf) {
    let mut stand = Stand::start().await;
    let log = stand.path("app.log");
    let monitor = json!({
        "kind": "Monitor",
        "metadata": { "name": "lines" },
        "spec": { "type": "minute", "source": { "log": { "paths": [{ "path": log }], "start": "beginning" } } },
    });
    stand.apply(json!([monitor])).await;
    stand.start_agent("agent", &[]).await;
    (stand, log)
}

async fn windows(stand: &Stand, from: Timestamp) -> Value {
    let until = now().saturating_add(MINUTE);
    stand.get(&format!("workspaces/default/monitors/lines/windows?from={from}&until={until}")).await
}

/// The mark of the minute, and how many lines it has.
async fn minute(stand: &Stand, minute: Timestamp) -> (Value, u64) {
    let answer = windows(stand, minute).await;
    let at = |item: &&Value| item["time"] == json!(minute);
    let mark = answer["completeness"].as_array().unwrap().iter().find(at).cloned().unwrap_or_default();
    let points = answer["series"][0]["points"].as_array().cloned().unwrap_or_default();
    let lines = points.iter().find(at).and_then(|point| point["values"]["count"].as_f64()).unwrap_or(0.0);
    (mark, lines as u64)
}

/// Lines counted since, whatever their minute.
async fn lines_since(stand: &Stand, from: Timestamp) -> u64 {
    let answer = windows(stand, from).await;
    let points = answer["series"][0]["points"].as_array().cloned().unwrap_or_default();
    points.iter().filter_map(|point| point["values"]["count"].as_f64()).sum::<f64>() as u64
}

async fn wait_for_lines(stand: &Stand, from: Timestamp, wanted: u64) {
    wait_for("the lines", Duration::from_secs(40), async || match lines_since(stand, from).await {
        found if found >= wanted => Ok(()),
        found => Err(format!("{found} of {wanted}")),
    })
    .await;
}

async fn wait_for_state(stand: &Stand, at: Timestamp, state: &str) -> Value {
    let (mark, _) = wait_for(&format!("{at} to be {state}"), Duration::from_secs(150), async || {
        let found = minute(stand, at).await;
        if found.0["state"] == state { Ok(found) } else { Err(format!("{found:?}")) }
    })
    .await;
    mark
}

/// Past the beginning of a minute after `before`, so that what follows happens in one.
async fn early_in_a_minute(before: Timestamp) -> Timestamp {
    wait_for("a minute's beginning", Duration::from_secs(90), async || {
        let (minute, into) = (now().floor(MINUTE), now().since(now().floor(MINUTE)));
        let early = into > Duration::from_secs(2) && into < Duration::from_secs(20);
        if minute > before && early { Ok(minute) } else { Err(format!("{minute} and {into:?}")) }
    })
    .await
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_put_back_leaves_what_was_received_since_never_complete() {
    let (mut stand, log) = stand_with_agent().await;
    let lost = early_in_a_minute(now().floor(MINUTE)).await;
    write_lines(&log, 5);
    wait_for_lines(&stand, lost, 5).await;
    let (data, backup) = (stand.data_dir().to_owned(), stand.path("backup.tar"));
    let (data_text, backup_text) = (data.to_str().unwrap().to_owned(), backup.to_str().unwrap().to_owned());
    let made = stand.nightjar(&["backup", "--data-dir", &data_text, &backup_text]);
    let told = String::from_utf8_lossy(&made.stdout).into_owned();
    assert!(made.status.success() && told.contains("as safe as a password"), "{made:?}");

    write_lines(&log, 7);
    wait_for_lines(&stand, lost, 12).await;
    let running = stand.nightjar(&["restore", "--data-dir", &data_text, "--replace", &backup_text]);
    assert!(String::from_utf8_lossy(&running.stderr).contains("in use"), "{running:?}");
    stand.kill_server();
    let refused = stand.nightjar(&["restore", "--data-dir", &data_text, &backup_text]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--replace"), "{refused:?}");
    // As if one had been killed half-way: nobody is to take that for a new server.
    fs::write(data.join("restore-unfinished"), "engine is put aside as engine.before-1\n").unwrap();
    let half = stand.nightjar(&["server", "--data-dir", &data_text]);
    assert!(String::from_utf8_lossy(&half.stderr).contains("did not finish"), "{half:?}");
    let restored = stand.nightjar(&["restore", "--data-dir", &data_text, "--replace", &backup_text]);
    assert!(restored.status.success(), "{restored:?}");
    stand.start_server().await;

    let mark = wait_for_state(&stand, lost, "never").await;
    assert_eq!(mark["reason"], "rolled_back", "{mark}");
    assert_eq!(mark["missing"].as_array().map(Vec::len), Some(1), "{mark}");
    let agents = stand.get("workspaces/default/agents").await;
    let reasons = agents["items"][0]["reasons"].to_string();
    assert!(reasons.contains("different pasts"), "{agents}");
    // What comes after is counted, and complete.
    let next = early_in_a_minute(lost).await;
    write_lines(&log, 3);
    wait_for_state(&stand, next, "complete").await;
    assert_eq!(minute(&stand, next).await.1, 3);
    assert_eq!(minute(&stand, lost).await.0["state"], "never");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_put_back_from_a_copy_leaves_what_it_forgot_never_complete() {
    let (mut stand, log) = stand_with_agent().await;
    let lost = early_in_a_minute(now().floor(MINUTE)).await;
    write_lines(&log, 5);
    wait_for_lines(&stand, lost, 5).await;
    stand.kill_agent("agent");
    let (data, image) = (stand.path("agent"), stand.path("image"));
    copy(&data, &image);
    stand.launch_agent("agent", "", &[]);
    write_lines(&log, 7);
    wait_for_lines(&stand, lost, 12).await;
    // The host is restored from an image.
    stand.kill_agent("agent");
    fs::remove_dir_all(&data).unwrap();
    copy(&image, &data);
    stand.launch_agent("agent", "", &[]);
    let mark = wait_for_state(&stand, lost, "never").await;
    assert_eq!(mark["reason"], "rolled_back", "{mark}");
    let next = early_in_a_minute(lost).await;
    write_lines(&log, 3);
    wait_for_state(&stand, next, "complete").await;
    assert_eq!(minute(&stand, next).await.1, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_beside_the_original_is_refused_and_told_what_to_do() {
    let (mut stand, log) = stand_with_agent().await;
    write_lines(&log, 2);
    let begun = now().floor(MINUTE);
    wait_for_lines(&stand, begun, 2).await;
    copy(&stand.path("agent"), &stand.path("copy"));
    stand.launch_agent("copy", "", &[]);
    wait_for("the copy's refusal", Duration::from_secs(40), async || {
        let text = stand.log_text("copy.log");
        if text.contains("is running, and goes on") && text.contains("enrol it anew") { Ok(()) } else { Err(text) }
    })
    .await;
    let agents = stand.get("workspaces/default/agents").await;
    assert_eq!(agents["items"].as_array().unwrap().len(), 1);
    assert!(agents["items"][0]["reasons"].to_string().contains("came with its identity"), "{agents}");
    write_lines(&log, 4);
    wait_for_lines(&stand, begun, 6).await;
    assert_eq!(lines_since(&stand, begun).await, 6, "the copy counts nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_on_one_host_count_once() {
    let (mut stand, log) = stand_with_agent().await;
    write_lines(&log, 1);
    let begun = now().floor(MINUTE);
    wait_for_lines(&stand, begun, 1).await;
    stand.start_agent("second", &[]).await;
    wait_for("the second to be taken off", Duration::from_secs(40), async || {
        let agents = stand.get("workspaces/default/agents").await;
        if agents.to_string().contains("reads the same files") { Ok(()) } else { Err(agents.to_string()) }
    })
    .await;
    let doubled = now().floor(MINUTE);
    let next = early_in_a_minute(doubled).await;
    write_lines(&log, 5);
    wait_for_state(&stand, next, "complete").await;
    assert_eq!(minute(&stand, next).await.1, 5, "each line once");
    assert_eq!(minute(&stand, doubled).await.0["state"], "never");
}
