//! Agents that are not what they say, and one-off tasks on one that is.

use std::time::Duration;

use nightjar_model::delta::{LINES_FIELD, MonitorDelta, Partial, Watermark, WindowDelta};
use nightjar_model::names::MonitorKey;
use nightjar_model::protocol::wire::agents_client::AgentsClient;
use nightjar_model::protocol::wire::{from_agent, to_agent};
use nightjar_model::protocol::{encode_gathered, wire};
use nightjar_model::{Clock, SystemClock, Timestamp};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

use crate::harness::{Stand, wait_for};

/// An agent of our own making, so that it can misbehave.
pub(crate) struct Impostor {
    client: AgentsClient<Channel>,
}

pub(crate) struct Session {
    outbox: mpsc::Sender<wire::FromAgent>,
    inbox: Streaming<wire::ToAgent>,
}

impl Impostor {
    pub(crate) async fn of(stand: &Stand) -> Self {
        Self { client: AgentsClient::connect(format!("http://127.0.0.1:{}", stand.agents_port)).await.unwrap() }
    }

    pub(crate) async fn enrol(&mut self, token: &str) -> Result<wire::EnrolResponse, Status> {
        let facts = wire::Facts { hostname: "impostor".into(), ..Default::default() };
        let mut request = Request::new(wire::EnrolRequest { facts: Some(facts) });
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        Ok(self.client.enrol(request).await?.into_inner())
    }

    pub(crate) async fn session(&mut self, id: &str, key: &str) -> Result<Session, Status> {
        let (outbox, outgoing) = mpsc::channel(8);
        let facts = Some(wire::Facts { hostname: "impostor".into(), ..Default::default() });
        let now_ms = SystemClock.now().0;
        let hello = wire::Hello { facts, incarnation: 1, now_ms, ..Default::default() };
        outbox.send(wire::FromAgent { body: Some(from_agent::Body::Hello(hello)) }).await.unwrap();
        let mut request = Request::new(ReceiverStream::new(outgoing));
        request.metadata_mut().insert("nightjar-agent", id.parse().unwrap());
        request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        let inbox = self.client.session(request).await?.into_inner();
        Ok(Session { outbox, inbox })
    }
}

impl Session {
    /// Says that it has read everything up to `through`, and that this is its clock.
    pub(crate) async fn has_read(&self, sequence: u64, monitor: &str, through: Timestamp) {
        let watermark = Watermark::new(MonitorKey::new("default", monitor), through);
        let payload = zstd::bulk::compress(&encode_gathered(&[], &[watermark]), 1).unwrap();
        let record = wire::Record { sequence, payload };
        let heartbeat = wire::Heartbeat { now_ms: through.0, ..wire::Heartbeat::default() };
        for body in [from_agent::Body::Heartbeat(heartbeat), from_agent::Body::Record(record)] {
            self.outbox.send(wire::FromAgent { body: Some(body) }).await.unwrap();
        }
    }

    async fn send(&self, sequence: u64, monitor: &str, lines: u64) {
        let start = SystemClock.now().floor(Duration::from_secs(60));
        let delta = MonitorDelta {
            monitor: MonitorKey::new("default", monitor),
            uid: None,
            width: Duration::from_secs(60),
            group_by: vec![],
            fields: vec![LINES_FIELD.to_owned()],
            windows: vec![WindowDelta { start, keys: vec![], partials: vec![Partial::lines(lines)] }],
        };
        let payload = zstd::bulk::compress(&encode_gathered(&[delta], &[]), 1).unwrap();
        let record = wire::Record { sequence, payload };
        self.outbox.send(wire::FromAgent { body: Some(from_agent::Body::Record(record)) }).await.unwrap();
    }

    /// The acknowledgement, or the status the session ended with.
    pub(crate) async fn answer(&mut self) -> Result<u64, Status> {
        loop {
            match self.inbox.message().await?.expect("not the end").body {
                Some(to_agent::Body::Ack(ack)) => return Ok(ack.sequence),
                _ => continue,
            }
        }
    }
}

fn lines_of(name: &str) -> serde_json::Value {
    json!({
        "kind": "Monitor",
        "metadata": { "name": name },
        "spec": { "type": "minute", "source": { "log": { "paths": [{ "path": "/tmp/none.log" }] } } },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_used_once_expire_and_are_not_guessed() {
    let stand = Stand::start().await;
    let mut impostor = Impostor::of(&stand).await;
    assert_eq!(impostor.enrol("guessed").await.unwrap_err().code(), Code::Unauthenticated);

    let token = stand.enrolment_token().await;
    impostor.enrol(&token).await.expect("a fresh token");
    assert_eq!(impostor.enrol(&token).await.unwrap_err().code(), Code::Unauthenticated, "it was for one use");

    let expiry = SystemClock.now().saturating_add(Duration::from_millis(1500));
    let body = json!({ "note": "short", "expiresAt": expiry });
    let made = stand.post("workspaces/default/enrolment-tokens", &body).await;
    let token = made["token"].as_str().unwrap().to_owned();
    wait_for("the token's expiry", Duration::from_secs(20), async || {
        let mut impostor = Impostor::of(&stand).await;
        match impostor.enrol(&token).await {
            Err(status) if status.code() == Code::Unauthenticated => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forgeries_change_no_figure() {
    let stand = Stand::start().await;
    stand.apply(json!([lines_of("mine")])).await;
    assert_eq!(stand.ask(reqwest::Method::PUT, "workspaces/other", None).await.0.as_u16() / 100, 2);
    stand.post("workspaces/other/apply", &json!([lines_of("theirs")])).await;

    let mut impostor = Impostor::of(&stand).await;
    let enrolled = impostor.enrol(&stand.enrolment_token().await).await.unwrap();
    let wrong = impostor.session(&enrolled.agent_id, "wrong").await.err().expect("refused");
    assert_eq!(wrong.code(), Code::Unauthenticated);

    let mut session = impostor.session(&enrolled.agent_id, &enrolled.key).await.unwrap();
    session.send(1, "mine", 5).await;
    assert_eq!(session.answer().await.unwrap(), 1);
    // A monitor of another workspace: it does not exist in the agent's own.
    session.send(2, "theirs", 100).await;
    assert_eq!(session.answer().await.unwrap(), 2);
    // A sequence that leaves a gap.
    session.send(9, "mine", 100).await;
    assert_eq!(session.answer().await.unwrap_err().code(), Code::FailedPrecondition);
    // The same record twice.
    let mut session = impostor.session(&enrolled.agent_id, &enrolled.key).await.unwrap();
    session.send(1, "mine", 100).await;
    assert_eq!(session.answer().await.unwrap(), 1);

    let rows = stand.sql("SELECT sum(count) AS lines FROM monitor.mine").await;
    assert_eq!(rows[0]["lines"].as_f64(), Some(5.0));
    let theirs = json!({ "sql": "SELECT count(*) AS n FROM monitor.theirs", "format": "json" });
    let answer = stand.post("workspaces/other/sql", &theirs).await;
    assert_eq!(answer["rows"][0]["n"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_run_on_a_real_agent() {
    let mut stand = Stand::start().await;
    let log = stand.path("app.log");
    std::fs::write(&log, "2026-11-20 12:00:00,1,a\n2026-11-20 12:00:01,2,b\n").unwrap();
    stand.start_agent("agent", &["app=trade", "team=a"]).await;
    let agents = stand.get("workspaces/default/agents").await;
    let agent = &agents["items"][0];
    assert_eq!((&agent["health"], &agent["facts"]["labels"]["team"]), (&json!("healthy"), &json!("a")));
    let tasks = format!("workspaces/default/agents/{}/tasks", agent["id"].as_str().unwrap());

    let root = log.parent().unwrap();
    let files = stand.post(&tasks, &json!({ "list_files": { "root": root } })).await;
    let listed = files["files"]["files"].as_array().expect("files");
    assert!(listed.iter().any(|file| file["path"] == json!(log)), "{files}");

    let preview = stand.post(&tasks, &json!({ "preview_file": { "path": log, "lines": 1 } })).await;
    assert_eq!(preview["preview"]["lines"], json!(["2026-11-20 12:00:01,2,b"]));

    let spec = json!({
        "type": "minute",
        "source": { "log": { "paths": [{ "path": log }] } },
        "columns": [{ "name": "n", "pick": { "split": { "by": ",", "index": 1 } } }],
        "stats": [{ "name": "total", "fn": "sum", "column": "n" }],
    });
    let trial = stand.post(&tasks, &json!({ "try_monitor": { "spec": spec, "lines": 10 } })).await;
    assert_eq!(trial["trial"]["rows"][0]["stats"], json!([["total", 3.0]]), "{trial}");

    let (status, _) = stand.ask(reqwest::Method::POST, &tasks, Some(&json!({ "run": {} }))).await;
    assert_eq!(status.as_u16(), 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_does_not_know_its_hosts_zone_says_so() {
    let mut stand = Stand::start().await;
    let log = stand.path("app.log");
    std::fs::write(&log, "").unwrap();
    let mut monitor = lines_of("mine");
    monitor["spec"]["source"]["log"] = json!({ "paths": [{ "path": log }], "start": "beginning" });
    let mut named = monitor.clone();
    named["metadata"]["name"] = json!("named");
    named["spec"]["source"]["log"]["time"] = json!({ "timezone": "UTC" });
    stand.apply(json!([monitor, named])).await;
    stand.start_agent_in("agent", &[], &[("TZ", "Mars/Base")]).await;

    let agents = stand.get("workspaces/default/agents").await;
    let agent = &agents["items"][0];
    assert_eq!((&agent["health"], &agent["facts"]["timezone"]), (&json!("abnormal"), &json!("")), "{agent}");
    let why = agent["facts"]["timezoneProblem"].as_str().unwrap_or_default();
    assert!(why.starts_with("TZ=Mars/Base is no rule") && why.ends_with("is not there"), "{why}");
    let reasons = agent["reasons"].to_string();
    assert!(reasons.contains("does not know its host's time zone") && reasons.contains("Mars/Base"), "{reasons}");

    // What names a zone counts all the same, and nothing is taken for UTC.
    let now = SystemClock.now().to_utc().format("%Y-%m-%d %H:%M:%S");
    std::fs::write(&log, format!("{now} +0000 one\n{now} two\n")).unwrap();
    let path = format!("workspaces/default/agents/{}", agent["id"].as_str().unwrap());
    wait_for("both lines to be told of", Duration::from_secs(30), async || {
        let agent = stand.get(&path).await;
        let report =
            |name: &str| agent["monitors"].as_array()?.iter().find(|report| report["monitor"] == name).cloned();
        match (report("mine"), report("named")) {
            (Some(mine), Some(named)) if mine["lines"] == 2 && named["lines"] == 2 => {
                assert_eq!(mine["faults"], json!({ "time_unreadable": 1 }), "{mine}");
                assert_eq!(named["faults"], json!({}), "{named}");
                Ok(())
            }
            _ => Err(agent.to_string()),
        }
    })
    .await;
    for (name, lines) in [("mine", 1), ("named", 2)] {
        let sql = format!("SELECT sum(count) AS lines FROM monitor.{name}");
        wait_for(name, Duration::from_secs(30), async || {
            let rows = stand.sql(&sql).await;
            if rows[0]["lines"].as_f64() == Some(f64::from(lines)) { Ok(()) } else { Err(format!("{rows:?}")) }
        })
        .await;
    }
}
