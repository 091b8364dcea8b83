//! The reconciler that judges rules: each at every multiple of its `every`, in order, once.
//!
//! What a check changes (the rule's states, alerts, events, notifications) is one transaction. Judging a
//! check again after a crash yields the same, so it does no harm; therefore checks that change nothing
//! are not written one by one, only how far they went, every few minutes.

mod agents;
mod form;
mod lifecycle;
mod memory;
mod record;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use nightjar_model::alert::AlertCommit;
use nightjar_model::kinds::alert_rule::AlertRuleSpec;
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{AlertStore, Fleet, Reconciler, WindowReader};
use nightjar_model::query::WindowQuery;
use nightjar_model::{Clock, Resource, Result, Timestamp};
use tokio::sync::{Notify, Semaphore};

use crate::config::AlertingConfig;
use crate::definitions::{DefinitionSource, Definitions};
use crate::error::AlertingError;
use crate::evaluation::{self, Check, Verdict};
use crate::pipeline::Pipeline;
use crate::telemetry;
pub(crate) use agents::WatchAgents;
use form::{Form, FormChange};
use memory::{Look, Memory, RuleId};
use record::Record;

/// How often partial data is looked at for what more data can only confirm.
const LOOK_EVERY: Duration = Duration::from_secs(5);
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
}

/// Which rules a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Prompt,
    Slow,
}

/// Where a check left its rule.
enum Progress {
    Done,
    /// Data may still come.
    Waiting,
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
            })
            .collect();
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
                None => Memory::load(&self.alerts, &subject.id).await?,
            };
            // Lost on error: the next run reads again what is stored.
            self.judge_due(subject, &mut memory).await?;
            self.lock_memories().insert(subject.id.clone(), memory);
            Ok(())
        };
        let judged = judged.await;
        if self.clock.now().since(started) >= SLOW {
            self.lock_slow().insert(subject.id.clone());
        } else {
            self.lock_slow().remove(&subject.id);
        }
        judged.map_err(|error: nightjar_model::Error| (subject.id.clone(), error.message))
    }

    async fn judge_due(&self, subject: &Subject<'_>, memory: &mut Memory) -> Result<()> {
        let now = self.clock.now();
        let every = subject.rule.every.0;
        let form = Form::of(subject.uid, subject.rule);
        match memory.form.change_to(&form) {
            FormChange::None => {}
            FormChange::Anew(why) => self.start_afresh(subject, memory, form, why, now).await?,
            FormChange::Conditions => {
                evaluation::break_off(&mut memory.states, subject.rule.no_data);
                (memory.form, memory.before_unjudged) = (form, None);
                self.store(subject, memory, Record::default(), true).await?;
            }
        }
        self.take_up(subject, memory).await?;
        let Some(judged_through) = memory.judged_through else {
            memory.judged_through = Some(now.floor(every));
            return self.store(subject, memory, Record::default(), true).await;
        };
        if judged_through > now.saturating_add(every) {
            return self.step_back(subject, memory, judged_through, now).await;
        }
        let mut at = judged_through.floor(every).saturating_add(every);
        let patience = subject.rule.max_wait.0.max(self.config.settle_in.0);
        let earliest = now.saturating_sub(self.config.catch_up.0).saturating_sub(patience);
        if at < earliest && at.saturating_add(every) <= now {
            at = self.skip(subject, memory, at, earliest, now).await?;
        }
        while at <= now {
            let started = std::time::Instant::now();
            let progress = self.judge_at(subject, memory, at, now).await?;
            telemetry::evaluation_took(started.elapsed());
            match progress {
                Progress::Waiting => break,
                Progress::Done => at = at.saturating_add(every),
            }
        }
        Ok(())
    }

    /// Goes back to what was left unjudged, once all of it is complete.
    async fn take_up(&self, subject: &Subject<'_>, memory: &mut Memory) -> Result<()> {
        let (Some(before), Some(judged_through)) = (memory.before_unjudged, memory.judged_through) else {
            return Ok(());
        };
        let key = MonitorKey::new(&subject.id.workspace, &subject.rule.monitor);
        let progress = self.windows.progress(&key).await?;
        if progress.complete_through.is_some_and(|through| through >= judged_through) {
            (memory.judged_through, memory.before_unjudged) = (Some(before), None);
        }
        Ok(())
    }

    async fn judge_at(
        &self,
        subject: &Subject<'_>,
        memory: &mut Memory,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<Progress> {
        let workspace = &subject.id.workspace;
        let monitor = subject.definitions.monitor(workspace, &subject.rule.monitor).filter(|monitor| monitor.enabled);
        let Some(monitor) = monitor else {
            let reason = format!("its monitor `{}` is disabled or was deleted", subject.rule.monitor);
            return self.pass_over(subject, memory, at, now, Some(&reason)).await;
        };
        if !evaluation::is_active(&subject.rule.active, at.saturating_sub(monitor.width())) {
            return self.pass_over(subject, memory, at, now, None).await;
        }
        if memory.passed_over.take().is_some() {
            let mut record = Record::default();
            record.on_timeline(&subject.id.name, now, "passed", format!("the minute to {at} is judged again"));
            self.store(subject, memory, record, false).await?;
        }
        let key = MonitorKey::new(workspace, &subject.rule.monitor);
        // A minute is not partial because nobody was there to take what agents had of it.
        // After a start on a clock that was ahead and was set back since, it cannot be known how long ago
        // the start was, and nobody is waited for.
        let ahead = self.started_at > now;
        let settled_in = if ahead { now } else { self.started_at.saturating_add(self.config.settle_in.0) };
        let last_call = now >= at.saturating_add(subject.rule.max_wait.0).max(settled_in);
        if !last_call && !self.worth_reading(subject.rule, monitor, &key, memory, at, now).await? {
            return Ok(Progress::Waiting);
        }
        let answer = self.windows.windows(self.query(subject.rule, key.clone(), at)).await?;
        let progress = self.windows.progress(&key).await?;
        let hosts = if last_call { self.hosts(workspace).await } else { Arc::default() };
        let check = Check {
            rule: subject.rule,
            rule_uid: subject.uid,
            monitor,
            at,
            answer: &answer,
            last_call,
            max_states: self.config.max_states,
            forget_keys_after: self.config.forget_keys_after.0,
            agent_away: progress.settled_through.is_none_or(|through| through < at),
            hosts: &hosts,
        };
        let mut verdict = evaluation::judge(&check, &memory.states)?;
        let settled = verdict.settled;
        if settled {
            telemetry::evaluation(if verdict.unjudged.is_empty() { "judged" } else { "unjudged" });
        }
        if !verdict.unjudged.is_empty() {
            if progress.complete_through.is_some_and(|through| through >= at) {
                evaluation::give_up(&mut verdict.states, &verdict.unjudged, subject.rule.no_data);
            } else if memory.before_unjudged.is_none() {
                memory.before_unjudged = memory.judged_through;
            }
        }
        self.take_verdict(subject, memory, now, verdict, &check).await?;
        Ok(if settled { Progress::Done } else { Progress::Waiting })
    }

    /// Complete, or partial and time to see whether something is certain already.
    async fn worth_reading(
        &self,
        rule: &AlertRuleSpec,
        monitor: &MonitorSpec,
        key: &MonitorKey,
        memory: &mut Memory,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<bool> {
        let progress = self.windows.progress(key).await?;
        let complete = progress.complete_through.is_some_and(|through| through >= at);
        let certain_early = || {
            rule.conditions.iter().any(|condition| {
                let stat = monitor.stats.iter().find(|stat| stat.name == condition.field);
                stat.is_some_and(|stat| evaluation::confirmed_by_less(stat, condition))
            })
        };
        if !complete && !certain_early() {
            return Ok(false);
        }
        // Looked at already and still waiting: an earlier minute is missing, or nothing is certain yet.
        let look = Look { check: at, complete, when: now };
        let due = memory
            .looked
            .as_ref()
            .is_none_or(|last| last.check != at || last.complete != complete || now.since(last.when) >= LOOK_EVERY);
        if due {
            memory.looked = Some(look);
        }
        Ok(due)
    }

    fn query(&self, rule: &AlertRuleSpec, monitor: MonitorKey, at: Timestamp) -> WindowQuery {
        WindowQuery {
            monitor,
            from: at.saturating_sub(rule.reach().0),
            until: at,
            filter: rule.where_.clone(),
            by: Some(rule.where_.keys().cloned().collect()),
            step: None,
            max_series: self.config.max_series,
        }
    }

    async fn take_verdict(
        &self,
        subject: &Subject<'_>,
        memory: &mut Memory,
        now: Timestamp,
        verdict: Verdict,
        check: &Check<'_>,
    ) -> Result<()> {
        let at = check.at;
        let mut record = Record::default();
        for transition in &verdict.transitions {
            self.record_transition(subject, memory, at, now, transition, &mut record).await?;
        }
        for (id, values) in &verdict.still_firing {
            memory.refresh(&self.alerts, &subject.id.workspace, id, values, &mut record).await?;
        }
        let rule = &subject.id.name;
        for (keys, reason) in &verdict.held {
            record.on_timeline(rule, now, "stopped", format!("{}{reason}", shown_keys(keys)));
        }
        if verdict.settled {
            if verdict.over_limit > 0 {
                telemetry::keys_over_limit(verdict.over_limit);
            }
            if (verdict.over_limit > 0) != memory.over_limit {
                let most = self.config.max_states;
                let (outcome, reason) = match verdict.over_limit {
                    0 => ("passed", "all keys are judged again".to_owned()),
                    keys => ("stopped", format!("{keys} keys are not judged: the rule has its {most} states")),
                };
                record.on_timeline(rule, now, outcome, reason);
                memory.over_limit = verdict.over_limit > 0;
            }
            let unjudged = !verdict.unjudged.is_empty();
            if unjudged != memory.unjudged {
                let (outcome, reason) = if unjudged {
                    let later = if memory.before_unjudged.is_some() { " until it is complete" } else { "" };
                    ("stopped", format!("{}; it is left unjudged{later}", evaluation::incomplete(check)))
                } else {
                    ("passed", format!("the minute to {at} is judged again"))
                };
                record.on_timeline(rule, now, outcome, reason);
                memory.unjudged = unjudged;
            }
            memory.judged_through = Some(at);
        }
        let changed = memory.take_states(verdict.states);
        self.store(subject, memory, record, changed).await
    }

    /// A check that is not judged, by the rule's own will; what fires stays, or is closed with `closing`.
    async fn pass_over(
        &self,
        subject: &Subject<'_>,
        memory: &mut Memory,
        at: Timestamp,
        now: Timestamp,
        closing: Option<&str>,
    ) -> Result<Progress> {
        let mut record = Record::default();
        let why = closing.unwrap_or("outside its active hours");
        if memory.passed_over.as_deref() != Some(why) {
            record.on_timeline(&subject.id.name, now, "stopped", format!("the check at {at} is passed over: {why}"));
            memory.passed_over = Some(why.to_owned());
        }
        let mut states = std::mem::take(&mut memory.states);
        if let Some(reason) = closing {
            for transition in evaluation::close_all(&states, reason) {
                self.record_transition(subject, memory, at, now, &transition, &mut record).await?;
            }
            states.clear();
        }
        evaluation::break_off(&mut states, subject.rule.no_data);
        let changed = memory.take_states(states);
        (memory.judged_through, memory.before_unjudged) = (Some(at), None);
        self.store(subject, memory, record, changed).await?;
        Ok(Progress::Done)
    }

    /// After a standstill: checks too old to be worth an alert are left out.
    async fn skip(
        &self,
        subject: &Subject<'_>,
        memory: &mut Memory,
        from: Timestamp,
        earliest: Timestamp,
        now: Timestamp,
    ) -> Result<Timestamp> {
        let every = subject.rule.every.0;
        // The first check at or after `earliest`; of a rule judged seldom, the last one there was.
        let first = earliest.saturating_sub(Duration::from_millis(1)).floor(every).saturating_add(every);
        let resume = first.min(now.floor(every));
        let skipped = (resume.since(from).as_millis() / every.as_millis().max(1)) as u64;
        telemetry::skipped_checks(skipped);
        let mut record = Record::default();
        let reason = format!("{skipped} checks from {from} were skipped: they are older than {}", self.config.catch_up);
        record.on_timeline(&subject.id.name, now, "stopped", reason);
        let mut states = std::mem::take(&mut memory.states);
        evaluation::break_off(&mut states, subject.rule.no_data);
        memory.take_states(states);
        (memory.judged_through, memory.before_unjudged) = (Some(resume.saturating_sub(every)), None);
        self.store(subject, memory, record, true).await?;
        Ok(resume)
    }

    /// After the clock was set back: checks that were judged ahead of time would keep the rule from being
    /// judged until their time comes. Those that come in between are judged by what there is then.
    async fn step_back(
        &self,
        subject: &Subject<'_>,
        memory: &mut Memory,
        judged_through: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let resume = now.floor(subject.rule.every.0);
        let mut record = Record::default();
        let reason =
            format!("was judged to {judged_through}: the clock was ahead; it is judged again from {resume} on");
        record.on_timeline(&subject.id.name, now, "passed", reason);
        let mut states = std::mem::take(&mut memory.states);
        evaluation::break_off(&mut states, subject.rule.no_data);
        // What goes on firing was seen ahead of time, and must be judged before that time comes, too.
        states.values_mut().for_each(|state| state.seen = state.seen.min(resume));
        memory.take_states(states);
        (memory.judged_through, memory.before_unjudged) = (Some(resume), None);
        memory.looked = None;
        self.store(subject, memory, record, true).await
    }

    fn lock_slow(&self) -> std::sync::MutexGuard<'_, HashSet<RuleId>> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
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
