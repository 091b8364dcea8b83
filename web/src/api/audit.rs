//! The audit log, and the entries that only this room can make.

use std::sync::Arc;

use axum::extract::{Path, State};
use nightjar_model::identity::AuditEntry;
use serde_json::Value;
use utoipa_axum::routes;

use super::{ItemsPage, Routes};
use crate::auth::Caller;
use crate::body::json;
use crate::params::PageParams;
use crate::problem::Answer;
use crate::serve::Shared;

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(of_workspace)).routes(routes!(of_all))
}

/// Writes to a workspace, newest first
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/audit", tag = "people", operation_id = "workspace_audit",
    params(("ws" = String, Path), ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = ItemsPage<AuditEntry>)),
    extensions(("x-nightjar-access" = json!("admin"))))]
async fn of_workspace(State(shared): State<Arc<Shared>>, Path(ws): Path<String>, params: PageParams) -> Answer {
    page(&shared, Some(&ws), params).await
}

/// Every write, newest first
#[utoipa::path(get, path = "/api/v1/audit", tag = "people", operation_id = "audit",
    params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = ItemsPage<AuditEntry>)),
    extensions(("x-nightjar-access" = json!("platform-admin"))))]
async fn of_all(State(shared): State<Arc<Shared>>, params: PageParams) -> Answer {
    page(&shared, None, params).await
}

async fn page(shared: &Shared, workspace: Option<&str>, PageParams { limit, cursor }: PageParams) -> Answer {
    json(&ItemsPage::from(shared.services.resources.audit_log(workspace, limit, cursor.as_deref()).await?))
}

/// Records what the caller is about to do where no other room records it.
pub(super) async fn record(
    shared: &Shared,
    caller: &Caller,
    workspace: &str,
    action: &str,
    kind: &str,
    name: &str,
    what: Value,
) -> Answer<()> {
    let actor = caller.actor();
    let entry = AuditEntry {
        id: 0,
        at: shared.services.clock.now(),
        actor: actor.name.clone(),
        address: actor.address.clone(),
        workspace: Some(workspace.to_owned()),
        action: action.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        before: None,
        after: Some(what),
    };
    Ok(shared.services.resources.audit(entry).await?)
}
