//! Rules that cannot be judged for some while, because data is missing: one alert for each monitor, which names the
//! agents that do not come on. Whoever hears of one of these rules hears of this.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nightjar_model::agents::{AgentHealth, AgentView};
use nightjar_model::alert::AlertKeys;
use nightjar_model::kinds::alert_rule::AlertRuleSpec;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::Reconciler;
use nightjar_model::{Kind, Resource, ResourceKey, Result, Timestamp};

use super::Evaluate;
use super::agents::{complaint, hosts_of};
use super::memory::{Memory, RuleId};
use super::sight::{Blind, Sight};
use super::system::{BLIND, News, concern};
use crate::definitions::Definitions;
use crate::evaluation::Change;
use crate::pipeline::Concern;

/// The column that tells alerts apart.
const MONITOR: &str = "monitor";
const MOST_NAMED: usize = 10;

/// A rule, and what it sees; `None` while that is not known.
struct Watched<'a> {
    resource: &'a Resource,
    rule: &'a AlertRuleSpec,
    sight: Option<Sight>,
}

impl Watched<'_> {
    fn blind(&self) -> Option<&Blind> {
        self.sight.as_ref()?.blind.as_ref()
    }

    fn sees(&self) -> bool {
        self.sight.as_ref().is_some_and(Sight::is_clear)
    }

    fn concern(&self) -> Concern {
        concern(self.resource, self.rule)
    }
}

impl Evaluate {
    async fn watch_sight(&self) -> Result<()> {
        let definitions = self.definitions.current().await?;
        let now = self.clock.now();
        let sights = self.lock_sights().clone();
        let mut by_workspace: BTreeMap<&str, BTreeMap<&str, Vec<Watched<'_>>>> = BTreeMap::new();
        for (resource, rule) in definitions.rules().filter(|(_, rule)| rule.enabled) {
            let sight = sights.get(&RuleId::of(resource)).cloned();
            let monitors = by_workspace.entry(resource.metadata.workspace.as_str()).or_default();
            monitors.entry(rule.monitor.as_str()).or_default().push(Watched { resource, rule, sight });
        }
        for workspace in definitions.workspaces() {
            let monitors = by_workspace.remove(workspace).unwrap_or_default();
            self.watch_sight_of(workspace, &monitors, &definitions, now).await?;
        }
        Ok(())
    }

    async fn watch_sight_of(
        &self,
        workspace: &str,
        monitors: &BTreeMap<&str, Vec<Watched<'_>>>,
        definitions: &Definitions,
        now: Timestamp,
    ) -> Result<()> {
        let id = RuleId { workspace: workspace.to_owned(), name: BLIND.name.to_owned() };
        let mut memory = Memory::load(&self.alerts, &id, Duration::from_secs(60)).await?;
        let mut news = Vec::new();
        for (monitor, rules) in monitors {
            let keys: AlertKeys = [(MONITOR.to_owned(), (*monitor).to_owned())].into();
            let key = MonitorKey::new(workspace, *monitor);
            let long = |blind: &&Blind| now.since(blind.since) >= self.config.blind_after.0;
            let blind: Vec<(&Watched<'_>, &Blind)> =
                rules.iter().filter_map(|rule| Some((rule, rule.blind().filter(long)?))).collect();
            let is_told = !self.config.blind_after.0.is_zero();
            let firing = memory.states.get(&keys);
            let all = || blind.iter().map(|(rule, _)| rule.concern()).collect::<Vec<_>>();
            let (change, concerns) = match firing {
                None if is_told && !blind.is_empty() => (Change::Fired, all()),
                Some(state) if !blind.is_empty() && self.is_to_be_reminded(state, now) => (Change::Reminded, all()),
                // Others may hear of the rules that are blind since.
                Some(_) if !blind.is_empty() => match self.told.fresh(&key, all(), rules) {
                    fresh if fresh.is_empty() => continue,
                    fresh => (Change::Reminded, fresh),
                },
                // What a rule sees is not known at once after a start.
                Some(_) if rules.iter().all(Watched::sees) => (Change::Recovered, self.told.take(&key, rules)),
                _ => continue,
            };
            let reason = if change == Change::Recovered {
                "all of its rules are judged again".to_owned()
            } else {
                self.told.remember(&key, &concerns);
                let agents = self.fleet.agents(workspace).await?;
                // The rules themselves know it only since the last start.
                let known_since = firing.map(|state| state.since.saturating_sub(self.config.blind_after.0));
                told(monitor, &blind, known_since, &agents)
            };
            let level = concerns.iter().map(|concern: &Concern| concern.level).min().unwrap_or_default();
            let folder = definitions
                .resource(&ResourceKey::new(Kind::Monitor, workspace, *monitor))
                .map(|resource| resource.metadata.folder.clone())
                .unwrap_or_default();
            news.push(News { change, keys, reason, concerns, monitor: (*monitor).to_owned(), folder, level });
        }
        let gone = memory
            .states
            .keys()
            .filter(|keys| keys.get(MONITOR).is_none_or(|monitor| !monitors.contains_key(monitor.as_str())));
        news.extend(
            gone.map(|keys| News {
                change: Change::Closed,
                keys: keys.clone(),
                reason: "no rule judges the monitor any more".to_owned(),
                concerns: keys
                    .get(MONITOR)
                    .map(|name| self.told.take(&MonitorKey::new(workspace, name), &[]))
                    .unwrap_or_default(),
                monitor: keys.get(MONITOR).cloned().unwrap_or_default(),
                folder: String::new(),
                level: Default::default(),
            }),
        );
        self.tell_news(BLIND, workspace, definitions, &mut memory, news, now).await
    }
}

/// Whom alerts that go on were about, so that the same hear of their end. After a restart it is taken to be all
/// rules of the monitor.
#[derive(Debug, Default)]
pub(super) struct Told(std::sync::Mutex<HashMap<MonitorKey, Vec<Concern>>>);

impl Told {
    fn remember(&self, monitor: &MonitorKey, concerns: &[Concern]) {
        let mut told = self.lock();
        let known = told.entry(monitor.clone()).or_default();
        let fresh = not_among(known, concerns);
        known.extend(fresh);
    }

    /// Those that the alert, which goes on, was not about so far.
    fn fresh(&self, monitor: &MonitorKey, concerns: Vec<Concern>, rules: &[Watched<'_>]) -> Vec<Concern> {
        let mut told = self.lock();
        let known = told.entry(monitor.clone()).or_insert_with(|| rules.iter().map(Watched::concern).collect());
        not_among(known, &concerns)
    }

    fn take(&self, monitor: &MonitorKey, rules: &[Watched<'_>]) -> Vec<Concern> {
        let told = self.lock().remove(monitor);
        told.unwrap_or_else(|| rules.iter().map(Watched::concern).collect())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<MonitorKey, Vec<Concern>>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Those of the rules that are not known.
fn not_among(known: &[Concern], concerns: &[Concern]) -> Vec<Concern> {
    let is_known = |one: &&Concern| known.iter().any(|known| known.rule == one.rule);
    concerns.iter().filter(|one| !is_known(one)).cloned().collect()
}

fn told(
    monitor: &str,
    blind: &[(&Watched<'_>, &Blind)],
    known_since: Option<Timestamp>,
    agents: &[AgentView],
) -> String {
    let rules = some(blind.iter().map(|(rule, _)| format!("`{}`", rule.resource.metadata.name)));
    let since = blind.iter().map(|(_, blind)| blind.since).chain(known_since).min().unwrap_or_default();
    let first = blind.first().map(|(_, blind)| blind.reason.as_str()).unwrap_or_default();
    let missing: BTreeSet<&AgentId> = blind.iter().flat_map(|(_, blind)| &blind.missing).collect();
    let hosts = hosts_of(agents);
    let who = missing.iter().map(|id| {
        let name = hosts.get(*id).map_or(id.0.as_str(), String::as_str);
        let view = agents.iter().find(|agent| agent.id == **id);
        let what = match view {
            Some(view) if view.health == AgentHealth::Left => "it signed off".to_owned(),
            Some(view) => complaint(view).unwrap_or_else(|| "it has not read so far".to_owned()),
            None => "it is no longer there".to_owned(),
        };
        format!("{name} ({what})")
    });
    let who = if missing.is_empty() { String::new() } else { format!("; it is for want of {}", some(who)) };
    format!("since {since} rules of the monitor `{monitor}` are not judged, in whole or in part: {rules}; {first}{who}")
}

/// With commas; of many the first.
fn some(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    match words.len() {
        many if many > MOST_NAMED => {
            format!("{} and {} more", words[..MOST_NAMED].join(", "), many - MOST_NAMED)
        }
        _ => words.join(", "),
    }
}

/// Tells of rules that are blind.
pub(crate) struct WatchSight(pub(crate) Arc<Evaluate>);

#[async_trait]
impl Reconciler for WatchSight {
    fn name(&self) -> &'static str {
        "alerting.sight"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn activate(&self) -> Result<()> {
        self.0.watch_sight().await
    }
}
