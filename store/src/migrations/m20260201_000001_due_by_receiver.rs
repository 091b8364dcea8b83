//! The queue is asked for one receiver at a time.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLE: &str = "notifications";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let by_receiver = ["status", "workspace", "channel", "receiver", "next_attempt_at"];
        let mut index = Index::create();
        index.name("notifications_by_due_receiver").table(TABLE);
        for column in by_receiver {
            index.col(column);
        }
        manager.create_index(index).await?;
        let old = Index::drop().name("notifications_by_status_next_attempt_at").table(TABLE).to_owned();
        manager.drop_index(old).await
    }
}
