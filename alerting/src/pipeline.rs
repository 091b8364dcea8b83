//! From an alert's change to the messages about it: a list of stages with one signature.
//!
//! Stages are pure: they see the alert, the documents and the time, and say why they let pass or
//! stopped. What they yield is stored in the same transaction as the alert's state.

mod queue;
mod render;
mod route;

use std::sync::Arc;

use chrono_tz::Tz;
use nightjar_model::Timestamp;
use nightjar_model::alert::{Alert, AlertEvent, Channel, Notification};
use nightjar_model::kinds::alert_rule::{AlertRuleSpec, Level};
use nightjar_model::kinds::contact::Language;

use crate::config::AlertingConfig;
use crate::definitions::Definitions;
use crate::evaluation::Change;
use crate::payload::Payload;

/// A change of an alert, as the stages see it.
pub(crate) struct Occurrence<'a> {
    pub(crate) alert: &'a Alert,
    pub(crate) change: Change,
    /// Why it changed.
    pub(crate) reason: &'a str,
    /// `None` when it was deleted.
    pub(crate) rule: Option<&'a AlertRuleSpec>,
    /// The rules that it is about, for one that has none of its own: who hears of them hears of it.
    pub(crate) concerns: &'a [Concern],
    /// End of the minute that brought the change.
    pub(crate) at: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) definitions: &'a Definitions,
}

/// By what subscriptions choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Concern {
    pub(crate) rule: String,
    pub(crate) monitor: String,
    pub(crate) folder: String,
    pub(crate) level: Level,
}

/// One receiver and what it will be told.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) channel: Channel,
    /// Name of the robot, webhook or contact.
    pub(crate) receiver: String,
    /// Mobile numbers to mention.
    pub(crate) mobiles: Vec<String>,
    pub(crate) language: Language,
    pub(crate) zone: Tz,
    /// Set by `render`.
    pub(crate) payload: Option<Payload>,
}

/// What the stages hand on.
#[derive(Debug, Default)]
pub(crate) struct Passage {
    pub(crate) drafts: Vec<Draft>,
    pub(crate) events: Vec<AlertEvent>,
    pub(crate) notifications: Vec<Notification>,
}

impl Passage {
    fn note(&mut self, occurrence: &Occurrence<'_>, stage: &str, outcome: &str, reason: impl Into<String>) {
        self.note_of(occurrence, stage, outcome, reason, None);
    }

    fn note_of(
        &mut self,
        occurrence: &Occurrence<'_>,
        stage: &str,
        outcome: &str,
        reason: impl Into<String>,
        notification: Option<String>,
    ) {
        self.events.push(AlertEvent {
            at: occurrence.now,
            alert: occurrence.alert.id.clone(),
            stage: stage.to_owned(),
            outcome: outcome.to_owned(),
            reason: reason.into(),
            notification,
        });
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    /// Nobody will be told; the stage has noted why.
    Stop,
}

trait Stage: Send + Sync {
    fn pass(&self, occurrence: &Occurrence<'_>, passage: &mut Passage) -> Flow;
}

/// The stages in their order.
pub(crate) struct Pipeline {
    stages: Vec<Box<dyn Stage>>,
}

impl Pipeline {
    pub(crate) fn new(config: &Arc<AlertingConfig>) -> Self {
        let route = route::Route { language: config.language, zone: config.zone() };
        let render = render::Render { external_url: config.external_url.clone() };
        Self { stages: vec![Box::new(route), Box::new(render), Box::new(queue::Queue)] }
    }

    pub(crate) fn run(&self, occurrence: &Occurrence<'_>) -> Passage {
        let mut passage = Passage::default();
        for stage in &self.stages {
            if stage.pass(occurrence, &mut passage) == Flow::Stop {
                break;
            }
        }
        passage
    }
}

pub(crate) const fn channel_name(channel: Channel) -> &'static str {
    match channel {
        Channel::Dingtalk => "dingtalk",
        Channel::Email => "email",
        Channel::Webhook => "webhook",
    }
}
