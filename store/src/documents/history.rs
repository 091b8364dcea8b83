//! What documents were: their last versions, which outlive them.

use nightjar_model::identity::Actor;
use nightjar_model::ports::WriteOptions;
use nightjar_model::{Error, Resource, ResourceKey, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::stored::Stored;
use super::{missing, write};
use crate::error::Result;
use crate::store::Shared;
use crate::tables::resource_versions::{self, Column};

/// Versions kept of each document.
const KEPT: i64 = 100;

fn of(key: &ResourceKey) -> sea_orm::Select<resource_versions::Entity> {
    resource_versions::Entity::find()
        .filter(Column::Kind.eq(key.kind.name()))
        .filter(Column::Workspace.eq(&key.workspace))
        .filter(Column::Name.eq(&key.name))
}

/// Newest first; secrets masked.
pub(super) async fn versions(db: &impl ConnectionTrait, key: &ResourceKey) -> Result<Vec<Resource>> {
    let rows = of(key).order_by_desc(Column::Version).all(db).await?;
    if rows.is_empty() {
        return Err(missing(key).into());
    }
    rows.into_iter().map(|row| Stored::from_version(row)?.to_resource()).collect()
}

/// Makes an old version the newest, if it is still valid.
pub(super) async fn restore(shared: &Shared, actor: &Actor, key: &ResourceKey, version: i64) -> Result<Resource> {
    let row = of(key).filter(Column::Version.eq(version)).one(shared.database.read()).await?;
    let Some(row) = row else {
        return Err(Error::not_found(format!(
            "there is no version {version} of {} `{}`; the last {KEPT} are kept",
            key.kind, key.name
        ))
        .into());
    };
    let old = Stored::from_version(row)?.reveal(&shared.vault)?;
    let applied = write::apply(shared, actor, &[old], WriteOptions::default(), "restore").await?;
    match applied.into_iter().next() {
        Some(applied) => Ok(applied.resource),
        None => Err(missing(key).into()),
    }
}

/// The highest version a name ever had; 0 if none.
pub(super) async fn last_version(db: &impl ConnectionTrait, key: &ResourceKey) -> Result<i64> {
    let newest = of(key).order_by_desc(Column::Version).limit(1).one(db).await?;
    Ok(newest.map_or(0, |row| row.version))
}

/// Adds a version, and drops what is beyond those kept.
pub(super) async fn keep(db: &impl ConnectionTrait, stored: &Stored) -> Result<()> {
    resource_versions::Entity::insert(stored.version_row()?).exec_without_returning(db).await?;
    resource_versions::Entity::delete_many()
        .filter(Column::Kind.eq(stored.key.kind.name()))
        .filter(Column::Workspace.eq(&stored.key.workspace))
        .filter(Column::Name.eq(&stored.key.name))
        .filter(Column::Version.lte(stored.version() - KEPT))
        .exec(db)
        .await?;
    Ok(())
}

/// Notes that the document is gone since `at`, or is there again.
pub(super) async fn mark_deleted(db: &impl ConnectionTrait, key: &ResourceKey, at: Option<Timestamp>) -> Result<()> {
    resource_versions::Entity::update_many()
        .col_expr(Column::DeletedAt, Expr::value(at.map(Timestamp::millis)))
        .filter(Column::Kind.eq(key.kind.name()))
        .filter(Column::Workspace.eq(&key.workspace))
        .filter(Column::Name.eq(&key.name))
        .exec(db)
        .await?;
    Ok(())
}

/// Drops the versions of documents that were deleted before `before`.
pub(crate) async fn prune_deleted(db: &impl ConnectionTrait, before: Timestamp) -> Result<u64> {
    let dropped =
        resource_versions::Entity::delete_many().filter(Column::DeletedAt.lt(before.millis())).exec(db).await?;
    Ok(dropped.rows_affected)
}
