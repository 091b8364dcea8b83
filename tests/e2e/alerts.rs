//! From a line to DingTalk, a mailbox and a webhook, with everything on the way going wrong once: a
//! mail server that is down, robots that refuse, fail and hang, a server that is killed.

use std::time::Duration;

use chrono::Local;
use nightjar_model::Timestamp;
use serde_json::{Value, json};

use crate::harness::{Answer, Doubles, Mailbox, Stand, free_port, skip, wait_for};

const SECRET: &str = "SEC-of-the-robots";
const HOOK_SECRET: &str = "of-the-webhook";

fn document(kind: &str, name: &str, spec: Value) -> Value {
    json!({ "kind": kind, "metadata": { "name": name }, "spec": spec })
}

/// Who is told: a robot for each way to answer, a webhook, and a contact with a mailbox.
fn people(doubles: &Doubles, smtp: u16) -> Vec<Value> {
    let robots = ["well", "fast", "wrong", "shaky", "slow"];
    let mut documents: Vec<Value> = robots
        .iter()
        .map(|name| {
            let url = format!("{}?access_token=t", doubles.url(name));
            document("DingtalkRobot", name, json!({ "url": url, "secret": SECRET, "keywords": ["告警"] }))
        })
        .collect();
    documents.extend([
        document("Webhook", "hook", json!({ "url": doubles.url("hook"), "secret_key": HOOK_SECRET })),
        document("Contact", "anna", json!({ "email": "anna@example.com" })),
        document(
            "EmailServer",
            "mail",
            json!({ "host": "127.0.0.1", "port": smtp, "tls": "none", "from": "n@example.com" }),
        ),
        document("ContactGroup", "all", json!({ "contacts": ["anna"], "robots": robots, "webhooks": ["hook"] })),
        document("Subscription", "all", json!({ "to": ["all"] })),
    ]);
    documents
}

/// Appends lines of this moment.
fn log(stand: &Stand, lines: usize) {
    use std::io::Write;
    let now = Local::now().format("%Y-%m-%d %H:%M:%S%.3f");
    let text = format!("{now},order failed\n").repeat(lines);
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(stand.path("app.log")).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// The notifications, by receiver, of the alert's firing (`attempts` of its recovery are in others).
async fn notifications(stand: &Stand, receiver: &str) -> Vec<Value> {
    let all = stand.get("workspaces/default/notifications?limit=500").await;
    let own = |n: &&Value| n["receiver"] == receiver;
    let mut found: Vec<Value> = all["items"].as_array().unwrap().iter().filter(own).cloned().collect();
    found.reverse();
    found
}

/// Waits until the first notification to `receiver` is as it should be.
async fn expect(stand: &Stand, receiver: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    wait_for(&format!("{receiver}: {what}"), Duration::from_secs(60), async || {
        match notifications(stand, receiver).await.into_iter().next() {
            Some(notification) if is_so(&notification) => Ok(notification),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

fn said(notification: &Value) -> &str {
    notification["lastAnswer"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_reaches_everybody_once_whatever_goes_wrong() {
    let doubles = Doubles::start().await;
    doubles.script("fast", [Answer::Errcode(130_101)]);
    doubles.script("wrong", [Answer::Errcode(310_000)]);
    doubles.script("shaky", [Answer::Status(500)]);
    doubles.script("slow", [Answer::Hang]);
    let mut stand = Stand::start_with(|stand| {
        stand.set("NIGHTJAR_ALERTING_SEND_TIMEOUT", "2s");
        stand.set("NIGHTJAR_ALERTING_FIRST_RETRY", "1s");
        stand.set("NIGHTJAR_ALERTING_LONGEST_RETRY", "3s");
    })
    .await;
    let Some(mut mailbox) = Mailbox::prepare(free_port(), stand.path("mails")) else {
        return skip(
            "an_alert_reaches_everybody_once_whatever_goes_wrong",
            "the SMTP server (python3-aiosmtpd) is not installed",
        );
    };
    let source = json!({ "log": { "paths": [{ "path": stand.path("app.log") }], "start": "beginning" } });
    let mut documents = vec![
        document("Monitor", "failures", json!({ "type": "minute", "source": source })),
        document(
            "AlertRule",
            "failing",
            json!({
                "monitor": "failures", "level": "P1", "conditions": [{ "field": "count", "op": ">=", "threshold": 5 }],
            }),
        ),
    ];
    documents.extend(people(&doubles, mailbox.port));
    stand.apply(Value::Array(documents)).await;
    stand.start_agent("agent", &[]).await;

    log(&stand, 10);
    let alert = wait_for("the alert", Duration::from_secs(100), async || {
        let alerts = stand.get("workspaces/default/alerts?status=firing").await;
        alerts["items"].get(0).cloned().ok_or_else(|| alerts.to_string())
    })
    .await;
    assert_eq!((&alert["rule"], &alert["level"]), (&json!("failing"), &json!("P1")));

    expect(&stand, "well", "sent", |n| n["status"] == "sent" && n["attempts"] == 1).await;
    expect(&stand, "hook", "sent", |n| n["status"] == "sent").await;
    expect(&stand, "wrong", "given up", |n| n["status"] == "failed" && said(n).contains("310000")).await;
    expect(&stand, "shaky", "sent at the second attempt", |n| n["status"] == "sent" && n["attempts"] == 2).await;
    expect(&stand, "slow", "sent at the second attempt", |n| n["status"] == "sent" && n["attempts"] == 2).await;
    let fast = expect(&stand, "fast", "put off", |n| n["status"] == "pending" && said(n).contains("130101")).await;
    let next = Timestamp::parse_rfc3339(fast["nextAttemptAt"].as_str().unwrap()).unwrap();
    let made = Timestamp::parse_rfc3339(fast["createdAt"].as_str().unwrap()).unwrap();
    assert!(next.since(made) > Duration::from_secs(500), "a robot that sent too fast is shut out for ten minutes");
    // Nobody takes mail yet; a server that is killed meanwhile does not forget it.
    expect(&stand, "anna", "being retried", |n| n["status"] == "pending" && n["attempts"].as_u64() >= Some(1)).await;
    stand.kill_server();
    stand.start_server().await;
    mailbox.open();
    expect(&stand, "anna", "sent", |n| n["status"] == "sent").await;

    // It recovers: a minute with a line or two is a minute below the threshold.
    let recovered = wait_for("the recovery", Duration::from_secs(150), async || {
        log(&stand, 1);
        tokio::time::sleep(Duration::from_secs(15)).await;
        let alerts = stand.get("workspaces/default/alerts?status=recovered").await;
        alerts["items"].get(0).cloned().ok_or_else(|| alerts.to_string())
    })
    .await;
    assert_eq!(recovered["id"], alert["id"]);
    wait_for("word of the recovery", Duration::from_secs(30), async || {
        match (doubles.received("well").len(), doubles.received("hook").len(), mailbox.mails().len()) {
            (2, 2, 2) => Ok(()),
            counts => Err(format!("{counts:?} messages")),
        }
    })
    .await;

    for robot in ["well", "shaky", "slow"] {
        for message in doubles.received(robot) {
            assert!(message.is_signed_for_dingtalk(SECRET), "{message:?}");
            assert!(message.body.contains("告警"), "{message:?}");
        }
    }
    let hooks = doubles.received("hook");
    assert!(hooks.iter().all(|message| message.is_signed(HOOK_SECRET)), "{hooks:?}");
    assert!(hooks[0].json().is_object());
    let mails = mailbox.mails();
    assert_eq!(mails[0]["to"], json!(["anna@example.com"]));
    assert_ne!(mails[0]["message_id"], mails[1]["message_id"]);

    // The timeline says what became of each.
    let detail = stand.get(&format!("workspaces/default/alerts/{}", alert["id"].as_str().unwrap())).await;
    let outcomes: Vec<&str> =
        detail["events"].as_array().unwrap().iter().filter_map(|e| e["outcome"].as_str()).collect();
    for outcome in ["fired", "sent", "retry", "failed", "recovered"] {
        assert!(outcomes.contains(&outcome), "{outcome} is not among {outcomes:?}");
    }
    assert_eq!(stand.get("workspaces/default/alerts").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_channel_can_be_tried() {
    let doubles = Doubles::start().await;
    let stand = Stand::start().await;
    let mailbox = Mailbox::prepare(free_port(), stand.path("mails"));
    let port = mailbox.as_ref().map_or(1, |mailbox| mailbox.port);
    stand.apply(Value::Array(people(&doubles, port))).await;
    doubles.script("wrong", [Answer::Errcode(310_000)]);
    let answer = stand.post("workspaces/default/dingtalk-robots/well/test-send", &json!({})).await;
    assert!(answer["answer"].as_str().unwrap().contains("errcode 0"), "{answer}");
    stand.post("workspaces/default/webhooks/hook/test-send", &json!({})).await;
    assert_eq!((doubles.received("well").len(), doubles.received("hook").len()), (1, 1));
    let path = "workspaces/default/dingtalk-robots/wrong/test-send";
    let (status, problem) = stand.ask(reqwest::Method::POST, path, Some(&json!({}))).await;
    assert!(!status.is_success() && problem.to_string().contains("310000"), "{status} {problem}");
    if let Some(mut mailbox) = mailbox {
        mailbox.open();
        wait_for("the test mail", Duration::from_secs(20), async || {
            let path = "workspaces/default/email-servers/mail/test-send";
            let body = json!({ "to": "bob@example.com" });
            let (status, answer) = stand.ask(reqwest::Method::POST, path, Some(&body)).await;
            if status.is_success() { Ok(()) } else { Err(answer.to_string()) }
        })
        .await;
        assert_eq!(mailbox.mails()[0]["to"], json!(["bob@example.com"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_agent_and_its_return_are_told() {
    let doubles = Doubles::start().await;
    let mut stand = Stand::start_with(|stand| stand.set("NIGHTJAR_ALERTING_AGENT_LOST_AFTER", "1s")).await;
    let hook = json!({ "url": doubles.url("hook"), "secret_key": HOOK_SECRET, "global": true });
    stand.apply(json!([document("Webhook", "hook", hook)])).await;
    stand.start_agent("agent", &[]).await;
    stand.kill_agent("agent");
    let told = async |what: &str, messages: usize| {
        wait_for(what, Duration::from_secs(90), async || match doubles.received("hook") {
            received if received.len() == messages => Ok(received[messages - 1].json()),
            received => Err(format!("{received:?}")),
        })
        .await
    };
    let fired = told("word of its loss", 1).await;
    assert_eq!((&fired["event"], &fired["alert"]["rule"]), (&json!("firing"), &json!("_agent-lost")), "{fired}");
    // Who is told of an agent finds it by what the alert names.
    let agent = fired["alert"]["keys"]["agent"].as_str().unwrap();
    assert_eq!(stand.get(&format!("workspaces/default/agents/{agent}")).await["health"], "lost");
    stand.launch_agent("agent", "", &[]);
    let recovered = told("word of its return", 2).await;
    assert_eq!((&recovered["event"], &recovered["alert"]["id"]), (&json!("recovered"), &fired["alert"]["id"]));
}
