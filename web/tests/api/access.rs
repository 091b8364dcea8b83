//! Who may use what. The routes are taken from the description, so that a new one cannot be missed.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::Value;

use crate::server::{ADMIN, EDITOR, OPERATOR, STRANGER, Server, VIEWER, server};

const METHODS: [&str; 4] = ["get", "put", "post", "delete"];

struct Route {
    method: String,
    path: String,
    access: String,
}

/// Every operation of the description, with something in place of its parameters.
fn routes() -> Vec<Route> {
    let document = serde_json::to_value(nightjar_web::openapi()).expect("JSON");
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                let access = operation["x-nightjar-access"].as_str();
                let access = access.unwrap_or_else(|| panic!("{method} {path} declares no access")).to_owned();
                let path = path.replace("{ws}", "default").replace("{name}", "trade").replace("{id}", "agent-1");
                routes.push(Route { method: method.to_uppercase(), path, access });
            }
        }
    }
    assert!(routes.len() > 80, "only {} routes are described", routes.len());
    routes
}

async fn status(server: &Server, route: &Route, path: &str, token: &str) -> StatusCode {
    server.ask(&route.method, path, token, "").await.status
}

#[tokio::test]
async fn strangers_get_nothing_but_what_is_open() {
    let server = server();
    let mut open = BTreeSet::new();
    for route in routes() {
        let nobody = status(&server, &route, &route.path, "").await;
        let wrong = status(&server, &route, &route.path, "no-such-token").await;
        if nobody == StatusCode::UNAUTHORIZED && wrong == StatusCode::UNAUTHORIZED {
            continue;
        }
        assert_eq!(route.access, "open", "{} {} answers {nobody} to strangers", route.method, route.path);
        open.insert(format!("{} {}", route.method, route.path));
    }
    let expected = [
        "GET /-/healthy",
        "GET /-/ready",
        "GET /docs/docs.css",
        "GET /docs/docs.js",
        "GET /install-agent.sh",
        "POST /api/v1/auth/login",
    ];
    // Logging in with nothing is refused as well, but because it is not a login.
    let login = server.ask("POST", "/api/v1/auth/login", "", r#"{"name": "x", "password": "y"}"#).await;
    assert_eq!(login.json()["detail"], "the name or the password is wrong");
    assert_eq!(open, expected.map(str::to_owned).into_iter().collect());
}

#[tokio::test]
async fn roles_reach_as_far_as_they_say_and_no_further() {
    let server = server();
    let ranks = ["viewer", "operator", "editor", "admin"];
    let tokens = [VIEWER, OPERATOR, EDITOR, "ws-admin-token"];
    for route in routes() {
        let Some(needed) = ranks.iter().position(|rank| *rank == route.access) else { continue };
        for (rank, token) in tokens.iter().enumerate() {
            let answer = status(&server, &route, &route.path, token).await;
            let refused = answer == StatusCode::FORBIDDEN;
            assert_eq!(refused, rank < needed, "{} {} as {}: {answer}", route.method, route.path, ranks[rank]);
        }
    }
}

#[tokio::test]
async fn a_viewer_writes_nothing() {
    let server = server();
    let writes = routes().into_iter().filter(|route| route.method != "GET");
    // SQL only reads; it is a POST for its length. What concerns only oneself is not a write to anything.
    let own = ["/api/v1/workspaces/default/sql", "/api/v1/auth/login", "/api/v1/auth/logout", "/api/v1/auth/password"];
    for route in writes.filter(|route| !own.contains(&route.path.as_str())) {
        let answer = status(&server, &route, &route.path, VIEWER).await;
        assert_eq!(answer, StatusCode::FORBIDDEN, "{} {}", route.method, route.path);
    }
}

#[tokio::test]
async fn another_workspace_is_out_of_reach() {
    let server = server();
    for route in routes().into_iter().filter(|route| route.path.contains("/workspaces/default")) {
        for token in ["ws-admin-token", STRANGER] {
            let elsewhere = route.path.replace("/workspaces/default", "/workspaces/other");
            let answer = status(&server, &route, &elsewhere, token).await;
            assert_eq!(answer, StatusCode::FORBIDDEN, "{} {elsewhere} as {token}", route.method);
        }
    }
    let escaped = server.ask("GET", "/api/v1/workspaces/%6fther/monitors", "ws-admin-token", "").await;
    assert_eq!(escaped.status, StatusCode::FORBIDDEN);
    let nowhere = server.ask("GET", "/api/v1/workspaces/nowhere/monitors", ADMIN, "").await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let server = server();
    assert_eq!(server.ask("GET", "/api/v1/nothing", "", "").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.ask("GET", "/api/v1/nothing", VIEWER, "").await.status, StatusCode::NOT_FOUND);
    let method = server.ask("PATCH", "/api/v1/workspaces/default/monitors/trade", VIEWER, "").await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(method.header("allow"), "GET, PUT, DELETE");
    assert_eq!(method.json()["type"], "urn:nightjar:problem:method-not-allowed");
}

#[test]
fn the_description_holds_together() {
    let document = serde_json::to_value(nightjar_web::openapi()).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    let mut missing = BTreeSet::new();
    references(&document, &mut |reference| {
        let found = reference.strip_prefix("#").and_then(|pointer| document.pointer(pointer));
        if found.is_none() {
            missing.insert(reference.to_owned());
        }
    });
    assert!(missing.is_empty(), "dangling: {missing:?}");
    let mut ids = BTreeSet::new();
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in METHODS.iter().filter_map(|method| item.get(*method)) {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            assert!(operation["responses"]["default"]["content"].get("application/problem+json").is_some(), "{id}");
        }
    }
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Monitor"]["properties"]["spec"]["$ref"], "#/components/schemas/MonitorSpec");
    assert!(schemas["MonitorSpec"]["properties"]["source"].is_object());
    assert!(schemas["AlertRuleSpec"]["properties"]["conditions"].is_object());
}

fn references(value: &Value, visit: &mut impl FnMut(&str)) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                visit(reference);
            }
            object.values().for_each(|value| references(value, visit));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, visit)),
        _ => {}
    }
}

/// The console's types are generated from this file (`npm run gen:api`). After a change of the API:
/// `UPDATE_EXPECT=1 cargo test -p nightjar-web`, then generate.
#[test]
fn the_console_knows_this_description() {
    let document = serde_json::to_string_pretty(&nightjar_web::openapi()).expect("JSON");
    expect_test::expect_file!["../../console/openapi.json"].assert_eq(&format!("{document}\n"));
}
