//! A router, and a short way to ask it something.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request, StatusCode, header};
use nightjar_web::{About, Services, Web, WebConfig};
use serde_json::Value;
use tower::ServiceExt;

use crate::world::World;

pub(crate) const ADMIN: &str = "admin-token";
pub(crate) const EDITOR: &str = "editor-token";
pub(crate) const VIEWER: &str = "viewer-token";
pub(crate) const OPERATOR: &str = "operator-token";
pub(crate) const STRANGER: &str = "stranger-token";

pub(crate) struct Server {
    pub(crate) world: Arc<World>,
    pub(crate) web: Arc<Web>,
    router: Router,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn server() -> Server {
    server_with(WebConfig::default())
}

pub(crate) fn server_with(config: WebConfig) -> Server {
    let world = Arc::new(World::default());
    let services = services(&world);
    let web = Web::new(config, services);
    Server { world, router: web.router(), web }
}

fn services(world: &Arc<World>) -> Services {
    Services {
        resources: world.clone(),
        identities: world.clone(),
        registry: world.clone(),
        fleet: world.clone(),
        alerts: world.clone(),
        windows: world.clone(),
        lab: world.clone(),
        test_sender: world.clone(),
        tasks: world.clone(),
        clock: world.clone(),
        about: About {
            version: "1.2.3".into(),
            agents_port: 9701,
            agents_tls: false,
            metrics: Some(metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle()),
            ready: Arc::new(AtomicBool::new(true)),
        },
    }
}

impl Server {
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 64 << 20).await.expect("a body").to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// `ask("GET", "/path", TOKEN, "")`; a body is JSON.
    pub(crate) async fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        self.ask_as(method, path, token, "application/json", body).await
    }

    pub(crate) async fn ask_as(&self, method: &str, path: &str, token: &str, kind: &str, body: &str) -> Answer {
        self.send(request(method, path, token, kind, body)).await
    }

    /// The answer with its body still to come.
    pub(crate) async fn begin(&self, method: &str, path: &str, token: &str, body: &str) -> http::Response<Body> {
        let request = request(method, path, token, "application/json", body);
        self.router.clone().oneshot(request).await.expect("infallible")
    }
}

fn request(method: &str, path: &str, token: &str, kind: &str, body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "nightjar.example:9700");
    if !token.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    request.body(Body::from(body.to_owned())).expect("a request")
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// Status and body, as a snapshot.
    pub(crate) fn shown(&self) -> String {
        format!("{}\n{}\n", self.status.as_u16(), serde_json::to_string_pretty(&self.json()).expect("JSON"))
    }
}
