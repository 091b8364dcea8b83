//! Workspaces: the walls between tenants.

use std::collections::HashSet;

use nightjar_model::identity::Actor;
use nightjar_model::names::resource_name_problem;
use nightjar_model::{Error, Problem, Timestamp};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, QueryOrder};

use crate::audit::{self, Act};
use crate::error::Result;
use crate::tables::workspaces;

pub(crate) async fn names(db: &impl ConnectionTrait) -> Result<Vec<String>> {
    let rows = workspaces::Entity::find().order_by_asc(workspaces::Column::Name).all(db).await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

pub(crate) async fn set(db: &impl ConnectionTrait) -> Result<HashSet<String>> {
    Ok(names(db).await?.into_iter().collect())
}

/// Refuses a workspace that is not there.
pub(crate) async fn require(db: &impl ConnectionTrait, name: &str) -> Result<()> {
    match workspaces::Entity::find_by_id(name).one(db).await? {
        Some(_) => Ok(()),
        None => Err(Error::not_found(format!("there is no workspace `{name}`")).into()),
    }
}

/// Makes it unless it is there.
pub(crate) async fn create(db: &impl ConnectionTrait, actor: &Actor, name: &str, now: Timestamp) -> Result<()> {
    if let Some(problem) = resource_name_problem(name) {
        let problem = Problem { path: "name".into(), message: problem.into() };
        return Err(Error::invalid(format!("`{name}` cannot be the name of a workspace"), vec![problem]).into());
    }
    if workspaces::Entity::find_by_id(name).one(db).await?.is_some() {
        return Ok(());
    }
    let row = workspaces::ActiveModel {
        name: Set(name.to_owned()),
        created_at: Set(now.millis()),
        created_by: Set(actor.name.clone()),
    };
    workspaces::Entity::insert(row).exec_without_returning(db).await?;
    let act = Act { action: "create", kind: "Workspace", name, workspace: Some(name), before: None, after: None };
    audit::record(db, actor, now, act).await
}
