//! All documents of a workspace together: apply and export.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use nightjar_model::ports::{ListQuery, WriteOptions};
use nightjar_model::{Kind, Metadata, Problem, Resource, ResourceKey};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Routes;
use super::documents::outcome_name;
use crate::auth::Caller;
use crate::body::{Documents, json, yaml};
use crate::params::Params;
use crate::problem::{Answer, Failure};
use crate::serve::Shared;

const MOST_DOCUMENTS: usize = 1000;

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(apply)).routes(routes!(export))
}

/// What became of each document, in the order they were sent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApplyResults {
    dry_run: bool,
    results: Vec<ApplyResult>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApplyResult {
    kind: &'static str,
    name: String,
    /// `created`, `updated` or `unchanged`.
    outcome: &'static str,
    version: Option<i64>,
}

/// Write documents of any kinds, all or none
#[utoipa::path(post, path = "/api/v1/workspaces/{ws}/apply", tag = "workspaces",
    params(("ws" = String, Path), ("dryRun" = Option<bool>, Query, description = "Validate and answer, change nothing")),
    request_body(content((Vec<serde_json::Value> = "application/json"), (String = "application/yaml")),
        description = "A document or an array of them; several YAML documents"),
    responses((status = 200, body = ApplyResults)),
    extensions(("x-nightjar-access" = json!("editor"))))]
async fn apply(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Path(ws): Path<String>,
    mut params: Params,
    Documents(documents): Documents,
) -> Answer {
    let options = WriteOptions { dry_run: params.flag("dryRun"), if_match: None };
    params.finish()?;
    if documents.len() > MOST_DOCUMENTS {
        return Err(Failure::malformed(format!("At most {MOST_DOCUMENTS} documents at a time.")));
    }
    let resources = decode(&documents, &ws)?;
    let applied = shared.services.resources.apply(caller.actor(), resources, options).await?;
    let results = applied
        .into_iter()
        .map(|applied| ApplyResult {
            kind: applied.resource.kind().name(),
            outcome: outcome_name(applied.outcome),
            version: applied.resource.metadata.version,
            name: applied.resource.metadata.name,
        })
        .collect();
    json(&ApplyResults { dry_run: options.dry_run, results })
}

/// Every document as files hold it: without what the server set, secrets masked
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/export", tag = "workspaces",
    params(("ws" = String, Path), ("folder" = Option<String>, Query), ("kind" = Option<String>, Query)),
    responses((status = 200, body = String, content_type = "application/yaml")),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn export(State(shared): State<Arc<Shared>>, Path(ws): Path<String>, mut params: Params) -> Answer {
    let folder = params.text("folder");
    let kind = params.text("kind").and_then(|text| {
        let kind = Kind::from_path(&text);
        if kind.is_none() {
            params.refuse("kind", format!("unknown kind; known are {}", Kind::ALL.map(Kind::name).join(", ")));
        }
        kind
    });
    params.finish()?;
    let mut documents = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|each| kind.is_none_or(|kind| kind == *each)) {
        let query =
            ListQuery { kind: Some(kind), workspace: Some(ws.clone()), folder: folder.clone(), ..ListQuery::default() };
        let found = shared.services.resources.list(&query).await?.items;
        documents.extend(found.into_iter().map(|resource| portable(resource).to_value()));
    }
    yaml(&documents)
}

/// Without what ties it to this server and workspace.
fn portable(resource: Resource) -> Resource {
    let Metadata { name, display_name, folder, labels, .. } = resource.metadata;
    Resource { metadata: Metadata { name, display_name, folder, labels, ..Metadata::default() }, spec: resource.spec }
}

/// Decodes every document, and reports the problems of all of them.
fn decode(documents: &[Value], workspace: &str) -> Answer<Vec<Resource>> {
    let mut resources = Vec::new();
    let mut problems = Vec::new();
    let mut seen: HashMap<ResourceKey, usize> = HashMap::new();
    for (index, document) in documents.iter().enumerate() {
        let at = |path: &str| match documents.len() {
            1 => path.to_owned(),
            _ if path.is_empty() => format!("documents[{index}]"),
            _ => format!("documents[{index}].{path}"),
        };
        match Resource::from_value(document, Some(workspace)) {
            Ok(resource) => {
                if let Some(first) = seen.insert(resource.key(), index) {
                    let message = format!("documents[{first}] has the same kind and name");
                    problems.push(Problem { path: at("metadata.name"), message });
                }
                resources.push(resource);
            }
            Err(found) => {
                problems.extend(found.into_iter().map(|p| Problem { path: at(&p.path), message: p.message }));
            }
        }
    }
    if problems.is_empty() { Ok(resources) } else { Err(Failure::invalid(problems)) }
}
