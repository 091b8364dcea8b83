//! API tokens: stored by hash, shown once.

use std::time::Duration;

use nightjar_model::identity::{Actor, ApiToken, NewApiToken, Principal};
use nightjar_model::{Error, Problems, Secret, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::{Value, json};

use super::{check_roles, read_roles, refuse, users, write_roles};
use crate::audit::{self, Act};
use crate::database::transaction;
use crate::error::{Result, StoreError};
use crate::store::Shared;
use crate::tables::api_tokens::{self, Column};
use crate::tokens;

/// The name of the token that the server's settings give.
const BOOTSTRAP: &str = "bootstrap";

/// How the actor who is a user is written.
const USER: &str = "user:";

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
    if let Some(maker) = row.created_by.strip_prefix(USER) {
        let maker = users::find(shared.database.read(), maker).await?;
        if maker.is_none_or(|maker| maker.disabled) {
            let message = "the user who made the token is gone or disabled; ask an administrator for a new one";
            return Err(Error::unauthenticated(message).into());
        }
    }
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
    Ok(Principal {
        roles: read_roles(&row.name, &row.roles)?,
        platform_admin: row.platform_admin,
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
        created_at: now.millis(),
        expires_at: new.expires_at.map(Timestamp::millis),
        last_used_at: None,
        name: new.name,
    };
    transaction!(shared.database, "token", |tx| {
        if api_tokens::Entity::find().filter(Column::Name.eq(&row.name)).one(tx).await?.is_some() {
            return Err(Error::conflict(format!("there is a token `{}` already", row.name)).into());
        }
        insert(tx, actor, now, &row).await
    })?;
    Ok((shown(&row)?, token))
}

pub(super) async fn delete(shared: &Shared, actor: &Actor, id: &str) -> Result<()> {
    let now = shared.now();
    transaction!(shared.database, "delete-token", |tx| {
        let row = api_tokens::Entity::find_by_id(id).one(tx).await?;
        let row = row.ok_or_else(|| Error::not_found(format!("there is no token with id `{id}`")))?;
        api_tokens::Entity::delete_by_id(id).exec(tx).await?;
        let before = Some(told(&row)?);
        let act = Act { action: "delete", kind: "ApiToken", name: &row.name, workspace: None, before, after: None };
        audit::record(tx, actor, now, act).await
    })
}

/// Deletes the tokens that a user made, who leaves: what they know of them must not outlast them.
pub(super) async fn delete_of(db: &impl ConnectionTrait, actor: &Actor, now: Timestamp, user: &str) -> Result<()> {
    let made = Column::CreatedBy.eq(format!("{USER}{user}"));
    for row in api_tokens::Entity::find().filter(made).order_by_asc(Column::Name).all(db).await? {
        api_tokens::Entity::delete_by_id(&row.id).exec(db).await?;
        let before = Some(told(&row)?);
        let act = Act { action: "delete", kind: "ApiToken", name: &row.name, workspace: None, before, after: None };
        audit::record(db, actor, now, act).await?;
    }
    Ok(())
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
        api_tokens::Entity::delete_many()
            .filter(sea_orm::Condition::any().add(Column::Name.eq(BOOTSTRAP)).add(Column::Hash.eq(&hash)))
            .exec(tx)
            .await?;
        let row = api_tokens::Model {
            id: tokens::new_id(),
            name: BOOTSTRAP.to_owned(),
            hash: hash.clone(),
            platform_admin: true,
            roles: "{}".to_owned(),
            created_by: "system".to_owned(),
            created_at: now.millis(),
            expires_at: None,
            last_used_at: None,
        };
        insert(tx, &Actor::system(), now, &row).await
    })
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
        created_at: Timestamp(row.created_at),
        expires_at: row.expires_at.map(Timestamp),
        last_used_at: row.last_used_at.map(Timestamp),
    })
}

fn told(row: &api_tokens::Model) -> Result<Value> {
    let token = shown(row)?;
    Ok(json!({
        "id": token.id,
        "platformAdmin": token.platform_admin,
        "roles": token.roles,
        "expiresAt": token.expires_at,
    }))
}

fn unknown() -> StoreError {
    Error::unauthenticated("the token is not known here; it may have been deleted").into()
}
