//! Users and API tokens.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use nightjar_model::identity::{ApiToken, NewApiToken, User, UserChange};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{ItemsPage, Routes};
use crate::auth::Caller;
use crate::body::{Json, json};
use crate::params::PageParams;
use crate::problem::Answer;
use crate::serve::Shared;

pub(super) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(users))
        .routes(routes!(put_user, delete_user))
        .routes(routes!(tokens, create_token))
        .routes(routes!(delete_token))
}

/// A token just made, with its value, shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedApiToken {
    #[serde(flatten)]
    about: ApiToken,
    token: String,
}

/// Users
#[utoipa::path(get, path = "/api/v1/users", tag = "people", params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = ItemsPage<User>)),
    extensions(("x-nightjar-access" = json!("platform-admin"))))]
async fn users(State(shared): State<Arc<Shared>>, page: PageParams) -> Answer {
    json(&ItemsPage::of(shared.services.identities.users().await?, |user| user.name.clone(), &page))
}

/// Make or change a user
#[utoipa::path(put, path = "/api/v1/users/{name}", tag = "people", params(("name" = String, Path)),
    request_body = UserChange, responses((status = 200, body = User)),
    extensions(("x-nightjar-access" = json!("platform-admin"))))]
async fn put_user(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Path(name): Path<String>,
    Json(change): Json<UserChange>,
) -> Answer {
    let user = shared.services.identities.put_user(caller.actor(), &name, change).await?;
    shared.passwords.clear();
    json(&user)
}

/// Delete a user; their sessions end
#[utoipa::path(delete, path = "/api/v1/users/{name}", tag = "people", params(("name" = String, Path)),
    responses((status = 204, description = "Deleted")),
    extensions(("x-nightjar-access" = json!("platform-admin"))))]
async fn delete_user(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Answer<StatusCode> {
    shared.services.identities.delete_user(caller.actor(), &name).await?;
    shared.passwords.clear();
    Ok(StatusCode::NO_CONTENT)
}

/// API tokens
#[utoipa::path(get, path = "/api/v1/tokens", tag = "people", operation_id = "api_tokens",
    params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = ItemsPage<ApiToken>)),
    extensions(("x-nightjar-access" = json!("platform-admin"))))]
async fn tokens(State(shared): State<Arc<Shared>>, page: PageParams) -> Answer {
    json(&ItemsPage::of(shared.services.identities.api_tokens().await?, |token| token.name.clone(), &page))
}

/// Make an API token
#[utoipa::path(post, path = "/api/v1/tokens", tag = "people", operation_id = "create_api_token",
    request_body = NewApiToken, responses((status = 201, body = CreatedApiToken)),
    extensions(("x-nightjar-access" = json!("platform-admin"))))]
async fn create_token(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Json(new): Json<NewApiToken>,
) -> Answer<Response> {
    let (about, token) = shared.services.identities.create_api_token(caller.actor(), new).await?;
    let created = json(&CreatedApiToken { about, token: token.expose().to_owned() })?;
    Ok((StatusCode::CREATED, created).into_response())
}

/// Revoke an API token
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "people", operation_id = "delete_api_token",
    params(("id" = String, Path)), responses((status = 204, description = "Revoked")),
    extensions(("x-nightjar-access" = json!("platform-admin"))))]
async fn delete_token(State(shared): State<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer<StatusCode> {
    shared.services.identities.delete_api_token(caller.actor(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
