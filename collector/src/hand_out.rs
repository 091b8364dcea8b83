//! What each agent is told to collect, and whom the engine is to expect.
//!
//! [`Plan`] is an immutable picture of all monitors; sessions cut their own configuration out of the
//! newest one. The engine hears of an expectation before an agent hears of the monitor, so that no
//! window passes for complete while an agent has just begun to read; an agent that is new, or is not
//! what it was, therefore waits for the hand-out that counts it in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use nightjar_model::agents::{AgentFacts, AgentRecord};
use nightjar_model::builtin;
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{AwayAgent, Expectation, ExpectedAgent, ListQuery, Reconciler, ResourceStore};
use nightjar_model::protocol::wire;
use nightjar_model::resource::Kind;
use nightjar_model::{Error, Result};
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, SemaphorePermit};

use crate::Collector;
use crate::presence::Presence;

/// Configurations that are kept made: most agents share a few.
const CONFIGURATIONS: usize = 1000;

/// All monitors at one moment.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    workspaces: HashMap<String, BTreeMap<String, PlannedMonitor>>,
    /// Who is waited for, with what each was taken for when the engine was told so.
    fleet: HashMap<AgentId, PlannedAgent>,
    configurations: Mutex<HashMap<Wanted, Arc<wire::Config>>>,
}

/// A workspace, and the places of monitors in it.
type Wanted = (String, Vec<u32>);

#[derive(Debug)]
struct PlannedAgent {
    facts: AgentFacts,
    config: Arc<wire::Config>,
}

#[derive(Debug)]
struct PlannedMonitor {
    spec: MonitorSpec,
    spec_json: String,
    uid: String,
    /// What an agent must be able to do.
    needs: Vec<&'static str>,
}

/// Which monitor has a name, and what it asks for: the uid, and the digest of its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MonitorVersion(String, [u8; 32]);

impl Plan {
    /// `None` if there is none.
    pub(crate) fn version_of(&self, workspace: &str, monitor: &str) -> Option<MonitorVersion> {
        let planned = self.workspaces.get(workspace)?.get(monitor)?;
        Some(MonitorVersion(planned.uid.clone(), Sha256::digest(&planned.spec_json).into()))
    }

    pub(crate) async fn read(resources: &dyn ResourceStore) -> Result<Self> {
        let mut plan = Self::default();
        let mut query = ListQuery { kind: Some(Kind::Monitor), limit: 500, ..ListQuery::default() };
        loop {
            let page = resources.list(&query).await?;
            for resource in page.items {
                let Some(spec) = resource.spec.as_monitor() else { continue };
                let spec_json = serde_json::to_string(spec)
                    .map_err(|error| Error::internal(format!("cannot write {}: {error}", resource.key())))?;
                let uid = resource.metadata.uid.unwrap_or_default();
                let planned = PlannedMonitor { needs: spec.needs(), spec: spec.clone(), spec_json, uid };
                let workspace = plan.workspaces.entry(resource.metadata.workspace).or_default();
                workspace.insert(resource.metadata.name, planned);
            }
            query.cursor = page.next;
            if query.cursor.is_none() {
                return Ok(plan);
            }
        }
    }

    fn of<'a>(
        &'a self,
        workspace: &str,
        facts: &'a AgentFacts,
    ) -> impl Iterator<Item = (&'a String, &'a PlannedMonitor)> {
        self.workspaces
            .get(workspace)
            .into_iter()
            .flatten()
            .filter(|(_, planned)| planned.spec.wants(&facts.labels, &facts.hostname))
    }

    /// Whether a monitor wants this agent, be it paused: what the agent still has was gathered before.
    pub(crate) fn is_wanted(&self, workspace: &str, facts: &AgentFacts, monitor: &str) -> bool {
        if builtin::monitor(monitor).is_some() {
            return self.collects(workspace, facts);
        }
        let planned = self.workspaces.get(workspace).and_then(|monitors| monitors.get(monitor));
        planned.is_some_and(|planned| planned.spec.wants(&facts.labels, &facts.hostname))
    }

    /// Whether the agent has anything to collect: then it says what it read, and what it could not use.
    fn collects(&self, workspace: &str, facts: &AgentFacts) -> bool {
        self.of(workspace, facts).any(|(_, planned)| planned.spec.enabled)
    }

    /// The monitors that want this agent.
    pub(crate) fn wanted(&self, workspace: &str, facts: &AgentFacts) -> Vec<MonitorKey> {
        self.of(workspace, facts).map(|(name, _)| MonitorKey::new(workspace, name)).collect()
    }

    /// Whether the engine was told of the agent as it is, as far as monitors ask.
    fn counts_in(&self, agent: &AgentId, facts: &AgentFacts) -> bool {
        self.fleet.get(agent).is_some_and(|known| is_same(&known.facts, facts))
    }

    /// Whether an agent that can do this can collect the monitor.
    pub(crate) fn can_collect(&self, workspace: &str, monitor: &str, capabilities: &BTreeSet<String>) -> bool {
        let planned = self.workspaces.get(workspace).and_then(|monitors| monitors.get(monitor));
        planned.is_none_or(|planned| planned.needs.iter().all(|need| capabilities.contains(*need)))
    }

    /// The uid of the monitor that has this name; `None` where there is none.
    pub(crate) fn uid(&self, workspace: &str, monitor: &str) -> Option<&str> {
        Some(self.workspaces.get(workspace)?.get(monitor)?.uid.as_str())
    }

    /// The configuration of an agent.
    pub(crate) fn config_of(&self, agent: &AgentId, workspace: &str, facts: &AgentFacts) -> Arc<wire::Config> {
        match self.fleet.get(agent).filter(|known| is_same(&known.facts, facts)) {
            Some(known) => Arc::clone(&known.config),
            None => self.config(workspace, facts),
        }
    }

    /// The configuration of an agent with these facts. Its version is a digest of its content: the same
    /// after a restart of either side.
    fn config(&self, workspace: &str, facts: &AgentFacts) -> Arc<wire::Config> {
        let monitors = self.workspaces.get(workspace).into_iter().flatten().enumerate();
        let wanted: Vec<(usize, &String, &PlannedMonitor)> = monitors
            .filter(|(_, (_, planned))| planned.spec.enabled && planned.spec.wants(&facts.labels, &facts.hostname))
            .map(|(place, (name, planned))| (place, name, planned))
            .collect();
        let key = (workspace.to_owned(), wanted.iter().map(|(place, ..)| *place as u32).collect());
        let mut known = self.configurations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = known.get(&key) {
            return Arc::clone(config);
        }
        let config = Arc::new(configuration(wanted.iter().map(|(_, name, planned)| (*name, *planned))));
        if known.len() >= CONFIGURATIONS {
            known.clear();
        }
        known.insert(key, Arc::clone(&config));
        config
    }

    /// Enabled monitors and the agents that contribute to each, or would if they were there.
    /// `is_off` says which of them is taken off a monitor for another agent.
    pub(crate) fn expectations(
        &self,
        agents: &[(AgentRecord, Presence)],
        is_off: impl Fn(&AgentId, &str) -> bool,
    ) -> Vec<Expectation> {
        let mut of_workspace: HashMap<&str, Vec<&(AgentRecord, Presence)>> = HashMap::new();
        for agent in agents {
            of_workspace.entry(agent.0.workspace.as_str()).or_default().push(agent);
        }
        let mut expected = Vec::new();
        for (workspace, monitors) in &self.workspaces {
            let fleet = of_workspace.get(workspace.as_str()).map(Vec::as_slice).unwrap_or_default();
            for (name, spec) in builtin::monitors() {
                let mut one = Expectation::new(MonitorKey::new(workspace.clone(), name), spec.width(), []);
                for (agent, presence) in fleet.iter().filter(|(agent, _)| self.collects(workspace, &agent.facts)) {
                    expect(&mut one, agent, presence, Vec::new);
                }
                expected.push(one);
            }
            for (name, planned) in monitors {
                let (spec, columns) = (&planned.spec, planned.spec.instance_columns());
                let mut one = Expectation::new(MonitorKey::new(workspace.clone(), name.clone()), spec.width(), []);
                for (agent, presence) in fleet {
                    let AgentFacts { labels, hostname, ip, .. } = &agent.facts;
                    if !spec.enabled || !spec.wants(labels, hostname) || is_off(&agent.id, name) {
                        continue;
                    }
                    expect(&mut one, agent, presence, || {
                        columns.iter().map(|column| spec.dimension(column, labels, hostname, ip)).collect()
                    });
                }
                one.columns = columns;
                one.uid = Some(planned.uid.clone()).filter(|uid| !uid.is_empty());
                expected.push(one);
            }
        }
        expected.sort_by(|a, b| a.monitor.cmp(&b.monitor));
        expected
    }
}

/// `keys` are asked for of one that is there.
fn expect(expectation: &mut Expectation, agent: &AgentRecord, presence: &Presence, keys: impl FnOnce() -> Vec<String>) {
    let id = agent.id.clone();
    let left_at = match presence {
        Presence::There => return expectation.agents.push(ExpectedAgent { id, keys: keys() }),
        Presence::Left(at) => Some(*at),
        Presence::Expired => None,
    };
    expectation.away.push(AwayAgent { id, left_at });
}

/// As far as monitors ask.
fn is_same(one: &AgentFacts, other: &AgentFacts) -> bool {
    (&one.labels, &one.hostname, &one.ip) == (&other.labels, &other.hostname, &other.ip)
}

fn configuration<'a>(wanted: impl Iterator<Item = (&'a String, &'a PlannedMonitor)>) -> wire::Config {
    let mut digest = Sha256::new();
    let mut monitors = Vec::new();
    for (name, planned) in wanted {
        for part in [name, &planned.spec_json, &planned.uid] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        let (spec_json, uid) = (planned.spec_json.clone(), planned.uid.clone());
        monitors.push(wire::MonitorConfig { name: name.clone(), spec_json, uid });
    }
    let version = digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    wire::Config { version, monitors }
}

/// Brings agents and engine in line with the documents and the fleet.
pub(crate) struct HandOut(pub(crate) Arc<Collector>);

#[async_trait]
impl Reconciler for HandOut {
    fn name(&self) -> &'static str {
        "collector.hand_out"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn wake(&self) -> Option<&Notify> {
        Some(&self.0.changed)
    }

    async fn activate(&self) -> Result<()> {
        self.0.hand_out().await
    }
}

impl Collector {
    /// Reads documents and fleet, tells the engine whom to expect, then the agents what to collect.
    pub(crate) async fn hand_out(&self) -> Result<()> {
        let _turn = self.hand_out_turn().await?;
        self.hand_out_now().await
    }

    /// Returns once the engine expects the agent where its facts say.
    pub(crate) async fn count_in(&self, agent: &AgentId, facts: &AgentFacts) -> Result<()> {
        if self.plan.borrow().counts_in(agent, facts) {
            return Ok(());
        }
        let _turn = self.hand_out_turn().await?;
        // Of agents that come together most were counted in by the one whose turn it was.
        if self.plan.borrow().counts_in(agent, facts) {
            return Ok(());
        }
        self.hand_out_now().await
    }

    /// One at a time: an older picture must not come after a newer one.
    async fn hand_out_turn(&self) -> Result<SemaphorePermit<'_>> {
        self.hand_out_turn.acquire().await.map_err(|_closed| Error::internal("hand-out was closed"))
    }

    async fn hand_out_now(&self) -> Result<()> {
        let mut plan = Plan::read(self.resources.as_ref()).await?;
        let mut agents = self.registry.agents(None).await?;
        for agent in &mut agents {
            // What a connected agent says of itself is newer than what is stored.
            if let Some(live) = self.live(&agent.id) {
                agent.facts = live.facts();
            }
        }
        self.forget_all_but(&agents);
        let now = self.clock.now();
        let agents: Vec<(AgentRecord, Presence)> =
            agents.into_iter().map(|agent| (self.presence(&agent, now), agent)).map(|(p, agent)| (agent, p)).collect();
        let presence: HashMap<&AgentId, Presence> = agents.iter().map(|(agent, here)| (&agent.id, *here)).collect();
        let (mut off, mut back) = (HashMap::new(), Vec::new());
        for (agent, _) in &agents {
            let (still, again) = self.exclusions(&agent.id, &plan, |other| presence.get(other).copied());
            if !still.is_empty() {
                off.insert(&agent.id, still);
            }
            if !again.is_empty() {
                back.push((agent.id.clone(), again));
            }
        }
        let is_off =
            |agent: &AgentId, monitor: &str| off.get(agent).is_some_and(|off: &BTreeSet<String>| off.contains(monitor));
        let expected = plan.expectations(&agents, is_off);
        drop((presence, off));
        self.intake.expect(expected).await?;
        back.iter().for_each(|(agent, monitors)| self.give_back(agent, monitors));
        let there = agents.into_iter().filter(|(_, presence)| *presence == Presence::There);
        let fleet = there.map(|(agent, _)| {
            let config = plan.config(&agent.workspace, &agent.facts);
            (agent.id, PlannedAgent { facts: agent.facts, config })
        });
        plan.fleet = fleet.collect();
        self.plan.send_replace(Arc::new(plan));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nightjar_model::time::Timestamp;
    use serde_json::json;

    use super::*;

    fn plan(monitors: &[(&str, serde_json::Value)]) -> Plan {
        let mut plan = Plan::default();
        for (name, extra) in monitors {
            let mut spec = json!({ "type": "minute", "source": { "log": { "paths": [{ "path": "/a.log" }] } } });
            spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            let spec: MonitorSpec = serde_json::from_value(spec).unwrap();
            let spec_json = serde_json::to_string(&spec).unwrap();
            let workspace = plan.workspaces.entry("default".to_owned()).or_default();
            workspace
                .insert((*name).to_owned(), PlannedMonitor { spec, spec_json, uid: String::new(), needs: Vec::new() });
        }
        plan
    }

    fn facts(app: &str) -> AgentFacts {
        AgentFacts { labels: [("app".to_owned(), app.to_owned())].into(), ..AgentFacts::default() }
    }

    fn names(config: &wire::Config) -> Vec<&str> {
        config.monitors.iter().map(|monitor| monitor.name.as_str()).collect()
    }

    #[test]
    fn agents_get_the_enabled_monitors_that_want_them() {
        let plan =
            plan(&[("all", json!({})), ("paused", json!({ "enabled": false })), ("trade", json!({ "app": "trade" }))]);
        let trade = plan.config("default", &facts("trade"));
        assert_eq!(names(&trade), ["all", "trade"]);
        assert_eq!(names(&plan.config("default", &facts("toll"))), ["all"]);
        assert!(plan.config("elsewhere", &facts("trade")).monitors.is_empty());
        assert!(plan.is_wanted("default", &facts("trade"), "paused"));
        assert!(!plan.is_wanted("elsewhere", &facts("trade"), "all"));
        assert!(!plan.is_wanted("default", &facts("toll"), "trade"));
    }

    #[test]
    fn a_monitor_that_needs_what_an_agent_cannot_do_is_beyond_it() {
        let mut plan = plan(&[("plain", json!({})), ("new", json!({}))]);
        let monitors = plan.workspaces.get_mut("default").unwrap();
        monitors.get_mut("new").unwrap().needs = vec!["tomorrow"];
        let can = |capabilities: &[&str]| {
            let capabilities = capabilities.iter().map(|one| (*one).to_owned()).collect();
            ["plain", "new"].map(|monitor| plan.can_collect("default", monitor, &capabilities))
        };
        assert_eq!(can(&["leave"]), [true, false]);
        assert_eq!(can(&["leave", "tomorrow"]), [true, true]);
    }

    #[test]
    fn versions_follow_the_content() {
        let before = plan(&[("a", json!({}))]).config("default", &facts("x"));
        let same = plan(&[("a", json!({}))]).config("default", &facts("y"));
        let changed = plan(&[("a", json!({ "limits": { "max_keys": 5 } }))]).config("default", &facts("x"));
        let renamed = plan(&[("b", json!({}))]).config("default", &facts("x"));
        assert_eq!(before.version, same.version);
        assert_ne!(before.version, changed.version);
        assert_ne!(before.version, renamed.version);
    }

    #[test]
    fn agents_with_the_same_monitors_share_one_configuration() {
        let plan = plan(&[("all", json!({})), ("trade", json!({ "app": "trade" }))]);
        let (one, two) = (plan.config("default", &facts("x")), plan.config("default", &facts("y")));
        assert!(Arc::ptr_eq(&one, &two));
        assert!(!Arc::ptr_eq(&one, &plan.config("default", &facts("trade"))));
    }

    #[test]
    fn expects_matching_agents_of_the_same_workspace() {
        let plan = plan(&[("trade", json!({ "app": "trade" })), ("paused", json!({ "enabled": false }))]);
        let agent = |id: &str, workspace: &str, app: &str| AgentRecord {
            id: AgentId(id.to_owned()),
            workspace: workspace.to_owned(),
            facts: facts(app),
            enrolled_at: Timestamp(0),
            last_seen_at: None,
            left_at: None,
        };
        let agents = [
            (agent("1", "default", "trade"), Presence::There),
            (agent("2", "default", "toll"), Presence::There),
            (agent("3", "other", "trade"), Presence::There),
            (agent("4", "default", "trade"), Presence::Left(Timestamp(7))),
            (agent("5", "default", "trade"), Presence::Expired),
        ];
        let expected = plan.expectations(&agents, |_, _| false);
        let names: Vec<&str> = expected.iter().map(|expectation| expectation.monitor.name.as_str()).collect();
        let one = ExpectedAgent { id: AgentId("1".to_owned()), keys: vec![] };
        // Who has something to collect also says what it read, and what it could not use.
        assert_eq!(names, ["_faults", "_intake", "paused", "trade"]);
        assert!(plan.is_wanted("default", &facts("trade"), "_intake"));
        assert!(!plan.is_wanted("default", &facts("toll"), "_intake"));
        let away = [("4", Some(Timestamp(7))), ("5", None)];
        let away = away.map(|(id, left_at)| AwayAgent { id: AgentId(id.to_owned()), left_at });
        for one_expected in &expected {
            let is_paused = one_expected.monitor.name == "paused";
            assert_eq!(one_expected.agents.is_empty(), is_paused, "it is named, so that it is known which one it is");
            if !is_paused {
                assert_eq!(one_expected.agents, std::slice::from_ref(&one));
                assert_eq!(one_expected.away, away);
            }
        }
    }
}
