//! The fleet, what it can be asked to do, and the tokens by which it grows.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, request::Parts};
use nightjar_model::agents::{AgentTask, AgentTaskResult, AgentView};
use nightjar_model::identity::{EnrolmentToken, NewEnrolmentToken};
use nightjar_model::names::AgentId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::audit::record;
use super::{ItemsPage, Routes};
use crate::auth::Caller;
use crate::body::{Json, json};
use crate::client::{Client, base_url};
use crate::params::PageParams;
use crate::problem::Answer;
use crate::serve::Shared;

pub(super) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list))
        .routes(routes!(show, delete))
        .routes(routes!(run))
        .routes(routes!(tokens, create_token))
        .routes(routes!(delete_token))
}

/// A token just made: its value, shown this once, and how to use it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewToken {
    #[serde(flatten)]
    about: EnrolmentToken,
    token: String,
    /// A command to be run on the host; absent where the server cannot tell its own address.
    install: Option<String>,
}

/// Agents of a workspace
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/agents", tag = "agents", operation_id = "agents",
    params(("ws" = String, Path), ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = ItemsPage<AgentView>)),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn list(State(shared): State<Arc<Shared>>, Path(ws): Path<String>, page: PageParams) -> Answer {
    let agents = shared.services.fleet.agents(&ws).await?;
    json(&ItemsPage::of(agents, |agent| agent.id.to_string(), &page))
}

/// An agent
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/agents/{id}", tag = "agents", operation_id = "show_agent",
    params(("ws" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = AgentView)),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn show(State(shared): State<Arc<Shared>>, Path((ws, id)): Path<(String, String)>) -> Answer {
    json(&shared.services.fleet.agent(&ws, &AgentId(id)).await?)
}

/// Revoke an agent's key and forget it
#[utoipa::path(delete, path = "/api/v1/workspaces/{ws}/agents/{id}", tag = "agents", operation_id = "delete_agent",
    params(("ws" = String, Path), ("id" = String, Path)),
    responses((status = 204, description = "Gone; what it counted stays")),
    extensions(("x-nightjar-access" = json!("admin"))))]
async fn delete(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Path((ws, id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    let id = AgentId(id);
    shared.services.registry.delete_agent(caller.actor(), &ws, &id).await?;
    shared.services.fleet.disconnect(&id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Ask an agent to do something once
#[utoipa::path(post, path = "/api/v1/workspaces/{ws}/agents/{id}/tasks", tag = "agents", operation_id = "run_agent_task",
    params(("ws" = String, Path), ("id" = String, Path)), request_body = AgentTask,
    responses((status = 200, body = AgentTaskResult)),
    extensions(("x-nightjar-access" = json!("operator"))))]
async fn run(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Path((ws, id)): Path<(String, String)>,
    Json(task): Json<AgentTask>,
) -> Answer {
    let described = serde_json::to_value(&task).unwrap_or_default();
    // Before it is done: what was looked at on a host must be known even if the answer never came.
    record(&shared, &caller, &ws, "task", "Agent", &id, described).await?;
    json(&shared.services.fleet.run(&ws, &AgentId(id), task).await?)
}

/// Enrolment tokens, newest first
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/enrolment-tokens", tag = "agents", operation_id = "enrolment_tokens",
    params(("ws" = String, Path), ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = ItemsPage<EnrolmentToken>)),
    extensions(("x-nightjar-access" = json!("admin"))))]
async fn tokens(State(shared): State<Arc<Shared>>, Path(ws): Path<String>, page: PageParams) -> Answer {
    let tokens = shared.services.registry.enrolment_tokens(&ws).await?;
    // The later, the smaller.
    let key = |token: &EnrolmentToken| format!("{:019}.{}", i64::MAX - token.created_at.millis(), token.id);
    json(&ItemsPage::of(tokens, key, &page))
}

/// Make an enrolment token
#[utoipa::path(post, path = "/api/v1/workspaces/{ws}/enrolment-tokens", tag = "agents", operation_id = "create_enrolment_token",
    params(("ws" = String, Path)), request_body = NewEnrolmentToken,
    responses((status = 201, body = NewToken)),
    extensions(("x-nightjar-access" = json!("admin"))))]
async fn create_token(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Path(ws): Path<String>,
    request: axum::extract::Request,
) -> Answer<Response> {
    let (parts, body) = request.into_parts();
    let base = own_address(&shared, &parts);
    let request = axum::extract::Request::from_parts(parts, body);
    let Json(new) = <Json<NewEnrolmentToken> as axum::extract::FromRequest<_>>::from_request(request, &shared).await?;
    let (about, token) = shared.services.registry.create_enrolment_token(caller.actor(), &ws, new).await?;
    let token = token.expose().to_owned();
    let install = base.map(|base| format!("curl -fsSL {base}/install-agent.sh | sudo sh -s -- --token {token}"));
    Ok((StatusCode::CREATED, json(&NewToken { about, token, install })?).into_response())
}

/// Revoke an enrolment token; agents enrolled by it stay
#[utoipa::path(delete, path = "/api/v1/workspaces/{ws}/enrolment-tokens/{id}", tag = "agents", operation_id = "delete_enrolment_token",
    params(("ws" = String, Path), ("id" = String, Path)), responses((status = 204, description = "Revoked")),
    extensions(("x-nightjar-access" = json!("admin"))))]
async fn delete_token(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Path((ws, id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    shared.services.registry.delete_enrolment_token(caller.actor(), &ws, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn own_address(shared: &Shared, parts: &Parts) -> Option<String> {
    base_url(parts, &shared.config, parts.extensions.get::<Client>()?)
}
