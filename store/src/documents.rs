//! The documents: the port, and reading. Writing is in [`write`].

mod checks;
mod history;
mod stored;
mod write;

use async_trait::async_trait;
use nightjar_model::identity::{Actor, AuditEntry};
use nightjar_model::ports::{Applied, ChangeListener, ListQuery, Page, ResourceStore, WriteOptions};
use nightjar_model::{Error, Kind, Resource, ResourceKey, Result};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::database::transaction;
use crate::error::StoreError;
use crate::store::{Shared, Store};
use crate::tables::resources::{self, Column};
use crate::{audit, workspaces};

pub(crate) use history::prune_deleted;
use stored::Stored;

/// Rows read at a time where a filter is not the database's.
const BATCH: u64 = 500;

#[async_trait]
impl ResourceStore for Store {
    async fn get(&self, key: &ResourceKey) -> Result<Resource> {
        Ok(current(self.shared.database.read(), key).await?.to_resource()?)
    }

    async fn reveal(&self, key: &ResourceKey) -> Result<Resource> {
        let stored = current(self.shared.database.read(), key).await?;
        Ok(stored.reveal(&self.shared.vault)?)
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Resource>> {
        Ok(list(&self.shared, query).await?)
    }

    async fn apply(&self, actor: &Actor, documents: Vec<Resource>, options: WriteOptions) -> Result<Vec<Applied>> {
        let (shared, actor) = (self.shared.clone(), actor.clone());
        let write = async move { write::apply(&shared, &actor, &documents, options, "apply").await };
        self.shared.to_the_end("apply", write).await
    }

    async fn delete(&self, actor: &Actor, key: &ResourceKey, options: WriteOptions) -> Result<()> {
        let (shared, actor, key) = (self.shared.clone(), actor.clone(), key.clone());
        let write = async move { write::delete(&shared, &actor, &key, options).await };
        self.shared.to_the_end("delete", write).await
    }

    async fn versions(&self, key: &ResourceKey) -> Result<Vec<Resource>> {
        Ok(history::versions(self.shared.database.read(), key).await?)
    }

    async fn restore(&self, actor: &Actor, key: &ResourceKey, version: i64) -> Result<Resource> {
        let (shared, actor, key) = (self.shared.clone(), actor.clone(), key.clone());
        let write = async move { history::restore(&shared, &actor, &key, version).await };
        self.shared.to_the_end("restore", write).await
    }

    fn on_change(&self, listener: ChangeListener) {
        self.shared.add_listener(listener);
    }

    async fn workspaces(&self) -> Result<Vec<String>> {
        Ok(workspaces::names(self.shared.database.read()).await?)
    }

    async fn create_workspace(&self, actor: &Actor, name: &str) -> Result<()> {
        let now = self.shared.now();
        Ok(transaction!(self.shared.database, "workspace", |tx| workspaces::create(tx, actor, name, now).await)?)
    }

    async fn audit(&self, entry: AuditEntry) -> Result<()> {
        Ok(transaction!(self.shared.database, "audit", |tx| audit::insert(tx, &entry).await)?)
    }

    async fn audit_log(&self, workspace: Option<&str>, limit: u32, cursor: Option<&str>) -> Result<Page<AuditEntry>> {
        Ok(audit::page(self.shared.database.read(), workspace, limit, cursor).await?)
    }
}

async fn find(db: &impl ConnectionTrait, key: &ResourceKey) -> Result<Option<Stored>, StoreError> {
    let row = resources::Entity::find()
        .filter(Column::Kind.eq(key.kind.name()))
        .filter(Column::Workspace.eq(&key.workspace))
        .filter(Column::Name.eq(&key.name))
        .one(db)
        .await?;
    row.map(Stored::from_current).transpose()
}

async fn current(db: &impl ConnectionTrait, key: &ResourceKey) -> Result<Stored, StoreError> {
    find(db, key).await?.ok_or_else(|| missing(key).into())
}

fn missing(key: &ResourceKey) -> Error {
    Error::not_found(format!("there is no {} `{}` in workspace `{}`", key.kind, key.name, key.workspace))
}

/// Sorted by kind, workspace and name. A document that cannot be read (written by a later version, say)
/// is left out and counted: it must not hide the others.
async fn list(shared: &Shared, query: &ListQuery) -> Result<Page<Resource>, StoreError> {
    let limit = if query.limit == 0 { usize::MAX } else { query.limit as usize };
    let mut after = query.cursor.as_deref().map(read_cursor).transpose()?;
    let mut items: Vec<Resource> = Vec::new();
    loop {
        let mut rows = resources::Entity::find();
        if let Some(kind) = query.kind {
            rows = rows.filter(Column::Kind.eq(kind.name()));
        }
        if let Some(workspace) = &query.workspace {
            rows = rows.filter(Column::Workspace.eq(workspace));
        }
        if let Some((kind, workspace, name)) = &after {
            let later_name = Condition::all().add(Column::Workspace.eq(workspace)).add(Column::Name.gt(name));
            let later_workspace = Condition::any().add(Column::Workspace.gt(workspace)).add(later_name);
            let same_kind = Condition::all().add(Column::Kind.eq(kind)).add(later_workspace);
            rows = rows.filter(Condition::any().add(Column::Kind.gt(kind)).add(same_kind));
        }
        let rows = rows
            .order_by_asc(Column::Kind)
            .order_by_asc(Column::Workspace)
            .order_by_asc(Column::Name)
            .limit(BATCH)
            .all(shared.database.read())
            .await?;
        let last_batch = (rows.len() as u64) < BATCH;
        after = rows.last().map(|row| (row.kind.clone(), row.workspace.clone(), row.name.clone()));
        for row in rows {
            let resource = match Stored::from_current(row).and_then(|stored| stored.to_resource()) {
                Ok(resource) => resource,
                Err(error) => {
                    metrics::counter!("nightjar_store_unreadable_documents_total").increment(1);
                    tracing::error!(%error, "a document is left out of a listing");
                    continue;
                }
            };
            if !matches(&resource, query) {
                continue;
            }
            if items.len() == limit {
                let next = items.last().map(write_cursor);
                return Ok(Page { items, next });
            }
            items.push(resource);
        }
        if last_batch {
            return Ok(Page { items, next: None });
        }
    }
}

fn matches(resource: &Resource, query: &ListQuery) -> bool {
    let metadata = &resource.metadata;
    let in_folder = query.folder.as_deref().map(|folder| folder.trim_matches('/')).is_none_or(|folder| {
        folder.is_empty()
            || metadata.folder.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let labelled = query.labels.iter().all(|(key, value)| metadata.labels.get(key) == Some(value));
    let named =
        query.q.as_deref().map(str::to_lowercase).is_none_or(|q| {
            metadata.name.to_lowercase().contains(&q) || metadata.display_name.to_lowercase().contains(&q)
        });
    in_folder && labelled && named
}

// None of the three can hold a dot.
fn write_cursor(resource: &Resource) -> String {
    format!("{}.{}.{}", resource.kind(), resource.metadata.workspace, resource.metadata.name)
}

fn read_cursor(text: &str) -> Result<(String, String, String), StoreError> {
    let mut parts = text.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(kind), Some(workspace), Some(name), None) if Kind::from_name(kind).is_some() => {
            Ok((kind.to_owned(), workspace.to_owned(), name.to_owned()))
        }
        _ => Err(audit::bad_cursor()),
    }
}
