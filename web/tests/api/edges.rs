//! What holds for every request: limits, headers, panics, the console's files.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode, header};
use nightjar_model::Span;
use nightjar_web::WebConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::server::{ADMIN, EDITOR, VIEWER, server, server_with};

#[tokio::test]
async fn a_body_too_large_is_refused_declared_or_not() {
    let server = server_with(WebConfig { body_limit_bytes: 2048, ..WebConfig::default() });
    let path = "/api/v1/workspaces/default/apply";
    let declared = server.ask("POST", path, EDITOR, &"x".repeat(4096)).await;
    let pieces = futures::stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 100])));
    let request = Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {EDITOR}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from_stream(pieces));
    let streamed = server.send(request.expect("a request")).await;
    for answer in [declared, streamed] {
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(answer.json()["detail"], "A body may hold 2048 bytes; send less at a time.");
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let server = server();
    for (path, status) in [("/", StatusCode::OK), ("/api/v1/auth/me", StatusCode::UNAUTHORIZED)] {
        let answer = server.ask("GET", path, "", "").await;
        assert_eq!(answer.status, status);
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("x-request-id").len(), 32);
    }
    assert_eq!(server.ask("GET", "/api/v1/auth/me", VIEWER, "").await.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_panic_is_a_problem_and_tells_nothing() {
    let answer = server().ask("GET", "/api/v1/auth/me", "panic-token", "").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.json()["type"], "urn:nightjar:problem:internal");
    assert!(!answer.text().contains("secret"), "{}", answer.text());
}

#[tokio::test]
async fn the_console_answers_for_its_own_paths() {
    let server = server();
    let index = server.ask("GET", "/", "", "").await;
    assert!(index.header("content-type").starts_with("text/html"));
    assert_eq!(index.header("cache-control"), "no-cache");
    let deep = server.ask("GET", "/monitors/trade/edit", "", "").await;
    assert_eq!((deep.status, &deep.body), (StatusCode::OK, &index.body));
    assert_eq!(server.ask("GET", "/assets/none-1234.js", "", "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.ask("POST", "/monitors", "", "").await.status, StatusCode::METHOD_NOT_ALLOWED);
    let again = Request::get("/").header(header::IF_NONE_MATCH, index.header("etag"));
    let again = server.send(again.body(Body::empty()).expect("a request")).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn answers_are_compressed_on_request() {
    let request = Request::get("/api/v1/openapi.json")
        .header(header::AUTHORIZATION, format!("Bearer {ADMIN}"))
        .header(header::ACCEPT_ENCODING, "gzip");
    let answer = server().send(request.body(Body::empty()).expect("a request")).await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert_eq!(answer.body[..2], [0x1f, 0x8b]);
}

#[tokio::test]
async fn the_docs_stand_alone() {
    let server = server();
    let page = server.ask("GET", "/docs", VIEWER, "").await.text();
    assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
    for file in ["/docs/docs.js", "/docs/docs.css"] {
        assert!(page.contains(file));
        assert_eq!(server.ask("GET", file, VIEWER, "").await.status, StatusCode::OK);
    }
    assert!(server.ask("GET", "/docs", "", "").await.header("www-authenticate").starts_with("Basic"));
    assert!(server.ask("GET", "/api/v1/auth/me", "", "").await.header("www-authenticate").starts_with("Bearer"));
}

#[tokio::test]
async fn a_stop_ends_the_serving_and_readiness() {
    let server = server_with(WebConfig { drain_timeout: Span(Duration::from_secs(5)), ..WebConfig::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let web = server.web.clone();
    let serving = web.serve(listener, None, stop.clone());
    let client = async {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        stream.write_all(b"GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        stop.cancel();
        answer
    };
    let both = tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(serving, client) }).await;
    let (served, answer) = both.expect("it ends");
    assert!(served.is_ok());
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_eq!(server.ask("GET", "/-/ready", "", "").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

/// Many install agents from one address, over a slow link: whoever comes meanwhile cuts none of them off.
#[tokio::test]
async fn what_somebody_known_is_sent_is_sent_to_its_end() {
    const LENGTH: usize = 32 << 20;
    let folder = tempfile::tempdir().expect("a folder");
    let agent = folder.path().join("agent");
    std::fs::File::create(&agent).and_then(|file| file.set_len(LENGTH as u64)).expect("a file");
    let server =
        server_with(WebConfig { agent_binary: Some(agent), max_connections_per_address: 3, ..WebConfig::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let web = server.web.clone();
    let serving = web.serve(listener, None, stop.clone());
    let client = async {
        let connect = async || tokio::net::TcpStream::connect(address).await.expect("a connection");
        let mut slow = connect().await;
        let request = format!(
            "GET /download/nightjar-agent HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nConnection: close\r\n\r\n"
        );
        slow.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = vec![0; 1024];
        slow.read_exact(&mut answer).await.expect("the beginning");
        let mut silent = Vec::new();
        for _ in 0..9 {
            let mut other = connect().await;
            other.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("sent");
            other.read_to_end(&mut Vec::new()).await.expect("an answer");
            silent.push(connect().await);
        }
        slow.read_to_end(&mut answer).await.expect("the rest");
        stop.cancel();
        answer.len()
    };
    let both = tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(serving, client) }).await;
    let (_, length) = both.expect("it ends");
    assert!(length > LENGTH, "only {length} came");
}

#[tokio::test]
async fn no_more_requests_at_once_than_configured() {
    let server = server_with(WebConfig { max_requests: 0, ..WebConfig::default() });
    for (method, path, token) in [("GET", "/api/v1/auth/me", VIEWER), ("POST", "/api/v1/auth/login", "")] {
        let answer = server.ask(method, path, token, "").await;
        assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"), "{path}");
    }
    // However busy it is, it says how it is.
    for path in ["/-/healthy", "/-/ready", "/"] {
        assert_eq!(server.ask("GET", path, "", "").await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = server();
    let post = async |path: &str, token: &str| {
        let begun = tokio::time::Instant::now();
        let first = futures::stream::iter([Ok::<_, std::io::Error>(b"{".to_vec())]);
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = Body::from_stream(futures::StreamExt::chain(first, futures::stream::pending()));
        let answer = server.send(request.body(body).expect("a request")).await;
        (answer.status.as_u16(), begun.elapsed().as_secs())
    };
    assert_eq!(post("/api/v1/auth/login", "").await, (408, 5));
    assert_eq!(post("/api/v1/workspaces/default/apply", EDITOR).await, (408, 30));
    // Of who may not write here nothing is read at all.
    assert_eq!(post("/api/v1/workspaces/default/apply", VIEWER).await, (403, 0));
    assert_eq!(post("/api/v1/workspaces/default/apply", "").await, (401, 0));
}

#[tokio::test]
async fn strangers_may_send_little() {
    let login = format!(r#"{{"name": "ann", "password": "{}"}}"#, "x".repeat(9000));
    assert_eq!(server().ask("POST", "/api/v1/auth/login", "", &login).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}
