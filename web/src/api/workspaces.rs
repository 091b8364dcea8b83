//! Workspaces and the folders in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use nightjar_model::Kind;
use nightjar_model::identity::Role;
use nightjar_model::names::resource_name_problem;
use nightjar_model::ports::ListQuery;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::session::visible_workspaces;
use super::{ItemsPage, Routes};
use crate::auth::Caller;
use crate::body::json;
use crate::params::PageParams;
use crate::problem::{Answer, Failure};
use crate::serve::Shared;

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(list)).routes(routes!(create)).routes(routes!(folders))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkspaceView {
    name: String,
    /// What the caller may do there.
    role: Role,
}

/// A folder; its counts are of what lies directly in it.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct FolderView {
    path: String,
    monitors: u32,
    rules: u32,
}

/// Workspaces one may see
#[utoipa::path(get, path = "/api/v1/workspaces", tag = "workspaces", operation_id = "workspaces",
    params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = ItemsPage<WorkspaceView>)),
    extensions(("x-nightjar-access" = json!("signed-in"))))]
async fn list(State(shared): State<Arc<Shared>>, caller: Caller, page: PageParams) -> Answer {
    let workspaces = visible_workspaces(&shared, &caller.principal).await?;
    let items = workspaces
        .into_iter()
        .filter_map(|name| caller.principal.role_in(&name).map(|role| WorkspaceView { name, role }))
        .collect();
    json(&ItemsPage::of(items, |view: &WorkspaceView| view.name.clone(), &page))
}

/// Make a workspace
#[utoipa::path(put, path = "/api/v1/workspaces/{ws}", tag = "workspaces", operation_id = "create_workspace", params(("ws" = String, Path)),
    responses((status = 201, description = "Made"), (status = 204, description = "It was there")),
    extensions(("x-nightjar-access" = json!("platform-admin"))))]
async fn create(State(shared): State<Arc<Shared>>, caller: Caller, Path(ws): Path<String>) -> Answer<StatusCode> {
    if let Some(problem) = resource_name_problem(&ws) {
        return Err(Failure::invalid(Vec::new()).with_problem("name", problem));
    }
    if shared.services.resources.workspaces().await?.contains(&ws) {
        return Ok(StatusCode::NO_CONTENT);
    }
    shared.services.resources.create_workspace(caller.actor(), &ws).await?;
    Ok(StatusCode::CREATED)
}

/// Folders of a workspace
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/folders", tag = "workspaces",
    params(("ws" = String, Path), ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = ItemsPage<FolderView>)),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn folders(State(shared): State<Arc<Shared>>, Path(ws): Path<String>, page: PageParams) -> Answer {
    let mut folders: BTreeMap<String, FolderView> = BTreeMap::new();
    for kind in [Kind::Monitor, Kind::AlertRule] {
        let query = ListQuery { kind: Some(kind), workspace: Some(ws.clone()), ..ListQuery::default() };
        for resource in shared.services.resources.list(&query).await?.items {
            let path = resource.metadata.folder;
            for (at, _) in path.match_indices('/') {
                folders.entry(path[..at].to_owned()).or_default();
            }
            let folder = folders.entry(path).or_default();
            if kind == Kind::Monitor {
                folder.monitors += 1;
            } else {
                folder.rules += 1;
            }
        }
    }
    let items: Vec<FolderView> = folders.into_iter().map(|(path, folder)| FolderView { path, ..folder }).collect();
    json(&ItemsPage::of(items, |folder| folder.path.clone(), &page))
}
