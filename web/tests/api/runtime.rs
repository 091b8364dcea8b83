//! Agents, alerts, people: what runs, and who.

use expect_test::expect;
use http::StatusCode;
use nightjar_model::Resource;

use crate::server::{ADMIN, EDITOR, OPERATOR, VIEWER, server};
use crate::world::NOW;

const WS: &str = "/api/v1/workspaces/default";

#[tokio::test]
async fn a_workspace_at_a_glance() {
    let server = server();
    let spec = r#"{"spec": {"type": "minute", "source": {"log": {"paths": [{"path": "/x"}]}}}}"#;
    server.ask("PUT", &format!("{WS}/monitors/trade"), ADMIN, spec).await;
    let mut overview = server.ask("GET", &format!("{WS}/overview"), VIEWER, "").await.json();
    let trend = overview["trend"].take();
    let buckets = trend.as_array().expect("buckets");
    assert_eq!(buckets.len(), 24);
    assert_eq!(buckets[23], serde_json::json!({"time": "2026-03-01T12:00:00Z", "count": 0}));
    assert_eq!(buckets[22], serde_json::json!({"time": "2026-03-01T11:00:00Z", "count": 1}));
    assert_eq!(buckets[21], serde_json::json!({"time": "2026-03-01T10:00:00Z", "count": 1}));
    assert_eq!(overview["latest"].take().as_array().map(Vec::len), Some(3));
    expect![[r#"
        {
          "monitors": {
            "total": 1,
            "enabled": 1
          },
          "agents": {
            "healthy": 0,
            "abnormal": 0,
            "clock_skew": 0,
            "lost": 1,
            "left": 0
          },
          "firing": {
            "P0": 1,
            "P1": 1,
            "P2": 0,
            "P3": 0,
            "P4": 0
          },
          "trend": null,
          "latest": null,
          "incomplete": [
            {
              "monitor": "trade",
              "completeThrough": "2026-03-01T11:50:30Z",
              "missing": [
                "agent-1"
              ]
            }
          ],
          "blind": []
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&overview).expect("JSON"));
}

#[tokio::test]
async fn a_monitor_is_not_behind_before_its_first_minute_could_be_complete() {
    let server = server();
    for (name, created, updated) in [
        ("never-made-now", 170, 170),
        ("never-enabled-now", 9000, 60),
        ("never-at-all", 300, 300),
        ("made-anew", 60, 60),
        ("edited-now", 9000, 10),
    ] {
        let ago = |seconds| NOW.saturating_sub(std::time::Duration::from_secs(seconds)).to_string();
        let document = serde_json::json!({
            "kind": "Monitor",
            "metadata": { "name": name, "createdAt": ago(created), "updatedAt": ago(updated) },
            "spec": { "type": "minute", "source": { "log": { "paths": [{ "path": "/x" }] } } },
        });
        let monitor = Resource::from_value(&document, Some("default")).expect("a monitor");
        server.world.documents.lock().expect("lock").insert(monitor.key(), vec![monitor]);
    }
    let overview = server.ask("GET", &format!("{WS}/overview"), VIEWER, "").await.json();
    let incomplete = overview["incomplete"].as_array().expect("monitors");
    let names: Vec<_> = incomplete.iter().filter_map(|one| one["monitor"].as_str()).collect();
    assert_eq!(names, ["edited-now", "never-at-all"]);
}

#[tokio::test]
async fn an_agents_task_is_answered_and_audited() {
    let server = server();
    let list = r#"{"list_files": {"root": "/var/log"}}"#;
    let answer = server.ask("POST", &format!("{WS}/agents/agent-1/tasks"), OPERATOR, list).await;
    assert_eq!(answer.json()["files"]["root"], "/var/log");
    {
        let audit = server.world.audit.lock().expect("lock");
        assert_eq!((audit[0].actor.as_str(), audit[0].name.as_str()), ("token:operator", "agent-1"));
        assert_eq!(audit[0].after.as_ref().map(|after| &after["list_files"]["root"]), Some(&"/var/log".into()));
    }
    let away = r#"{"preview_file": {"path": "/var/log/x"}}"#;
    let answer = server.ask("POST", &format!("{WS}/agents/agent-1/tasks"), OPERATOR, away).await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "5"));
    let unknown = server.ask("POST", &format!("{WS}/agents/nobody/tasks"), OPERATOR, list).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_deleted_agent_is_hung_up_on() {
    let server = server();
    let answer = server.ask("DELETE", &format!("{WS}/agents/agent-1"), ADMIN, "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(server.world.disconnected.lock().expect("lock")[0].0, "agent-1");
}

#[tokio::test]
async fn an_enrolment_token_comes_with_its_command() {
    let answer = server().ask("POST", &format!("{WS}/enrolment-tokens"), ADMIN, r#"{"note": "shop", "uses": 3}"#).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    expect![[r#"
        201
        {
          "id": "e1",
          "workspace": "default",
          "note": "shop",
          "usesLeft": 3,
          "createdBy": "token:admin",
          "owner": "token:admin",
          "createdAt": "2026-03-01T12:00:30Z",
          "expiresAt": null,
          "used": 0,
          "token": "enrol-me",
          "install": "curl -fsSL http://nightjar.example:9700/install-agent.sh | sudo sh -s -- --token enrol-me"
        }
    "#]]
    .assert_eq(&answer.shown());
}

#[tokio::test]
async fn a_test_message_is_audited_and_its_answer_shown() {
    let server = server();
    let path = format!("{WS}/email-servers/post/test-send");
    let answer = server.ask("POST", &path, OPERATOR, r#"{"to": "ann@example.com"}"#).await;
    assert_eq!(answer.json()["answer"], "EmailServer default/post ann@example.com");
    let without = server.ask("POST", &format!("{WS}/webhooks/hook/test-send"), OPERATOR, "").await;
    assert_eq!(without.json()["answer"], "Webhook default/hook -");
    let audit = server.ask("GET", &format!("{WS}/audit"), ADMIN, "").await.json();
    assert_eq!(audit["items"][0]["action"], "test_send");
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn alerts_are_found_by_what_is_known_of_them() {
    let server = server();
    let answer = server.ask("GET", &format!("{WS}/alerts?status=firing&level=P0"), VIEWER, "").await.json();
    assert_eq!(answer["items"][0]["id"], "a1");
    assert_eq!(answer["items"].as_array().map(Vec::len), Some(1));
    let wrong = server.ask("GET", &format!("{WS}/alerts?status=burning&level=P9"), VIEWER, "").await;
    assert_eq!(wrong.json()["problems"].as_array().map(Vec::len), Some(2));
    let rule = server.ask("GET", &format!("{WS}/alert-rules/slow/events"), VIEWER, "").await.json();
    assert_eq!(rule["items"][0]["reason"], "waiting for agent-1");
    let one = server.ask("GET", &format!("{WS}/alerts/a1"), VIEWER, "").await.json();
    assert_eq!((&one["alert"]["id"], one["events"].as_array().map(Vec::len)), (&"a1".into(), Some(0)));
}

#[tokio::test]
async fn events_come_in_pages_newest_first() {
    let server = server();
    for (path, all) in [("alert-rules/slow/events", 3), ("alerts/a2/events", 600)] {
        let mut times = Vec::new();
        let mut query = "limit=250".to_owned();
        loop {
            let page = server.ask("GET", &format!("{WS}/{path}?{query}"), VIEWER, "").await.json();
            let items = page["items"].as_array().expect("events");
            assert!(items.len() <= 250);
            times.extend(items.iter().filter_map(|event| Some(event["at"].as_str()?.to_owned())));
            let Some(next) = page["next"].as_str() else { break };
            query = format!("limit=250&cursor={next}");
        }
        assert_eq!(times.len(), all, "{path}");
        assert!(times.is_sorted_by(|newer, older| newer > older), "{path}");
        let unbounded = server.ask("GET", &format!("{WS}/{path}?limit=0"), VIEWER, "").await;
        assert_eq!(unbounded.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    // The alert itself comes with the latest of them, in the order they happened.
    let shown = server.ask("GET", &format!("{WS}/alerts/a2"), VIEWER, "").await.json();
    let events = shown["events"].as_array().expect("events");
    assert_eq!((events.len(), &events[499]["at"]), (500, &NOW.to_string().into()));
    let earlier = shown["earlier"].as_str().expect("a cursor");
    let before = server.ask("GET", &format!("{WS}/alerts/a2/events?cursor={earlier}"), VIEWER, "").await.json();
    assert!(before["items"][0]["at"].as_str() < events[0]["at"].as_str());
}

#[tokio::test]
async fn every_listing_has_an_end() {
    let server = server();
    let description = serde_json::to_value(nightjar_web::openapi()).expect("JSON");
    // As many as the server has, and as many versions as are kept of a document.
    let bounded = |path: &str| path == "/api/v1/tasks" || path.ends_with("/versions");
    let mut listings = 0;
    for (path, item) in description["paths"].as_object().expect("paths") {
        let schema = &item["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let schema = match schema["$ref"].as_str() {
            Some(reference) => description.pointer(&reference[1..]).expect("a schema"),
            None => schema,
        };
        if schema["properties"]["items"].is_null() || bounded(path) {
            continue;
        }
        listings += 1;
        assert!(schema["properties"]["next"].is_object(), "{path} has no next page");
        let known: Vec<_> =
            item["get"]["parameters"].as_array().into_iter().flatten().filter_map(|p| p["name"].as_str()).collect();
        assert!(known.contains(&"limit") && known.contains(&"cursor"), "{path} takes {known:?}");
        let path = path.replace("{ws}", "default").replace("{name}", "trade").replace("{id}", "a1");
        let answer = server.ask("GET", &format!("{path}?limit=1001"), ADMIN, "").await;
        assert_eq!(answer.json()["problems"][0]["path"], "limit", "{path}");
    }
    assert!(listings > 15, "only {listings} listings are described");
}

#[tokio::test]
async fn a_new_token_is_shown_once_with_its_value() {
    let server = server();
    let body = r#"{"name": "ci", "roles": {"default": "editor"}}"#;
    let answer = server.ask("POST", "/api/v1/tokens", ADMIN, body).await;
    assert_eq!((answer.status, &answer.json()["token"]), (StatusCode::CREATED, &"njt_value".into()));
    let wrong = server.ask("POST", "/api/v1/tokens", ADMIN, r#"{"nmae": "ci", "roles": {"default": "king"}}"#).await;
    assert_eq!(wrong.json()["problems"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn the_server_tells_of_itself() {
    let server = server();
    let info = server.ask("GET", "/api/v1/info", VIEWER, "").await.json();
    assert_eq!(info, serde_json::json!({"version": "1.2.3", "agentsUrl": "http://nightjar.example:9701"}));
    let tasks = server.ask("GET", "/api/v1/tasks", VIEWER, "").await.json();
    assert_eq!(tasks["items"][0]["name"], "engine.flush");
    assert_eq!(tasks["items"][0]["lastError"], "it failed; an administrator of the platform sees why");
    let tasks = server.ask("GET", "/api/v1/tasks", ADMIN, "").await.json();
    assert_eq!(tasks["items"][0]["lastError"], "rule `other/secret-plan`: no data");
    for (token, status) in [
        (ADMIN, StatusCode::OK),
        ("ws-admin-token", StatusCode::OK),
        (EDITOR, StatusCode::FORBIDDEN),
        (VIEWER, StatusCode::FORBIDDEN),
    ] {
        assert_eq!(server.ask("GET", "/metrics", token, "").await.status, status, "{token}");
    }
}
