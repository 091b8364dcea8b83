//! Logging in and out, and who one is.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use nightjar_model::Secret;
use nightjar_model::identity::{Principal, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Routes;
use crate::auth::{Caller, SESSION_COOKIE, session_cookie};
use crate::body::{Json, json};
use crate::client::Client;
use crate::problem::{Answer, Failure};
use crate::serve::Shared;

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(login)).routes(routes!(logout)).routes(routes!(me)).routes(routes!(password))
}

/// Somebody, and what they may do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Me {
    name: String,
    display_name: String,
    platform_admin: bool,
    /// The role in each workspace that one was given.
    roles: BTreeMap<String, Role>,
    /// Every workspace one may see.
    workspaces: Vec<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    name: String,
    #[schema(value_type = String)]
    password: Secret,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    #[schema(value_type = String)]
    old: Secret,
    /// At least 8 characters.
    #[schema(value_type = String)]
    new: Secret,
}

/// Log in, and get the session cookie
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "session", request_body = Login,
    responses((status = 200, body = Me, description = "Logged in; the answer sets the cookie")),
    extensions(("x-nightjar-access" = json!("open"))))]
async fn login(
    State(shared): State<Arc<Shared>>,
    Extension(client): Extension<Client>,
    Json(login): Json<Login>,
) -> Answer {
    let address = client.text();
    let identities = &shared.services.identities;
    let principal = identities.login(&login.name, &login.password, address.as_deref()).await?;
    let (session, expires) = identities.start_session(&principal).await?;
    let mut response = json(&describe(&shared, &principal).await?)?;
    let seconds = expires.since(shared.services.clock.now()).as_secs();
    set_cookie(&mut response, session.expose(), seconds, client.https)?;
    Ok(response)
}

/// Log out
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "session",
    responses((status = 204, description = "The session is over")),
    extensions(("x-nightjar-access" = json!("signed-in"))))]
async fn logout(State(shared): State<Arc<Shared>>, Extension(client): Extension<Client>, headers: HeaderMap) -> Answer {
    if let Some(session) = session_cookie(&headers) {
        shared.services.identities.end_session(&session).await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, "", 0, client.https)?;
    Ok(response)
}

/// Who one is
#[utoipa::path(get, path = "/api/v1/auth/me", tag = "session", responses((status = 200, body = Me)),
    extensions(("x-nightjar-access" = json!("signed-in"))))]
async fn me(State(shared): State<Arc<Shared>>, caller: Caller) -> Answer {
    json(&describe(&shared, &caller.principal).await?)
}

/// Change one's own password
#[utoipa::path(post, path = "/api/v1/auth/password", tag = "session", operation_id = "change_password", request_body = NewPassword,
    responses((status = 204, description = "Changed")),
    extensions(("x-nightjar-access" = json!("signed-in"))))]
async fn password(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Json(change): Json<NewPassword>,
) -> Answer<StatusCode> {
    let Some(user) = caller.user() else {
        return Err(Failure::of(StatusCode::FORBIDDEN, "A token has no password; log in as a user."));
    };
    shared.services.identities.change_password(caller.actor(), user, &change.old, &change.new).await?;
    shared.passwords.clear();
    Ok(StatusCode::NO_CONTENT)
}

async fn describe(shared: &Shared, principal: &Principal) -> Answer<Me> {
    let full_name = principal.actor.name.as_str();
    let name = full_name.split_once(':').map_or(full_name, |(_, name)| name).to_owned();
    let display_name = match full_name.strip_prefix("user:") {
        Some(user) => {
            let users = shared.services.identities.users().await?;
            users.into_iter().find(|known| known.name == user).map(|known| known.display_name)
        }
        None => None,
    };
    let workspaces = visible_workspaces(shared, principal).await?;
    Ok(Me {
        display_name: display_name.filter(|text| !text.is_empty()).unwrap_or_else(|| name.clone()),
        name,
        platform_admin: principal.platform_admin,
        roles: principal.roles.clone(),
        workspaces,
    })
}

pub(super) async fn visible_workspaces(shared: &Shared, principal: &Principal) -> Answer<Vec<String>> {
    let mut workspaces = shared.services.resources.workspaces().await?;
    workspaces.retain(|workspace| principal.role_in(workspace).is_some());
    workspaces.sort();
    Ok(workspaces)
}

/// Scripts cannot read it, other sites cannot send it; over TLS it never travels in clear.
fn set_cookie(response: &mut Response, value: &str, seconds: u64, https: bool) -> Answer<()> {
    let secure = if https { "; Secure" } else { "" };
    let cookie = format!("{SESSION_COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    let cookie = HeaderValue::from_str(&cookie).map_err(|error| nightjar_model::Error::internal(error.to_string()))?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(())
}
