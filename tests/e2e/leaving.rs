//! Agents that leave: in order, without a word, for good.

use std::process::Command;
use std::time::Duration;

use nightjar_model::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};

use crate::harness::{Stand, agent_program, wait_for};

const MINUTE: Duration = Duration::from_secs(60);

async fn marks(stand: &Stand, from: Timestamp) -> Vec<Value> {
    let until = SystemClock.now().max(from.saturating_add(MINUTE));
    let path = format!("workspaces/default/monitors/lines/windows?from={from}&until={until}");
    stand.get(&path).await["completeness"].as_array().unwrap().clone()
}

async fn wait_complete(stand: &Stand, at: Timestamp) {
    wait_for(&format!("{at} to be complete"), Duration::from_secs(150), async || {
        let marks = marks(stand, at).await;
        match marks.iter().find(|mark| mark["time"] == json!(at)) {
            Some(mark) if mark["state"] == "complete" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn agent_on(stand: &Stand, label: &str) -> Option<Value> {
    let agents = stand.get("workspaces/default/agents").await;
    agents["items"].as_array().unwrap().iter().find(|agent| agent["facts"]["labels"]["name"] == label).cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_one_that_left_and_not_for_ever_for_one_that_vanished() {
    let mut stand = Stand::start_with(|stand| stand.set("NIGHTJAR_COLLECTOR_EXPIRE_AFTER", "1m")).await;
    // Of two agents of one host that read the same file one counts: each has a file of its own.
    let log = "/proc/self/cwd/app.log";
    let monitor = json!({
        "kind": "Monitor",
        "metadata": { "name": "lines" },
        "spec": { "type": "minute", "source": { "log": { "paths": [{ "path": log }] } } },
    });
    stand.apply(json!([monitor])).await;
    let home = |stand: &Stand, name: &str| stand.path(&format!("{name}.home")).to_str().unwrap().to_owned();
    for name in ["stays", "leaves", "vanishes"] {
        let home = home(&stand, name);
        std::fs::create_dir(&home).unwrap();
        std::fs::write(format!("{home}/app.log"), "").unwrap();
        stand.start_agent_in(name, &[&format!("name={name}")], &[("PWD", &home)]).await;
    }
    let begun = SystemClock.now().floor(MINUTE).saturating_add(MINUTE);
    wait_complete(&stand, begun).await;

    // In order: the minute that it left in is complete without it, and so is the next.
    stand.stop_agent("leaves").await;
    let left = SystemClock.now().floor(MINUTE);
    assert!(stand.log_text("leaves.log").contains("signed off"));
    let agent = agent_on(&stand, "leaves").await.expect("still enrolled");
    assert_eq!(agent["health"], "left", "{agent}");
    wait_complete(&stand, left).await;

    // Without a word: what it had begun waits for it, by name; minutes after it expired do not.
    let id = agent_on(&stand, "vanishes").await.expect("enrolled")["id"].clone();
    stand.kill_agent("vanishes");
    let vanished = SystemClock.now().floor(MINUTE);
    let later = vanished.saturating_add(3 * MINUTE);
    wait_for("minutes to go on", Duration::from_secs(330), async || {
        let found = marks(&stand, vanished).await;
        let is_complete =
            |mark: &&Value| mark["state"] == "complete" && mark["time"].as_str() <= Some(&later.to_string());
        if found.iter().any(|mark| is_complete(&mark)) { Ok(()) } else { Err(json!(found).to_string()) }
    })
    .await;
    let found = marks(&stand, vanished).await;
    assert_eq!((&found[0]["state"], &found[0]["missing"]), (&json!("partial"), &json!([id])), "{found:?}");

    // It comes back, and what it owed is there.
    let home = home(&stand, "vanishes");
    stand.launch_agent_in("vanishes", "", &["name=vanishes"], &[("PWD", &home)]);
    wait_complete(&stand, vanished).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_leaves_for_good_is_gone() {
    let mut stand = Stand::start().await;
    stand.start_agent("agent", &["name=agent"]).await;
    let data = stand.path("agent");
    let leave = || {
        let server = format!("http://127.0.0.1:{}", stand.agents_port);
        let mut command = Command::new(agent_program());
        command.args(["leave", "--server", &server, "--data-dir"]).arg(&data).output().expect("it runs")
    };
    let busy = leave();
    assert!(!busy.status.success() && String::from_utf8_lossy(&busy.stderr).contains("is running"), "{busy:?}");
    stand.stop_agent("agent").await;
    let server = format!("http://127.0.0.1:{}", stand.agents_port);
    let left =
        Command::new(agent_program()).args(["leave", "--server", &server, "--data-dir"]).arg(&data).output().unwrap();
    assert!(left.status.success(), "{left:?}");
    assert!(!data.join("identity.json").exists());
    wait_for("the agent to be gone", Duration::from_secs(10), async || match agent_on(&stand, "agent").await {
        None => Ok(()),
        Some(agent) => Err(agent.to_string()),
    })
    .await;
}
