//! API tokens, by their hash.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_tokens")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub name: String,
    pub hash: String,
    pub platform_admin: bool,
    pub roles: String,
    pub created_by: String,
    /// `user:NAME` or `system`.
    pub owner: Option<String>,
    /// Id of the API token that made it.
    pub made_by: Option<String>,
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub last_used_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
