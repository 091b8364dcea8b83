//! What happened to alerts, in the order of `id`.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "alert_events")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub workspace: String,
    pub alert: String,
    pub at: i64,
    pub stage: String,
    pub outcome: String,
    pub reason: String,
    pub notification: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
