//! Agents that are lost: one alert for each, whatever rules there are. Where an agent is lost, minutes
//! stay partial and rules that wait for the truth are silent; so this is told, and told once, not by
//! every rule.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nightjar_model::agents::{AgentHealth, AgentView};
use nightjar_model::alert::{AlertKeys, AlertState, Phase};
use nightjar_model::kinds::Spec;
use nightjar_model::kinds::alert_rule::AlertRuleSpec;
use nightjar_model::kinds::contact::Language;
use nightjar_model::names::AgentId;
use nightjar_model::ports::Reconciler;
use nightjar_model::{Error, Metadata, Resource, Result, Timestamp};

use super::memory::{Memory, RuleId};
use super::record::Record;
use super::{Evaluate, Subject};
use crate::evaluation::{Change, Transition, Values, alert_id};

/// The name that such alerts have in place of a rule's. Users' names cannot start with `_`.
pub(super) const RULE: &str = "_agent-lost";
const MONITOR: &str = "_agents";
/// The column that tells alerts apart; the other is for people.
const AGENT: &str = "agent";
const HOST: &str = "host";

/// Hosts' names by agent, for people; where agents share one, with the beginning of the id.
pub(super) fn hosts_of(agents: &[AgentView]) -> HashMap<AgentId, String> {
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    agents.iter().for_each(|agent| *times.entry(&agent.facts.hostname).or_default() += 1);
    let name = |agent: &AgentView| {
        let host = &agent.facts.hostname;
        let shared = times.get(host.as_str()).is_some_and(|times| *times > 1);
        if shared { format!("{host} ({})", agent.id.0.chars().take(8).collect::<String>()) } else { host.clone() }
    };
    agents.iter().map(|agent| (agent.id.clone(), name(agent))).collect()
}

impl Evaluate {
    /// How people call the agents of a workspace; asked for once in each run.
    pub(super) async fn hosts(&self, workspace: &str) -> Arc<HashMap<AgentId, String>> {
        if let Some(hosts) = self.lock_hosts().get(workspace) {
            return Arc::clone(hosts);
        }
        let hosts = match self.fleet.agents(workspace).await {
            Ok(agents) => Arc::new(hosts_of(&agents)),
            Err(error) => {
                tracing::warn!(%error, "agents are named by their ids");
                Arc::default()
            }
        };
        self.lock_hosts().insert(workspace.to_owned(), Arc::clone(&hosts));
        hosts
    }

    /// Compares alerts with the fleet, in every workspace that has documents.
    async fn watch_agents(&self) -> Result<()> {
        let definitions = self.definitions.current().await?;
        let now = self.clock.now();
        for workspace in definitions.workspaces() {
            let resource = rule(workspace, &self.config)?;
            let Spec::AlertRule(spec) = &resource.spec else { continue };
            let subject = Subject {
                id: RuleId::of(&resource),
                uid: RULE,
                resource: &resource,
                rule: spec,
                definitions: &definitions,
            };
            let agents = self.fleet.agents(workspace).await?;
            self.watch_agents_of(&subject, &agents, now).await?;
        }
        Ok(())
    }

    async fn watch_agents_of(&self, subject: &Subject<'_>, agents: &[AgentView], now: Timestamp) -> Result<()> {
        let mut memory = Memory::load(&self.alerts, &subject.id).await?;
        let transitions = self.compare(&memory, agents, now);
        if transitions.is_empty() {
            return Ok(());
        }
        let mut record = Record::default();
        for transition in transitions {
            self.record_transition(subject, &mut memory, now, now, &transition, &mut record).await?;
            if transition.change == Change::Fired {
                let (keys, alert) = (transition.keys, Some(transition.alert));
                let state = AlertState {
                    keys: keys.clone(),
                    phase: Phase::Firing,
                    checks: vec![],
                    recovering: 0,
                    alert,
                    seen: now,
                };
                memory.states.insert(keys, state);
            } else {
                memory.states.remove(&transition.keys);
            }
        }
        self.store(subject, &mut memory, record, true).await
    }

    fn compare(&self, memory: &Memory, agents: &[AgentView], now: Timestamp) -> Vec<Transition> {
        let after = self.config.agent_lost_after;
        // Nobody was there to hear of them before the start.
        let unheard =
            |agent: &AgentView| now.since(agent.last_seen_at.unwrap_or(agent.enrolled_at).max(self.started_at));
        let is_lost = |agent: &AgentView| agent.health == AgentHealth::Lost && unheard(agent) >= after.0;
        let known: HashMap<&str, &AgentView> = agents.iter().map(|agent| (agent.id.0.as_str(), agent)).collect();
        let firing: BTreeMap<&str, &AlertState> =
            memory.states.values().filter_map(|state| Some((state.keys.get(AGENT)?.as_str(), state))).collect();
        let over = firing.iter().filter_map(|(id, state)| {
            let (change, reason) = match known.get(id) {
                None => (Change::Closed, "the agent was removed"),
                Some(agent) if agent.health != AgentHealth::Lost => (Change::Recovered, "the agent is heard of again"),
                Some(_) => return None,
            };
            let alert = state.alert.clone().unwrap_or_default();
            Some(Transition {
                change,
                keys: state.keys.clone(),
                alert,
                reason: reason.to_owned(),
                values: Values::new(),
            })
        });
        let lost = agents
            .iter()
            .filter(|agent| !after.0.is_zero() && is_lost(agent) && !firing.contains_key(agent.id.0.as_str()));
        let fired = lost.map(|agent| {
            let keys: AlertKeys =
                [(AGENT.to_owned(), agent.id.0.clone()), (HOST.to_owned(), agent.facts.hostname.clone())].into();
            let reason = format!(
                "nothing was heard of the agent on {} for {after}: what it reads stays partial, and rules that wait \
                 for complete data do not judge it; if it is gone for good, delete it",
                agent.facts.hostname
            );
            let alert = alert_id(&format!("{RULE} {}", agent.workspace), &keys, now);
            Transition { change: Change::Fired, keys, alert, reason, values: Values::new() }
        });
        over.chain(fired).collect()
    }
}

/// What stands for the rule of such alerts.
fn rule(workspace: &str, config: &crate::config::AlertingConfig) -> Result<Resource> {
    let spec = serde_json::json!({ "monitor": MONITOR, "level": config.agent_lost_level, "conditions": [] });
    let spec: AlertRuleSpec = serde_json::from_value(spec).map_err(|error| Error::internal(error.to_string()))?;
    let title = match config.language {
        Language::Chinese => "采集代理失联",
        Language::English => "Agent lost",
    };
    let metadata = Metadata {
        name: RULE.to_owned(),
        workspace: workspace.to_owned(),
        display_name: title.to_owned(),
        ..Metadata::default()
    };
    Ok(Resource { metadata, spec: Spec::AlertRule(Box::new(spec)) })
}

pub(crate) struct WatchAgents(pub(crate) Arc<Evaluate>);

#[async_trait]
impl Reconciler for WatchAgents {
    fn name(&self) -> &'static str {
        "alerting.agents"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn activate(&self) -> Result<()> {
        self.0.watch_agents().await
    }
}
