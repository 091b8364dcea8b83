//! Users. There is always an administrator who can log in.

use nightjar_model::identity::{Actor, Principal, User, UserChange};
use nightjar_model::{Error, Problem, Problems, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{check_roles, owners, passwords, read_roles, refuse, sessions, write_roles};
use crate::audit::{self, Act};
use crate::database::transaction;
use crate::error::Result;
use crate::store::Shared;
use crate::tables::users::{self, Column};

pub(super) async fn find(db: &impl ConnectionTrait, name: &str) -> Result<Option<users::Model>> {
    Ok(users::Entity::find_by_id(name).one(db).await?)
}

/// The user with the rights of now; how they were proved stays to be said.
pub(super) fn principal(row: &users::Model) -> Result<Principal> {
    Ok(Principal {
        roles: read_roles(&row.name, &row.roles)?,
        platform_admin: row.platform_admin,
        credential: Some(credential(row)),
        actor: Actor { name: format!("{}{}", owners::USER, row.name), address: None },
    })
}

/// What tells one password of a user from the next. Hashes are salted, so the same password given again is another.
pub(super) fn credential(row: &users::Model) -> String {
    format!("{:x}", Sha256::digest(row.password_hash.as_bytes()))
}

/// Somebody proved before, as they are now.
pub(super) async fn renew(db: &impl ConnectionTrait, known: &Principal) -> Result<Principal> {
    let row = match known.actor.name.strip_prefix(owners::USER) {
        Some(name) => find(db, name).await?,
        None => None,
    };
    match row {
        Some(row) if !row.disabled && known.credential.as_ref() == Some(&credential(&row)) => {
            let mut renewed = principal(&row)?;
            renewed.actor.address.clone_from(&known.actor.address);
            Ok(renewed)
        }
        _ => Err(Error::unauthenticated("the name or the password is not right any more; log in again").into()),
    }
}

pub(super) async fn all(db: &impl ConnectionTrait) -> Result<Vec<User>> {
    let rows = users::Entity::find().order_by_asc(Column::Name).all(db).await?;
    rows.iter().map(shown).collect()
}

pub(super) async fn put(shared: &Shared, actor: &Actor, name: &str, change: UserChange) -> Result<User> {
    let mut problems = Problems::new();
    if let Some(password) = &change.password {
        passwords::check(password, "password", &mut problems);
    }
    if change.display_name.as_ref().is_some_and(|name| name.chars().count() > 200) {
        problems.add("displayName", "is longer than 200 characters");
    }
    if let Some(roles) = &change.roles {
        check_roles(shared.database.read(), roles, &mut problems).await?;
    }
    let existing = find(shared.database.read(), name).await?;
    if existing.is_none() {
        if let Some(problem) = name_problem(name) {
            problems.add("name", problem);
        }
        if change.password.is_none() {
            problems.add("password", "is required for a new user");
        }
    }
    refuse(&format!("user `{name}` is not valid; nothing was changed"), problems)?;
    let hash = match &change.password {
        Some(password) => {
            let turn = shared.passwords.turn().await?;
            Some(shared.passwords.hash(&turn, password).await?)
        }
        None => None,
    };
    let now = shared.now();
    transaction!(shared.database, "user", |tx| {
        let before = find(tx, name).await?;
        let row = changed(before.as_ref(), name, &change, hash.as_deref(), now)?;
        match &before {
            Some(_) => users::Entity::update(row.clone().into_active_model().reset_all())
                .exec_without_returning(tx)
                .await
                .map(drop)?,
            None => {
                users::Entity::insert(row.clone().into_active_model()).exec_without_returning(tx).await.map(drop)?
            }
        }
        if before.as_ref().is_some_and(|before| before.platform_admin && !before.disabled) {
            require_admin(tx).await?;
        }
        if before.is_some() && (hash.is_some() || row.disabled) {
            sessions::end_all(tx, name).await?;
        }
        let after = shown(&row)?;
        let told = match (before.as_ref().map(told).transpose()?, told(&row)?) {
            (Some(before), after) if before == after && hash.is_none() => None,
            (before, after) => Some((before, after)),
        };
        if let Some((before, mut value)) = told {
            if before.is_some() && hash.is_some() {
                value["password"] = json!("changed");
            }
            let action = if before.is_some() { "update" } else { "create" };
            let act = Act { action, kind: "User", name, workspace: None, before, after: Some(value) };
            audit::record(tx, actor, now, act).await?;
        }
        Ok(after)
    })
}

pub(super) async fn delete(shared: &Shared, actor: &Actor, name: &str) -> Result<()> {
    let now = shared.now();
    transaction!(shared.database, "delete-user", |tx| {
        let row = find(tx, name).await?.ok_or_else(|| Error::not_found(format!("there is no user `{name}`")))?;
        users::Entity::delete_by_id(name).exec(tx).await?;
        if row.platform_admin && !row.disabled {
            require_admin(tx).await?;
        }
        owners::delete_all_of(tx, actor, now, name).await?;
        let before = Some(told(&row)?);
        let act = Act { action: "delete", kind: "User", name, workspace: None, before, after: None };
        audit::record(tx, actor, now, act).await
    })
}

/// As the audit log and the API show a user.
pub(super) fn shown(row: &users::Model) -> Result<User> {
    Ok(User {
        name: row.name.clone(),
        display_name: row.display_name.clone(),
        platform_admin: row.platform_admin,
        roles: read_roles(&row.name, &row.roles)?,
        disabled: row.disabled,
        created_at: Timestamp(row.created_at),
        last_login_at: row.last_login_at.map(Timestamp),
    })
}

fn told(row: &users::Model) -> Result<Value> {
    let user = shown(row)?;
    Ok(json!({
        "displayName": user.display_name,
        "platformAdmin": user.platform_admin,
        "roles": user.roles,
        "disabled": user.disabled,
    }))
}

fn changed(
    before: Option<&users::Model>,
    name: &str,
    change: &UserChange,
    hash: Option<&str>,
    now: Timestamp,
) -> Result<users::Model> {
    let mut row = match (before, hash) {
        (Some(before), _) => before.clone(),
        (None, Some(hash)) => users::Model {
            name: name.to_owned(),
            display_name: String::new(),
            password_hash: hash.to_owned(),
            platform_admin: false,
            roles: "{}".to_owned(),
            disabled: false,
            created_at: now.millis(),
            last_login_at: None,
        },
        // Deleted by another since it was looked at.
        (None, None) => return Err(Error::not_found(format!("there is no user `{name}` any more")).into()),
    };
    if let Some(hash) = hash {
        row.password_hash = hash.to_owned();
    }
    if let Some(display_name) = &change.display_name {
        row.display_name.clone_from(display_name);
    }
    if let Some(admin) = change.platform_admin {
        row.platform_admin = admin;
    }
    if let Some(roles) = &change.roles {
        row.roles = write_roles(roles)?;
    }
    if let Some(disabled) = change.disabled {
        row.disabled = disabled;
    }
    Ok(row)
}

async fn require_admin(db: &impl ConnectionTrait) -> Result<()> {
    let left = users::Entity::find()
        .filter(Column::PlatformAdmin.eq(true))
        .filter(Column::Disabled.eq(false))
        .count(db)
        .await?;
    match left {
        0 => Err(Error::conflict("this is the last administrator; make another one first").into()),
        _ => Ok(()),
    }
}

pub(super) async fn set_password(db: &impl ConnectionTrait, name: &str, hash: &str) -> Result<()> {
    let row =
        users::ActiveModel { name: Set(name.to_owned()), password_hash: Set(hash.to_owned()), ..Default::default() };
    users::Entity::update(row).exec_without_returning(db).await?;
    sessions::end_all(db, name).await
}

pub(super) fn name_problem(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
    let starts = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    (!starts || name.len() > 63 || !name.chars().all(allowed))
        .then(|| "must be 1 to 63 letters, digits and `.` `_` `@` `-`, starting with a letter or digit".to_owned())
}

/// The problem of a password that was to be proved.
pub(super) fn wrong_old_password() -> Error {
    let problem = Problem { path: "old".into(), message: "is not the present password".into() };
    Error::invalid("the present password is not right", vec![problem])
}
