//! Documents, each as it is now.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "resources")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: String,
    pub kind: String,
    pub workspace: String,
    pub name: String,
    pub version: i64,
    pub display_name: String,
    pub folder: String,
    pub labels: String,
    /// Secrets in it as `***`.
    pub spec: String,
    /// Path of each secret → what the vault made of it.
    pub secrets: String,
    pub created_at: i64,
    pub created_by: String,
    pub updated_at: i64,
    pub updated_by: String,
}

impl ActiveModelBehavior for ActiveModel {}
