//! Which document names which, and where.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "resource_references")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The referrer's uid; the other columns say what it names.
    pub referrer: String,
    pub kind: String,
    pub workspace: String,
    pub name: String,
    pub path: String,
}

impl ActiveModelBehavior for ActiveModel {}
