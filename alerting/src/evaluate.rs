//! The reconciler that judges rules: each at every multiple of its `every`, once, when its data is there.
//!
//! What a check changes (the rule's states, alerts, events, notifications) is one transaction. Judging a
//! check again after a crash yields the same, so it does no harm; therefore checks that change nothing
//! are not written one by one, only how far they went, every few minutes.

mod agents;
mod blind;
mod form;
mod judge;
mod lifecycle;
mod memory;
mod record;
mod sight;
mod system;
mod turns;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use nightjar_model::alert::AlertCommit;
use nightjar_model::kinds::alert_rule::AlertRuleSpec;
use nightjar_model::names::AgentId;
use nightjar_model::ports::{AlertStore, Fleet, Reconciler, WindowReader};
use nightjar_model::{Clock, Resource, Result, Timestamp};
use tokio::sync::{Notify, Semaphore};

use crate::config::AlertingConfig;
use crate::definitions::{DefinitionSource, Definitions};
use crate::error::AlertingError;
use crate::pipeline::{Concern, Pipeline};
use crate::telemetry;
pub(crate) use agents::WatchAgents;
pub(crate) use blind::WatchSight;
use memory::{Memory, RuleId};
use record::Record;
use sight::Sight;

/// A rule that takes longer is judged beside the others, so that they do not wait for it.
const SLOW: Duration = Duration::from_secs(2);
/// How far a rule has come is written at least this often; well within `catch_up`.
const WRITE_EVERY: Duration = Duration::from_secs(300);

pub(crate) struct Evaluate {
    pub(crate) config: Arc<AlertingConfig>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alerts: Arc<dyn AlertStore>,
    pub(crate) windows: Arc<dyn WindowReader>,
    pub(crate) fleet: Arc<dyn Fleet>,
    pub(crate) definitions: Arc<DefinitionSource>,
    pub(crate) pipeline: Pipeline,
    pub(crate) wake: Notify,
    /// Woken when there is something to deliver.
    pub(crate) deliver: Arc<Notify>,
    memories: Mutex<HashMap<RuleId, Memory>>,
    /// The documents by which retired rules were last looked for.
    swept: Mutex<Option<Arc<Definitions>>>,
    /// What rules failed with in the last run, so that it is logged once and not every second.
    failing: Mutex<BTreeMap<RuleId, String>>,
    /// Hosts' names as they were found in this run, by workspace.
    hosts: Mutex<HashMap<String, Arc<HashMap<AgentId, String>>>>,
    /// Rules that were slow the last time.
    slow: Mutex<HashSet<RuleId>>,
    /// Whom alerts of blind rules were about.
    told: blind::Told,
    /// What each rule could judge lately.
    sights: Mutex<HashMap<RuleId, Sight>>,
    /// Since when agents have been unwell that were not told of yet.
    unwell: Mutex<HashMap<(AgentId, agents::Ailment), Timestamp>>,
    turns: [Semaphore; 2],
    started_at: Timestamp,
}

/// What is judged, resolved.
struct Subject<'a> {
    id: RuleId,
    uid: &'a str,
    resource: &'a Resource,
    rule: &'a AlertRuleSpec,
    definitions: &'a Definitions,
    /// The rules that an alert is about that has none of its own.
    concerns: &'a [Concern],
}

/// Which rules a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Prompt,
    Slow,
}

impl Evaluate {
    pub(crate) fn new(
        config: Arc<AlertingConfig>,
        clock: Arc<dyn Clock>,
        alerts: Arc<dyn AlertStore>,
        windows: Arc<dyn WindowReader>,
        fleet: Arc<dyn Fleet>,
        definitions: Arc<DefinitionSource>,
        deliver: Arc<Notify>,
    ) -> Self {
        Self {
            started_at: clock.now(),
            pipeline: Pipeline::new(&config),
            config,
            clock,
            alerts,
            windows,
            fleet,
            definitions,
            wake: Notify::new(),
            deliver,
            memories: Mutex::default(),
            swept: Mutex::default(),
            failing: Mutex::default(),
            hosts: Mutex::default(),
            slow: Mutex::default(),
            told: blind::Told::default(),
            sights: Mutex::default(),
            unwell: Mutex::default(),
            turns: [Semaphore::new(1), Semaphore::new(1)],
        }
    }

    async fn run(&self, lane: Lane) -> Result<()> {
        // A second run at the same time would judge the same checks; what it came for is being done.
        let Ok(_turn) = self.turns[lane as usize].try_acquire() else { return Ok(()) };
        let definitions = self.definitions.current().await?;
        let mut failures = BTreeMap::new();
        if lane == Lane::Prompt {
            self.lock_hosts().clear();
            failures = self.retire(&definitions).await?;
        }
        let slow = self.lock_slow().clone();
        let rules: Vec<Subject<'_>> = definitions
            .rules()
            .filter(|(resource, rule)| rule.enabled && slow.contains(&RuleId::of(resource)) == (lane == Lane::Slow))
            .map(|(resource, rule)| Subject {
                id: RuleId::of(resource),
                uid: resource.metadata.uid.as_deref().unwrap_or_default(),
                resource,
                rule,
                definitions: &definitions,
                concerns: &[],
            })
            .collect();
        let known: HashSet<RuleId> =
            definitions.rules().filter(|(_, rule)| rule.enabled).map(|(resource, _)| RuleId::of(resource)).collect();
        self.lock_sights().retain(|id, _| known.contains(id));
        let judged_now: BTreeSet<&RuleId> = rules.iter().map(|subject| &subject.id).collect();
        let at_once = if lane == Lane::Prompt { self.config.concurrent_rules } else { 1 };
        // One future a rule, started as there is room; none of them ends another.
        let runs: Vec<_> = rules.iter().map(|subject| self.catch_up(subject)).collect();
        let mut judged = futures::stream::iter(runs).buffer_unordered(at_once);
        while let Some(result) = judged.next().await {
            if let Err((id, error)) = result {
                telemetry::evaluation("failed");
                failures.insert(id, error);
            }
        }
        telemetry::firing(self.lock_memories().values().map(Memory::firing).sum());
        self.report(failures, &judged_now).await
    }

    /// Tells of rules that cannot be judged, in the log and once on their own timelines, and of their return.
    async fn report(&self, failures: BTreeMap<RuleId, String>, judged: &BTreeSet<&RuleId>) -> Result<()> {
        let before = self.lock_failing().clone();
        for (id, error) in failures.iter().filter(|(id, error)| before.get(id) != Some(error)) {
            tracing::warn!("rule `{id}` cannot be judged: {error}");
            if !before.contains_key(id) {
                self.note(id, "failed", format!("it cannot be judged: {error}")).await;
            }
        }
        for id in before.keys().filter(|id| judged.contains(id) && !failures.contains_key(id)) {
            tracing::info!("rule `{id}` is judged again");
            self.note(id, "passed", "it is judged again".to_owned()).await;
        }
        let first = failures.first_key_value().map(|(id, error)| format!("rule `{id}`: {error}"));
        let (failed, all) = (failures.len(), judged.len());
        let mut failing = self.lock_failing();
        failing.retain(|id, _| !judged.contains(id));
        failing.extend(failures);
        first.map_or(Ok(()), |first| Err(AlertingError::Rules { failed, all, first }.into()))
    }

    /// Puts a line on a rule's timeline; where that is not possible either, the log has it.
    async fn note(&self, rule: &RuleId, outcome: &str, reason: String) {
        let mut record = Record::default();
        record.on_timeline(&rule.name, self.clock.now(), outcome, reason);
        let commit = AlertCommit { workspace: rule.workspace.clone(), events: record.events, ..AlertCommit::default() };
        if let Err(error) = self.alerts.commit(commit).await {
            tracing::debug!("the timeline of rule `{rule}` stays behind: {error}");
        }
    }

    /// Judges all checks of a rule whose time has come, and finds out whether it is slow.
    async fn catch_up(&self, subject: &Subject<'_>) -> Result<(), (RuleId, String)> {
        let kept = self.lock_memories().remove(&subject.id);
        let started = self.clock.now();
        let judged = async {
            let mut memory = match kept {
                Some(memory) => memory,
                None => Memory::load(&self.alerts, &subject.id, subject.rule.every.0).await?,
            };
            // Lost on error: the next run reads again what is stored.
            self.judge_due(subject, &mut memory).await?;
            self.lock_sights().insert(subject.id.clone(), memory.sight.clone());
            self.lock_memories().insert(subject.id.clone(), memory);
            Ok(())
        };
        let judged = judged.await;
        if self.clock.now().since(started) >= SLOW {
            self.lock_slow().insert(subject.id.clone());
        } else {
            self.lock_slow().remove(&subject.id);
        }
        judged.map_err(|error: nightjar_model::Error| {
            // Whatever the reason: it does not see.
            let reason = format!("it cannot be judged: {}", error.message);
            let at = started.floor(subject.rule.every.0);
            self.lock_sights().entry(subject.id.clone()).or_default().left_out(at, BTreeSet::new(), reason);
            (subject.id.clone(), error.message)
        })
    }

    fn lock_slow(&self) -> std::sync::MutexGuard<'_, HashSet<RuleId>> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_sights(&self) -> std::sync::MutexGuard<'_, HashMap<RuleId, Sight>> {
        self.sights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_failing(&self) -> std::sync::MutexGuard<'_, BTreeMap<RuleId, String>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_hosts(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<HashMap<AgentId, String>>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_memories(&self) -> std::sync::MutexGuard<'_, HashMap<RuleId, Memory>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown_keys(keys: &nightjar_model::alert::AlertKeys) -> String {
    let pairs: Vec<String> = keys.iter().map(|(column, key)| format!("{column}={key}")).collect();
    if pairs.is_empty() { String::new() } else { format!("{}: ", pairs.join(", ")) }
}

#[async_trait]
impl Reconciler for Evaluate {
    fn name(&self) -> &'static str {
        "alerting.evaluate"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn wake(&self) -> Option<&Notify> {
        Some(&self.wake)
    }

    async fn activate(&self) -> Result<()> {
        self.run(Lane::Prompt).await
    }
}

/// Judges what is slow.
pub(crate) struct EvaluateSlow(pub(crate) Arc<Evaluate>);

#[async_trait]
impl Reconciler for EvaluateSlow {
    fn name(&self) -> &'static str {
        "alerting.evaluate_slow"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn activate(&self) -> Result<()> {
        self.0.run(Lane::Slow).await
    }
}
