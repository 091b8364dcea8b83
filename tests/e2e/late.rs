//! Agents that are late: what they hold up is judged when it comes, and told of when it does not.

use std::time::Duration;

use nightjar_model::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::agents::Impostor;
use crate::harness::{Stand, wait_for};

/// How slow the clock of one of the agents is: longer than the rules wait.
const SLOW: Duration = Duration::from_secs(25);

async fn alert(stand: &Stand, rule: &str) -> Result<Value, String> {
    let alerts = stand.get("workspaces/default/alerts").await;
    let found = alerts["items"].as_array().unwrap().iter().find(|alert| alert["rule"] == rule);
    found.cloned().ok_or_else(|| alerts.to_string())
}

/// Two agents contribute to a monitor, and the clock of one is slow, so every minute is complete later than the rule
/// waits. Each is judged all the same. Then that agent stays away altogether, and whoever hears of the rule hears of
/// that; a rule that is sure of what it sees is not among those that cannot be judged.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_clock_silences_no_rule_and_a_lost_agent_is_blamed() {
    let mut stand = Stand::start_with(|stand| {
        stand.set("NIGHTJAR_ALERTING_SETTLE_IN", "0s");
        stand.set("NIGHTJAR_ALERTING_BLIND_AFTER", "1m");
        stand.set("NIGHTJAR_ALERTING_AGENT_UNWELL_AFTER", "20s");
    })
    .await;
    let rule = json!({
        "kind": "AlertRule",
        "metadata": { "name": "always" },
        "spec": {
            "monitor": "m",
            "level": "P0",
            "max_wait": "5s",
            "conditions": [{ "field": "count", "op": "<", "threshold": 1_000_000 }],
        },
    });
    stand
        .apply(json!([
            {
                "kind": "Monitor",
                "metadata": { "name": "m" },
                "spec": { "type": "minute", "source": { "log": { "paths": [{ "path": stand.path("app.log") }] } } },
            },
            rule,
            { "kind": "Contact", "metadata": { "name": "anna" }, "spec": { "email": "anna@example.com" } },
            { "kind": "ContactGroup", "metadata": { "name": "on-call" }, "spec": { "contacts": ["anna"] } },
            {
                "kind": "Subscription",
                "metadata": { "name": "on-call" },
                "spec": { "to": ["on-call"], "target": { "rule": "always" }, "levels": ["P0"] },
            },
        ]))
        .await;
    std::fs::write(stand.path("app.log"), "").unwrap();
    stand.start_agent("near", &[]).await;
    let mut impostor = Impostor::of(&stand).await;
    let enrolled = impostor.enrol(&stand.enrolment_token().await).await.unwrap();
    let mut session = impostor.session(&enrolled.agent_id, &enrolled.key).await.unwrap();
    let mut sequence = 0;
    let fired = wait_for("an alert of the rule", Duration::from_secs(240), async || {
        sequence += 1;
        session.has_read(sequence, "m", SystemClock.now().saturating_sub(SLOW)).await;
        assert_eq!(session.answer().await.expect("taken"), sequence);
        alert(&stand, "always").await
    })
    .await;
    assert_eq!((&fired["level"], &fired["status"]), (&json!("P0"), &json!("firing")));
    let unwell = alert(&stand, "_agent-unwell").await.expect("its clock is told of");
    assert!(unwell["summary"].as_str().unwrap().contains("its clock is"), "{unwell}");

    drop(session);
    // The first minute, for which nobody was expected yet, may have made the monitor blind before, and is over.
    let blind = wait_for("an alert of the blind rule", Duration::from_secs(300), async || {
        let alerts = stand.get("workspaces/default/alerts").await;
        let names_it = |alert: &&Value| {
            let summary = alert["summary"].as_str().unwrap();
            alert["rule"] == "_blind" && summary.contains("`always`") && summary.contains("impostor (lost since")
        };
        let found = alerts["items"].as_array().unwrap().iter().find(names_it);
        found.cloned().ok_or_else(|| alerts.to_string())
    })
    .await;
    assert_eq!((&blind["level"], &blind["monitor"]), (&json!("P0"), &json!("m")));
    let timeline = stand.get(&format!("workspaces/default/alerts/{}/events", blind["id"].as_str().unwrap())).await;
    assert!(timeline.to_string().contains("subscription `on-call` matches"), "{timeline}");
}
