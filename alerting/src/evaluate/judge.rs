//! A rule's checks: each is taken up at its time and judged when its data is there, whichever other check is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nightjar_model::kinds::alert_rule::AlertRuleSpec;
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::query::{Progress, WindowAnswer, WindowQuery};
use nightjar_model::{Result, Timestamp};

use super::form::{Form, FormChange};
use super::memory::{Look, Memory, Open};
use super::record::Record;
use super::{Evaluate, Subject};
use crate::evaluation::{self, Check, Standing, Verdict};
use crate::telemetry;

/// How often partial data is looked at for what more data can only confirm, and for keys that are complete.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The same for checks that are late.
const LOOK_LATE_EVERY: Duration = Duration::from_secs(15);

/// The monitor of a rule, and how far its data has come.
struct Watched<'a> {
    spec: &'a MonitorSpec,
    key: MonitorKey,
    progress: Progress,
    /// Whether a condition can be certain on partial data.
    certain_early: bool,
}

/// Of a check of which something was left out: what, and for want of whom.
struct LeftOut {
    missing: BTreeSet<AgentId>,
    reason: String,
    /// Nobody could have told: it is of a time before the monitor began, and agents have come since, and are there. Where
    /// the last one signed off nobody looks any more, and that is told.
    is_before_the_beginning: bool,
}

impl Evaluate {
    pub(super) async fn judge_due(&self, subject: &Subject<'_>, memory: &mut Memory) -> Result<()> {
        let now = self.clock.now();
        let every = subject.rule.every.0;
        let form = Form::of(subject.uid, subject.rule);
        match memory.form.change_to(&form) {
            FormChange::None => {}
            FormChange::Anew(why) => self.start_afresh(subject, memory, form, why, now).await?,
            FormChange::Conditions => {
                // Late checks were of other conditions; those that wait are of the new ones.
                memory.open.retain(|_, open| !open.is_late);
                if let Some(floor) = memory.floor(every) {
                    evaluation::break_off(&mut memory.states, floor);
                }
                memory.form = form;
                self.store(subject, memory, Record::default(), true).await?;
            }
        }
        let Some(taken_up) = memory.taken_up else {
            memory.taken_up = Some(now.floor(every));
            return self.store(subject, memory, Record::default(), true).await;
        };
        if taken_up > now.saturating_add(every) {
            return self.step_back(subject, memory, taken_up, now).await;
        }
        let earliest = self.earliest(subject.rule, now);
        let next = taken_up.floor(every).saturating_add(every);
        if next < earliest && next.saturating_add(every) <= now {
            self.skip(subject, memory, next, earliest, now).await?;
        }
        let from = memory.taken_up.unwrap_or(taken_up);
        memory.take_up(from, now, every);
        self.judge_open(subject, memory, now).await
    }

    /// Checks before this are not made up for any more.
    fn earliest(&self, rule: &AlertRuleSpec, now: Timestamp) -> Timestamp {
        let patience = rule.max_wait.0.max(self.config.settle_in.0);
        now.saturating_sub(self.config.catch_up.0).saturating_sub(patience)
    }

    async fn judge_open(&self, subject: &Subject<'_>, memory: &mut Memory, now: Timestamp) -> Result<()> {
        let workspace = &subject.id.workspace;
        let monitor = subject.definitions.monitor(workspace, &subject.rule.monitor).filter(|monitor| monitor.enabled);
        let watched = match monitor {
            Some(spec) => {
                let key = MonitorKey::new(workspace, &subject.rule.monitor);
                let progress = self.windows.progress(&key).await?;
                let certain_early = subject.rule.conditions.iter().any(|condition| {
                    let stat = spec.stats.iter().find(|stat| stat.name == condition.field);
                    stat.is_some_and(|stat| evaluation::confirmed_by_less(stat, condition))
                });
                Some(Watched { spec, key, progress, certain_early })
            }
            None => None,
        };
        let open: Vec<Timestamp> = memory.open.keys().copied().collect();
        for at in open {
            let started = std::time::Instant::now();
            match &watched {
                None => {
                    let reason = format!("its monitor `{}` is disabled or was deleted", subject.rule.monitor);
                    self.pass_over(subject, memory, at, now, Some(&reason)).await?;
                }
                Some(watched)
                    if !evaluation::is_active(&subject.rule.active, at.saturating_sub(watched.spec.width())) =>
                {
                    self.pass_over(subject, memory, at, now, None).await?;
                }
                Some(watched) => self.judge_at(subject, memory, watched, at, now).await?,
            }
            telemetry::evaluation_took(started.elapsed());
        }
        // Told when the latest of those that were left out is made up for, not each time one is.
        if let Some(sees) = memory.sight.sees.filter(|sees| memory.left_out.is_some_and(|left_out| *sees >= left_out)) {
            memory.left_out = None;
            let mut record = Record::default();
            record.on_timeline(&subject.id.name, now, "passed", format!("the minute to {sees} is judged again"));
            self.store(subject, memory, record, false).await?;
        }
        Ok(())
    }

    async fn judge_at(
        &self,
        subject: &Subject<'_>,
        memory: &mut Memory,
        watched: &Watched<'_>,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let rule = subject.rule;
        if memory.passed_over.take().is_some() {
            let mut record = Record::default();
            record.on_timeline(&subject.id.name, now, "passed", format!("the minute to {at} is judged again"));
            self.store(subject, memory, record, false).await?;
        }
        // A minute is not partial because nobody was there to take what agents had of it.
        // After a start on a clock that was ahead and was set back since, it cannot be known how long ago
        // the start was, and nobody is waited for.
        let ahead = self.started_at > now;
        let settled_in = if ahead { now } else { self.started_at.saturating_add(self.config.settle_in.0) };
        let last_call = now >= at.saturating_add(rule.max_wait.0).max(settled_in);
        let look = Look {
            when: now,
            revision: watched.progress.revision,
            settled: watched.progress.settled_through.is_some_and(|through| through >= at),
            last_call,
        };
        let Some(open) = memory.open.get_mut(&at) else { return Ok(()) };
        if open.is_late && at < self.earliest(rule, now) {
            return self.give_up(subject, memory, at, now).await;
        }
        if !is_due(open, &look, watched, at) {
            return Ok(());
        }
        open.looked = Some(look);
        let answer = self.windows.windows(self.query(rule, watched.key.clone(), at)).await?;
        let hosts = if last_call { self.hosts(&subject.id.workspace).await } else { Arc::default() };
        let check = Check {
            rule,
            rule_uid: subject.uid,
            monitor: watched.spec,
            at,
            answer: &answer,
            last_call,
            floor: memory.floor(rule.every.0).unwrap_or(at),
            done: &memory.done,
            max_states: self.config.max_states,
            forget_keys_after: self.config.forget_keys_after.0,
            hosts: &hosts,
        };
        let verdict = evaluation::judge(&check, &memory.states)?;
        let left_out = matches!(verdict.standing, Standing::Late | Standing::Missed).then(|| LeftOut {
            missing: missing_agents(&answer),
            reason: evaluation::incomplete(&check),
            is_before_the_beginning: watched.progress.expected > 0
                && watched.progress.furthest.is_some()
                && evaluation::nobody_was_expected(&check),
        });
        self.take_verdict(subject, memory, (at, now), verdict, left_out).await
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

    /// What came of the check at `at` is written `now`.
    async fn take_verdict(
        &self,
        subject: &Subject<'_>,
        memory: &mut Memory,
        (at, now): (Timestamp, Timestamp),
        verdict: Verdict,
        left_out: Option<LeftOut>,
    ) -> Result<()> {
        let (rule, every) = (&subject.id.name, subject.rule.every.0);
        let mut record = Record::default();
        for transition in &verdict.transitions {
            self.record_transition(subject, memory, now, transition, &mut record).await?;
        }
        for (id, values) in &verdict.still_firing {
            memory.refresh(&self.alerts, &subject.id.workspace, id, values, &mut record).await?;
        }
        for (keys, reason) in &verdict.held {
            record.on_timeline(rule, now, "stopped", format!("{}{reason}", super::shown_keys(keys)));
        }
        match left_out {
            None if verdict.standing == Standing::Waiting => {}
            None => {
                telemetry::evaluation("judged");
                memory.is_done(at, every);
                let late: Vec<Timestamp> =
                    memory.open.iter().filter(|(_, open)| open.is_late).map(|(at, _)| *at).collect();
                memory.sight.judged(at, late.into_iter());
            }
            Some(LeftOut { missing, reason, is_before_the_beginning }) => {
                telemetry::evaluation("unjudged");
                let later = if verdict.standing == Standing::Late { " until it is complete" } else { "" };
                if memory.left_out.is_none() {
                    record.on_timeline(rule, now, "stopped", format!("{reason}; it is left unjudged{later}"));
                }
                match is_before_the_beginning {
                    true => memory.sight.excused(at),
                    false => memory.sight.left_out(at, missing, reason),
                }
                memory.left_out = memory.left_out.max(Some(at));
                match memory.open.get_mut(&at) {
                    Some(open) if verdict.standing == Standing::Late => open.is_late = true,
                    _ => memory.is_done(at, every),
                }
            }
        }
        if verdict.standing != Standing::Waiting {
            self.tell_of_limit(rule, now, memory, verdict.over_limit, &mut record);
        }
        let changed = memory.take_states(verdict.states);
        self.store(subject, memory, record, changed).await
    }

    fn tell_of_limit(&self, rule: &str, now: Timestamp, memory: &mut Memory, over: usize, record: &mut Record) {
        if over > 0 {
            telemetry::keys_over_limit(over);
        }
        if (over > 0) == memory.over_limit {
            return;
        }
        memory.over_limit = over > 0;
        let most = self.config.max_states;
        let (outcome, reason) = match over {
            0 => ("passed", "all keys are judged again".to_owned()),
            keys => ("stopped", format!("{keys} keys are not judged: the rule has its {most} states")),
        };
        record.on_timeline(rule, now, outcome, reason);
    }

    /// A late check whose data did not come in all the time it was waited for.
    async fn give_up(&self, subject: &Subject<'_>, memory: &mut Memory, at: Timestamp, now: Timestamp) -> Result<()> {
        memory.is_done(at, subject.rule.every.0);
        let mut record = Record::default();
        let reason = format!("the minute to {at} is given up: it was waited for {}", self.config.catch_up);
        // Of a stretch of them the first is told.
        if memory.given_up.is_none_or(|before| before.saturating_add(subject.rule.every.0) != at) {
            record.on_timeline(&subject.id.name, now, "stopped", reason);
        }
        memory.given_up = Some(at);
        self.store(subject, memory, record, false).await
    }
}

/// Whether there may be something new to see.
fn is_due(open: &Open, look: &Look, watched: &Watched<'_>, at: Timestamp) -> bool {
    let some_have_come = watched.progress.furthest.is_some_and(|through| through >= at);
    let Some(last) = &open.looked else {
        return look.settled || look.last_call || some_have_come || watched.certain_early;
    };
    let elapsed = look.when.since(last.when);
    let patience = if look.last_call { LOOK_LATE_EVERY } else { LOOK_EVERY };
    (look.settled && !last.settled)
        || (look.last_call && !last.last_call)
        || (look.settled && look.revision != last.revision)
        || (elapsed >= patience && look.revision != last.revision)
        || (elapsed >= LOOK_EVERY && watched.certain_early && !look.last_call)
}

fn missing_agents(answer: &WindowAnswer) -> BTreeSet<AgentId> {
    answer.completeness.iter().flat_map(|mark| &mark.missing).cloned().collect()
}
