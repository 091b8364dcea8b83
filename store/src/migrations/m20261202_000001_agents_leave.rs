//! Agents that signed off.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut left_at = ColumnDef::new("left_at");
        left_at.big_integer().null();
        manager.alter_table(Table::alter().table("agents").add_column(left_at).to_owned()).await
    }
}
