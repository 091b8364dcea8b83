//! The first administrator, and the token given by the server's settings.

use std::path::PathBuf;

use nightjar_model::identity::{Actor, UserChange};
use nightjar_model::{Error, Secret};
use sea_orm::{EntityTrait, PaginatorTrait};

use super::{api_tokens, users};
use crate::enrolment::enrolment_tokens_without_owner;
use crate::error::Result;
use crate::store::Shared;
use crate::tables::users as table;
use crate::tokens;
use crate::vault::write_private;

const ADMIN: &str = "admin";

/// What the first start is given.
#[derive(Debug, Clone, Default)]
pub struct Bootstrap {
    /// Of the user `admin`; without one, a random password is written to `initial-admin-password`.
    pub admin_password: Option<Secret>,
    /// Becomes an administrator's API token; without one, that of an earlier start ends.
    pub bootstrap_token: Option<Secret>,
    pub data_dir: PathBuf,
}

/// What the first start made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bootstrapped {
    /// The user `admin` is new.
    pub admin_created: bool,
    /// Where its password was written, if it was made here.
    pub password_file: Option<PathBuf>,
}

pub(crate) async fn run(shared: &Shared, bootstrap: Bootstrap) -> Result<Bootstrapped> {
    let made = match table::Entity::find().count(shared.database.read()).await? {
        0 => first_admin(shared, &bootstrap).await?,
        _ => Bootstrapped::default(),
    };
    match &bootstrap.bootstrap_token {
        Some(token) => api_tokens::bootstrap(shared, token).await?,
        None => api_tokens::forget_bootstrap(shared).await?,
    }
    tell_of_ownerless(shared).await?;
    Ok(made)
}

/// Tokens of earlier versions whose maker is gone are not accepted; who runs the server must hear of it.
async fn tell_of_ownerless(shared: &Shared) -> Result<()> {
    let api = api_tokens::without_owner(shared.database.read()).await?;
    let enrolment = enrolment_tokens_without_owner(shared.database.read()).await?;
    if !api.is_empty() {
        let names = api.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
        tracing::warn!(
            "{} API tokens are not accepted, for nobody knows whose they are: {names}; make new ones and delete these",
            api.len()
        );
    }
    if enrolment > 0 {
        tracing::warn!(
            "{enrolment} enrolment tokens are not accepted, for nobody knows whose they are; make new ones and delete these"
        );
    }
    Ok(())
}

async fn first_admin(shared: &Shared, bootstrap: &Bootstrap) -> Result<Bootstrapped> {
    let (password, password_file) = match &bootstrap.admin_password {
        Some(password) => (password.clone(), None),
        None => {
            let password = Secret::new(tokens::new_token("")?.expose().chars().take(24).collect::<String>());
            // Before the user is there: a crash between the two leaves a file that the next start
            // replaces, never a user whose password nobody knows.
            let file = bootstrap.data_dir.join("initial-admin-password");
            write_private(&file, &format!("{}\n", password.expose()))?;
            (password, Some(file))
        }
    };
    let change = UserChange { password: Some(password), platform_admin: Some(true), ..UserChange::default() };
    users::put(shared, &Actor::system(), ADMIN, change).await.map_err(|error| match error {
        crate::error::StoreError::Refused(error) if !error.problems.is_empty() => {
            Error::invalid("the administrator's password (NIGHTJAR_ADMIN_PASSWORD) cannot be taken", error.problems)
                .into()
        }
        error => error,
    })?;
    Ok(Bootstrapped { admin_created: true, password_file })
}
