//! How far each alert rule is judged, with the states of its keys.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rule_states")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub rule: String,
    pub rule_uid: String,
    pub judged_through: Option<i64>,
    pub states: String,
}

impl ActiveModelBehavior for ActiveModel {}
