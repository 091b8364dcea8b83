//! Looking at alerts, their events and notifications. Listings are newest first, and their cursor is
//! the last row's time and id; an event's, which are numbered as they come, its id.

use nightjar_model::alert::{
    Alert, AlertEvent, AlertQuery, EventQuery, Notification, NotificationQuery, NotificationStatus, Receiver,
};
use nightjar_model::ports::Page;
use nightjar_model::{Error, Timestamp};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::rows;
use crate::audit::{bad_cursor, cut, one_more};
use crate::error::Result;
use crate::tables::{alert_events, alerts, notifications};

pub(super) async fn due_receivers(db: &impl ConnectionTrait, now: Timestamp) -> Result<Vec<(Receiver, u64)>> {
    use notifications::Column;
    let rows: Vec<(String, String, String, i64)> = notifications::Entity::find()
        .select_only()
        .columns([Column::Workspace, Column::Channel, Column::Receiver])
        .column_as(Column::Id.count(), "due")
        .filter(is_due(now)?)
        .group_by(Column::Workspace)
        .group_by(Column::Channel)
        .group_by(Column::Receiver)
        .into_tuple()
        .all(db)
        .await?;
    let receiver = |(workspace, channel, name, due): (String, String, String, i64)| {
        let channel = rows::read_word(&format!("a notification to {workspace}/{name}"), channel)?;
        Ok((Receiver { workspace, channel, name }, u64::try_from(due).unwrap_or_default()))
    };
    rows.into_iter().map(receiver).collect()
}

pub(super) async fn due_notifications(
    db: &impl ConnectionTrait,
    receiver: &Receiver,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<String>> {
    use notifications::Column;
    let ids = notifications::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(is_due(now)?)
        .filter(Column::Workspace.eq(&receiver.workspace))
        .filter(Column::Channel.eq(rows::word(&receiver.channel)?))
        .filter(Column::Receiver.eq(&receiver.name))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .limit(u64::from(limit))
        .into_tuple()
        .all(db)
        .await?;
    Ok(ids)
}

fn is_due(now: Timestamp) -> Result<Condition> {
    use notifications::Column;
    let pending = Column::Status.eq(rows::word(&NotificationStatus::Pending)?);
    Ok(Condition::all().add(pending).add(Column::NextAttemptAt.lte(now.millis())))
}

pub(super) async fn alert(db: &impl ConnectionTrait, workspace: &str, id: &str) -> Result<Alert> {
    let row = alerts::Entity::find_by_id(id).filter(alerts::Column::Workspace.eq(workspace)).one(db).await?;
    let missing = || Error::not_found(format!("there is no alert `{id}` in workspace `{workspace}`"));
    rows::alert(row.ok_or_else(missing)?)
}

pub(super) async fn alerts(db: &impl ConnectionTrait, query: &AlertQuery) -> Result<Page<Alert>> {
    use alerts::Column;
    let mut rows = alerts::Entity::find().filter(Column::Workspace.eq(&query.workspace));
    if let Some(status) = query.status {
        rows = rows.filter(Column::Status.eq(rows::word(&status)?));
    }
    if let Some(rule) = &query.rule {
        rows = rows.filter(Column::Rule.eq(rule));
    }
    if let Some(monitor) = &query.monitor {
        rows = rows.filter(Column::Monitor.eq(monitor));
    }
    if let Some(level) = query.level {
        rows = rows.filter(Column::Level.eq(rows::word(&level)?));
    }
    if let Some(since) = query.since {
        rows = rows.filter(Column::StartedAt.gte(since.millis()));
    }
    if let Some(cursor) = &query.cursor {
        rows = rows.filter(before(cursor, Column::StartedAt, Column::Id)?);
    }
    let rows =
        rows.order_by_desc(Column::StartedAt).order_by_desc(Column::Id).limit(one_more(query.limit)).all(db).await?;
    let (rows, next) = cut(rows, query.limit, |row| format!("{}.{}", row.started_at, row.id));
    Ok(Page { items: rows.into_iter().map(rows::alert).collect::<Result<_>>()?, next })
}

pub(super) async fn events(db: &impl ConnectionTrait, query: &EventQuery) -> Result<Page<AlertEvent>> {
    use alert_events::Column;
    let mut rows = alert_events::Entity::find()
        .filter(Column::Workspace.eq(&query.workspace))
        .filter(Column::Alert.eq(&query.alert));
    if let Some(cursor) = &query.cursor {
        let before: i64 = cursor.parse().map_err(|_| bad_cursor())?;
        rows = rows.filter(Column::Id.lt(before));
    }
    let rows = rows.order_by_desc(Column::Id).limit(one_more(query.limit)).all(db).await?;
    let (rows, next) = cut(rows, query.limit, |row| row.id.to_string());
    Ok(Page { items: rows.into_iter().map(rows::event).collect(), next })
}

pub(super) async fn notification(db: &impl ConnectionTrait, workspace: &str, id: &str) -> Result<Notification> {
    let row =
        notifications::Entity::find_by_id(id).filter(notifications::Column::Workspace.eq(workspace)).one(db).await?;
    let missing = || Error::not_found(format!("there is no notification `{id}` in workspace `{workspace}`"));
    rows::notification(row.ok_or_else(missing)?)
}

pub(super) async fn notifications(db: &impl ConnectionTrait, query: &NotificationQuery) -> Result<Page<Notification>> {
    use notifications::Column;
    let mut rows = notifications::Entity::find().filter(Column::Workspace.eq(&query.workspace));
    if let Some(alert) = &query.alert {
        rows = rows.filter(Column::Alert.eq(alert));
    }
    if let Some(status) = query.status {
        rows = rows.filter(Column::Status.eq(rows::word(&status)?));
    }
    if let Some(cursor) = &query.cursor {
        rows = rows.filter(before(cursor, Column::CreatedAt, Column::Id)?);
    }
    let rows =
        rows.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(one_more(query.limit)).all(db).await?;
    let (rows, next) = cut(rows, query.limit, |row| format!("{}.{}", row.created_at, row.id));
    Ok(Page { items: rows.into_iter().map(rows::notification).collect::<Result<_>>()?, next })
}

/// What comes after the cursor's row, newest first.
fn before(cursor: &str, time: impl ColumnTrait, id: impl ColumnTrait) -> Result<Condition> {
    let (millis, last) = cursor.split_once('.').ok_or_else(bad_cursor)?;
    let millis: i64 = millis.parse().map_err(|_| bad_cursor())?;
    let same_time = Condition::all().add(time.eq(millis)).add(id.lt(last));
    Ok(Condition::any().add(time.lt(millis)).add(same_time))
}
