//! Enrolment tokens: for one use, several or any number; a use is counted where the agent is made.

use nightjar_model::identity::{Actor, EnrolmentToken, NewEnrolmentToken, Role};
use nightjar_model::{Error, Problem, Secret, Timestamp};
use sea_orm::sea_query::{Expr, ExprTrait as _, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder,
};
use serde_json::json;

use crate::audit::{self, Act};
use crate::database::transaction;
use crate::error::{Result, StoreError};
use crate::people::owners;
use crate::store::Shared;
use crate::tables::enrolment_tokens::{self, Column, Model};
use crate::{tokens, workspaces};

pub(super) async fn all(db: &impl ConnectionTrait, workspace: &str) -> Result<Vec<EnrolmentToken>> {
    let rows = enrolment_tokens::Entity::find()
        .filter(Column::Workspace.eq(workspace))
        .order_by_desc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .all(db)
        .await?;
    Ok(rows.iter().map(shown).collect())
}

pub(super) async fn create(
    shared: &Shared,
    actor: &Actor,
    workspace: &str,
    new: NewEnrolmentToken,
) -> Result<(EnrolmentToken, Secret)> {
    let now = shared.now();
    tokens::check_expiry(new.expires_at, now)?;
    let invalid = |path: &str, message: &str| {
        let problem = Problem { path: path.into(), message: message.into() };
        StoreError::from(Error::invalid("the token is not valid", vec![problem]))
    };
    if new.uses == Some(0) {
        return Err(invalid("uses", "must be at least 1; leave it out for any number of times"));
    }
    if new.note.chars().count() > 200 || new.note.chars().any(char::is_control) {
        return Err(invalid("note", "is longer than 200 characters, or holds a control character"));
    }
    let token = tokens::new_token(tokens::ENROLMENT)?;
    let row = Model {
        id: tokens::new_id(),
        workspace: workspace.to_owned(),
        note: new.note,
        hash: tokens::hash(&token).ok_or_else(unknown)?,
        uses_left: new.uses.map(i64::from),
        used: 0,
        created_by: actor.name.clone(),
        owner: None,
        made_by: None,
        created_at: now.millis(),
        expires_at: new.expires_at.map(Timestamp::millis),
        last_used_at: None,
    };
    let made = transaction!(shared.database, "enrolment-token", |tx| {
        workspaces::require(tx, workspace).await?;
        let origin = owners::origin(tx, actor).await?;
        origin.check_end(new.expires_at)?;
        let row = Model { owner: Some(origin.owner), made_by: origin.made_by, ..row.clone() };
        enrolment_tokens::Entity::insert(row.clone().into_active_model()).exec_without_returning(tx).await?;
        let after = json!({ "note": row.note, "uses": row.uses_left, "expiresAt": row.expires_at.map(Timestamp) });
        audit::record(tx, actor, now, act("create", &row, None, Some(after))).await?;
        Ok(row)
    })?;
    Ok((shown(&made), token))
}

pub(super) async fn delete(shared: &Shared, actor: &Actor, workspace: &str, id: &str) -> Result<()> {
    let now = shared.now();
    transaction!(shared.database, "delete-enrolment-token", |tx| {
        let row = enrolment_tokens::Entity::find_by_id(id).filter(Column::Workspace.eq(workspace)).one(tx).await?;
        let row = row.ok_or_else(|| {
            Error::not_found(format!("there is no enrolment token with id `{id}` in workspace `{workspace}`"))
        })?;
        delete_row(tx, actor, now, &row).await
    })
}

/// Deletes those that are meant, and tells of each.
pub(crate) async fn delete_where(
    db: &impl ConnectionTrait,
    actor: &Actor,
    now: Timestamp,
    meant: SimpleExpr,
) -> Result<()> {
    for row in enrolment_tokens::Entity::find().filter(meant).order_by_asc(Column::Id).all(db).await? {
        delete_row(db, actor, now, &row).await?;
    }
    Ok(())
}

async fn delete_row(db: &impl ConnectionTrait, actor: &Actor, now: Timestamp, row: &Model) -> Result<()> {
    enrolment_tokens::Entity::delete_by_id(&row.id).exec(db).await?;
    let before = json!({ "note": row.note, "used": row.used });
    audit::record(db, actor, now, act("delete", row, Some(before), None)).await
}

/// How many are not accepted because nobody knows whose they are.
pub(crate) async fn without_owner(db: &impl ConnectionTrait) -> Result<u64> {
    Ok(enrolment_tokens::Entity::find().filter(Column::Owner.is_null()).count(db).await?)
}

/// The token's row, if it could be used now.
pub(super) async fn usable(db: &impl ConnectionTrait, token: &Secret, now: Timestamp) -> Result<Model> {
    let hash = tokens::hash(token).ok_or_else(unknown)?;
    let row = enrolment_tokens::Entity::find().filter(Column::Hash.eq(hash)).one(db).await?.ok_or_else(unknown)?;
    if row.expires_at.is_some_and(|at| at <= now.millis()) {
        return Err(Error::unauthenticated("the enrolment token has expired; make a new one").into());
    }
    if row.uses_left.is_some_and(|left| left <= 0) {
        return Err(Error::unauthenticated("the enrolment token is used up; make a new one").into());
    }
    // Who may not make such a token any more has none that works.
    let owner = owners::rights(db, row.owner.as_deref()).await?;
    if owner.and_then(|owner| owner.role_in(&row.workspace)) != Some(Role::Admin) {
        let message = "whoever made the enrolment token may add no agents any more; ask an administrator for a new one";
        return Err(Error::unauthenticated(message).into());
    }
    Ok(row)
}

/// Counts one use, in the transaction that makes the agent.
pub(super) async fn use_once(db: &impl ConnectionTrait, token: &Secret, now: Timestamp) -> Result<Model> {
    let row = usable(db, token, now).await?;
    let left = Condition::any().add(Column::UsesLeft.is_null()).add(Column::UsesLeft.gt(0));
    // NULL, for any number of times, stays NULL.
    let counted = enrolment_tokens::Entity::update_many()
        .col_expr(Column::UsesLeft, Expr::col(Column::UsesLeft).sub(1))
        .col_expr(Column::Used, Expr::col(Column::Used).add(1))
        .col_expr(Column::LastUsedAt, Expr::value(now.millis()))
        .filter(Column::Id.eq(&row.id))
        .filter(left)
        .exec(db)
        .await?;
    match counted.rows_affected {
        1 => Ok(row),
        _ => Err(Error::unauthenticated("the enrolment token is used up; make a new one").into()),
    }
}

/// Drops those that could not be used since `before`: expired, or used up.
pub(crate) async fn prune(db: &impl ConnectionTrait, before: Timestamp) -> Result<u64> {
    let used_up = Condition::all().add(Column::UsesLeft.lte(0)).add(Column::LastUsedAt.lt(before.millis()));
    let dropped = enrolment_tokens::Entity::delete_many()
        .filter(Condition::any().add(Column::ExpiresAt.lt(before.millis())).add(used_up))
        .exec(db)
        .await?;
    Ok(dropped.rows_affected)
}

fn act<'a>(
    action: &'a str,
    row: &'a Model,
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
) -> Act<'a> {
    Act { action, kind: "EnrolmentToken", name: &row.id, workspace: Some(&row.workspace), before, after }
}

fn shown(row: &Model) -> EnrolmentToken {
    let count = |number: i64| u32::try_from(number.clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX);
    EnrolmentToken {
        id: row.id.clone(),
        workspace: row.workspace.clone(),
        note: row.note.clone(),
        uses_left: row.uses_left.map(count),
        created_by: row.created_by.clone(),
        owner: row.owner.clone(),
        created_at: Timestamp(row.created_at),
        expires_at: row.expires_at.map(Timestamp),
        used: count(row.used),
    }
}

fn unknown() -> StoreError {
    Error::unauthenticated("the enrolment token is not known here; make a new one").into()
}
