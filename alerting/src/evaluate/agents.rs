//! Agents that are lost or unwell: one alert for each, whatever rules there are. Where an agent does not come on,
//! minutes stay partial and what waits for the truth about them is silent; so this is told, again and again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use nightjar_model::agents::{AgentHealth, AgentView};
use nightjar_model::alert::{AlertKeys, AlertState};
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::Reconciler;
use nightjar_model::{Result, Timestamp};

use super::Evaluate;
use super::memory::{Memory, RuleId};
use super::system::{AGENT_LOST, AGENT_UNWELL, Kind, News, concern, rules_of};
use crate::definitions::Definitions;
use crate::evaluation::Change;

/// In place of a monitor's name.
const MONITOR: &str = "_agents";
/// The column that tells alerts apart; the other is for people.
const AGENT: &str = "agent";
const HOST: &str = "host";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Ailment {
    /// Nothing is heard of it.
    Lost,
    /// It is heard, and its clock is wrong or it cannot do its work.
    Unwell,
}

impl Ailment {
    const ALL: [Self; 2] = [Self::Lost, Self::Unwell];

    const fn kind(self) -> Kind {
        match self {
            Self::Lost => AGENT_LOST,
            Self::Unwell => AGENT_UNWELL,
        }
    }

    const fn is(self, health: AgentHealth) -> bool {
        match self {
            Self::Lost => matches!(health, AgentHealth::Lost),
            Self::Unwell => matches!(health, AgentHealth::Abnormal | AgentHealth::ClockSkew),
        }
    }

    /// Whether it is over. Of one that is lost nobody knows how it is otherwise.
    const fn is_over(self, health: AgentHealth) -> bool {
        match self {
            Self::Lost => !matches!(health, AgentHealth::Lost),
            Self::Unwell => matches!(health, AgentHealth::Healthy | AgentHealth::Left),
        }
    }
}

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

/// What is wrong with an agent, in a few words; `None` where nothing is known to be.
pub(super) fn complaint(agent: &AgentView) -> Option<String> {
    match agent.health {
        AgentHealth::Healthy | AgentHealth::Left => None,
        AgentHealth::Lost => Some(match agent.last_seen_at {
            Some(at) => format!("lost since {at}"),
            None => "never heard of".to_owned(),
        }),
        AgentHealth::ClockSkew => {
            let skew = agent.clock_skew_ms;
            let way = if skew < 0 { "slow" } else { "fast" };
            Some(format!("its clock is {} s {way}", skew.unsigned_abs().div_ceil(1000)))
        }
        AgentHealth::Abnormal => Some(agent.reasons.join("; ")),
    }
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
        let unwell = self.unwell.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut still_unwell = HashMap::new();
        for workspace in definitions.workspaces() {
            let agents = self.fleet.agents(workspace).await?;
            for ailment in Ailment::ALL {
                for agent in agents.iter().filter(|agent| ailment.is(agent.health)) {
                    let id = (agent.id.clone(), ailment);
                    let since = unwell.get(&id).copied().unwrap_or(now);
                    still_unwell.insert(id, since);
                }
                let id = RuleId { workspace: workspace.to_owned(), name: ailment.kind().name.to_owned() };
                let mut memory = Memory::load(&self.alerts, &id, Duration::from_secs(60)).await?;
                let news = self.compare(ailment, &memory, &agents, &still_unwell, &definitions, now);
                self.tell_news(ailment.kind(), workspace, &definitions, &mut memory, news, now).await?;
            }
        }
        *self.unwell.lock().unwrap_or_else(PoisonError::into_inner) = still_unwell;
        Ok(())
    }

    fn compare(
        &self,
        ailment: Ailment,
        memory: &Memory,
        agents: &[AgentView],
        since: &HashMap<(AgentId, Ailment), Timestamp>,
        definitions: &Definitions,
        now: Timestamp,
    ) -> Vec<News> {
        let known: HashMap<&str, &AgentView> = agents.iter().map(|agent| (agent.id.0.as_str(), agent)).collect();
        let firing: BTreeMap<&str, &AlertState> =
            memory.states.values().filter_map(|state| Some((state.keys.get(AGENT)?.as_str(), state))).collect();
        let going_on = firing.iter().filter_map(|(id, state)| {
            let agent = known.get(id).copied();
            let (change, reason) = match agent {
                None => (Change::Closed, "the agent was removed".to_owned()),
                Some(agent) if ailment.is_over(agent.health) => (
                    Change::Recovered,
                    match ailment {
                        Ailment::Lost => "the agent is heard of again".to_owned(),
                        Ailment::Unwell => "the agent is well again".to_owned(),
                    },
                ),
                Some(agent) if ailment.is(agent.health) && self.is_to_be_reminded(state, now) => {
                    (Change::Reminded, self.reason(ailment, agent))
                }
                Some(_) => return None,
            };
            Some(self.news(ailment, change, state.keys.clone(), reason, agent, definitions))
        });
        let fired = agents
            .iter()
            .filter(|agent| !firing.contains_key(agent.id.0.as_str()) && self.is_to_be_told(ailment, agent, since, now))
            .map(|agent| {
                let keys: AlertKeys =
                    [(AGENT.to_owned(), agent.id.0.clone()), (HOST.to_owned(), agent.facts.hostname.clone())].into();
                let reason = self.reason(ailment, agent);
                self.news(ailment, Change::Fired, keys, reason, Some(agent), definitions)
            });
        going_on.chain(fired).collect()
    }

    fn is_to_be_told(
        &self,
        ailment: Ailment,
        agent: &AgentView,
        since: &HashMap<(AgentId, Ailment), Timestamp>,
        now: Timestamp,
    ) -> bool {
        let (after, elapsed) = match ailment {
            // Nobody was there to hear of them before the start.
            Ailment::Lost => {
                let heard = agent.last_seen_at.unwrap_or(agent.enrolled_at).max(self.started_at);
                (self.config.agent_lost_after, now.since(heard))
            }
            Ailment::Unwell => {
                let began = since.get(&(agent.id.clone(), ailment)).copied().unwrap_or(now);
                (self.config.agent_unwell_after, now.since(began))
            }
        };
        ailment.is(agent.health) && !after.0.is_zero() && elapsed >= after.0
    }

    fn reason(&self, ailment: Ailment, agent: &AgentView) -> String {
        let host = &agent.facts.hostname;
        match ailment {
            Ailment::Lost => format!(
                "nothing was heard of the agent on {host} for {}: what it reads stays partial, and rules that wait \
                 for complete data do not judge it; if it is gone for good, delete it",
                self.config.agent_lost_after
            ),
            Ailment::Unwell => format!(
                "the agent on {host} is not well: {}; what it reads may come late or not at all",
                complaint(agent).unwrap_or_default()
            ),
        }
    }

    fn news(
        &self,
        ailment: Ailment,
        change: Change,
        keys: AlertKeys,
        reason: String,
        agent: Option<&AgentView>,
        definitions: &Definitions,
    ) -> News {
        let level = match ailment {
            Ailment::Lost => self.config.agent_lost_level,
            Ailment::Unwell => self.config.agent_unwell_level,
        };
        let concerns = agent.map(|agent| concerns(agent, definitions)).unwrap_or_default();
        News { change, keys, reason, concerns, monitor: MONITOR.to_owned(), folder: String::new(), level }
    }
}

/// The rules whose figures the agent contributes to, as far as it is known to what it does.
fn concerns(agent: &AgentView, definitions: &Definitions) -> Vec<crate::pipeline::Concern> {
    let monitors: BTreeSet<&str> = agent.monitors.iter().map(|report| report.monitor.as_str()).collect();
    let rules = |monitor: &&str| {
        let key = MonitorKey::new(&agent.workspace, *monitor);
        rules_of(definitions, &key).map(|(resource, rule)| concern(resource, rule)).collect::<Vec<_>>()
    };
    monitors.iter().flat_map(rules).collect()
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
