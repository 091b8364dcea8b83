//! What a check leaves in the store.

use nightjar_model::alert::{Alert, AlertCommit, AlertEvent, AlertStatus, Notification, RuleState, rule_timeline};
use nightjar_model::kinds::alert_rule::AlertRuleSpec;
use nightjar_model::{Result, Timestamp};

use super::memory::{Memory, RuleId};
use super::{Evaluate, Subject, WRITE_EVERY};
use crate::definitions::Definitions;
use crate::evaluation::{Change, Transition};
use crate::pipeline::{Concern, Occurrence};
use crate::telemetry;

/// Gathered during one check.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) alerts: Vec<Alert>,
    pub(super) events: Vec<AlertEvent>,
    pub(super) notifications: Vec<Notification>,
    /// Counted once they are stored.
    changes: Vec<Change>,
}

impl Record {
    pub(super) fn is_empty(&self) -> bool {
        self.alerts.is_empty() && self.events.is_empty() && self.notifications.is_empty()
    }

    pub(super) fn on_timeline(&mut self, rule: &str, at: Timestamp, outcome: &str, reason: String) {
        self.events.push(event(at, rule_timeline(rule), outcome, reason));
    }
}

fn event(at: Timestamp, alert: String, outcome: &str, reason: String) -> AlertEvent {
    AlertEvent { at, alert, stage: "evaluate".to_owned(), outcome: outcome.to_owned(), reason, notification: None }
}

impl Evaluate {
    pub(super) async fn record_transition(
        &self,
        subject: &Subject<'_>,
        memory: &mut Memory,
        now: Timestamp,
        transition: &Transition,
        record: &mut Record,
    ) -> Result<()> {
        let alert = match transition.change {
            Change::Fired => Some(new_alert(subject, transition)),
            Change::Reminded | Change::Recovered | Change::Closed => {
                memory.alert(&self.alerts, &subject.id.workspace, &transition.alert).await?
            }
        };
        let Some(mut alert) = alert else { return Ok(()) };
        match transition.change {
            Change::Fired | Change::Reminded => memory.keep(alert.clone()),
            Change::Recovered | Change::Closed => memory.drop_alert(&alert.id),
        }
        let rule = Some(subject.rule);
        self.tell(&mut alert, transition, rule, subject.concerns, subject.definitions, now, record);
        Ok(())
    }

    /// Ends or begins the alert, and asks the pipeline who is told.
    #[expect(clippy::too_many_arguments, reason = "the parts of an occurrence")]
    pub(super) fn tell(
        &self,
        alert: &mut Alert,
        transition: &Transition,
        rule: Option<&AlertRuleSpec>,
        concerns: &[Concern],
        definitions: &Definitions,
        now: Timestamp,
        record: &mut Record,
    ) {
        let (status, outcome) = match transition.change {
            Change::Fired => (AlertStatus::Firing, "fired"),
            Change::Reminded => (AlertStatus::Firing, "reminded"),
            Change::Recovered => (AlertStatus::Recovered, "recovered"),
            Change::Closed => (AlertStatus::Closed, "closed"),
        };
        alert.status = status;
        let at = transition.at;
        if status != AlertStatus::Firing {
            alert.ended_at = Some(at);
        }
        if !transition.values.is_empty() {
            alert.values = transition.values.clone();
        }
        record.events.push(event(now, alert.id.clone(), outcome, transition.reason.clone()));
        let occurrence = Occurrence {
            alert,
            change: transition.change,
            reason: &transition.reason,
            rule,
            concerns,
            at,
            now,
            definitions,
        };
        let passage = self.pipeline.run(&occurrence);
        record.events.extend(passage.events);
        record.notifications.extend(passage.notifications);
        record.alerts.push(alert.clone());
        record.changes.push(transition.change);
    }

    /// Writes what a check left, if it left anything or it is time to.
    pub(super) async fn store(
        &self,
        subject: &Subject<'_>,
        memory: &mut Memory,
        record: Record,
        changed: bool,
    ) -> Result<()> {
        let now = self.clock.now();
        let due = memory.written.is_none_or(|written| now.since(written) >= WRITE_EVERY);
        if !changed && record.is_empty() && !due {
            return Ok(());
        }
        self.commit(&subject.id, memory.to_state(subject.rule.every.0), record).await?;
        memory.written = Some(now);
        Ok(())
    }

    pub(super) async fn commit(&self, id: &RuleId, state: RuleState, record: Record) -> Result<()> {
        let to_deliver = !record.notifications.is_empty();
        self.alerts
            .commit(AlertCommit {
                workspace: id.workspace.clone(),
                rule: Some((id.name.clone(), state)),
                alerts: record.alerts,
                events: record.events,
                notifications: record.notifications,
            })
            .await?;
        for change in record.changes {
            telemetry::alert(match change {
                Change::Fired => "fired",
                Change::Reminded => "reminded",
                Change::Recovered => "recovered",
                Change::Closed => "closed",
            });
        }
        if to_deliver {
            self.deliver.notify_one();
        }
        Ok(())
    }
}

fn new_alert(subject: &Subject<'_>, transition: &Transition) -> Alert {
    Alert {
        id: transition.alert.clone(),
        workspace: subject.id.workspace.clone(),
        rule: subject.id.name.clone(),
        rule_title: subject.resource.title().to_owned(),
        monitor: subject.rule.monitor.clone(),
        folder: subject.resource.metadata.folder.clone(),
        keys: transition.keys.clone(),
        level: subject.rule.level,
        status: AlertStatus::Firing,
        started_at: transition.at,
        ended_at: None,
        summary: transition.reason.clone(),
        values: transition.values.clone(),
    }
}
