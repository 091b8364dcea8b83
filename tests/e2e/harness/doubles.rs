//! Doubles of DingTalk and of webhooks: they answer as told, and keep what they are sent.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::task::JoinHandle;

/// How a receiver answers.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Ok,
    /// DingTalk's own error, with HTTP 200.
    Errcode(i64),
    Status(u16),
    /// Takes the request and never answers.
    Hang,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) query: HashMap<String, String>,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

#[derive(Default)]
struct Inner {
    /// What each receiver answers next; `Ok` once it has run out.
    scripts: HashMap<String, VecDeque<Answer>>,
    received: HashMap<String, Vec<Received>>,
}

/// Receivers by name, at `/NAME`, on one loopback port.
pub(crate) struct Doubles {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    serving: JoinHandle<()>,
}

impl Doubles {
    #[expect(clippy::disallowed_methods, reason = "ended by `Drop`")]
    pub(crate) async fn start() -> Self {
        let inner = Arc::<Mutex<Inner>>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/{name}", post(receive)).with_state(inner.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, inner, serving }
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    pub(crate) fn script(&self, name: &str, answers: impl IntoIterator<Item = Answer>) {
        self.inner.lock().unwrap().scripts.insert(name.to_owned(), answers.into_iter().collect());
    }

    pub(crate) fn received(&self, name: &str) -> Vec<Received> {
        self.inner.lock().unwrap().received.get(name).cloned().unwrap_or_default()
    }
}

impl Drop for Doubles {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn receive(
    State(inner): State<Arc<Mutex<Inner>>>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let headers =
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned())).collect();
    let answer = {
        let mut inner = inner.lock().unwrap();
        inner.received.entry(name.clone()).or_default().push(Received { query, headers, body });
        inner.scripts.get_mut(&name).and_then(VecDeque::pop_front).unwrap_or(Answer::Ok)
    };
    match answer {
        Answer::Ok => axum::Json(json!({ "errcode": 0, "errmsg": "ok" })).into_response(),
        Answer::Errcode(code) => axum::Json(json!({ "errcode": code, "errmsg": "told to fail" })).into_response(),
        Answer::Status(code) => StatusCode::from_u16(code).unwrap().into_response(),
        Answer::Hang => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            StatusCode::OK.into_response()
        }
    }
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    /// Whether DingTalk would take the signature.
    pub(crate) fn is_signed_for_dingtalk(&self, secret: &str) -> bool {
        let timestamp = self.query.get("timestamp").cloned().unwrap_or_default();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{timestamp}\n{secret}").as_bytes());
        self.query.get("sign") == Some(&STANDARD.encode(mac.finalize().into_bytes()))
    }

    /// Whether the webhook's signature is right.
    pub(crate) fn is_signed(&self, secret: &str) -> bool {
        let timestamp = self.headers.get("x-nightjar-timestamp").cloned().unwrap_or_default();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{timestamp}.{}", self.body).as_bytes());
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        self.headers.get("x-nightjar-signature") == Some(&format!("sha256={hex}"))
    }
}
