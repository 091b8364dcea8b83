//! The tables' history. A migration that has been released is never edited; what changes comes after it.

mod m20260101_000001_initial;
mod m20260201_000001_due_by_receiver;
mod m20261201_000001_owners;
mod m20261202_000001_agents_leave;

use sea_orm_migration::prelude::*;

pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20260101_000001_initial::Migration),
            Box::new(m20260201_000001_due_by_receiver::Migration),
            Box::new(m20261201_000001_owners::Migration),
            Box::new(m20261202_000001_agents_leave::Migration),
        ]
    }
}
