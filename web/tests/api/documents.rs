//! Documents: written, read, refused.

use expect_test::{Expect, expect};
use http::{Request, StatusCode, header};

use crate::server::{Answer, EDITOR, Server, VIEWER, server};

const TRADE: &str = "/api/v1/workspaces/default/monitors/trade";
const SPEC: &str = r#"{"type": "minute", "source": {"log": {"paths": [{"path": "/var/log/trade.log"}]}}}"#;
const YAML: &str = r#"
kind: Monitor
metadata: { name: trade, folder: shop/core, labels: { team: trade } }
spec:
  type: minute
  source: { log: { paths: [ { path: /var/log/trade.log } ] } }
"#;

async fn put(server: &Server, query: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::put(format!("{TRADE}{query}"))
        .header(header::AUTHORIZATION, format!("Bearer {EDITOR}"))
        .header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request.body(body.to_owned().into()).expect("a request")).await
}

fn with_start(start: &str) -> String {
    format!(
        r#"{{"spec": {{"type": "minute", "source": {{"log": {{"paths": [{{"path": "/x"}}], "start": "{start}"}}}}}}}}"#
    )
}

#[tokio::test]
async fn a_document_is_created_replaced_and_left_alone() {
    let server = server();
    let body = format!(r#"{{"spec": {SPEC}}}"#);
    let created = put(&server, "", &[("if-none-match", "*")], &body).await;
    assert_eq!((created.status, created.header("x-nightjar-outcome")), (StatusCode::CREATED, "created"));
    assert_eq!((created.header("etag"), created.header("location")), ("\"1\"", TRADE));
    assert_eq!(created.json()["metadata"]["updatedBy"], "token:editor");

    let again = put(&server, "", &[], &body).await;
    assert_eq!((again.status, again.header("x-nightjar-outcome")), (StatusCode::OK, "unchanged"));
    let tried = put(&server, "?dryRun=true", &[], &with_start("beginning")).await;
    assert_eq!((tried.status, tried.header("x-nightjar-outcome")), (StatusCode::OK, "updated"));
    let shown = server.ask("GET", TRADE, VIEWER, "").await;
    assert_eq!((shown.header("etag"), &shown.json()["metadata"]["version"]), ("\"1\"", &serde_json::json!(1)));

    let replaced = put(&server, "", &[("if-match", "\"1\"")], &with_start("beginning")).await;
    assert_eq!((replaced.status, replaced.header("etag")), (StatusCode::OK, "\"2\""));
    let stale = put(&server, "", &[("if-match", "\"1\"")], &with_start("end")).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    let exists = put(&server, "", &[("if-none-match", "*")], &body).await;
    assert_eq!(exists.status, StatusCode::PRECONDITION_FAILED);
    let odd = put(&server, "", &[("if-match", "yesterday's")], &body).await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);

    let versions = server.ask("GET", &format!("{TRADE}/versions"), VIEWER, "").await.json();
    assert_eq!(versions["items"].as_array().map(Vec::len), Some(2));
    let restored = server.ask("POST", &format!("{TRADE}/restore?version=1"), EDITOR, "").await;
    assert_eq!((restored.status, restored.header("etag")), (StatusCode::OK, "\"3\""));
    let unrestored = server.ask("POST", &format!("{TRADE}/restore"), EDITOR, "").await;
    assert_eq!(unrestored.status, StatusCode::UNPROCESSABLE_ENTITY);

    let kept = server.ask("DELETE", &format!("{TRADE}?dryRun=true"), EDITOR, "").await;
    assert_eq!(kept.status, StatusCode::NO_CONTENT);
    assert_eq!(server.ask("DELETE", TRADE, EDITOR, "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.ask("GET", TRADE, VIEWER, "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_one_has_is_not_sent_again() {
    let server = server();
    put(&server, "", &[], &format!(r#"{{"spec": {SPEC}}}"#)).await;
    let request = Request::get(TRADE)
        .header(header::AUTHORIZATION, format!("Bearer {VIEWER}"))
        .header(header::IF_NONE_MATCH, "\"1\"");
    let answer = server.send(request.body(String::new().into()).expect("a request")).await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::NOT_MODIFIED, 0));
}

#[tokio::test]
async fn yaml_goes_both_ways() {
    let server = server();
    let created = server.ask_as("PUT", TRADE, EDITOR, "application/yaml", YAML).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
    let request = Request::get("/api/v1/workspaces/default/export?folder=shop")
        .header(header::AUTHORIZATION, format!("Bearer {VIEWER}"));
    let exported = server.send(request.body(String::new().into()).expect("a request")).await;
    assert_eq!(exported.header("content-type"), "application/yaml");
    expect![[r#"
        kind: Monitor
        metadata:
          name: trade
          folder: shop/core
          labels:
            team: trade
        spec:
          type: minute
          source:
            log:
              paths:
              - path: /var/log/trade.log
              charset: auto
              time:
                format: auto
              start: end
          stats:
          - name: count
            fn: lines
          limits:
            max_keys: 10000
          enabled: true
    "#]]
    .assert_eq(&exported.text());
    let elsewhere = "/api/v1/workspaces/other/apply";
    let again = server.ask_as("POST", elsewhere, "admin-token", "application/yaml", &exported.text()).await;
    assert_eq!(again.json()["results"][0]["outcome"], "created");
    let folders = server.ask("GET", "/api/v1/workspaces/default/folders", VIEWER, "").await.json();
    assert_eq!(
        folders["items"],
        serde_json::json!([
            {"path": "shop", "monitors": 0, "rules": 0},
            {"path": "shop/core", "monitors": 1, "rules": 0}
        ])
    );
}

#[tokio::test]
async fn pages_follow_each_other() {
    let server = server();
    for name in ["a", "b", "c"] {
        let path = format!("/api/v1/workspaces/default/monitors/{name}");
        let labels = format!(r#"{{"metadata": {{"labels": {{"n": "{name}"}}}}, "spec": {SPEC}}}"#);
        assert_eq!(server.ask("PUT", &path, EDITOR, &labels).await.status, StatusCode::CREATED);
    }
    let list = "/api/v1/workspaces/default/monitors";
    let page = server.ask("GET", &format!("{list}?limit=2"), VIEWER, "").await.json();
    assert_eq!((page["items"].as_array().map(Vec::len), page["next"].as_str()), (Some(2), Some("b")));
    let labelled = server.ask("GET", &format!("{list}?label=n=c"), VIEWER, "").await.json();
    assert_eq!(labelled["items"][0]["metadata"]["name"], "c");
    let refused = server.ask("GET", &format!("{list}?label=n&limit=0"), VIEWER, "").await;
    assert_eq!(refused.json()["problems"].as_array().map(Vec::len), Some(2));
}

async fn check(method: &str, path: &str, kind: &str, body: &str, expected: Expect) {
    let server = server();
    let answer = server.ask_as(method, path, EDITOR, kind, body).await;
    assert_eq!(answer.header("content-type"), "application/problem+json");
    expected.assert_eq(&answer.shown());
    assert!(server.world.documents.lock().expect("lock").is_empty(), "something was changed");
}

#[tokio::test]
async fn every_problem_of_a_document_is_named() {
    let body = r#"{"kind": "Monitor", "metadata": {"name": "trade", "color": "red"},
        "spec": {"type": "hourly", "sauce": 1, "source": {"log": {"paths": []}}}}"#;
    check("PUT", TRADE, "application/json", body, expect![[r#"
        422
        {
          "type": "urn:nightjar:problem:invalid",
          "title": "What was sent is not valid",
          "status": 422,
          "detail": "What was sent has 3 problems.",
          "problems": [
            {
              "path": "metadata.color",
              "message": "unknown field `color`, expected one of `name`, `workspace`, `displayName`, `folder`, `labels`, `uid`, `version`, `createdAt`, `createdBy`, `updatedAt`, `updatedBy`"
            },
            {
              "path": "spec.type",
              "message": "unknown variant `hourly`, expected one of `minute`, `minute_multi_key`, `second`, `second_multi_key`, `service_metrics`, `minute_top`"
            },
            {
              "path": "spec.sauce",
              "message": "unknown field `sauce`, expected one of `type`, `app`, `targets`, `source`, `columns`, `filter`, `group_by`, `stats`, `service`, `top`, `limits`, `enabled`"
            }
          ]
        }
    "#]]).await;
}

#[tokio::test]
async fn the_path_and_the_document_must_agree() {
    let body = format!(r#"{{"kind": "Webhook", "metadata": {{"name": "other"}}, "spec": {SPEC}}}"#);
    check(
        "PUT",
        TRADE,
        "application/json",
        &body,
        expect![[r#"
        422
        {
          "type": "urn:nightjar:problem:invalid",
          "title": "What was sent is not valid",
          "status": 422,
          "detail": "What was sent has 2 problems.",
          "problems": [
            {
              "path": "kind",
              "message": "must be `Monitor` on this path"
            },
            {
              "path": "metadata.name",
              "message": "must be `trade` on this path; a name never changes"
            }
          ]
        }
    "#]],
    )
    .await;
}

#[tokio::test]
async fn malformed_json_says_where() {
    check(
        "PUT",
        TRADE,
        "application/json",
        "{\n  \"kind\": Monitor }",
        expect![[r#"
        400
        {
          "type": "urn:nightjar:problem:malformed",
          "title": "The request cannot be read",
          "status": 400,
          "detail": "The body is not valid JSON.",
          "problems": [
            {
              "path": "line 2 column 11",
              "message": "expected value"
            }
          ]
        }
    "#]],
    )
    .await;
}

#[tokio::test]
async fn malformed_yaml_says_where() {
    check("POST", "/api/v1/workspaces/default/apply", "application/yaml", "kind: [Monitor\nmetadata: {}", expect![[r#"
        400
        {
          "type": "urn:nightjar:problem:malformed",
          "title": "The request cannot be read",
          "status": 400,
          "detail": "The body is not valid YAML.",
          "problems": [
            {
              "path": "document 1",
              "message": "did not find expected ',' or ']' at line 2 column 9, while parsing a flow sequence at line 1 column 7"
            }
          ]
        }
    "#]]).await;
}

#[tokio::test]
async fn a_form_is_not_a_document() {
    check(
        "PUT",
        TRADE,
        "application/x-www-form-urlencoded",
        "kind=Monitor",
        expect![[r#"
        415
        {
          "type": "urn:nightjar:problem:unsupported-media-type",
          "title": "The content type is not accepted",
          "status": 415,
          "detail": "Send the body as application/json or application/yaml and say so in Content-Type.",
          "problems": []
        }
    "#]],
    )
    .await;
}

#[tokio::test]
async fn apply_reports_all_documents_and_changes_none() {
    let body = format!(
        "{YAML}---\nkind: Webhook\nmetadata: {{ name: hook }}\nspec: {{ url: nowhere, colour: red }}\n---\n{YAML}---\nkind: Ship\n"
    );
    check("POST", "/api/v1/workspaces/default/apply", "application/yaml", &body, expect![[r#"
        422
        {
          "type": "urn:nightjar:problem:invalid",
          "title": "What was sent is not valid",
          "status": 422,
          "detail": "What was sent has 5 problems.",
          "problems": [
            {
              "path": "documents[1].spec.colour",
              "message": "unknown field `colour`, expected one of `url`, `headers`, `params`, `access_key`, `secret_key`, `format`, `global`"
            },
            {
              "path": "documents[1].spec.url",
              "message": "must be an address such as https://host/path"
            },
            {
              "path": "documents[2].metadata.name",
              "message": "documents[0] has the same kind and name"
            },
            {
              "path": "documents[3].metadata.name",
              "message": "is required"
            },
            {
              "path": "documents[3].kind",
              "message": "unknown kind; known are Monitor, AlertRule, Contact, ContactGroup, DingtalkRobot, Webhook, EmailServer, Subscription"
            }
          ]
        }
    "#]]).await;
}

#[tokio::test]
async fn what_is_referred_to_is_not_deleted() {
    let server = server();
    let path = "/api/v1/workspaces/default/monitors/referred-to";
    server.ask("PUT", path, EDITOR, &format!(r#"{{"spec": {SPEC}}}"#)).await;
    let refused = server.ask("DELETE", path, EDITOR, "").await;
    expect![[r#"
        409
        {
          "type": "urn:nightjar:problem:conflict",
          "title": "The present state does not allow it",
          "status": 409,
          "detail": "AlertRule `slow` refers to it; delete or change that first",
          "problems": []
        }
    "#]]
    .assert_eq(&refused.shown());
}
