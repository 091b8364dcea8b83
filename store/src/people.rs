//! People and their tokens: the port. Only proves who somebody is; what they may do, `web` decides.

pub(crate) mod bootstrap;
pub(crate) mod owners;
pub(crate) mod passwords;
pub(crate) mod throttle;

mod api_tokens;
mod login;
mod sessions;
mod users;

use std::collections::BTreeMap;

use async_trait::async_trait;
use nightjar_model::identity::{Actor, ApiToken, NewApiToken, Principal, Role, User, UserChange};
use nightjar_model::ports::Identities;
use nightjar_model::{Error, Problems, Result, Secret, Timestamp};
use sea_orm::ConnectionTrait;

use crate::error::StoreError;
use crate::store::Store;
use crate::workspaces;

pub(crate) use api_tokens::prune as prune_api_tokens;
pub(crate) use sessions::prune as prune_sessions;

#[async_trait]
impl Identities for Store {
    async fn login(&self, name: &str, password: &Secret, address: Option<&str>) -> Result<Principal> {
        Ok(login::login(&self.shared, name, password, address).await?)
    }

    async fn start_session(&self, principal: &Principal) -> Result<(Secret, Timestamp)> {
        Ok(sessions::start(&self.shared, principal).await?)
    }

    async fn session(&self, session: &Secret) -> Result<Principal> {
        Ok(sessions::find(&self.shared, session).await?)
    }

    async fn end_session(&self, session: &Secret) -> Result<()> {
        Ok(sessions::end(&self.shared, session).await?)
    }

    async fn renew(&self, principal: &Principal) -> Result<Principal> {
        Ok(users::renew(self.shared.database.read(), principal).await?)
    }

    async fn token(&self, token: &Secret) -> Result<Principal> {
        Ok(api_tokens::find(&self.shared, token).await?)
    }

    async fn users(&self) -> Result<Vec<User>> {
        Ok(users::all(self.shared.database.read()).await?)
    }

    async fn put_user(&self, actor: &Actor, name: &str, change: UserChange) -> Result<User> {
        Ok(users::put(&self.shared, actor, name, change).await?)
    }

    async fn delete_user(&self, actor: &Actor, name: &str) -> Result<()> {
        Ok(users::delete(&self.shared, actor, name).await?)
    }

    async fn change_password(&self, actor: &Actor, name: &str, old: &Secret, new: &Secret) -> Result<()> {
        Ok(login::change_password(&self.shared, actor, name, old, new).await?)
    }

    async fn api_tokens(&self) -> Result<Vec<ApiToken>> {
        Ok(api_tokens::all(self.shared.database.read()).await?)
    }

    async fn create_api_token(&self, actor: &Actor, new: NewApiToken) -> Result<(ApiToken, Secret)> {
        Ok(api_tokens::create(&self.shared, actor, new).await?)
    }

    async fn delete_api_token(&self, actor: &Actor, id: &str) -> Result<()> {
        Ok(api_tokens::delete(&self.shared, actor, id).await?)
    }
}

type Roles = BTreeMap<String, Role>;

fn read_roles(of: &str, text: &str) -> Result<Roles, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("the roles of {of}"), error))
}

fn write_roles(roles: &Roles) -> Result<String, StoreError> {
    serde_json::to_string(roles).map_err(|error| StoreError::Internal(error.to_string()))
}

/// Adds a problem for each workspace that is not there.
async fn check_roles(db: &impl ConnectionTrait, roles: &Roles, problems: &mut Problems) -> Result<(), StoreError> {
    let known = workspaces::set(db).await?;
    for workspace in roles.keys().filter(|name| !known.contains(*name)) {
        problems.add(format!("roles.{workspace}"), format!("there is no workspace `{workspace}`"));
    }
    Ok(())
}

/// An error, unless there are no problems.
fn refuse(message: &str, problems: Problems) -> Result<(), StoreError> {
    let problems = problems.into_vec();
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid(message, problems).into()) }
}
