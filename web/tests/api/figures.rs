//! Figures, their completeness and faults, drafts tried.

use std::collections::BTreeMap;
use std::time::Duration;

use expect_test::expect;
use http::StatusCode;
use nightjar_model::kinds::alert_rule::KeyMatch;

use crate::server::{EDITOR, OPERATOR, Server, VIEWER, server};
use crate::world::NOW;

const TRADE: &str = "/api/v1/workspaces/default/monitors/trade";
const SPEC: &str = r#"{"type": "minute_multi_key", "source": {"log": {"paths": [{"path": "/x"}]}},
    "columns": [{"name": "goods", "pick": {"split": {"by": ",", "index": 1}}},
                {"name": "cost", "pick": {"split": {"by": ",", "index": 2}}}],
    "group_by": ["goods"],
    "stats": [{"name": "count", "fn": "lines"}, {"name": "cost_avg", "fn": "avg", "column": "cost"}]}"#;

async fn with_monitor() -> Server {
    let server = server();
    let created = server.ask("PUT", TRADE, EDITOR, &format!(r#"{{"spec": {SPEC}}}"#)).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
    server
}

#[tokio::test]
async fn the_largest_series_come_first_with_their_statistics() {
    let server = with_monitor().await;
    let answer = server.ask("GET", &format!("{TRADE}/windows?limit=2"), VIEWER, "").await;
    expect![[r#"
        200
        {
          "by": [
            "goods"
          ],
          "stats": [
            "count",
            "cost_avg"
          ],
          "series": [
            {
              "keys": {
                "goods": "fig"
              },
              "points": [
                {
                  "time": "2026-03-01T12:00:00Z",
                  "values": {
                    "cost_avg": 8.0,
                    "count": 10.0
                  }
                }
              ]
            },
            {
              "keys": {
                "goods": "pear"
              },
              "points": [
                {
                  "time": "2026-03-01T12:00:00Z",
                  "values": {
                    "cost_avg": 50.0,
                    "count": 10.0
                  }
                }
              ]
            }
          ],
          "truncated": true,
          "completeness": [
            {
              "time": "2026-03-01T12:00:00Z",
              "state": "partial",
              "missing": [
                "agent-1"
              ],
              "missingCount": 1
            }
          ],
          "blind": [
            {
              "time": "2026-03-01T12:00:00Z",
              "reason": "not_understood"
            }
          ]
        }
    "#]]
    .assert_eq(&answer.shown());
    let query = server.world.last_query.lock().expect("lock").clone().expect("a query");
    assert_eq!((query.by, query.step), (None, None));
    assert_eq!(
        (query.until, query.from),
        (
            // Part of a window would look like all of it.
            NOW.floor(Duration::from_secs(60)).saturating_add(Duration::from_secs(60)),
            NOW.saturating_sub(Duration::from_secs(3600)).floor(Duration::from_secs(60))
        )
    );
}

/// A healthy zero: also where no line ever came. A minute that is not complete is none.
#[tokio::test]
async fn a_complete_minute_without_a_line_is_zero() {
    let server = server();
    let quiet = "/api/v1/workspaces/default/monitors/quiet";
    let created = server.ask("PUT", quiet, EDITOR, &format!(r#"{{"spec": {SPEC}}}"#)).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
    let series = async |query: &str| {
        let answer = server.ask("GET", &format!("{quiet}/windows?{query}"), VIEWER, "").await;
        answer.json()["series"].clone()
    };
    let zero = serde_json::json!([{ "keys": {}, "points": [
        { "time": "2026-03-01T11:59:00Z", "values": { "count": 0.0, "cost_avg": null } },
    ] }]);
    assert_eq!(series("by=").await, zero);
    assert_eq!(series("by=&fill=zero").await, zero);
    assert_eq!(series("by=&fill=none").await, serde_json::json!([]));
    // By a key that nobody has seen there is nothing to draw.
    assert_eq!(series("").await, serde_json::json!([]));
    let wrong = server.ask("GET", &format!("{quiet}/windows?fill=maybe"), VIEWER, "").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn what_is_asked_for_reaches_the_engine() {
    let server = with_monitor().await;
    let path = format!(
        "{TRADE}/windows?from=2026-03-01T10:02:30Z&until=2026-03-01T12:00:00%2B00:00&step=5m&by=&where.goods=a,b&limit=7"
    );
    let answer = server.ask("GET", &path, VIEWER, "").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let query = server.world.last_query.lock().expect("lock").clone().expect("a query");
    assert_eq!(query.from.to_string(), "2026-03-01T10:00:00Z");
    assert_eq!((query.by, query.step), (Some(Vec::new()), Some(Duration::from_secs(300))));
    let keys = KeyMatch::In(vec!["a".into(), "b".into()]);
    assert_eq!(query.filter, BTreeMap::from([("goods".to_owned(), keys)]));
}

#[tokio::test]
async fn an_endless_range_is_refused() {
    let server = with_monitor().await;
    for query in
        ["from=1970-01-01T00:00:00Z", "step=0s", "step=1ms", "from=2026-03-01T12:00:00Z&until=2026-03-01T11:00:00Z"]
    {
        let answer = server.ask("GET", &format!("{TRADE}/windows?{query}"), VIEWER, "").await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
    }
    let missing = server.ask("GET", "/api/v1/workspaces/default/monitors/none/windows", VIEWER, "").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let faults = server.ask("GET", "/api/v1/workspaces/default/monitors/_faults/windows", VIEWER, "").await;
    assert_eq!(faults.json()["stats"], serde_json::json!(["count"]));
}

#[tokio::test]
async fn a_monitors_status_names_who_is_behind_and_what_is_amiss() {
    let server = with_monitor().await;
    expect![[r#"
        200
        {
          "completeThrough": "2026-03-01T11:50:30Z",
          "agents": [
            {
              "id": "agent-1",
              "hostname": "app-1",
              "through": "2026-03-01T11:50:30Z",
              "health": "lost"
            }
          ],
          "faults": [
            {
              "reason": "time_unreadable",
              "lastHour": 41,
              "example": "/var/log/x: hello"
            },
            {
              "reason": "column_missing",
              "lastHour": 3,
              "example": null
            }
          ],
          "files": 2,
          "reading": {
            "monitor": "trade",
            "state": "no_agent",
            "lines": 40,
            "understood": 0.0,
            "counted": 0,
            "files": 0,
            "reason": null,
            "example": null
          }
        }
    "#]]
    .assert_eq(&server.ask("GET", &format!("{TRADE}/status"), VIEWER, "").await.shown());
}

#[tokio::test]
async fn sql_is_answered_in_the_callers_workspace() {
    let server = server();
    let answer =
        server.ask("POST", "/api/v1/workspaces/default/sql", VIEWER, r#"{"sql": "select 1", "format": "csv"}"#).await;
    assert_eq!((answer.header("content-type"), answer.text().as_str()), ("text/csv", "default: select 1"));
    let wrong =
        server.ask("POST", "/api/v1/workspaces/default/sql", VIEWER, r#"{"query": "select 1", "format": "xml"}"#).await;
    expect![[r#"
        422
        {
          "type": "urn:nightjar:problem:invalid",
          "title": "What was sent is not valid",
          "status": 422,
          "detail": "What was sent has 3 problems.",
          "problems": [
            {
              "path": "query",
              "message": "unknown field `query`, expected `sql` or `format`"
            },
            {
              "path": "format",
              "message": "unknown variant `xml`, expected one of `json`, `csv`, `arrow`"
            },
            {
              "path": "sql",
              "message": "is required"
            }
          ]
        }
    "#]]
    .assert_eq(&wrong.shown());
}

#[tokio::test]
async fn a_long_answer_comes_in_pieces_and_a_broken_one_is_not_whole() {
    let server = server();
    let path = "/api/v1/workspaces/default/sql";
    let whole = server.ask("POST", path, VIEWER, r#"{"sql": "select 1"}"#).await;
    assert_eq!(whole.header("content-length"), whole.text().len().to_string());
    let pieces = server.ask("POST", path, VIEWER, r#"{"sql": "in pieces"}"#).await;
    assert_eq!((pieces.header("content-length"), pieces.text().as_str()), ("", "default: in pieces and more"));
    let response = server.begin("POST", path, VIEWER, r#"{"sql": "broken pieces"}"#).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(axum::body::to_bytes(response.into_body(), 1 << 20).await.is_err(), "what came is not the whole");
}

#[tokio::test]
async fn a_draft_is_tried_on_lines_or_on_an_agent() {
    let server = server();
    let path = "/api/v1/workspaces/default/try-monitor";
    let lines = server.ask("POST", path, OPERATOR, &format!(r#"{{"spec": {SPEC}, "lines": ["a,b,3"]}}"#)).await;
    assert_eq!(lines.json()["lines"][0]["text"], "a,b,3");
    let agent = server.ask("POST", path, OPERATOR, &format!(r#"{{"spec": {SPEC}, "agent": "agent-1"}}"#)).await;
    assert_eq!(agent.status, StatusCode::OK, "{}", agent.text());
    {
        let audit = server.world.audit.lock().expect("lock");
        assert_eq!(audit[0].action, "task");
        let after = audit[0].after.as_ref().expect("what was asked");
        assert!(after["try_monitor"]["spec"]["source"]["log"]["paths"][0].is_object(), "the files are told: {after}");
    }
    let both = r#"{"spec": {"type": "minute", "source": {"log": {"paths": []}}}, "lines": [], "agent": "agent-1"}"#;
    expect![[r#"
        422
        {
          "type": "urn:nightjar:problem:invalid",
          "title": "What was sent is not valid",
          "status": 422,
          "detail": "What was sent has 2 problems.",
          "problems": [
            {
              "path": "spec.source.log.paths",
              "message": "needs at least one path"
            },
            {
              "path": "lines",
              "message": "give either `lines` or an `agent`"
            }
          ]
        }
    "#]]
    .assert_eq(&server.ask("POST", path, OPERATOR, both).await.shown());
}

#[tokio::test]
async fn a_selection_must_lie_within_its_line() {
    let server = server();
    let path = "/api/v1/workspaces/default/derive-pick";
    let inside = r#"{"lines": ["夜鹰,b"], "selection": {"line": 0, "from": 0, "to": 2}}"#;
    let answer = server.ask("POST", path, OPERATOR, inside).await.json();
    assert_eq!(answer["suggestions"][0]["yields"], serde_json::json!(["夜鹰"]));
    for outside in [
        r#"{"line": 1, "from": 0, "to": 1}"#,
        r#"{"line": 0, "from": 2, "to": 9}"#,
        r#"{"line": 0, "from": 2, "to": 2}"#,
    ] {
        let body = format!(r#"{{"lines": ["夜鹰,b"], "selection": {outside}}}"#);
        assert_eq!(
            server.ask("POST", path, OPERATOR, &body).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{outside}"
        );
    }
}
