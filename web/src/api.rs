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
mod readings;
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

use crate::params::PageParams;
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
        .merge(readings::routes())
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

impl<T> ItemsPage<T> {
    /// A page of what is at hand as a whole. `key` is unique and gives the order; the cursor is the key of
    /// the last one, so that what comes and goes between pages neither repeats nor hides another.
    pub(crate) fn of(mut all: Vec<T>, key: impl Fn(&T) -> String, page: &PageParams) -> Self {
        all.sort_by_cached_key(&key);
        let start = page.cursor.as_ref().map_or(0, |cursor| all.partition_point(|item| key(item) <= *cursor));
        let mut items = all.split_off(start);
        let more = items.len() > page.limit as usize;
        items.truncate(page.limit as usize);
        Self { next: items.last().filter(|_| more).map(key), items }
    }
}

impl<T> From<Page<T>> for ItemsPage<T> {
    fn from(page: Page<T>) -> Self {
        Self { items: page.items, next: page.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_put_together_are_the_whole() {
        let all = ["d", "a", "c", "e", "b"];
        for limit in 1..=6 {
            let (mut seen, mut cursor) = (Vec::new(), None);
            loop {
                let page = ItemsPage::of(all.to_vec(), |item| (*item).to_owned(), &PageParams { limit, cursor });
                assert!(page.items.len() <= limit as usize);
                seen.extend(page.items);
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(seen, ["a", "b", "c", "d", "e"], "{limit} at a time");
        }
        let after_one_that_is_gone = PageParams { limit: 1, cursor: Some("bb".into()) };
        assert_eq!(ItemsPage::of(all.to_vec(), |item| (*item).to_owned(), &after_one_that_is_gone).items, ["c"]);
    }
}
