//! To whom a token belongs: whose rights bound its own, and with whom it goes. Nobody can leave behind a
//! token that is worth more than they are.

use nightjar_model::identity::{Actor, Rights};
use nightjar_model::{Error, Problem, Timestamp};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::{api_tokens, read_roles, users};
use crate::enrolment::delete_enrolment_tokens;
use crate::error::{Result, StoreError};
use crate::tables::{api_tokens as api_table, enrolment_tokens as enrolment_table};

/// How an owner or actor who is a user is written.
pub(crate) const USER: &str = "user:";
const TOKEN: &str = "token:";
/// What the server's settings give belongs to nobody else.
pub(crate) const SYSTEM: &str = "system";

/// From whom a token comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) owner: String,
    /// Id of the API token that made it, if one did.
    pub(crate) made_by: Option<String>,
    /// When that one ends.
    ends: Option<Timestamp>,
}

impl Origin {
    pub(crate) fn system() -> Self {
        Self { owner: SYSTEM.to_owned(), made_by: None, ends: None }
    }

    /// Refuses a token that would outlive the one that makes it.
    pub(crate) fn check_end(&self, expires_at: Option<Timestamp>) -> Result<()> {
        match self.ends {
            Some(ends) if expires_at.is_none_or(|at| at > ends) => {
                let message = format!("must be at most {ends}, when the token ends that makes it");
                let problem = Problem { path: "expiresAt".into(), message };
                Err(Error::invalid("the token would outlive the one that makes it", vec![problem]).into())
            }
            _ => Ok(()),
        }
    }
}

/// The origin of what `actor` makes now, in the transaction that makes it.
pub(crate) async fn origin(db: &impl ConnectionTrait, actor: &Actor) -> Result<Origin> {
    if actor.name == SYSTEM {
        return Ok(Origin::system());
    }
    if let Some(user) = actor.name.strip_prefix(USER) {
        users::find(db, user).await?.filter(|user| !user.disabled).ok_or_else(gone)?;
        return Ok(Origin { owner: actor.name.clone(), made_by: None, ends: None });
    }
    let name = actor.name.strip_prefix(TOKEN).ok_or_else(gone)?;
    let token = api_table::Entity::find().filter(api_table::Column::Name.eq(name)).one(db).await?.ok_or_else(gone)?;
    let owner = token.owner.ok_or_else(gone)?;
    Ok(Origin { owner, made_by: Some(token.id), ends: token.expires_at.map(Timestamp) })
}

/// What the owner may do now; `None` for one who may do nothing any more.
pub(crate) async fn rights(db: &impl ConnectionTrait, owner: Option<&str>) -> Result<Option<Rights>> {
    let Some(owner) = owner else { return Ok(None) };
    if owner == SYSTEM {
        return Ok(Some(Rights { platform_admin: true, ..Rights::default() }));
    }
    let Some(name) = owner.strip_prefix(USER) else { return Ok(None) };
    match users::find(db, name).await? {
        Some(user) if !user.disabled => {
            let roles = read_roles(&user.name, &user.roles)?;
            Ok(Some(Rights { platform_admin: user.platform_admin, roles }))
        }
        _ => Ok(None),
    }
}

/// Deletes all tokens of a user who leaves: what they know of them must not outlast them.
pub(super) async fn delete_all_of(db: &impl ConnectionTrait, actor: &Actor, now: Timestamp, user: &str) -> Result<()> {
    let owner = format!("{USER}{user}");
    api_tokens::delete_where(db, actor, now, api_table::Column::Owner.eq(&owner)).await?;
    delete_enrolment_tokens(db, actor, now, enrolment_table::Column::Owner.eq(&owner)).await
}

/// Deletes the tokens that one made, and those that these made.
pub(super) async fn delete_made_by(db: &impl ConnectionTrait, actor: &Actor, now: Timestamp, id: &str) -> Result<()> {
    let mut makers = vec![id.to_owned()];
    // Each has one maker and is deleted when it is met, so this ends.
    while !makers.is_empty() {
        let by_these = enrolment_table::Column::MadeBy.is_in(makers.clone());
        delete_enrolment_tokens(db, actor, now, by_these).await?;
        makers = api_tokens::delete_where(db, actor, now, api_table::Column::MadeBy.is_in(makers)).await?;
    }
    Ok(())
}

fn gone() -> StoreError {
    Error::unauthenticated("who asks is not known here any more, or disabled; log in again").into()
}
