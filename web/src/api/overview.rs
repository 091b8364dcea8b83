//! A workspace at a glance.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use nightjar_model::agents::AgentHealth;
use nightjar_model::alert::{Alert, AlertQuery, AlertStatus};
use nightjar_model::kinds::alert_rule::Level;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::ListQuery;
use nightjar_model::query::MISSING_NAMED;
use nightjar_model::{Kind, Resource, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Routes;
use super::readings::{self, Reading};
use crate::body::json;
use crate::problem::Answer;
use crate::serve::Shared;

const HOUR: Duration = Duration::from_secs(3600);
const TREND_HOURS: u32 = 24;
const LATEST: usize = 5;
/// A monitor whose complete windows end further back than this is behind.
const BEHIND: Duration = Duration::from_secs(150);
const MINUTE: Duration = Duration::from_secs(60);
const MOST_INCOMPLETE: usize = 20;
/// Alerts looked through for one figure; beyond it figures are "at least".
const MOST_PAGES: usize = 20;
const PAGE: u32 = 1000;

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(overview))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    monitors: MonitorCounts,
    /// By health.
    agents: AgentCounts,
    /// By level.
    firing: BTreeMap<Level, u32>,
    /// Alerts that started in each of the last 24 hours, oldest first.
    trend: Vec<TrendPoint>,
    /// The newest alerts.
    latest: Vec<Alert>,
    /// Monitors whose figures wait for somebody.
    incomplete: Vec<IncompleteMonitor>,
    /// Monitors that understand hardly any or none of their lines, or find no file.
    blind: Vec<Reading>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MonitorCounts {
    total: usize,
    enabled: usize,
}

#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct AgentCounts {
    healthy: u32,
    abnormal: u32,
    clock_skew: u32,
    lost: u32,
    /// They signed off: nobody waits for them.
    left: u32,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrendPoint {
    /// The hour's start.
    time: Timestamp,
    count: u32,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IncompleteMonitor {
    monitor: String,
    complete_through: Option<Timestamp>,
    /// Agents that are behind, at most 20 of them; empty where no agent is expected at all.
    missing: Vec<AgentId>,
}

/// A workspace at a glance
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/overview", tag = "workspaces", params(("ws" = String, Path)),
    responses((status = 200, body = Overview)),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn overview(State(shared): State<Arc<Shared>>, Path(ws): Path<String>) -> Answer {
    let services = &shared.services;
    let now = services.clock.now();
    let query = ListQuery { kind: Some(Kind::Monitor), workspace: Some(ws.clone()), ..ListQuery::default() };
    let monitors = services.resources.list(&query).await?.items;
    let enabled = monitors.iter().filter(|m| is_enabled(m)).count();
    let mut agents = AgentCounts::default();
    for view in services.fleet.agents(&ws).await? {
        match view.health {
            AgentHealth::Healthy => agents.healthy += 1,
            AgentHealth::Abnormal => agents.abnormal += 1,
            AgentHealth::ClockSkew => agents.clock_skew += 1,
            AgentHealth::Lost => agents.lost += 1,
            AgentHealth::Left => agents.left += 1,
        }
    }
    let firing_now = alerts(
        &shared,
        AlertQuery { workspace: ws.clone(), status: Some(AlertStatus::Firing), ..AlertQuery::default() },
    )
    .await?;
    let mut firing: BTreeMap<Level, u32> = Level::ALL.into_iter().map(|level| (level, 0)).collect();
    for alert in &firing_now {
        *firing.entry(alert.level).or_default() += 1;
    }
    let first = now.floor(HOUR).saturating_sub(HOUR * (TREND_HOURS - 1));
    let started =
        alerts(&shared, AlertQuery { workspace: ws.clone(), since: Some(first), ..AlertQuery::default() }).await?;
    let names: Vec<(&str, bool)> =
        monitors.iter().filter(|m| is_enabled(m)).map(|m| (m.metadata.name.as_str(), true)).collect();
    let mut blind = readings::read(&shared, &ws, &names).await?;
    blind.retain(readings::is_blind);
    blind.truncate(MOST_INCOMPLETE);
    let latest = AlertQuery { workspace: ws.clone(), limit: LATEST as u32, ..AlertQuery::default() };
    json(&Overview {
        monitors: MonitorCounts { total: monitors.len(), enabled },
        agents,
        firing,
        trend: trend(first, &started),
        latest: services.alerts.alerts(&latest).await?.items,
        incomplete: incomplete(&shared, &ws, &monitors, now).await?,
        blind,
    })
}

fn is_enabled(monitor: &Resource) -> bool {
    monitor.spec.as_monitor().is_some_and(|spec| spec.enabled)
}

fn trend(first: Timestamp, alerts: &[Alert]) -> Vec<TrendPoint> {
    (0..TREND_HOURS)
        .map(|hour| {
            let time = first.saturating_add(HOUR * hour);
            let count = alerts.iter().filter(|alert| alert.started_at.floor(HOUR) == time).count();
            TrendPoint { time, count: count as u32 }
        })
        .collect()
}

async fn incomplete(
    shared: &Shared,
    ws: &str,
    monitors: &[Resource],
    now: Timestamp,
) -> Answer<Vec<IncompleteMonitor>> {
    let line = now.saturating_sub(BEHIND);
    let mut found = Vec::new();
    for monitor in monitors.iter().filter(|m| is_enabled(m)) {
        let name = &monitor.metadata.name;
        let progress = shared.services.windows.progress(&MonitorKey::new(ws, name)).await?;
        let is_complete = progress.complete_through.is_some_and(|through| through >= line);
        if is_complete || first_end(monitor, progress.complete_through).is_some_and(|end| end > line) {
            continue;
        }
        let agents = shared.services.windows.contributors(&MonitorKey::new(ws, name)).await?;
        let behind = agents.into_iter().filter(|agent| agent.through.is_none_or(|through| through < line));
        found.push(IncompleteMonitor {
            monitor: name.clone(),
            complete_through: progress.complete_through,
            missing: behind.take(MISSING_NAMED).map(|agent| agent.agent).collect(),
        });
        if found.len() == MOST_INCOMPLETE {
            break;
        }
    }
    Ok(found)
}

/// The end of the first whole minute that the monitor was there for: it cannot be behind before that.
fn first_end(monitor: &Resource, complete_through: Option<Timestamp>) -> Option<Timestamp> {
    let metadata = &monitor.metadata;
    // One that never completed anything may have been enabled just now. One that did is not excused by an edit.
    let since = if complete_through.is_none() { metadata.updated_at } else { metadata.created_at };
    Some(since?.floor(MINUTE).saturating_add(MINUTE * 2))
}

/// Page after page, within reason.
async fn alerts(shared: &Shared, query: AlertQuery) -> Answer<Vec<Alert>> {
    let mut query = AlertQuery { limit: PAGE, ..query };
    let mut all = Vec::new();
    for _ in 0..MOST_PAGES {
        let page = shared.services.alerts.alerts(&query).await?;
        all.extend(page.items);
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    Ok(all)
}
