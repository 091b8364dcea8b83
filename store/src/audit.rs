//! The audit log: an entry is part of the transaction it tells of.

use nightjar_model::identity::{Actor, AuditEntry};
use nightjar_model::ports::Page;
use nightjar_model::{Error, Problem, Timestamp};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::Value;

use crate::error::{Result, StoreError};
use crate::tables::audit;

/// What is to be told of a write. Values must have their secrets masked.
pub(crate) struct Act<'a> {
    pub(crate) action: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    pub(crate) workspace: Option<&'a str>,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

pub(crate) async fn record(db: &impl ConnectionTrait, actor: &Actor, at: Timestamp, act: Act<'_>) -> Result<()> {
    let entry = AuditEntry {
        id: 0,
        at,
        actor: actor.name.clone(),
        address: actor.address.clone(),
        workspace: act.workspace.map(str::to_owned),
        action: act.action.to_owned(),
        kind: act.kind.to_owned(),
        name: act.name.to_owned(),
        before: act.before,
        after: act.after,
    };
    insert(db, &entry).await
}

pub(crate) async fn insert(db: &impl ConnectionTrait, entry: &AuditEntry) -> Result<()> {
    let row = audit::ActiveModel {
        id: NotSet,
        at: Set(entry.at.millis()),
        actor: Set(entry.actor.clone()),
        address: Set(entry.address.clone()),
        workspace: Set(entry.workspace.clone()),
        action: Set(entry.action.clone()),
        kind: Set(entry.kind.clone()),
        name: Set(entry.name.clone()),
        before: Set(entry.before.as_ref().map(Value::to_string)),
        after: Set(entry.after.as_ref().map(Value::to_string)),
    };
    audit::Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

pub(crate) async fn page(
    db: &impl ConnectionTrait,
    workspace: Option<&str>,
    limit: u32,
    cursor: Option<&str>,
) -> Result<Page<AuditEntry>> {
    let mut query = audit::Entity::find().order_by_desc(audit::Column::Id);
    if let Some(workspace) = workspace {
        query = query.filter(audit::Column::Workspace.eq(workspace));
    }
    if let Some(cursor) = cursor {
        let before: i64 = cursor.parse().map_err(|_| bad_cursor())?;
        query = query.filter(audit::Column::Id.lt(before));
    }
    let rows = query.limit(one_more(limit)).all(db).await?;
    let (rows, next) = cut(rows, limit, |row| row.id.to_string());
    let items = rows.into_iter().map(entry).collect::<Result<_>>()?;
    Ok(Page { items, next })
}

fn entry(row: audit::Model) -> Result<AuditEntry> {
    let value = |text: Option<String>| -> Result<Option<Value>> {
        let corrupt = |error| StoreError::Corrupt(format!("entry {} of the audit log", row.id), error);
        text.map(|text| serde_json::from_str(&text).map_err(corrupt)).transpose()
    };
    Ok(AuditEntry {
        id: row.id,
        at: Timestamp(row.at),
        before: value(row.before)?,
        after: value(row.after)?,
        actor: row.actor,
        address: row.address,
        workspace: row.workspace,
        action: row.action,
        kind: row.kind,
        name: row.name,
    })
}

/// How many rows to fetch for a page of `limit`: one more shows whether there is a next page.
pub(crate) fn one_more(limit: u32) -> Option<u64> {
    (limit > 0).then(|| u64::from(limit) + 1)
}

/// Cuts what [`one_more`] fetched down to the page, with the cursor of the next.
pub(crate) fn cut<T>(mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
    let limit = limit as usize;
    if limit == 0 || rows.len() <= limit {
        return (rows, None);
    }
    rows.truncate(limit);
    let next = rows.last().map(cursor);
    (rows, next)
}

pub(crate) fn bad_cursor() -> StoreError {
    let problem = Problem { path: "cursor".into(), message: "is not one that a listing gave".into() };
    Error::invalid("the cursor is not valid; start from the first page", vec![problem]).into()
}
