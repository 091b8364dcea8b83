//! The reconciler that judges rules: each at every multiple of its `every`, in order, once.
//!
//! What a check changes (the rule's states, alerts, events, notifications) is one transaction. Judging a
//! check again after a crash yields the same, so it does no harm; therefore checks that change nothing
//! are not written one by one, only how far they went, every few minutes.

mod lifecycle;
mod memory;
mod record;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use nightjar_model::alert::AlertCommit;
use nightjar_model::kinds::alert_rule::AlertRuleSpec;
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::names::MonitorKey;
use nightjar_model::ports::{AlertStore, Reconciler, WindowReader};
use nightjar_model::query::WindowQuery;
use nightjar_model::{Clock, Resource, Result, Timestamp};
use tokio::sync::{Notify, Semaphore};

use crate::config::AlertingConfig;
use crate::definitions::{DefinitionSource, Definitions};
use crate::error::AlertingError;
use crate::evaluation::{self, Check, Verdict};
use crate::pipeline::Pipeline;
use crate::telemetry;
use memory::{Look, Memory, RuleId};
use record::Record;

/// How often partial data is looked at for what more data can only confirm.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How far a rule has come is written at least this often; well within `catch_up`.
const WRITE_EVERY: Duration = Duration::from_secs(300);

pub(crate) struct Evaluate {
    pub(crate) config: Arc<AlertingConfig>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alerts: Arc<dyn AlertStore>,
    pub(crate) windows: Arc<dyn WindowReader>,
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
    turn: Semaphore,
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
        definitions: Arc<DefinitionSource>,
        pipeline: Pipeline,
        deliver: Arc<Notify>,
    ) -> Self {
        Self {
            started_at: clock.now(),
            config,
            clock,
            alerts,
            windows,
            definitions,
            pipeline,
            wake: Notify::new(),
            deliver,
            memories: Mutex::default(),
            swept: Mutex::default(),
            failing: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }

    async fn run(&self) -> Result<()> {
        let definitions = self.definitions.current().await?;
        let mut failures = self.retire(&definitions).await?;
        let rules: Vec<Subject<'_>> = definitions
            .rules()
            .filter(|(_, rule)| rule.enabled)
            .map(|(resource, rule)| Subject {
                id: RuleId::of(resource),
                uid: resource.metadata.uid.as_deref().unwrap_or_default(),
                resource,
                rule,
                definitions: &definitions,
            })
            .collect();
        let all = rules.len();
        // One future a rule, started as there is room; none of them ends another.
        let runs: Vec<_> = rules.iter().map(|subject| self.catch_up(subject)).collect();
        let mut judged = futures::stream::iter(runs).buffer_unordered(self.config.concurrent_rules);
        while let Some(result) = judged.next().await {
            if let Err((id, error)) = result {
                telemetry::evaluation("failed");
                failures.insert(id, error);
            }
        }
        telemetry::firing(self.lock_memories().values().map(Memory::firing).sum());
        self.report(failures, all).await
    }

    /// Tells of rules that cannot be judged, in the log and once on their own timelines, and of their return.
    async fn report(&self, failures: BTreeMap<RuleId, String>, all: usize) -> Result<()> {
        let before = self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (id, error) in failures.iter().filter(|(id, error)| before.get(id) != Some(error)) {
            tracing::warn!("rule `{id}` cannot be judged: {error}");
            if !before.contains_key(id) {
                self.note(id, "failed", format!("it cannot be judged: {error}")).await;
            }
        }
        for id in before.keys().filter(|id| !failures.contains_key(id)) {
            tracing::info!("rule `{id}` is judged again");
            self.note(id, "passed", "it is judged again".to_owned()).await;
        }
        let first = failures.first_key_value().map(|(id, error)| format!("rule `{id}`: {error}"));
        let failed = failures.len();
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = failures;
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

    /// Judges all checks of a rule whose time has come.
    async fn catch_up(&self, subject: &Subject<'_>) -> Result<(), (RuleId, String)> {
        let kept = self.lock_memories().remove(&subject.id);
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
        judged.await.map_err(|error: nightjar_model::Error| (subject.id.clone(), error.message))
    }

    async fn judge_due(&self, subject: &Subject<'_>, memory: &mut Memory) -> Result<()> {
        let now = self.clock.now();
        let every = subject.rule.every.0;
        if memory.uid != subject.uid {
            self.start_afresh(subject, memory, now).await?;
        }
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
        let answer = self.windows.windows(self.query(subject.rule, key, at)).await?;
        let check = Check {
            rule: subject.rule,
            rule_uid: subject.uid,
            monitor,
            at,
            answer: &answer,
            last_call,
            max_states: self.config.max_states,
            forget_keys_after: self.config.forget_keys_after.0,
        };
        let verdict = evaluation::judge(&check, &memory.states)?;
        let settled = verdict.settled;
        if settled {
            telemetry::evaluation(if verdict.unjudged { "unjudged" } else { "judged" });
        }
        let missing = check.answer.completeness.iter().flat_map(|mark| &mark.missing).map(|agent| agent.0.clone());
        let missing = missing.collect();
        self.take_verdict(subject, memory, at, now, verdict, missing).await?;
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
        at: Timestamp,
        now: Timestamp,
        verdict: Verdict,
        missing: std::collections::BTreeSet<String>,
    ) -> Result<()> {
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
            if verdict.unjudged != memory.unjudged {
                let (outcome, reason) = if verdict.unjudged {
                    ("stopped", unjudged(at, &missing, subject.rule))
                } else {
                    ("passed", format!("the minute to {at} is judged again"))
                };
                record.on_timeline(rule, now, outcome, reason);
                memory.unjudged = verdict.unjudged;
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
        let mut states = std::mem::take(&mut memory.states);
        if let Some(reason) = closing {
            for transition in evaluation::close_all(&states, reason) {
                self.record_transition(subject, memory, at, now, &transition, &mut record).await?;
            }
            states.clear();
        }
        evaluation::break_off(&mut states, subject.rule.no_data);
        let changed = memory.take_states(states);
        memory.judged_through = Some(at);
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
        memory.judged_through = Some(resume.saturating_sub(every));
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
        memory.take_states(states);
        memory.judged_through = Some(resume);
        memory.looked = None;
        self.store(subject, memory, record, true).await
    }

    fn lock_memories(&self) -> std::sync::MutexGuard<'_, HashMap<RuleId, Memory>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown_keys(keys: &nightjar_model::alert::AlertKeys) -> String {
    let pairs: Vec<String> = keys.iter().map(|(column, key)| format!("{column}={key}")).collect();
    if pairs.is_empty() { String::new() } else { format!("{}: ", pairs.join(", ")) }
}

fn unjudged(at: Timestamp, missing: &std::collections::BTreeSet<String>, rule: &AlertRuleSpec) -> String {
    const MOST_NAMED: usize = 5;
    let named: Vec<&str> = missing.iter().map(String::as_str).take(MOST_NAMED).collect();
    let who = match missing.len() {
        0 => "no agent is expected to report".to_owned(),
        agents if agents > MOST_NAMED => format!("{agents} agents are missing, among them {}", named.join(", ")),
        _ => format!("missing: {}", named.join(", ")),
    };
    format!("the minute to {at} is still partial after {} and is left unjudged; {who}", rule.max_wait)
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
        // A second run at the same time would judge the same checks; what it came for is being done.
        let Ok(_turn) = self.turn.try_acquire() else { return Ok(()) };
        self.run().await
    }
}
