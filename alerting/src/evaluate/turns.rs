//! Checks that are not judged: outside active hours, without a monitor, too old, ahead of the clock.

use std::time::Duration;

use nightjar_model::{Result, Timestamp};

use super::memory::Memory;
use super::record::Record;
use super::sight::Sight;
use super::{Evaluate, Subject};
use crate::evaluation;
use crate::telemetry;

impl Evaluate {
    /// A check that is not judged, by the rule's own will; what fires stays, or is closed with `closing`.
    pub(super) async fn pass_over(
        &self,
        subject: &Subject<'_>,
        memory: &mut Memory,
        at: Timestamp,
        now: Timestamp,
        closing: Option<&str>,
    ) -> Result<()> {
        let mut record = Record::default();
        let why = closing.unwrap_or("outside its active hours");
        if memory.passed_over.as_deref() != Some(why) {
            record.on_timeline(&subject.id.name, now, "stopped", format!("the check at {at} is passed over: {why}"));
            memory.passed_over = Some(why.to_owned());
        }
        let mut states = std::mem::take(&mut memory.states);
        if let Some(reason) = closing {
            for transition in evaluation::close_all(&states, at, reason) {
                self.record_transition(subject, memory, now, &transition, &mut record).await?;
            }
            states.clear();
        }
        let changed = memory.take_states(states) || closing.is_some();
        memory.is_done(at, subject.rule.every.0);
        memory.sight = Sight::passed_over(at);
        self.store(subject, memory, record, changed).await
    }

    /// After a standstill: checks too old to be worth an alert are left out.
    pub(super) async fn skip(
        &self,
        subject: &Subject<'_>,
        memory: &mut Memory,
        from: Timestamp,
        earliest: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let every = subject.rule.every.0;
        // The first check at or after `earliest`; of a rule judged seldom, the last one there was.
        let first = earliest.saturating_sub(Duration::from_millis(1)).floor(every).saturating_add(every);
        let resume = first.min(now.floor(every));
        let skipped = (resume.since(from).as_millis() / every.as_millis().max(1)) as u64;
        telemetry::skipped_checks(skipped);
        let mut record = Record::default();
        let reason = format!("{skipped} checks from {from} were skipped: they are older than {}", self.config.catch_up);
        record.on_timeline(&subject.id.name, now, "stopped", reason);
        memory.resume_after(resume.saturating_sub(every));
        self.store(subject, memory, record, true).await
    }

    /// After the clock was set back: checks that were judged ahead of time would keep the rule from being
    /// judged until their time comes. Those that come in between are judged by what there is then.
    pub(super) async fn step_back(
        &self,
        subject: &Subject<'_>,
        memory: &mut Memory,
        taken_up: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let resume = now.floor(subject.rule.every.0);
        let mut record = Record::default();
        let reason = format!("was judged to {taken_up}: the clock was ahead; it is judged again from {resume} on");
        record.on_timeline(&subject.id.name, now, "passed", reason);
        let mut states = std::mem::take(&mut memory.states);
        evaluation::break_off(&mut states, resume);
        // What goes on firing was seen ahead of time, and must be judged before that time comes, too.
        states.values_mut().for_each(|state| state.seen = state.seen.min(resume));
        memory.take_states(states);
        memory.resume_after(resume);
        memory.sight = Sight::default();
        self.store(subject, memory, record, true).await
    }
}
