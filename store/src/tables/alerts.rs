//! Alerts, firing and past.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "alerts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub workspace: String,
    pub rule: String,
    pub rule_title: String,
    pub monitor: String,
    pub folder: String,
    pub keys: String,
    pub level: String,
    pub status: String,
    pub started_at: i64,
    pub ended_at: Option<i64>,
    pub summary: String,
    /// `Alert::values`.
    pub figures: String,
}

impl ActiveModelBehavior for ActiveModel {}
