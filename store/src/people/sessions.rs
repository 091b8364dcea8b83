//! Console sessions: they slide up to a limit, end with their user's password, and are stored by hash.

use std::time::Duration;

use nightjar_model::identity::Principal;
use nightjar_model::{Error, Secret, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{owners, users};
use crate::database::transaction;
use crate::error::{Result, StoreError};
use crate::store::Shared;
use crate::tables::sessions::{self, Column};
use crate::tokens;

/// Sessions of one user at a time; the oldest give way.
const PER_USER: u64 = 20;

/// A session's end is moved at most this often, so that reading pages does not write.
const SLIDE: Duration = Duration::from_secs(300);

pub(super) async fn start(shared: &Shared, principal: &Principal) -> Result<(Secret, Timestamp)> {
    let Some(name) = principal.actor.name.strip_prefix(owners::USER) else {
        return Err(Error::forbidden("only a user can have a session; use the token itself").into());
    };
    let session = tokens::new_token(tokens::SESSION)?;
    let hash = hash(&session)?;
    let now = shared.now();
    let expires_at = expiry(shared, now, now);
    transaction!(shared.database, "session", |tx| {
        // Between the proof and now they may have been disabled, or the password changed to shut out who knew it.
        users::renew(tx, principal).await?;
        let row = sessions::ActiveModel {
            hash: Set(hash.clone()),
            user_name: Set(name.to_owned()),
            created_at: Set(now.millis()),
            expires_at: Set(expires_at.millis()),
        };
        sessions::Entity::insert(row).exec_without_returning(tx).await?;
        let surplus = sessions::Entity::find()
            .filter(Column::UserName.eq(name))
            .order_by_desc(Column::ExpiresAt)
            .order_by_desc(Column::Hash)
            .offset(PER_USER)
            // SQLite has no offset without a limit.
            .limit(1_000)
            .all(tx)
            .await?;
        if !surplus.is_empty() {
            let hashes = surplus.into_iter().map(|row| row.hash).filter(|other| *other != hash);
            sessions::Entity::delete_many().filter(Column::Hash.is_in(hashes)).exec(tx).await?;
        }
        Ok(())
    })?;
    Ok((session, limit(shared, now)))
}

pub(super) async fn find(shared: &Shared, session: &Secret) -> Result<Principal> {
    let hash = hash(session)?;
    let row = sessions::Entity::find_by_id(&hash).one(shared.database.read()).await?.ok_or_else(ended)?;
    let now = shared.now();
    // Asked of the limit too: it may have been shortened since the end was stored.
    let created_at = Timestamp(row.created_at);
    if row.expires_at.min(limit(shared, created_at).millis()) <= now.millis() {
        return Err(ended());
    }
    let user = users::find(shared.database.read(), &row.user_name).await?;
    let user = user.filter(|user| !user.disabled).ok_or_else(ended)?;
    let expires_at = expiry(shared, created_at, now);
    if expires_at.since(Timestamp(row.expires_at)) >= SLIDE {
        transaction!(shared.database, "session", |tx| {
            // It may have been ended meanwhile: then there is nothing to move.
            sessions::Entity::update_many()
                .col_expr(Column::ExpiresAt, expires_at.millis().into())
                .filter(Column::Hash.eq(&hash))
                .exec(tx)
                .await?;
            Ok(())
        })?;
    }
    users::principal(&user)
}

pub(super) async fn end(shared: &Shared, session: &Secret) -> Result<()> {
    let Ok(hash) = hash(session) else { return Ok(()) };
    transaction!(shared.database, "session", |tx| {
        sessions::Entity::delete_by_id(&hash).exec(tx).await?;
        Ok(())
    })
}

pub(super) async fn end_all(db: &impl ConnectionTrait, user: &str) -> Result<()> {
    sessions::Entity::delete_many().filter(Column::UserName.eq(user)).exec(db).await?;
    Ok(())
}

/// Drops those that have ended.
pub(crate) async fn prune(db: &impl ConnectionTrait, now: Timestamp) -> Result<u64> {
    let dropped = sessions::Entity::delete_many().filter(Column::ExpiresAt.lte(now.millis())).exec(db).await?;
    Ok(dropped.rows_affected)
}

/// When a session that is used now ends, if it is not used again.
fn expiry(shared: &Shared, created_at: Timestamp, now: Timestamp) -> Timestamp {
    now.saturating_add(shared.config.session_length.0).min(limit(shared, created_at))
}

/// When a session ends, however it is used.
fn limit(shared: &Shared, created_at: Timestamp) -> Timestamp {
    created_at.saturating_add(shared.config.session_limit.0)
}

fn hash(session: &Secret) -> Result<String> {
    tokens::hash(session).ok_or_else(ended)
}

fn ended() -> StoreError {
    Error::unauthenticated("the session has ended; log in again").into()
}
