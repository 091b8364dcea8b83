//! Alerts: the port, and committing what a step of evaluation or delivery changed.

mod queries;
mod rows;

use async_trait::async_trait;
use nightjar_model::alert::{
    Alert, AlertCommit, AlertEvent, AlertQuery, EventQuery, Notification, NotificationQuery, NotificationStatus,
    Receiver, RuleState, rule_timeline,
};
use nightjar_model::ports::{AlertStore, Page};
use nightjar_model::{Result, Timestamp};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, Iterable, QueryFilter, QueryOrder, QuerySelect};

use crate::database::transaction;
use crate::error::StoreError;
use crate::store::{Shared, Store};
use crate::tables::{alert_events, alerts, notifications, rule_states};

/// Rows written by one statement: SQLite takes 32,766 values in one.
const CHUNK: usize = 500;

#[async_trait]
impl AlertStore for Store {
    async fn rule_state(&self, workspace: &str, rule: &str) -> Result<RuleState> {
        let key = (workspace.to_owned(), rule.to_owned());
        let row =
            rule_states::Entity::find_by_id(key).one(self.shared.database.read()).await.map_err(StoreError::from)?;
        Ok(row.map(rows::rule_state).transpose()?.unwrap_or_default())
    }

    async fn rules_with_state(&self) -> Result<Vec<(String, String)>> {
        let keys = rule_states::Entity::find()
            .select_only()
            .columns([rule_states::Column::Workspace, rule_states::Column::Rule])
            .order_by_asc(rule_states::Column::Workspace)
            .order_by_asc(rule_states::Column::Rule)
            .into_tuple()
            .all(self.shared.database.read())
            .await
            .map_err(StoreError::from)?;
        Ok(keys)
    }

    async fn forget_rule(&self, workspace: &str, rule: &str) -> Result<()> {
        Ok(transaction!(self.shared.database, "forget-rule", |tx| {
            rule_states::Entity::delete_by_id((workspace.to_owned(), rule.to_owned())).exec(tx).await?;
            Ok(())
        })?)
    }

    async fn commit(&self, commit: AlertCommit) -> Result<()> {
        Ok(transaction!(self.shared.database, "alerts", |tx| write(tx, &commit).await)?)
    }

    async fn due_receivers(&self, now: Timestamp) -> Result<Vec<(Receiver, u64)>> {
        Ok(queries::due_receivers(self.shared.database.read(), now).await?)
    }

    async fn due_notifications(&self, receiver: &Receiver, now: Timestamp, limit: u32) -> Result<Vec<String>> {
        Ok(queries::due_notifications(self.shared.database.read(), receiver, now, limit).await?)
    }

    async fn alert(&self, workspace: &str, id: &str) -> Result<Alert> {
        Ok(queries::alert(self.shared.database.read(), workspace, id).await?)
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Page<Alert>> {
        Ok(queries::alerts(self.shared.database.read(), query).await?)
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<AlertEvent>> {
        Ok(queries::events(self.shared.database.read(), query).await?)
    }

    async fn notification(&self, workspace: &str, id: &str) -> Result<Notification> {
        Ok(queries::notification(self.shared.database.read(), workspace, id).await?)
    }

    async fn notifications(&self, query: &NotificationQuery) -> Result<Page<Notification>> {
        Ok(queries::notifications(self.shared.database.read(), query).await?)
    }

    async fn prune(&self, before: Timestamp) -> Result<u64> {
        Ok(prune(&self.shared, before).await?)
    }
}

async fn write(db: &impl ConnectionTrait, commit: &AlertCommit) -> Result<(), StoreError> {
    let workspace = &commit.workspace;
    if let Some((rule, state)) = &commit.rule {
        use rule_states::Column;
        let mut replace = OnConflict::columns([Column::Workspace, Column::Rule]);
        replace.update_columns([Column::RuleUid, Column::JudgedThrough, Column::States]);
        let row = rows::rule_state_row(workspace, rule, state)?;
        rule_states::Entity::insert(row).on_conflict(replace).exec_without_returning(db).await?;
    }
    for some in commit.alerts.chunks(CHUNK) {
        use alerts::Column;
        let changes = Column::iter().filter(|column| !matches!(column, Column::Id | Column::Workspace));
        let mut replace = OnConflict::column(Column::Id);
        replace.update_columns(changes).action_and_where(same_workspace("alerts"));
        let rows = some.iter().map(|alert| rows::alert_row(workspace, alert)).collect::<Result<Vec<_>, _>>()?;
        alerts::Entity::insert_many(rows).on_conflict(replace).exec_without_returning(db).await?;
    }
    for some in commit.events.chunks(CHUNK) {
        let rows: Vec<_> = some.iter().map(|event| rows::event_row(workspace, event)).collect();
        alert_events::Entity::insert_many(rows).exec_without_returning(db).await?;
    }
    for notification in &commit.notifications {
        write_notification(db, workspace, notification).await?;
    }
    Ok(())
}

async fn write_notification(
    db: &impl ConnectionTrait,
    workspace: &str,
    notification: &Notification,
) -> Result<(), StoreError> {
    use notifications::Column;
    let row = rows::notification_row(workspace, notification)?;
    let there = notifications::Entity::find()
        .filter(Column::Workspace.eq(workspace))
        .filter(Column::DedupKey.eq(&notification.dedup_key))
        .one(db)
        .await?;
    match there {
        Some(other) if other.id != notification.id => {
            metrics::counter!("nightjar_store_duplicate_notifications_total").increment(1);
            return Ok(());
        }
        Some(_) => {
            notifications::Entity::update(row).exec_without_returning(db).await?;
        }
        None => {
            notifications::Entity::insert(row).exec_without_returning(db).await?;
        }
    }
    if notification.status == NotificationStatus::Failed {
        metrics::counter!("nightjar_store_failed_notifications_total").increment(1);
    }
    Ok(())
}

/// For an upsert: a row of another workspace is left alone, whatever its id.
fn same_workspace(table: &'static str) -> sea_orm::sea_query::Expr {
    use sea_orm::sea_query::{Expr, ExprTrait};
    Expr::col((table, "workspace")).equals(("excluded", "workspace"))
}

/// A few rows at a time, so that others can write between.
pub(crate) async fn prune(shared: &Shared, before: Timestamp) -> Result<u64, StoreError> {
    let mut pruned = 0;
    loop {
        let dropped = transaction!(shared.database, "prune-alerts", |tx| drop_alerts(tx, before).await)?;
        if dropped == 0 {
            break;
        }
        pruned += dropped;
    }
    loop {
        let dropped = transaction!(shared.database, "prune-timelines", |tx| drop_timelines(tx, before).await)?;
        metrics::counter!("nightjar_store_pruned_total", "what" => "timelines").increment(dropped);
        if dropped < CHUNK as u64 {
            break;
        }
    }
    metrics::counter!("nightjar_store_pruned_total", "what" => "alerts").increment(pruned);
    Ok(pruned)
}

async fn drop_alerts(db: &impl ConnectionTrait, before: Timestamp) -> Result<u64, StoreError> {
    let ids: Vec<String> = alerts::Entity::find()
        .select_only()
        .column(alerts::Column::Id)
        .filter(alerts::Column::EndedAt.lt(before.millis()))
        .limit(CHUNK as u64)
        .into_tuple()
        .all(db)
        .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let of = notifications::Column::Alert.is_in(ids.clone());
    notifications::Entity::delete_many().filter(of).exec(db).await?;
    let of = alert_events::Column::Alert.is_in(ids.clone());
    alert_events::Entity::delete_many().filter(of).exec(db).await?;
    let dropped = alerts::Entity::delete_many().filter(alerts::Column::Id.is_in(ids)).exec(db).await?;
    Ok(dropped.rows_affected)
}

/// Events of the timelines of rules, which no alert takes with it.
async fn drop_timelines(db: &impl ConnectionTrait, before: Timestamp) -> Result<u64, StoreError> {
    let ids: Vec<i64> = alert_events::Entity::find()
        .select_only()
        .column(alert_events::Column::Id)
        .filter(alert_events::Column::Alert.starts_with(rule_timeline("")))
        .filter(alert_events::Column::At.lt(before.millis()))
        .limit(CHUNK as u64)
        .into_tuple()
        .all(db)
        .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let dropped = alert_events::Entity::delete_many().filter(alert_events::Column::Id.is_in(ids)).exec(db).await?;
    Ok(dropped.rows_affected)
}
