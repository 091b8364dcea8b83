//! Trying a monitor, and deriving picks, before anything is saved.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use nightjar_model::agents::{AgentTask, AgentTaskResult, PickSuggestion, Selection, TrialReport};
use nightjar_model::kinds::Document;
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::names::AgentId;
use nightjar_model::{Error, Problems};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Routes;
use super::audit::record;
use crate::auth::Caller;
use crate::body::{Json, json};
use crate::problem::{Answer, Failure};
use crate::serve::Shared;

const MOST_LINES: usize = 1000;

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(try_monitor)).routes(routes!(derive_pick))
}

/// A draft, and what to try it on: `lines`, or the last lines that an `agent` finds.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Trial {
    spec: MonitorSpec,
    /// At most 1000.
    lines: Option<Vec<String>>,
    agent: Option<AgentId>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PickRequest {
    /// At most 1000.
    lines: Vec<String>,
    selection: Selection,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PickSuggestions {
    /// Best first.
    suggestions: Vec<PickSuggestion>,
}

/// Try a draft of a monitor on lines, or on an agent's real ones
#[utoipa::path(post, path = "/api/v1/workspaces/{ws}/try-monitor", tag = "lab", params(("ws" = String, Path)),
    request_body = Trial, responses((status = 200, body = TrialReport)),
    extensions(("x-nightjar-access" = json!("operator"))))]
async fn try_monitor(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Path(ws): Path<String>,
    Json(trial): Json<Trial>,
) -> Answer {
    let mut problems = Problems::new();
    problems.within("spec", |p| trial.spec.validate(p));
    if trial.lines.is_some() == trial.agent.is_some() {
        problems.add("lines", "give either `lines` or an `agent`");
    }
    if trial.lines.as_ref().is_some_and(|lines| lines.len() > MOST_LINES) {
        problems.add("lines", format!("holds more than {MOST_LINES} lines"));
    }
    let problems = problems.into_vec();
    if !problems.is_empty() {
        return Err(Failure::invalid(problems));
    }
    match (trial.lines, trial.agent) {
        (Some(lines), _) => {
            let lab = shared.services.lab.clone();
            json(&on_worker(move || lab.try_lines(&trial.spec, &lines)).await?)
        }
        (None, Some(agent)) => {
            let task = AgentTask::TryMonitor { spec: Box::new(trial.spec), lines: 100 };
            // With the files it names: what was looked at on a host must be known.
            let described = serde_json::to_value(&task).unwrap_or_default();
            record(&shared, &caller, &ws, "task", "Agent", &agent.0, described).await?;
            match shared.services.fleet.run(&ws, &agent, task).await? {
                AgentTaskResult::Trial(report) => json(&report),
                _ => Err(Error::internal("the agent answered something else than it was asked").into()),
            }
        }
        (None, None) => Err(Failure::malformed("Give either `lines` or an `agent`.")),
    }
}

/// Picks that yield a word selected in a line
#[utoipa::path(post, path = "/api/v1/workspaces/{ws}/derive-pick", tag = "lab", params(("ws" = String, Path)),
    request_body = PickRequest, responses((status = 200, body = PickSuggestions)),
    extensions(("x-nightjar-access" = json!("operator"))))]
async fn derive_pick(
    State(shared): State<Arc<Shared>>,
    Path(_ws): Path<String>,
    Json(request): Json<PickRequest>,
) -> Answer {
    let mut problems = Problems::new();
    if request.lines.len() > MOST_LINES {
        problems.add("lines", format!("holds more than {MOST_LINES} lines"));
    }
    let selection = &request.selection;
    match request.lines.get(selection.line) {
        None => problems.add("selection.line", "there is no such line"),
        Some(line) if selection.from >= selection.to || selection.to > line.chars().count() => {
            problems.add("selection.to", "must be after `from` and within the line");
        }
        Some(_) => {}
    }
    let problems = problems.into_vec();
    if !problems.is_empty() {
        return Err(Failure::invalid(problems));
    }
    let lab = shared.services.lab.clone();
    let suggestions = on_worker(move || lab.derive(&request.lines, &request.selection)).await?;
    json(&PickSuggestions { suggestions })
}

/// Regular expressions over many lines take long enough to hold up other requests.
async fn on_worker<T: Send + 'static>(work: impl FnOnce() -> nightjar_model::Result<T> + Send + 'static) -> Answer<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => Ok(answer?),
        Err(error) => Err(Failure::of(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}
