//! Documents by kind: the same routes for every kind there is.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use nightjar_model::builtin;
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::ports::{ListQuery, Outcome, WriteOptions};
use nightjar_model::{Kind, Metadata, Problems, Resource, ResourceKey};
use serde_json::{Value, json};

use super::{Items, ItemsPage, Routes, documents_openapi};
use crate::auth::Caller;
use crate::body::{Documents, Format, json as json_response, yaml};
use crate::params::Params;
use crate::problem::{Answer, Failure};
use crate::serve::Shared;

pub(super) fn routes() -> Routes {
    let mut routes = Routes::new();
    for kind in Kind::ALL {
        let base = format!("/api/v1/workspaces/{{ws}}/{}", kind.plural());
        routes = routes
            .route(&base, get(list).layer(Extension(kind)))
            .route(&format!("{base}/{{name}}"), get(show).put(put).delete(delete).layer(Extension(kind)))
            .route(&format!("{base}/{{name}}/versions"), get(versions).layer(Extension(kind)))
            .route(&format!("{base}/{{name}}/restore"), post(restore).layer(Extension(kind)));
    }
    documents_openapi::describe(routes.get_openapi_mut());
    routes
}

/// The document that the path names; its kind comes with the route.
struct Named(ResourceKey);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let refused = |error: String| Failure::malformed(format!("The path cannot be read: {error}"));
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((workspace, name)) = path.map_err(|error| refused(error.body_text()))?;
        let kind = parts.extensions.get::<Kind>().copied();
        let kind = kind.ok_or_else(|| nightjar_model::Error::internal("a route of documents names no kind"))?;
        Ok(Self(ResourceKey::new(kind, workspace, name)))
    }
}

async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(kind): Extension<Kind>,
    Path(ws): Path<String>,
    format: Format,
    mut params: Params,
) -> Answer {
    let labels = params.all("label");
    let mut pairs = Vec::new();
    for label in labels {
        match label.split_once('=') {
            Some((key, value)) if !key.is_empty() => pairs.push((key.to_owned(), value.to_owned())),
            _ => params.refuse("label", "must be written key=value"),
        }
    }
    let page = params.page();
    let query = ListQuery {
        kind: Some(kind),
        workspace: Some(ws),
        folder: params.text("folder"),
        labels: pairs,
        q: params.text("q"),
        limit: page.limit,
        cursor: page.cursor,
    };
    let with_built_in = kind == Kind::Monitor && params.flag("builtIn");
    params.finish()?;
    let page = shared.services.resources.list(&query).await?;
    let mut items: Vec<Value> = page.items.iter().map(Resource::to_value).collect();
    // Where they are asked for, they come last: on the last page.
    if with_built_in && page.next.is_none() && kind == Kind::Monitor {
        let workspace = query.workspace.as_deref().unwrap_or_default();
        items.extend(builtin::monitors().map(|(name, spec)| built_in(workspace, name, spec).to_value()));
    }
    if format == Format::Yaml {
        let mut response = yaml(&items)?;
        if let Some(next) = page.next.as_deref().and_then(|next| HeaderValue::from_str(next).ok()) {
            response.headers_mut().insert("x-nightjar-next", next);
        }
        return Ok(response);
    }
    json_response(&ItemsPage { items, next: page.next })
}

async fn show(State(shared): State<Arc<Shared>>, Named(key): Named, format: Format, headers: HeaderMap) -> Answer {
    if key.kind == Kind::Monitor
        && let Some(spec) = builtin::monitor(&key.name)
    {
        return document(&built_in(&key.workspace, &key.name, spec), format);
    }
    let resource = shared.services.resources.get(&key).await?;
    let tag = etag(&resource);
    if tag.is_some() && headers.get(header::IF_NONE_MATCH) == tag.as_ref() {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    document(&resource, format)
}

async fn put(
    State(shared): State<Arc<Shared>>,
    Named(key): Named,
    caller: Caller,
    mut params: Params,
    headers: HeaderMap,
    format: Format,
    Documents(mut documents): Documents,
) -> Answer {
    let options = WriteOptions { dry_run: params.flag("dryRun"), if_match: precondition(&headers)? };
    params.finish()?;
    if documents.len() > 1 {
        return Err(Failure::malformed("Send one document here; `/apply` takes several."));
    }
    let mut value = documents.swap_remove(0);
    address(&mut value, &key)?;
    let resource = Resource::from_value(&value, Some(&key.workspace)).map_err(Failure::invalid)?;
    let mut applied = shared.services.resources.apply(caller.actor(), vec![resource], options).await?;
    let applied = applied.pop().ok_or_else(|| nightjar_model::Error::internal("the store answered nothing"))?;
    let mut response = document(&applied.resource, format)?;
    response.headers_mut().insert("x-nightjar-outcome", HeaderValue::from_static(outcome_name(applied.outcome)));
    if applied.outcome == Outcome::Created && !options.dry_run {
        *response.status_mut() = StatusCode::CREATED;
        let location = format!("/api/v1/workspaces/{}/{}/{}", key.workspace, key.kind.plural(), key.name);
        if let Ok(location) = HeaderValue::from_str(&location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
    }
    Ok(response)
}

async fn delete(
    State(shared): State<Arc<Shared>>,
    Named(key): Named,
    caller: Caller,
    mut params: Params,
    headers: HeaderMap,
) -> Answer<StatusCode> {
    let options = WriteOptions { dry_run: params.flag("dryRun"), if_match: precondition(&headers)? };
    params.finish()?;
    shared.services.resources.delete(caller.actor(), &key, options).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn versions(State(shared): State<Arc<Shared>>, Named(key): Named, format: Format) -> Answer {
    let versions = shared.services.resources.versions(&key).await?;
    let items: Vec<Value> = versions.iter().map(Resource::to_value).collect();
    match format {
        Format::Yaml => yaml(&items),
        Format::Json => json_response(&Items { items }),
    }
}

async fn restore(
    State(shared): State<Arc<Shared>>,
    Named(key): Named,
    caller: Caller,
    mut params: Params,
    format: Format,
) -> Answer {
    let version = params.text("version").and_then(|text| text.parse::<i64>().ok()).filter(|version| *version > 0);
    if version.is_none() {
        params.refuse("version", "must be the number of a version, from 1");
    }
    params.finish()?;
    let resource = shared.services.resources.restore(caller.actor(), &key, version.unwrap_or_default()).await?;
    document(&resource, format)
}

/// A monitor that nobody wrote, as if it had been.
fn built_in(workspace: &str, name: &str, spec: &MonitorSpec) -> Resource {
    let metadata = Metadata { name: name.to_owned(), workspace: workspace.to_owned(), ..Metadata::default() };
    Resource { metadata, spec: spec.clone().into() }
}

/// Puts in what the path says already, and refuses what contradicts it.
fn address(value: &mut Value, key: &ResourceKey) -> Answer<()> {
    let ResourceKey { kind, name, .. } = key;
    let Some(document) = value.as_object_mut() else {
        return Err(Failure::malformed("A document is an object with `kind`, `metadata` and `spec`."));
    };
    let mut problems = Problems::new();
    let written = document.entry("kind").or_insert_with(|| json!(kind.name()));
    if written != kind.name() {
        problems.add("kind", format!("must be `{kind}` on this path"));
    }
    if let Some(metadata) = document.entry("metadata").or_insert_with(|| json!({})).as_object_mut() {
        let written = metadata.entry("name").or_insert_with(|| json!(name));
        if written != name.as_str() {
            problems.add("metadata.name", format!("must be `{name}` on this path; a name never changes"));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::invalid(problems.into_vec())) }
}

/// `If-Match: "3"`, or `If-None-Match: *` for what must not exist yet.
fn precondition(headers: &HeaderMap) -> Answer<Option<i64>> {
    if headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == "*") {
        return Ok(Some(0));
    }
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let version = value.to_str().ok().and_then(|text| {
        let text = text.trim();
        text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).parse::<i64>().ok()
    });
    match version {
        Some(version) if version > 0 => Ok(Some(version)),
        _ => Err(Failure::malformed("If-Match must be the ETag that GET answered, such as \"3\".")),
    }
}

fn document(resource: &Resource, format: Format) -> Answer<Response> {
    let value = resource.to_value();
    let mut response = match format {
        Format::Yaml => yaml(&[value])?,
        Format::Json => json_response(&value)?,
    };
    if let Some(tag) = etag(resource) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

fn etag(resource: &Resource) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{}\"", resource.metadata.version?)).ok()
}

pub(super) fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Created => "created",
        Outcome::Updated => "updated",
        Outcome::Unchanged => "unchanged",
    }
}
