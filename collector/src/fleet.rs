//! The fleet as people see it, and one-off tasks.

use std::time::Duration;

use async_trait::async_trait;
use nightjar_model::agents::{AgentHealth, AgentRecord, AgentTask, AgentTaskResult, AgentView};
use nightjar_model::names::AgentId;
use nightjar_model::ports::Fleet;
use nightjar_model::protocol::wire;
use nightjar_model::protocol::wire::to_agent;
use nightjar_model::time::Timestamp;
use nightjar_model::{Error, ErrorKind, Result};
use tokio::time::timeout;

use crate::Collector;
use crate::live::State;

const LOST_AFTER: Duration = Duration::from_secs(30);
const MAX_SKEW_MS: u64 = 3_000;
/// An agent applies a new configuration well within this.
const APPLY_WITHIN: Duration = Duration::from_secs(30);
/// So long it is told that agent and server remembered different pasts.
const TOLD_FOR: Duration = Duration::from_secs(3600);

#[async_trait]
impl Fleet for Collector {
    async fn agents(&self, workspace: &str) -> Result<Vec<AgentView>> {
        let records = self.registry.agents(Some(workspace)).await?;
        let now = self.clock.now();
        Ok(records.into_iter().map(|record| self.view(record, now)).collect())
    }

    async fn agent(&self, workspace: &str, id: &AgentId) -> Result<AgentView> {
        Ok(self.view(self.enrolled(workspace, id).await?, self.clock.now()))
    }

    async fn run(&self, workspace: &str, id: &AgentId, task: AgentTask) -> Result<AgentTaskResult> {
        let outcome = self.run_task(workspace, id, task).await;
        let label = match &outcome {
            Ok(_) => "done",
            Err(error) if error.kind == ErrorKind::Timeout => "timeout",
            Err(_) => "failed",
        };
        metrics::counter!("nightjar_collector_tasks_total", "outcome" => label).increment(1);
        outcome
    }

    async fn disconnect(&self, id: &AgentId) {
        self.remove(id);
        self.changed.notify_one();
    }
}

impl Collector {
    async fn enrolled(&self, workspace: &str, id: &AgentId) -> Result<AgentRecord> {
        let records = self.registry.agents(Some(workspace)).await?;
        let found = records.into_iter().find(|record| record.id == *id);
        found.ok_or_else(|| Error::not_found(format!("there is no agent `{id}` in workspace `{workspace}`")))
    }

    fn view(&self, record: AgentRecord, now: Timestamp) -> AgentView {
        let live = self.live(&record.id);
        let connected = live.as_ref().is_some_and(|live| live.is_connected());
        let state = match live {
            Some(live) => live.state().clone(),
            None => State {
                facts: record.facts.clone(),
                heard_at: record.last_seen_at.unwrap_or_default(),
                ..State::default()
            },
        };
        let config_wanted = match &state.config_sent {
            // Without what it cannot collect.
            Some((version, _)) if !state.beyond.is_empty() || !state.excluded.is_empty() => version.clone(),
            _ => self.plan.borrow().config_of(&record.id, &record.workspace, &state.facts).version.clone(),
        };
        let left_at = state.left.map(|left| left.at).or(record.left_at).filter(|_| !connected);
        let (health, reasons) = match left_at {
            Some(_) => (AgentHealth::Left, vec!["it signed off; it is not waited for until it is back".to_owned()]),
            None => judge(&state, connected, &config_wanted, now),
        };
        AgentView {
            id: record.id,
            workspace: record.workspace,
            health,
            reasons,
            enrolled_at: record.enrolled_at,
            last_seen_at: (state.heard_at != Timestamp::default()).then_some(state.heard_at),
            left_at,
            clock_skew_ms: state.skew_ms,
            config_applied: state.config_applied,
            config_wanted,
            facts: state.facts,
            monitors: state.monitors,
            process: state.process,
        }
    }

    async fn run_task(&self, workspace: &str, id: &AgentId, task: AgentTask) -> Result<AgentTaskResult> {
        let away = || Error::unavailable(format!("agent `{id}` is not connected; try again when it is"));
        let live = self.live(id).filter(|live| live.workspace == workspace && live.is_connected());
        let Some(live) = live else {
            self.enrolled(workspace, id).await?;
            return Err(away());
        };
        let task_json = serde_json::to_string(&task).map_err(|error| Error::internal(error.to_string()))?;
        let (request, limit) = (uuid::Uuid::new_v4().to_string(), self.config.tasks_per_agent as usize);
        let answered = live.expect_answer(&request, limit).ok_or_else(|| {
            Error::new(ErrorKind::TooManyRequests, format!("{limit} tasks wait for agent `{id}` already"))
        })?;
        let within = self.config.task_timeout.0;
        let timeout_ms = within.as_millis() as u32;
        let body = to_agent::Body::Task(wire::TaskRequest { id: request, task_json, timeout_ms });
        live.outbox.try_send(Ok(wire::ToAgent { body: Some(body) })).map_err(|_full_or_gone| away())?;
        let answer = timeout(within, answered)
            .await
            .map_err(|_elapsed| {
                let seconds = within.as_secs();
                Error::new(ErrorKind::Timeout, format!("agent `{id}` did not answer within {seconds} s"))
            })?
            .map_err(|_dropped| Error::unavailable(format!("agent `{id}` went away before it answered")))?;
        if !answer.error.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, format!("on agent `{id}`: {}", answer.error)));
        }
        serde_json::from_str(&answer.result_json)
            .map_err(|error| Error::internal(format!("agent `{id}` answered what cannot be read: {error}")))
    }
}

/// The worst that holds, and everything that is wrong.
fn judge(state: &State, connected: bool, config_wanted: &str, now: Timestamp) -> (AgentHealth, Vec<String>) {
    if now.since(state.heard_at) > LOST_AFTER {
        return (AgentHealth::Lost, vec![format!("nothing heard for more than {} s", LOST_AFTER.as_secs())]);
    }
    let mut reasons = Vec::new();
    if !connected {
        reasons.push("the connection is closed".to_owned());
    }
    if !state.facts.timezone_problem.is_empty() {
        let problem = &state.facts.timezone_problem;
        reasons.push(format!(
            "it does not know its host's time zone, and counts no line whose time names none: {problem}"
        ));
    }
    let process = &state.process;
    if process.paused {
        reasons.push("its journal is full: what it cannot keep is dropped and counted".to_owned());
    } else if process.journal_limit_bytes > 0 && process.journal_bytes / 4 > process.journal_limit_bytes / 5 {
        reasons.push("its journal is more than four fifths full".to_owned());
    }
    for (monitor, problem) in &state.config_problems {
        reasons.push(format!("it refused monitor `{monitor}`: {}: {}", problem.path, problem.message));
    }
    if let Some((version, sent_at)) = &state.config_sent
        && connected
        && state.config_applied.as_ref() != Some(version)
        && version == config_wanted
        && now.since(*sent_at) > APPLY_WITHIN
    {
        reasons.push("it has not applied its newest configuration".to_owned());
    }
    for monitor in &state.beyond {
        reasons.push(format!("its version cannot collect monitor `{monitor}`: upgrade it"));
    }
    for (monitor, excluded) in &state.excluded {
        let (by, host) = (&excluded.by, &excluded.host);
        reasons.push(match excluded.misses {
            false => format!(
                "agent {by} on {host} reads the same files of monitor `{monitor}` on the same machine and counts \
                 them; this one does not. Stop one of them"
            ),
            true => format!(
                "agent {by} on {host} reads some of the same files of monitor `{monitor}` on the same machine, as \
                 another container or service does. This one counts none, lest lines count twice; as it may see \
                 files that the other does not, the monitor is not complete. Stop one of them, let no file be read by \
                 both, or give each a monitor of its own"
            ),
        });
    }
    if let Some((at, host)) = &state.copied
        && now.since(*at) < TOLD_FOR
    {
        reasons.push(format!(
            "an agent on {host} came with its identity at {at} and was refused: a copy of its data directory is in \
             use there; empty that and enrol that host anew"
        ));
    }
    if let Some((from, until)) = &state.rolled_back
        && now.since(*until) < TOLD_FOR
    {
        let from = from.map_or_else(|| "where it had told how far it was".to_owned(), |from| from.to_string());
        reasons.push(format!(
            "it and the server remember different pasts, as after a backup or an image was put back: its minutes \
             from {from} to {until} will never be complete (this is told for an hour)"
        ));
    }
    let health = if !reasons.is_empty() { AgentHealth::Abnormal } else { AgentHealth::Healthy };
    if state.skew_ms.unsigned_abs() > MAX_SKEW_MS {
        reasons.push(format!("its clock differs from the server's by {} ms", state.skew_ms));
        return (AgentHealth::ClockSkew, reasons);
    }
    (health, reasons)
}

#[cfg(test)]
mod tests {
    use nightjar_model::agents::AgentSelf;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn check(change: impl FnOnce(&mut State), connected: bool, health: AgentHealth) {
        let mut state = State { heard_at: NOW, ..State::default() };
        change(&mut state);
        let (judged, reasons) = judge(&state, connected, "v2", NOW);
        assert_eq!(judged, health, "{reasons:?}");
        assert_eq!(reasons.is_empty(), health == AgentHealth::Healthy);
    }

    #[test]
    fn health_follows_what_is_known() {
        check(|_| {}, true, AgentHealth::Healthy);
        check(|_| {}, false, AgentHealth::Abnormal);
        check(|s| s.heard_at = Timestamp(NOW.0 - 30_001), true, AgentHealth::Lost);
        check(|s| s.heard_at = Timestamp(NOW.0 - 30_000), true, AgentHealth::Healthy);
        check(|s| s.skew_ms = 3_000, true, AgentHealth::Healthy);
        check(|s| s.skew_ms = -3_001, true, AgentHealth::ClockSkew);
        check(|s| s.process.paused = true, true, AgentHealth::Abnormal);
        check(|s| s.facts.timezone_problem = "/etc/localtime is missing".into(), true, AgentHealth::Abnormal);
        let journal = |bytes| AgentSelf { journal_bytes: bytes, journal_limit_bytes: 100, ..AgentSelf::default() };
        check(|s| s.process = journal(70), true, AgentHealth::Healthy);
        check(|s| s.process = journal(90), true, AgentHealth::Abnormal);
        let sent = |ago: i64| Some(("v2".to_owned(), Timestamp(NOW.0 - ago)));
        check(|s| s.config_sent = sent(30_000), true, AgentHealth::Healthy);
        check(|s| s.config_sent = sent(30_001), true, AgentHealth::Abnormal);
        check(|s| (s.config_sent, s.config_applied) = (sent(60_000), Some("v2".into())), true, AgentHealth::Healthy);
    }
}
