//! The first tables. Times are milliseconds since 1970; JSON is kept as text.

use sea_orm::DbBackend;
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns { postgres: manager.get_database_backend() == DbBackend::Postgres };
        for table in columns.documents().into_iter().chain(columns.people()).chain(columns.alerts()) {
            manager.create_table(table).await?;
        }
        for (table, unique, on) in [
            ("resources", true, &["kind", "workspace", "name"][..]),
            ("resource_versions", true, &["kind", "workspace", "name", "version"]),
            ("resource_versions", false, &["deleted_at"]),
            ("resource_references", false, &["kind", "workspace", "name"]),
            ("resource_references", false, &["referrer"]),
            ("sessions", false, &["user_name"]),
            ("sessions", false, &["expires_at"]),
            ("enrolment_tokens", false, &["workspace"]),
            ("agents", false, &["workspace"]),
            ("audit", false, &["workspace", "id"]),
            ("audit", false, &["at"]),
            ("alerts", false, &["workspace", "started_at", "id"]),
            ("alerts", false, &["workspace", "status"]),
            ("alerts", false, &["ended_at"]),
            ("alert_events", false, &["alert"]),
            ("notifications", true, &["workspace", "dedup_key"]),
            ("notifications", false, &["status", "next_attempt_at"]),
            ("notifications", false, &["workspace", "created_at", "id"]),
            ("notifications", false, &["alert"]),
        ] {
            let mut index = Index::create();
            index.name(format!("{table}_by_{}", on.join("_"))).table(Alias::new(table));
            if unique {
                index.unique();
            }
            for column in on {
                index.col(Alias::new(*column));
            }
            manager.create_index(index).await?;
        }
        let default = Query::insert()
            .into_table("workspaces")
            .columns(["name", "created_at", "created_by"])
            .values_panic([nightjar_model::names::DEFAULT_WORKSPACE.into(), 0i64.into(), "system".into()])
            .to_owned();
        manager.get_connection().execute(&default).await?;
        Ok(())
    }
}

struct Columns {
    postgres: bool,
}

impl Columns {
    /// Text that is compared and sorted byte by byte, whatever the database's language.
    fn key(&self, name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        column.text().not_null();
        if self.postgres {
            column.extra("COLLATE \"C\"");
        }
        column
    }

    fn text(&self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name).text().not_null().to_owned()
    }

    fn text_or_null(&self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name).text().null().to_owned()
    }

    fn number(&self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name).big_integer().not_null().to_owned()
    }

    fn number_or_null(&self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name).big_integer().null().to_owned()
    }

    fn flag(&self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name).boolean().not_null().to_owned()
    }

    fn primary(&self, name: &'static str) -> ColumnDef {
        self.key(name).primary_key().to_owned()
    }

    fn counter(&self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name).big_integer().not_null().auto_increment().primary_key().to_owned()
    }

    fn table(&self, name: &'static str, columns: impl IntoIterator<Item = ColumnDef>) -> TableCreateStatement {
        let mut table = Table::create();
        table.table(name);
        for column in columns {
            table.col(column);
        }
        table
    }

    fn document(&self) -> [ColumnDef; 13] {
        [
            self.key("kind"),
            self.key("workspace"),
            self.key("name"),
            self.number("version"),
            self.text("display_name"),
            self.text("folder"),
            self.text("labels"),
            self.text("spec"),
            self.text("secrets"),
            self.number("created_at"),
            self.text("created_by"),
            self.number("updated_at"),
            self.text("updated_by"),
        ]
    }

    fn documents(&self) -> Vec<TableCreateStatement> {
        let mut references = self.table(
            "resource_references",
            [
                self.counter("id"),
                self.key("referrer"),
                self.key("kind"),
                self.key("workspace"),
                self.key("name"),
                self.text("path"),
            ],
        );
        references.foreign_key(
            ForeignKey::create()
                .name("resource_references_of")
                .from("resource_references", "referrer")
                .to("resources", "uid")
                .on_delete(ForeignKeyAction::Cascade),
        );
        let versions = [self.counter("id"), self.key("uid"), self.number_or_null("deleted_at")];
        vec![
            self.table("settings", [self.primary("name"), self.text("value")]),
            self.table("workspaces", [self.primary("name"), self.number("created_at"), self.text("created_by")]),
            self.table("resources", [self.primary("uid")].into_iter().chain(self.document())),
            self.table("resource_versions", versions.into_iter().chain(self.document())),
            references,
            self.table(
                "audit",
                [
                    self.counter("id"),
                    self.number("at"),
                    self.text("actor"),
                    self.text_or_null("address"),
                    self.text_or_null("workspace"),
                    self.text("action"),
                    self.text("kind"),
                    self.text("name"),
                    self.text_or_null("before"),
                    self.text_or_null("after"),
                ],
            ),
        ]
    }

    fn people(&self) -> Vec<TableCreateStatement> {
        let mut sessions = self.table(
            "sessions",
            [self.primary("hash"), self.key("user_name"), self.number("created_at"), self.number("expires_at")],
        );
        sessions.foreign_key(
            ForeignKey::create()
                .name("sessions_of")
                .from("sessions", "user_name")
                .to("users", "name")
                .on_delete(ForeignKeyAction::Cascade),
        );
        let hash = || self.key("hash").unique_key().to_owned();
        vec![
            self.table(
                "users",
                [
                    self.primary("name"),
                    self.text("display_name"),
                    self.text("password_hash"),
                    self.flag("platform_admin"),
                    self.text("roles"),
                    self.flag("disabled"),
                    self.number("created_at"),
                    self.number_or_null("last_login_at"),
                ],
            ),
            sessions,
            self.table(
                "api_tokens",
                [
                    self.primary("id"),
                    self.key("name").unique_key().to_owned(),
                    hash(),
                    self.flag("platform_admin"),
                    self.text("roles"),
                    self.text("created_by"),
                    self.number("created_at"),
                    self.number_or_null("expires_at"),
                    self.number_or_null("last_used_at"),
                ],
            ),
            self.table(
                "enrolment_tokens",
                [
                    self.primary("id"),
                    self.key("workspace"),
                    self.text("note"),
                    hash(),
                    self.number_or_null("uses_left"),
                    self.number("used"),
                    self.text("created_by"),
                    self.number("created_at"),
                    self.number_or_null("expires_at"),
                    self.number_or_null("last_used_at"),
                ],
            ),
            self.table(
                "agents",
                [
                    self.primary("id"),
                    self.key("workspace"),
                    self.text("key_hash"),
                    self.text("facts"),
                    self.number("enrolled_at"),
                    self.number_or_null("last_seen_at"),
                ],
            ),
        ]
    }

    fn alerts(&self) -> Vec<TableCreateStatement> {
        let mut rules = self.table(
            "rule_states",
            [
                self.key("workspace"),
                self.key("rule"),
                self.text("rule_uid"),
                self.number_or_null("judged_through"),
                self.text("states"),
            ],
        );
        rules.primary_key(Index::create().col("workspace").col("rule"));
        vec![
            rules,
            self.table(
                "alerts",
                [
                    self.primary("id"),
                    self.key("workspace"),
                    self.text("rule"),
                    self.text("rule_title"),
                    self.text("monitor"),
                    self.text("folder"),
                    self.text("keys"),
                    self.text("level"),
                    self.text("status"),
                    self.number("started_at"),
                    self.number_or_null("ended_at"),
                    self.text("summary"),
                    self.text("figures"),
                ],
            ),
            self.table(
                "alert_events",
                [
                    self.counter("id"),
                    self.key("workspace"),
                    self.key("alert"),
                    self.number("at"),
                    self.text("stage"),
                    self.text("outcome"),
                    self.text("reason"),
                    self.text_or_null("notification"),
                ],
            ),
            self.table(
                "notifications",
                [
                    self.primary("id"),
                    self.key("workspace"),
                    self.key("dedup_key"),
                    self.key("alert"),
                    self.text("channel"),
                    self.text("receiver"),
                    self.text("status"),
                    self.number("attempts"),
                    self.number("created_at"),
                    self.number("next_attempt_at"),
                    self.number_or_null("sent_at"),
                    self.text("payload"),
                    self.text_or_null("last_answer"),
                ],
            ),
        ]
    }
}
