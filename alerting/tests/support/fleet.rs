use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use nightjar_model::agents::{
    AgentFacts, AgentHealth, AgentSelf, AgentTask, AgentTaskResult, AgentView, MonitorReport,
};
use nightjar_model::names::AgentId;
use nightjar_model::ports::Fleet;
use nightjar_model::{Error, Result, Timestamp};

use super::WORKSPACE;

/// One workspace's agents, by host; an agent's id is `id-of-HOST`, or the host's name if that starts with `agent-`.
/// All contribute to the monitor `trade`.
#[derive(Default)]
pub(crate) struct MemoryFleet(Mutex<BTreeMap<String, (AgentHealth, Timestamp)>>, AtomicBool);

impl MemoryFleet {
    pub(crate) fn put(&self, host: &str, health: AgentHealth, last_seen_at: Timestamp) {
        self.0.lock().expect("no test panicked here").insert(host.to_owned(), (health, last_seen_at));
    }

    pub(crate) fn lose(&self, host: &str) {
        self.0.lock().expect("no test panicked here").get_mut(host).expect("known").0 = AgentHealth::Lost;
    }

    /// Whether it cannot be asked.
    pub(crate) fn break_down(&self, broken: bool) {
        self.1.store(broken, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, host: &str) {
        self.0.lock().expect("no test panicked here").remove(host);
    }
}

#[async_trait]
impl Fleet for MemoryFleet {
    async fn agents(&self, workspace: &str) -> Result<Vec<AgentView>> {
        assert_eq!(workspace, WORKSPACE);
        if self.1.load(Ordering::Relaxed) {
            return Err(Error::unavailable("the fleet cannot be asked"));
        }
        let view = |(host, (health, last_seen_at)): (&String, &(AgentHealth, Timestamp))| AgentView {
            id: AgentId(if host.starts_with("agent-") { host.clone() } else { format!("id-of-{host}") }),
            workspace: workspace.to_owned(),
            facts: AgentFacts { hostname: host.clone(), ..AgentFacts::default() },
            health: *health,
            reasons: match health {
                AgentHealth::Abnormal => vec!["its journal is full".to_owned()],
                _ => Vec::new(),
            },
            enrolled_at: Timestamp::default(),
            last_seen_at: Some(*last_seen_at),
            left_at: None,
            clock_skew_ms: if *health == AgentHealth::ClockSkew { -150_000 } else { 0 },
            config_applied: None,
            config_wanted: String::new(),
            monitors: vec![MonitorReport { monitor: "trade".into(), ..MonitorReport::default() }],
            process: AgentSelf::default(),
        };
        Ok(self.0.lock().expect("no test panicked here").iter().map(view).collect())
    }

    async fn agent(&self, _: &str, _: &AgentId) -> Result<AgentView> {
        Err(Error::internal("the room has no business here"))
    }

    async fn run(&self, _: &str, _: &AgentId, _: AgentTask) -> Result<AgentTaskResult> {
        Err(Error::internal("the room has no business here"))
    }

    async fn disconnect(&self, _: &AgentId) {}
}
