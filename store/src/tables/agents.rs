//! Enrolled agents.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agents")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub workspace: String,
    pub key_hash: String,
    pub facts: String,
    pub enrolled_at: i64,
    pub last_seen_at: Option<i64>,
    pub left_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
