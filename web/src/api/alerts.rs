//! Alerts, and what was sent about them.

use std::sync::Arc;

use axum::extract::{Path, State};
use nightjar_model::Timestamp;
use nightjar_model::alert::{
    Alert, AlertEvent, AlertQuery, AlertStatus, Notification, NotificationQuery, NotificationStatus, rule_timeline,
};
use nightjar_model::kinds::alert_rule::Level;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Items, ItemsPage, Routes};
use crate::body::json;
use crate::params::Params;
use crate::problem::Answer;
use crate::serve::Shared;

/// More notifications of one alert than this are found by `/notifications?alert=`.
const NOTIFICATIONS_OF_ONE: u32 = 500;

pub(super) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(timeline))
        .routes(routes!(notifications))
        .routes(routes!(notification))
}

/// An alert with all that happened to it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertDetail {
    alert: Alert,
    /// Oldest first.
    events: Vec<AlertEvent>,
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
    let query = AlertQuery {
        workspace: ws,
        status: params.value("status"),
        rule: params.text("rule"),
        monitor: params.text("monitor"),
        level: params.value("level"),
        since: params.time("since"),
        limit: params.number("limit", 100, 1000),
        cursor: params.text("cursor"),
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
    let events = store.events(&ws, &id).await?;
    let query = NotificationQuery {
        workspace: ws,
        alert: Some(id),
        limit: NOTIFICATIONS_OF_ONE,
        ..NotificationQuery::default()
    };
    let notifications = store.notifications(&query).await?.items;
    json(&AlertDetail { alert, events, notifications })
}

/// What befell a rule while none of its alerts was there: why it did not fire
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/alert-rules/{name}/events", tag = "alerts", operation_id = "rule_events",
    params(("ws" = String, Path), ("name" = String, Path)), responses((status = 200, body = Items<AlertEvent>)),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn timeline(State(shared): State<Arc<Shared>>, Path((ws, name)): Path<(String, String)>) -> Answer {
    json(&Items { items: shared.services.alerts.events(&ws, &rule_timeline(&name)).await? })
}

/// Notifications, newest first
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/notifications", tag = "alerts", operation_id = "notifications",
    params(("ws" = String, Path), ("alert" = Option<String>, Query), ("status" = Option<NotificationStatus>, Query),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = ItemsPage<Notification>)),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn notifications(State(shared): State<Arc<Shared>>, Path(ws): Path<String>, mut params: Params) -> Answer {
    let query = NotificationQuery {
        workspace: ws,
        alert: params.text("alert"),
        status: params.value("status"),
        limit: params.number("limit", 100, 1000),
        cursor: params.text("cursor"),
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
