//! Sending a test message, to see whether a channel works.

use std::sync::Arc;

use axum::extract::{Path, State};
use nightjar_model::{Kind, ResourceKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Routes;
use super::audit::record;
use crate::auth::Caller;
use crate::body::{Json, json};
use crate::problem::Answer;
use crate::serve::Shared;

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(robot)).routes(routes!(webhook)).routes(routes!(email)).routes(routes!(contact))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct TestSend {
    /// An email address; needed for an email server.
    to: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestSent {
    /// What the provider answered.
    answer: String,
}

/// Send a test message by a DingTalk robot
#[utoipa::path(post, path = "/api/v1/workspaces/{ws}/dingtalk-robots/{name}/test-send", tag = "alerts", operation_id = "test_send_robot",
    params(("ws" = String, Path), ("name" = String, Path)), request_body = TestSend,
    responses((status = 200, body = TestSent)), extensions(("x-nightjar-access" = json!("operator"))))]
async fn robot(
    shared: State<Arc<Shared>>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Json<TestSend>,
) -> Answer {
    send(Kind::DingtalkRobot, shared, caller, path, body).await
}

/// Send a test message to a webhook
#[utoipa::path(post, path = "/api/v1/workspaces/{ws}/webhooks/{name}/test-send", tag = "alerts", operation_id = "test_send_webhook",
    params(("ws" = String, Path), ("name" = String, Path)), request_body = TestSend,
    responses((status = 200, body = TestSent)), extensions(("x-nightjar-access" = json!("operator"))))]
async fn webhook(
    shared: State<Arc<Shared>>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Json<TestSend>,
) -> Answer {
    send(Kind::Webhook, shared, caller, path, body).await
}

/// Send a test message through an email server
#[utoipa::path(post, path = "/api/v1/workspaces/{ws}/email-servers/{name}/test-send", tag = "alerts", operation_id = "test_send_email",
    params(("ws" = String, Path), ("name" = String, Path)), request_body = TestSend,
    responses((status = 200, body = TestSent)), extensions(("x-nightjar-access" = json!("operator"))))]
async fn email(
    shared: State<Arc<Shared>>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Json<TestSend>,
) -> Answer {
    send(Kind::EmailServer, shared, caller, path, body).await
}

/// Send a test message to a contact
#[utoipa::path(post, path = "/api/v1/workspaces/{ws}/contacts/{name}/test-send", tag = "alerts", operation_id = "test_send_contact",
    params(("ws" = String, Path), ("name" = String, Path)), request_body = TestSend,
    responses((status = 200, body = TestSent)), extensions(("x-nightjar-access" = json!("operator"))))]
async fn contact(
    shared: State<Arc<Shared>>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Json<TestSend>,
) -> Answer {
    send(Kind::Contact, shared, caller, path, body).await
}

async fn send(
    kind: Kind,
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Path((ws, name)): Path<(String, String)>,
    Json(body): Json<TestSend>,
) -> Answer {
    // Before it is sent: somebody's telephone rang, whatever the provider then answered.
    record(&shared, &caller, &ws, "test_send", kind.name(), &name, serde_json::json!({ "to": body.to })).await?;
    let key = ResourceKey::new(kind, ws, name);
    let answer = shared.services.test_sender.test_send(&key, body.to.as_deref()).await?;
    json(&TestSent { answer })
}
