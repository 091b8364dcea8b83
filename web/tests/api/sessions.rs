//! Logging in, the cookie, Basic.

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Request, StatusCode, header};

use crate::server::{Answer, OPERATOR, Server, server};

async fn with_cookie(server: &Server, method: &str, path: &str, csrf: bool, body: &str) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::COOKIE, "theme=dark; nightjar_session=session-1")
        .header(header::CONTENT_TYPE, "application/json");
    if csrf {
        request = request.header("x-nightjar-csrf", "1");
    }
    server.send(request.body(Body::from(body.to_owned())).expect("a request")).await
}

async fn with_basic(server: &Server, credentials: &str) -> Answer {
    let request = Request::get("/api/v1/auth/me")
        .header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(credentials)));
    server.send(request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn a_session_from_login_to_logout() {
    let server = server();
    let login = server.ask("POST", "/api/v1/auth/login", "", r#"{"name": "ann", "password": "correct horse"}"#).await;
    assert_eq!(login.status, StatusCode::OK, "{}", login.text());
    assert_eq!(
        login.header("set-cookie"),
        "nightjar_session=session-1; Path=/; HttpOnly; SameSite=Strict; Max-Age=3600"
    );
    let expected = serde_json::json!({"name": "ann", "displayName": "Ann", "platformAdmin": false,
        "roles": {"default": "editor"}, "workspaces": ["default"]});
    assert_eq!(login.json(), expected);

    assert_eq!(with_cookie(&server, "GET", "/api/v1/auth/me", false, "").await.json(), expected);
    let change = r#"{"old": "correct horse", "new": "battery staple"}"#;
    let forged = with_cookie(&server, "POST", "/api/v1/auth/password", false, change).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    assert!(forged.text().contains("X-Nightjar-Csrf"));
    let meant = with_cookie(&server, "POST", "/api/v1/auth/password", true, change).await;
    assert_eq!(meant.status, StatusCode::NO_CONTENT);

    let logout = with_cookie(&server, "POST", "/api/v1/auth/logout", true, "").await;
    assert!(logout.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(with_cookie(&server, "GET", "/api/v1/auth/me", false, "").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_wrong_password_is_told_from_too_many() {
    let server = server();
    let wrong = server.ask("POST", "/api/v1/auth/login", "", r#"{"name": "ann", "password": "x"}"#).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.headers.get(header::SET_COOKIE).is_none());
    let many = server.ask("POST", "/api/v1/auth/login", "", r#"{"name": "throttled", "password": "x"}"#).await;
    assert_eq!(
        (many.status, &many.json()["detail"]),
        (StatusCode::TOO_MANY_REQUESTS, &"too many failed logins; wait 30 s".into())
    );
}

#[tokio::test]
async fn basic_takes_a_password_or_a_token_and_verifies_a_password_once() {
    let server = server();
    for _ in 0..3 {
        assert_eq!(with_basic(&server, "ann:correct horse").await.json()["name"], "ann");
    }
    assert_eq!(*server.world.logins.lock().expect("lock"), 1);
    assert_eq!(with_basic(&server, "anything:viewer-token").await.json()["name"], "viewer");
    for wrong in ["ann:wrong", "ann", ":", "ann:"] {
        assert_eq!(with_basic(&server, wrong).await.status, StatusCode::UNAUTHORIZED, "{wrong}");
    }
    let before = *server.world.logins.lock().expect("lock");
    server.ask("PUT", "/api/v1/users/ann", "admin-token", r#"{"disabled": true}"#).await;
    with_basic(&server, "ann:correct horse").await;
    assert_eq!(*server.world.logins.lock().expect("lock"), before + 1);
}

#[tokio::test]
async fn a_page_of_another_site_writes_nothing_with_a_remembered_password() {
    let server = server();
    let ask = async |method: &str, from: &[(&str, &str)]| {
        let mut request = Request::builder()
            .method(method)
            .uri("/api/v1/workspaces/default/webhooks/hook/test-send")
            .header(header::HOST, "nightjar.example:9700")
            .header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(format!("x:{OPERATOR}"))));
        for (name, value) in from {
            request = request.header(*name, *value);
        }
        server.send(request.body(Body::empty()).expect("a request")).await.status
    };
    for foreign in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        assert_eq!(ask("POST", &[foreign]).await, StatusCode::FORBIDDEN, "{foreign:?}");
        assert_ne!(ask("GET", &[foreign]).await, StatusCode::FORBIDDEN, "{foreign:?}");
    }
    for own in [&[][..], &[("sec-fetch-site", "same-origin")], &[("origin", "http://nightjar.example:9700")]] {
        assert_eq!(ask("POST", own).await, StatusCode::OK, "{own:?}");
    }
}

#[tokio::test]
async fn other_schemes_are_refused() {
    let request = Request::get("/api/v1/auth/me").header(header::AUTHORIZATION, "Digest x");
    let answer = server().send(request.body(Body::empty()).expect("a request")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}
