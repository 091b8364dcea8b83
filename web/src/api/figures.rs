//! SQL over figures, and how a monitor's data is doing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use nightjar_model::agents::{AgentHealth, AgentView};
use nightjar_model::builtin;
use nightjar_model::delta::FAULTS_MONITOR;
use nightjar_model::kinds::alert_rule::KeyMatch;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::query::{Contributor, SqlFormat, WindowQuery};
use nightjar_model::{ErrorKind, Kind, ResourceKey, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Routes;
use super::readings::{Reading, read};
use crate::body::{Json, json, streamed};
use crate::problem::Answer;
use crate::serve::Shared;

const HOUR: Duration = Duration::from_secs(3600);

/// Monitors times reasons times hosts, within an hour.
const MOST_FAULT_SERIES: usize = 10_000;

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(sql)).routes(routes!(status))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SqlRequest {
    /// Tables are `monitor."name"`, with `time`, the group-by columns, the statistics and `completeness`.
    sql: String,
    #[serde(default)]
    format: SqlFormat,
}

/// How a monitor's data is doing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MonitorStatus {
    /// Every window that ends at or before this is complete.
    complete_through: Option<Timestamp>,
    agents: Vec<ContributingAgent>,
    /// What could not be used, by reason.
    faults: Vec<FaultCount>,
    /// Files read now, on all agents together.
    files: u64,
    /// What was read in the last ten minutes; null for a built-in monitor.
    reading: Option<Reading>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContributingAgent {
    id: AgentId,
    hostname: Option<String>,
    /// Up to when it has read everything.
    through: Option<Timestamp>,
    health: Option<AgentHealth>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FaultCount {
    reason: String,
    last_hour: u64,
    /// The latest: its place, and the start of the line.
    example: Option<String>,
}

/// Query figures with SQL
#[utoipa::path(post, path = "/api/v1/workspaces/{ws}/sql", tag = "figures", params(("ws" = String, Path)),
    request_body = SqlRequest,
    responses((status = 200, description = "JSON: `{columns: [{name, type}], rows: [{…}], elapsed_ms}`; CSV or an Arrow stream where asked for. \
        A long answer comes in pieces: where it cannot be completed, the transfer breaks off",
        content((serde_json::Value = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream")))),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn sql(State(shared): State<Arc<Shared>>, Path(ws): Path<String>, Json(request): Json<SqlRequest>) -> Answer {
    let answer = shared.services.windows.sql(&ws, &request.sql, request.format).await?;
    Ok(streamed(answer.content_type, answer.body))
}

/// How a monitor's data is doing: completeness, agents, faults
#[utoipa::path(get, path = "/api/v1/workspaces/{ws}/monitors/{name}/status", tag = "figures", operation_id = "monitor_status",
    params(("ws" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = MonitorStatus)),
    extensions(("x-nightjar-access" = json!("viewer"))))]
async fn status(State(shared): State<Arc<Shared>>, Path((ws, name)): Path<(String, String)>) -> Answer {
    let services = &shared.services;
    let reading = if builtin::monitor(&name).is_some() {
        None
    } else {
        let monitor = services.resources.get(&ResourceKey::new(Kind::Monitor, &ws, &name)).await?;
        let enabled = monitor.spec.as_monitor().is_some_and(|spec| spec.enabled);
        read(&shared, &ws, &[(&name, enabled)]).await?.pop()
    };
    let progress = services.windows.progress(&MonitorKey::new(&ws, &name)).await?;
    let fleet = services.fleet.agents(&ws).await?;
    let contributors = services.windows.contributors(&MonitorKey::new(&ws, &name)).await?;
    let views: HashMap<&AgentId, &AgentView> = fleet.iter().map(|view| (&view.id, view)).collect();
    let agents = contributors
        .into_iter()
        .map(|Contributor { agent: id, through }| {
            let view = views.get(&id);
            let hostname = view.map(|view| view.facts.hostname.clone());
            ContributingAgent { id, hostname, through, health: view.map(|view| view.health) }
        })
        .collect();
    let reports = || fleet.iter().flat_map(|view| &view.monitors).filter(|report| report.monitor == name);
    let files = reports().map(|report| u64::from(report.files)).sum();
    let faults = faults(&shared, &ws, &name, &fleet).await?;
    json(&MonitorStatus { complete_through: progress.complete_through, agents, faults, files, reading })
}

/// Faults of the last hour, the most frequent first.
async fn faults(shared: &Shared, ws: &str, name: &str, fleet: &[AgentView]) -> Answer<Vec<FaultCount>> {
    let now = shared.services.clock.now();
    let query = WindowQuery {
        monitor: MonitorKey::new(ws, FAULTS_MONITOR),
        from: now.saturating_sub(HOUR).floor(Duration::from_secs(60)),
        until: now,
        filter: BTreeMap::from([("monitor".to_owned(), KeyMatch::In(vec![name.to_owned()]))]),
        by: Some(vec!["reason".to_owned()]),
        step: None,
        max_series: MOST_FAULT_SERIES,
    };
    let answer = match shared.services.windows.windows(query).await {
        Ok(answer) => answer,
        // Nothing was ever amiss in this workspace.
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let example = |reason: &str| {
        fleet
            .iter()
            .flat_map(|view| &view.monitors)
            .filter(|report| report.monitor == name)
            .find_map(|report| report.examples.get(reason).cloned())
    };
    let mut faults: Vec<FaultCount> = answer
        .series
        .into_iter()
        .filter_map(|series| {
            let reason = series.keys.into_iter().next()?;
            let last_hour = series.windows.iter().filter_map(|(_, partials)| partials.first()).map(|p| p.count()).sum();
            Some(FaultCount { last_hour, example: example(&reason), reason })
        })
        .collect();
    faults.sort_by(|a, b| b.last_hour.cmp(&a.last_hour).then_with(|| a.reason.cmp(&b.reason)));
    Ok(faults)
}
