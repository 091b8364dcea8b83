//! Proving who one is by a password.

use nightjar_model::identity::{Actor, Principal};
use nightjar_model::{Error, ErrorKind, Problems, Secret};
use sea_orm::ActiveValue::Set;
use sea_orm::EntityTrait;

use super::passwords::Turn;
use super::{passwords, refuse, users};
use crate::audit::{self, Act};
use crate::database::transaction;
use crate::error::{Result, StoreError};
use crate::store::Shared;
use crate::tables::users as table;

pub(super) async fn login(shared: &Shared, name: &str, password: &Secret, address: Option<&str>) -> Result<Principal> {
    let turn = allowed(shared, name, address).await?;
    // A name that no user can have is not even looked for: PostgreSQL takes no NUL.
    let row = match users::name_problem(name) {
        None => users::find(shared.database.read(), name).await?,
        Some(_) => None,
    };
    let right = shared.passwords.verify(&turn, password, row.as_ref().map(|row| row.password_hash.as_str())).await?;
    let actor = Actor { name: format!("user:{}", bounded(name)), address: address.map(str::to_owned) };
    let now = shared.now();
    let refusal = match &row {
        Some(row) if right && !row.disabled => None,
        // Only who knows the password learns that it would not help.
        Some(_) if right => Some("this user is disabled; ask an administrator"),
        _ => Some("the name or the password is wrong"),
    };
    let (Some(row), None) = (row, refusal) else {
        shared.throttle().failed(name, address, now);
        metrics::counter!("nightjar_store_logins_total", "result" => "failed").increment(1);
        transaction!(shared.database, "login-failed", |tx| {
            let name = bounded(name);
            let act = act("login_failed", &name);
            audit::record(tx, &actor, now, act).await
        })?;
        return Err(Error::unauthenticated(refusal.unwrap_or("the name or the password is wrong")).into());
    };
    shared.throttle().succeeded(name);
    drop(turn);
    metrics::counter!("nightjar_store_logins_total", "result" => "ok").increment(1);
    transaction!(shared.database, "login", |tx| {
        let seen = table::ActiveModel {
            name: Set(row.name.clone()),
            last_login_at: Set(Some(now.millis())),
            ..table::ActiveModel::default()
        };
        table::Entity::update(seen).exec_without_returning(tx).await?;
        audit::record(tx, &actor, now, act("login", &row.name)).await
    })?;
    Ok(Principal { actor, ..users::principal(&row)? })
}

pub(super) async fn change_password(
    shared: &Shared,
    actor: &Actor,
    name: &str,
    old: &Secret,
    new: &Secret,
) -> Result<()> {
    let mut problems = Problems::new();
    passwords::check(new, "new", &mut problems);
    refuse("the new password cannot be taken", problems)?;
    // Throttled like a login: who has found an open console must not guess the password with it.
    let turn = allowed(shared, name, actor.address.as_deref()).await?;
    let row = users::find(shared.database.read(), name).await?;
    let stored = row.as_ref().map(|row| row.password_hash.as_str());
    if !shared.passwords.verify(&turn, old, stored).await? {
        shared.throttle().failed(name, actor.address.as_deref(), shared.now());
        return Err(users::wrong_old_password().into());
    }
    shared.throttle().succeeded(name);
    let hash = shared.passwords.hash(&turn, new).await?;
    drop(turn);
    let now = shared.now();
    transaction!(shared.database, "password", |tx| {
        users::set_password(tx, name, &hash).await?;
        audit::record(tx, actor, now, act("change_password", name)).await
    })
}

/// Waits for one's turn to be checked, unless there have been too many failures. The failures are looked
/// at when it is one's turn, so attempts sent all at once gain nothing.
async fn allowed<'a>(shared: &'a Shared, name: &str, address: Option<&str>) -> Result<Turn<'a>> {
    let throttled = || shared.throttle().wait(name, address, shared.now());
    let refuse = |wait: std::time::Duration| -> StoreError {
        metrics::counter!("nightjar_store_logins_total", "result" => "throttled").increment(1);
        let seconds = wait.as_millis().div_ceil(1000);
        let message = format!("too many failed logins; try again in {seconds} s");
        Error::new(ErrorKind::TooManyRequests, message).into()
    };
    if let Some(wait) = throttled() {
        return Err(refuse(wait));
    }
    let turn = shared.passwords.turn().await?;
    match throttled() {
        Some(wait) => Err(refuse(wait)),
        None => Ok(turn),
    }
}

fn act<'a>(action: &'a str, name: &'a str) -> Act<'a> {
    Act { action, kind: "User", name, workspace: None, before: None, after: None }
}

/// The start of a name that was sent and may be anything.
fn bounded(name: &str) -> String {
    name.chars().take(64).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
