//! Alerts, and what was sent about them.

use std::sync::Arc;

use axum::extract::{Path, State};
use nightjar_model::Timestamp;
use nightjar_model::alert::{
    Alert, AlertEvent, AlertQuery, AlertStatus, EventQuery, Notification, NotificationQuery, NotificationStatus,
    rule_timeline,
};
use nightjar_model::kinds::alert_rule::Level;
use nightjar_model::ports::Page;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{ItemsPage, Routes};
use crate::body::json;
use crate::params::{PageParams, Params};
use crate::problem::Answer;
use crate::serve::Shared;

/// More events or notifications of one alert than this are found by `/alerts/{id}/events` and
/// `/notifications?alert=`.
const MOST_OF_ONE: u32 = 500;

pub(super) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(events))
        .routes(routes!(timeline))
        .routes(routes!(notifications))
        .routes(routes!(notification))
}

/// An alert with what happened to it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertDetail {
    alert: Alert,
    /// The latest 500, oldest first; `/alerts/{id}/events` has the others.
    events: Vec<AlertEvent>,
    /// The cursor of those before them; null where there are none.
    earlier: Option<String>,
    notifications: Vec<Notification>,
}

/// Alerts, newest first
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/alerts", tag = "alerts", operation_id = "alerts",
    params(("ws" = String, Path), ("status" = Option<AlertStatus>, Query), ("rule" = Option<String>, Query),
        ("monitor" = Option<String>, Query), ("level" = Option<Level>, Query), ("since" = Option<Timestamp>, Query),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = ItemsPage<Alert>)),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn list(State(shared): State<Arc<Shared>>, Path(ws): Path<String>, mut params: Params) -> Answer {
    let page = params.page();
    let query = AlertQuery {
        workspace: ws,
        status: params.value("status"),
        rule: params.text("rule"),
        monitor: params.text("monitor"),
        level: params.value("level"),
        since: params.time("since"),
        limit: page.limit,
        cursor: page.cursor,
    };
    params.finish()?;
    json(&ItemsPage::from(shared.services.alerts.alerts(&query).await?))
}

/// An alert, its events and its notifications
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/alerts/{id}", tag = "alerts", operation_id = "alert",
    params(("ws" = String, Path), ("id" = String, Path)), responses((status = 200, body = AlertDetail)),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn show(State(shared): State<Arc<Shared>>, Path((ws, id)): Path<(String, String)>) -> Answer {
    let store = &shared.services.alerts;
    let alert = store.alert(&ws, &id).await?;
    let query = EventQuery { workspace: ws.clone(), alert: id.clone(), limit: MOST_OF_ONE, ..EventQuery::default() };
    let Page { items: mut events, next: earlier } = store.events(&query).await?;
    events.reverse();
    let query =
        NotificationQuery { workspace: ws, alert: Some(id), limit: MOST_OF_ONE, ..NotificationQuery::default() };
    let notifications = store.notifications(&query).await?.items;
    json(&AlertDetail { alert, events, earlier, notifications })
}

/// What happened to an alert, newest first
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/alerts/{id}/events", tag = "alerts", operation_id = "alert_events",
    params(("ws" = String, Path), ("id" = String, Path), ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = ItemsPage<AlertEvent>)),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn events(State(shared): State<Arc<Shared>>, Path((ws, id)): Path<(String, String)>, page: PageParams) -> Answer {
    let alert = shared.services.alerts.alert(&ws, &id).await?;
    events_of(&shared, ws, alert.id, page).await
}

/// What befell a rule while none of its alerts was there, newest first: why it did not fire
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/alert-rules/{name}/events", tag = "alerts", operation_id = "rule_events",
    params(("ws" = String, Path), ("name" = String, Path), ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = ItemsPage<AlertEvent>)),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn timeline(
    State(shared): State<Arc<Shared>>,
    Path((ws, name)): Path<(String, String)>,
    page: PageParams,
) -> Answer {
    events_of(&shared, ws, rule_timeline(&name), page).await
}

async fn events_of(shared: &Shared, workspace: String, alert: String, page: PageParams) -> Answer {
    let query = EventQuery { workspace, alert, limit: page.limit, cursor: page.cursor };
    json(&ItemsPage::from(shared.services.alerts.events(&query).await?))
}

/// Notifications, newest first
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/notifications", tag = "alerts", operation_id = "notifications",
    params(("ws" = String, Path), ("alert" = Option<String>, Query), ("status" = Option<NotificationStatus>, Query),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = ItemsPage<Notification>)),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn notifications(State(shared): State<Arc<Shared>>, Path(ws): Path<String>, mut params: Params) -> Answer {
    let page = params.page();
    let query = NotificationQuery {
        workspace: ws,
        alert: params.text("alert"),
        status: params.value("status"),
        limit: page.limit,
        cursor: page.cursor,
    };
    params.finish()?;
    json(&ItemsPage::from(shared.services.alerts.notifications(&query).await?))
}

/// A notification
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/notifications/{id}", tag = "alerts", operation_id = "notification",
    params(("ws" = String, Path), ("id" = String, Path)), responses((status = 200, body = Notification)),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn notification(State(shared): State<Arc<Shared>>, Path((ws, id)): Path<(String, String)>) -> Answer {
    json(&shared.services.alerts.notification(&ws, &id).await?)
}
