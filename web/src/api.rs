//! The routes, a file to each subject. Handlers translate; ports decide.

mod agents;
mod alerts;
mod apply;
mod audit;
mod documents;
mod documents_openapi;
mod figures;
mod lab;
mod overview;
mod people;
mod server;
mod session;
mod test_send;
mod windows;
mod workspaces;

use std::sync::Arc;

use nightjar_model::ports::Page;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::serve::Shared;

pub(crate) type Routes = OpenApiRouter<Arc<Shared>>;

pub(crate) fn routes() -> Routes {
    OpenApiRouter::new()
        .merge(session::routes())
        .merge(workspaces::routes())
        .merge(documents::routes())
        .merge(apply::routes())
        .merge(figures::routes())
        .merge(windows::routes())
        .merge(lab::routes())
        .merge(agents::routes())
        .merge(alerts::routes())
        .merge(test_send::routes())
        .merge(overview::routes())
        .merge(audit::routes())
        .merge(people::routes())
        .merge(server::routes())
        .merge(crate::installer::routes())
}

/// A listing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Items<T> {
    pub(crate) items: Vec<T>,
}

/// A page of a listing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ItemsPage<T> {
    pub(crate) items: Vec<T>,
    /// The cursor of the next page; null at the end.
    pub(crate) next: Option<String>,
}

impl<T> From<Page<T>> for ItemsPage<T> {
    fn from(page: Page<T>) -> Self {
        Self { items: page.items, next: page.next }
    }
}
