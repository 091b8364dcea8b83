//! The server itself: health, metrics, background work, the API's description.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use nightjar_model::ports::TaskStatus;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Items, Routes};
use crate::auth::Caller;
use crate::body::{json, typed};
use crate::client::{Client, agents_url, base_url};
use crate::problem::{Answer, Failure};
use crate::serve::Shared;

const DOCS_PAGE: &str = include_str!("../../assets/docs.html");
const DOCS_SCRIPT: &str = include_str!("../../assets/docs.js");
const DOCS_STYLE: &str = include_str!("../../assets/docs.css");

pub(super) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(healthy))
        .routes(routes!(ready))
        .routes(routes!(metrics))
        .routes(routes!(tasks))
        .routes(routes!(info))
        .routes(routes!(openapi))
        .routes(routes!(docs))
        .routes(routes!(docs_script))
        .routes(routes!(docs_style))
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Info {
    version: String,
    /// Where agents report; null where the server cannot tell its own address.
    agents_url: Option<String>,
}

/// Whether the process runs
#[utoipa::path(get, path = "/-/healthy", tag = "server", responses((status = 200, body = String, content_type = "text/plain")),
    extensions(("x-nightjar-access" = json!("open"))))]
async fn healthy() -> &'static str {
    "healthy\n"
}

/// Whether it can do its work
#[utoipa::path(get, path = "/-/ready", tag = "server", responses((status = 200, body = String, content_type = "text/plain")),
    extensions(("x-nightjar-access" = json!("open"))))]
async fn ready(State(shared): State<Arc<Shared>>) -> Answer<&'static str> {
    if shared.services.about.ready.load(Ordering::Relaxed) {
        Ok("ready\n")
    } else {
        Err(Failure::of(StatusCode::SERVICE_UNAVAILABLE, "The server is starting or shutting down."))
    }
}

/// The server's own metrics, in Prometheus' text format; of all workspaces together
#[utoipa::path(get, path = "/metrics", tag = "server", responses((status = 200, body = String, content_type = "text/plain")),
    extensions(("x-nightjar-access" = json!("any-admin"))))]
async fn metrics(State(shared): State<Arc<Shared>>) -> Answer {
    let Some(handle) = &shared.services.about.metrics else {
        return Err(Failure::of(StatusCode::NOT_FOUND, "This process gathers no metrics."));
    };
    Ok(typed("text/plain; version=0.0.4; charset=utf-8", handle.render().into_bytes()))
}

/// Background work
#[utoipa::path(get, path = "/api/v1/tasks", tag = "server", responses((status = 200, body = Items<TaskStatus>)),
    extensions(("x-nightjar-access" = json!("signed-in"))))]
async fn tasks(State(shared): State<Arc<Shared>>, caller: Caller) -> Answer {
    let mut items = shared.services.tasks.statuses();
    if !caller.principal.platform_admin {
        // What went wrong may name what is in any workspace.
        for error in items.iter_mut().filter_map(|status| status.last_error.as_mut()) {
            "it failed; an administrator of the platform sees why".clone_into(error);
        }
    }
    json(&Items { items })
}

/// Version and addresses
#[utoipa::path(get, path = "/api/v1/info", tag = "server", responses((status = 200, body = Info)),
    extensions(("x-nightjar-access" = json!("signed-in"))))]
async fn info(State(shared): State<Arc<Shared>>, Extension(client): Extension<Client>, request: Request) -> Answer {
    let about = &shared.services.about;
    let (parts, _) = request.into_parts();
    let base = base_url(&parts, &shared.config, &client);
    let agents_url = base.map(|base| agents_url(&base, &shared.config, about.agents_port, about.agents_tls));
    json(&Info { version: about.version.clone(), agents_url })
}

/// This description
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "server", responses((status = 200, body = serde_json::Value)),
    extensions(("x-nightjar-access" = json!("signed-in"))))]
async fn openapi(State(shared): State<Arc<Shared>>) -> Response {
    typed("application/json", shared.openapi_json.clone())
}

/// This description, for people
#[utoipa::path(get, path = "/docs", tag = "server", responses((status = 200, body = String, content_type = "text/html")),
    extensions(("x-nightjar-access" = json!("signed-in"))))]
async fn docs() -> Response {
    typed("text/html; charset=utf-8", DOCS_PAGE.into()).into_response()
}

/// The script of `/docs`; the same for everybody
#[utoipa::path(get, path = "/docs/docs.js", tag = "server", responses((status = 200, body = String, content_type = "text/javascript")),
    extensions(("x-nightjar-access" = json!("open"))))]
async fn docs_script() -> Response {
    typed("text/javascript; charset=utf-8", DOCS_SCRIPT.into())
}

/// The style of `/docs`; the same for everybody
#[utoipa::path(get, path = "/docs/docs.css", tag = "server", responses((status = 200, body = String, content_type = "text/css")),
    extensions(("x-nightjar-access" = json!("open"))))]
async fn docs_style() -> Response {
    typed("text/css; charset=utf-8", DOCS_STYLE.into())
}
