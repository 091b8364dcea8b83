//! Who may use which route. Each route says it once, in its OpenAPI operation, and the document is
//! what requests are judged by: what it does not mention is denied.

use std::collections::HashMap;

use http::{HeaderValue, Method, StatusCode, header};
use nightjar_model::identity::Role;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};

use crate::problem::{Answer, Failure};

/// The operation's extension that says who may use it.
pub(crate) const ACCESS_EXTENSION: &str = "x-nightjar-access";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody, without saying who they are.
    Open,
    /// Anybody who is known.
    SignedIn,
    /// Anybody known, and holders of an enrolment token.
    Installer,
    /// Those with at least this role in the path's workspace.
    Role(Role),
    /// Admins of any workspace: for what tells of all together and names none.
    AnyAdmin,
    PlatformAdmin,
}

impl Access {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "open" => Self::Open,
            "signed-in" => Self::SignedIn,
            "installer" => Self::Installer,
            "viewer" => Self::Role(Role::Viewer),
            "operator" => Self::Role(Role::Operator),
            "editor" => Self::Role(Role::Editor),
            "admin" => Self::Role(Role::Admin),
            "any-admin" => Self::AnyAdmin,
            "platform-admin" => Self::PlatformAdmin,
            _ => return None,
        })
    }

    pub(crate) fn of_operation(operation: &Operation) -> Option<Self> {
        Self::parse(operation.extensions.as_ref()?.get(ACCESS_EXTENSION)?.as_str()?)
    }
}

/// Access by path and method.
pub(crate) struct AccessTable(HashMap<String, Vec<(Method, Access)>>);

impl AccessTable {
    pub(crate) fn of_document(document: &OpenApi) -> Self {
        let routes = document.paths.paths.iter().map(|(path, item)| {
            let declared = operations(item)
                .filter_map(|(method, operation)| Some((method, Access::of_operation(operation)?)))
                .collect();
            (path.clone(), declared)
        });
        Self(routes.collect())
    }

    /// What using the route takes.
    ///
    /// # Errors
    /// 405 for a method that the path does not have; 403 for a route that declares nothing.
    pub(crate) fn of(&self, method: &Method, path: &str) -> Answer<Access> {
        let Some(declared) = self.0.get(path).filter(|declared| !declared.is_empty()) else {
            tracing::error!(path, "a route declares no access; it is denied to everybody");
            return Err(Failure::of(StatusCode::FORBIDDEN, "Nobody may use this path."));
        };
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        if let Some((_, access)) = declared.iter().find(|(method, _)| method == wanted) {
            return Ok(*access);
        }
        let allowed = declared.iter().map(|(method, _)| method.as_str()).collect::<Vec<_>>().join(", ");
        let failure = Failure::of(StatusCode::METHOD_NOT_ALLOWED, format!("This path knows {allowed}."));
        Err(match HeaderValue::from_str(&allowed) {
            Ok(allowed) => failure.with_header(header::ALLOW, allowed),
            Err(_) => failure,
        })
    }
}

pub(crate) fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::PATCH, &item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}
