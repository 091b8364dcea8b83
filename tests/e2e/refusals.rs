//! What is wrong is refused with every place named, and changes nothing.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::Stand;

fn paths(problem: &Value) -> Vec<&str> {
    problem["problems"].as_array().expect("problems").iter().map(|p| p["path"].as_str().unwrap()).collect()
}

fn monitor(name: &str, spec: Value) -> Value {
    json!({ "kind": "Monitor", "metadata": { "name": name }, "spec": spec })
}

fn good_spec() -> Value {
    json!({
        "type": "minute_multi_key",
        "source": { "log": { "paths": [{ "path": "/tmp/a.log" }] } },
        "columns": [{ "name": "goods", "pick": { "split": { "by": ",", "index": 2 } } }],
        "group_by": ["goods"],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_documents_are_refused_with_every_path() {
    let stand = Stand::start().await;
    stand.apply(json!([monitor("good", good_spec())])).await;
    let before = stand.get("workspaces/default/monitors").await;

    let bad = json!({
        "type": "minute_multi_key",
        "sauce": 1,
        "source": { "log": { "paths": [{ "path": "relative.log" }], "charset": 7 } },
        "columns": [
            { "name": "a", "pick": { "regex": { "pattern": "(" } } },
            { "name": "b", "pick": { "regex": { "pattern": "x", "group": 2 } } },
            { "name": "c", "pick": { "split": { "by": "", "index": -1 } } },
        ],
        "group_by": ["goods"],
        "limits": { "max_keys": "many" },
    });
    let (status, problem) = stand.ask(Method::PUT, "workspaces/default/monitors/bad", Some(&monitor("bad", bad))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    let found = paths(&problem);
    for path in ["spec.sauce", "spec.source.log.charset", "spec.columns[2].pick.split.index", "spec.limits.max_keys"] {
        assert!(found.contains(&path), "{path} is not among {found:?}");
    }

    // Well formed, but it makes no sense.
    let mut senseless = good_spec();
    senseless["columns"] = json!([
        { "name": "a", "pick": { "regex": { "pattern": "(" } } },
        { "name": "b", "pick": { "regex": { "pattern": "x", "group": 2 } } },
        { "name": "c", "pick": { "between": {} } },
    ]);
    let documents = json!([monitor("fine", good_spec()), monitor("senseless", senseless)]);
    let (status, problem) = stand.ask(Method::POST, "workspaces/default/apply", Some(&documents)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    let found = paths(&problem);
    for path in
        ["columns[0].pick.regex.pattern", "columns[1].pick.regex.group", "columns[2].pick.between", "group_by[0]"]
    {
        let whole = format!("documents[1].spec.{path}");
        assert!(found.contains(&whole.as_str()), "{whole} is not among {found:?}");
    }

    let rule = |monitor: &str, field: &str| {
        json!({
            "kind": "AlertRule",
            "metadata": { "name": "rule" },
            "spec": { "monitor": monitor, "conditions": [{ "field": field, "op": ">", "threshold": 1 }] },
        })
    };
    for (document, path) in
        [(rule("good", "nothing"), "spec.conditions[0].field"), (rule("missing", "count"), "spec.monitor")]
    {
        let (status, problem) = stand.ask(Method::PUT, "workspaces/default/alert-rules/rule", Some(&document)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert_eq!(paths(&problem), [path]);
    }

    assert_eq!(stand.get("workspaces/default/monitors").await, before, "something was changed");
    assert_eq!(stand.get("workspaces/default/alert-rules").await["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_shows_the_problems() {
    let stand = Stand::start().await;
    let file = stand.path("bad.yaml");
    std::fs::write(&file, "kind: Monitor\nmetadata: { name: bad }\nspec: { type: minute, sauce: 1 }\n").unwrap();
    let refused = stand.nightjar(&["apply", "-f", file.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned() + &String::from_utf8_lossy(&refused.stdout);
    assert!(!refused.status.success());
    assert!(text.contains("spec.sauce") && text.contains("spec.source"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_and_strangers_are_refused() {
    let stand = Stand::start().await;
    let huge = json!({ "kind": "Monitor", "metadata": { "name": "x", "displayName": "x".repeat(2 << 20) } });
    let (status, _) = stand.ask(Method::PUT, "workspaces/default/monitors/x", Some(&huge)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);

    let client = reqwest::Client::new();
    let base = format!("http://127.0.0.1:{}", stand.http);
    for (path, status) in [
        ("/api/v1/workspaces", 401),
        ("/metrics", 401),
        ("/-/healthy", 200),
        ("/-/ready", 200),
        ("/docs", 401),
        ("/api/v1/openapi.json", 401),
        ("/install-agent.sh", 200),
        ("/download/nightjar-agent", 401),
    ] {
        let answer = client.get(format!("{base}{path}")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
    let answer = client.get(format!("{base}/api/v1/workspaces")).bearer_auth("wrong").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 401);
    let answer = client.get(format!("{base}/api/v1/workspaces")).basic_auth("admin", Some("correct horse"));
    assert_eq!(answer.send().await.unwrap().status().as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_write_and_a_referred_document_are_kept() {
    let stand = Stand::start().await;
    let rule = json!({
        "kind": "AlertRule",
        "metadata": { "name": "rule" },
        "spec": { "monitor": "good", "conditions": [{ "field": "count", "op": ">", "threshold": 1 }] },
    });
    stand.apply(json!([monitor("good", good_spec()), rule])).await;
    let (status, problem) = stand.ask(Method::DELETE, "workspaces/default/monitors/good", None).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem.to_string().contains("rule"), "{problem}");

    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{}/api/v1/workspaces/default/monitors/good", stand.http);
    let put = client.put(url).bearer_auth(crate::harness::TOKEN).header("If-Match", "\"7\"");
    let answer = put.json(&monitor("good", good_spec())).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PRECONDITION_FAILED);
}
