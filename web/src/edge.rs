//! The outermost layer: what holds for every request, whatever it is about.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::body::to_bytes;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tracing::Instrument;
use uuid::Uuid;

use crate::client::Client;
use crate::problem::{Failure, PROBLEM_JSON};
use crate::serve::Shared;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Scripts and data from this server only. Styles may be inline: the console's components write theirs
/// into the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// Gives the request an id and a time limit; answers with a problem document whatever goes wrong inside.
pub(crate) async fn edge(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let id = Uuid::now_v7().simple().to_string();
    let method = parts.method.clone();
    let route = parts.extensions.get::<MatchedPath>().map_or("other", |path| path.as_str()).to_owned();
    let span = tracing::info_span!("http", %id, %method, path = parts.uri.path());
    parts.extensions.insert(Client::of(&parts, &shared.config, shared.tls()));
    let request = Request::from_parts(parts, body);

    let started = Instant::now();
    let mut response = answer(&shared, request, next).instrument(span.clone()).await;
    response = as_problem(response).await;
    set_headers(response.headers_mut(), shared.tls());
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(&REQUEST_ID, id);
    }
    let status = response.status();
    let took = started.elapsed();
    span.in_scope(|| tracing::debug!(status = status.as_u16(), ?took, "answered"));
    let method = method_label(&method);
    metrics::counter!("nightjar_web_requests_total", "method" => method, "route" => route.clone(), "status" => status.as_u16().to_string())
        .increment(1);
    metrics::histogram!("nightjar_web_request_seconds", "method" => method, "route" => route)
        .record(took.as_secs_f64());
    response
}

async fn answer(shared: &Shared, request: Request, next: Next) -> Response {
    let limit = shared.config.request_timeout;
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(limit.0, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            let reason = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("unknown");
            metrics::counter!("nightjar_web_panics_total").increment(1);
            Failure::from(nightjar_model::Error::internal(format!("panic: {reason}"))).into_response()
        }
        Err(_) => Failure::of(
            StatusCode::GATEWAY_TIMEOUT,
            format!("The answer took longer than {limit}; ask for less at a time."),
        )
        .into_response(),
    }
}

/// What axum refuses on its own account is plain text; it becomes a problem document like the rest.
async fn as_problem(response: Response) -> Response {
    let status = response.status();
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == PROBLEM_JSON);
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, 4096).await.ok().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    let detail = text.filter(|text| !text.is_empty()).unwrap_or_else(|| "The request cannot be served.".to_owned());
    let mut problem = Failure::of(status, detail).into_response();
    if let Some(allow) = parts.headers.get(header::ALLOW) {
        problem.headers_mut().insert(header::ALLOW, allow.clone());
    }
    problem
}

fn set_headers(headers: &mut HeaderMap, tls: bool) {
    let mut set = |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    if tls {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Labels come from a fixed set; a client can write any word as its method.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
