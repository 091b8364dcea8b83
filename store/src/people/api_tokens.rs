//! API tokens: stored by hash, shown once.

use std::time::Duration;

use nightjar_model::identity::{Actor, ApiToken, NewApiToken, Principal, Rights};
use nightjar_model::{Error, Problems, Secret, Timestamp};
use sea_orm::sea_query::{Expr, ExprTrait as _, SimpleExpr};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::{Value, json};

use super::owners::{self, Origin};
use super::{check_roles, read_roles, refuse, write_roles};
use crate::audit::{self, Act};
use crate::database::transaction;
use crate::error::{Result, StoreError};
use crate::store::Shared;
use crate::tables::api_tokens::{self, Column};
use crate::tokens;

/// The name of the token that the server's settings give.
const BOOTSTRAP: &str = "bootstrap";

/// `last_used_at` is this exact, so that using a token rarely writes.
const USE_NOTED: Duration = Duration::from_secs(60);

pub(super) async fn find(shared: &Shared, token: &Secret) -> Result<Principal> {
    let hash = tokens::hash(token).ok_or_else(unknown)?;
    let row = api_tokens::Entity::find().filter(Column::Hash.eq(&hash)).one(shared.database.read()).await?;
    let row = row.ok_or_else(unknown)?;
    let now = shared.now();
    if row.expires_at.is_some_and(|at| at <= now.millis()) {
        return Err(Error::unauthenticated("the token has expired; make a new one").into());
    }
    let Some(of_owner) = owners::rights(shared.database.read(), row.owner.as_deref()).await? else {
        let message = match row.owner {
            Some(_) => "the user whose token it is is gone or disabled; ask an administrator for a new one",
            None => "nobody knows any more whose token it is; ask an administrator for a new one",
        };
        return Err(Error::unauthenticated(message).into());
    };
    if row.last_used_at.is_none_or(|at| now.since(Timestamp(at)) >= USE_NOTED) {
        let noted: Result<()> = transaction!(shared.database, "token-used", |tx| {
            api_tokens::Entity::update_many()
                .col_expr(Column::LastUsedAt, Expr::value(now.millis()))
                .filter(Column::Id.eq(&row.id))
                .exec(tx)
                .await?;
            Ok(())
        });
        // With the disk full nothing can be noted, and what only reads must work all the same.
        if let Err(error) = noted {
            tracing::warn!(%error, token = row.name, "cannot note that a token was used");
        }
    }
    let own = Rights { platform_admin: row.platform_admin, roles: read_roles(&row.name, &row.roles)? };
    let rights = own.and(&of_owner);
    Ok(Principal {
        roles: rights.roles,
        platform_admin: rights.platform_admin,
        credential: None,
        actor: Actor { name: format!("token:{}", row.name), address: None },
    })
}

pub(super) async fn all(db: &impl ConnectionTrait) -> Result<Vec<ApiToken>> {
    let rows = api_tokens::Entity::find().order_by_asc(Column::Name).all(db).await?;
    rows.iter().map(shown).collect()
}

pub(super) async fn create(shared: &Shared, actor: &Actor, new: NewApiToken) -> Result<(ApiToken, Secret)> {
    let now = shared.now();
    tokens::check_expiry(new.expires_at, now)?;
    let mut problems = Problems::new();
    let length = new.name.chars().count();
    if !(1..=63).contains(&length) || new.name.trim() != new.name || new.name.chars().any(char::is_control) {
        problems.add("name", "must be 1 to 63 characters, without spaces at its ends");
    } else if new.name == BOOTSTRAP {
        problems.add("name", "is kept for the token that the server's settings give");
    }
    if !new.platform_admin && new.roles.is_empty() {
        problems.add("roles", "a token needs a role in at least one workspace, or `platformAdmin`");
    }
    check_roles(shared.database.read(), &new.roles, &mut problems).await?;
    refuse("the token is not valid", problems)?;
    let token = tokens::new_token(tokens::API)?;
    let row = api_tokens::Model {
        id: tokens::new_id(),
        hash: tokens::hash(&token).ok_or_else(unknown)?,
        platform_admin: new.platform_admin,
        roles: write_roles(&new.roles)?,
        created_by: actor.name.clone(),
        owner: None,
        made_by: None,
        created_at: now.millis(),
        expires_at: new.expires_at.map(Timestamp::millis),
        last_used_at: None,
        name: new.name,
    };
    let made = transaction!(shared.database, "token", |tx| {
        let origin = owners::origin(tx, actor).await?;
        origin.check_end(new.expires_at)?;
        let row = of(&row, origin);
        if api_tokens::Entity::find().filter(Column::Name.eq(&row.name)).one(tx).await?.is_some() {
            return Err(Error::conflict(format!("there is a token `{}` already", row.name)).into());
        }
        insert(tx, actor, now, &row).await?;
        Ok(row)
    })?;
    Ok((shown(&made)?, token))
}

pub(super) async fn delete(shared: &Shared, actor: &Actor, id: &str) -> Result<()> {
    let now = shared.now();
    transaction!(shared.database, "delete-token", |tx| {
        let row = api_tokens::Entity::find_by_id(id).one(tx).await?;
        let row = row.ok_or_else(|| Error::not_found(format!("there is no token with id `{id}`")))?;
        delete_row(tx, actor, now, &row).await?;
        owners::delete_made_by(tx, actor, now, id).await
    })
}

/// Deletes those that are meant, and tells of each. Yields their ids.
pub(super) async fn delete_where(
    db: &impl ConnectionTrait,
    actor: &Actor,
    now: Timestamp,
    meant: SimpleExpr,
) -> Result<Vec<String>> {
    let rows = api_tokens::Entity::find().filter(meant).order_by_asc(Column::Name).all(db).await?;
    for row in &rows {
        delete_row(db, actor, now, row).await?;
    }
    Ok(rows.into_iter().map(|row| row.id).collect())
}

async fn delete_row(db: &impl ConnectionTrait, actor: &Actor, now: Timestamp, row: &api_tokens::Model) -> Result<()> {
    api_tokens::Entity::delete_by_id(&row.id).exec(db).await?;
    let before = Some(told(row)?);
    let act = Act { action: "delete", kind: "ApiToken", name: &row.name, workspace: None, before, after: None };
    audit::record(db, actor, now, act).await
}

/// Makes the value an administrator's token, in place of the one that was given before.
pub(super) async fn bootstrap(shared: &Shared, token: &Secret) -> Result<()> {
    let Some(hash) = tokens::hash(token) else {
        return Err(Error::invalid("the bootstrap token is empty or longer than 512 bytes", Vec::new()).into());
    };
    if token.expose().len() < 16 {
        tracing::warn!("the bootstrap token is shorter than 16 characters; anybody who guesses it is an administrator");
    }
    let now = shared.now();
    transaction!(shared.database, "bootstrap-token", |tx| {
        let found = api_tokens::Entity::find().filter(Column::Hash.eq(&hash)).one(tx).await?;
        if found.is_some_and(|row| row.name == BOOTSTRAP && row.platform_admin && row.expires_at.is_none()) {
            return Ok(());
        }
        let system = Actor::system();
        end_bootstrap(tx, now, Column::Name.eq(BOOTSTRAP).or(Column::Hash.eq(&hash))).await?;
        let row = api_tokens::Model {
            id: tokens::new_id(),
            name: BOOTSTRAP.to_owned(),
            hash: hash.clone(),
            platform_admin: true,
            roles: "{}".to_owned(),
            created_by: owners::SYSTEM.to_owned(),
            owner: Some(owners::SYSTEM.to_owned()),
            made_by: None,
            created_at: now.millis(),
            expires_at: None,
            last_used_at: None,
        };
        insert(tx, &system, now, &row).await
    })
}

/// Deletes the token that the settings gave and give no more, with what it made.
pub(super) async fn forget_bootstrap(shared: &Shared) -> Result<()> {
    let now = shared.now();
    transaction!(shared.database, "bootstrap-token", |tx| end_bootstrap(tx, now, Column::Name.eq(BOOTSTRAP)).await)
}

async fn end_bootstrap(db: &impl ConnectionTrait, now: Timestamp, meant: SimpleExpr) -> Result<()> {
    let system = Actor::system();
    for id in delete_where(db, &system, now, meant).await? {
        tracing::warn!("the bootstrap token of before is no longer given: it and the tokens it made are deleted");
        owners::delete_made_by(db, &system, now, &id).await?;
    }
    Ok(())
}

/// Names of tokens that are not accepted because nobody knows whose they are.
pub(super) async fn without_owner(db: &impl ConnectionTrait) -> Result<Vec<String>> {
    let rows = api_tokens::Entity::find().filter(Column::Owner.is_null()).order_by_asc(Column::Name).all(db).await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

fn of(row: &api_tokens::Model, origin: Origin) -> api_tokens::Model {
    api_tokens::Model { owner: Some(origin.owner), made_by: origin.made_by, ..row.clone() }
}

/// Drops those that expired before `before`.
pub(crate) async fn prune(db: &impl ConnectionTrait, before: Timestamp) -> Result<u64> {
    let dropped = api_tokens::Entity::delete_many().filter(Column::ExpiresAt.lt(before.millis())).exec(db).await?;
    Ok(dropped.rows_affected)
}

async fn insert(db: &impl ConnectionTrait, actor: &Actor, now: Timestamp, row: &api_tokens::Model) -> Result<()> {
    api_tokens::Entity::insert(row.clone().into_active_model()).exec_without_returning(db).await?;
    let after = Some(told(row)?);
    let act = Act { action: "create", kind: "ApiToken", name: &row.name, workspace: None, before: None, after };
    audit::record(db, actor, now, act).await
}

fn shown(row: &api_tokens::Model) -> Result<ApiToken> {
    Ok(ApiToken {
        id: row.id.clone(),
        name: row.name.clone(),
        platform_admin: row.platform_admin,
        roles: read_roles(&row.name, &row.roles)?,
        created_by: row.created_by.clone(),
        owner: row.owner.clone(),
        created_at: Timestamp(row.created_at),
        expires_at: row.expires_at.map(Timestamp),
        last_used_at: row.last_used_at.map(Timestamp),
    })
}

fn told(row: &api_tokens::Model) -> Result<Value> {
    let token = shown(row)?;
    Ok(json!({
        "id": token.id,
        "owner": token.owner,
        "platformAdmin": token.platform_admin,
        "roles": token.roles,
        "expiresAt": token.expires_at,
    }))
}

fn unknown() -> StoreError {
    Error::unauthenticated("the token is not known here; it may have been deleted").into()
}
