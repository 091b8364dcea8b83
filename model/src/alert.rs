//! Alerts, their states, and the notifications they give rise to: what the store keeps of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::kinds::alert_rule::Level;
use crate::time::Timestamp;

/// Which alert of a rule: the values of the columns that the rule judges key by key.
pub type AlertKeys = BTreeMap<String, String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Ok,
    Firing,
}

/// Where a rule stands for one key. Stored before any effect of it happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertState {
    pub keys: AlertKeys,
    pub phase: Phase,
    /// Results of the last checks, newest last; at most as many as the rule looks back on.
    pub checks: Vec<bool>,
    /// Checks in a row that count towards recovery.
    pub recovering: u32,
    /// The alert that is firing, or fired last.
    pub alert: Option<String>,
    /// The last check at which the key had data.
    pub seen: Timestamp,
}

/// How far a rule has been judged, with the states of its keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleState {
    /// End of the last minute judged; `None` before the first.
    pub judged_through: Option<Timestamp>,
    /// The rule's uid; a rule made anew under an old name starts afresh.
    pub rule_uid: String,
    pub states: Vec<AlertState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    Firing,
    Recovered,
    /// Its rule was deleted, disabled or changed so that the key is no longer judged.
    Closed,
}

/// An alert, from firing to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    pub id: String,
    pub workspace: String,
    pub rule: String,
    pub rule_title: String,
    pub monitor: String,
    pub folder: String,
    #[schema(value_type = BTreeMap<String, String>)]
    pub keys: AlertKeys,
    pub level: Level,
    pub status: AlertStatus,
    /// End of the minute at which it fired.
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// The values that made it fire, by condition: `cost_avg now = 132.5 > 100`.
    pub summary: String,
    /// Figures by field at the last check.
    pub values: BTreeMap<String, Option<f64>>,
}

/// One thing that happened to an alert, in order: evaluated, fired, routed, suppressed, queued,
/// delivered, failed, recovered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertEvent {
    pub at: Timestamp,
    /// The alert's id; or [`rule_timeline`] for what befell a rule while no alert was there: a minute
    /// that could not be judged, a condition that held too seldom to fire.
    pub alert: String,
    /// `evaluate`, `inhibit`, `silence`, `group`, `reduce`, `route`, `render`, `queue`, `deliver`.
    pub stage: String,
    /// `passed`, `stopped`, `fired`, `recovered`, `closed`, `delayed`, `retry`, `sent`, `failed`.
    pub outcome: String,
    /// Why, for people.
    pub reason: String,
    /// The notification it is about, where it is about one.
    pub notification: Option<String>,
}

/// What [`AlertEvent::alert`] says of events that belong to a rule and to none of its alerts. They can be
/// read like an alert's, and are deleted by their age.
pub fn rule_timeline(rule: &str) -> String {
    format!("rule:{rule}")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Dingtalk,
    Email,
    Webhook,
}

/// Whom notifications go to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receiver {
    pub workspace: String,
    pub channel: Channel,
    /// Name of the robot, webhook or contact.
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotificationStatus {
    /// Waiting for its next attempt.
    Pending,
    Sent,
    /// Given up: refused for good, or retried for too long.
    Failed,
}

/// A message to one receiver. A row before it is sent; `dedup_key` keeps it from being made twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    pub id: String,
    pub workspace: String,
    pub dedup_key: String,
    pub alert: String,
    pub channel: Channel,
    /// Name of the robot, webhook or contact.
    pub receiver: String,
    pub status: NotificationStatus,
    pub attempts: u32,
    pub created_at: Timestamp,
    pub next_attempt_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    /// What to send, rendered; its form is the channel's affair. Holds no secret.
    pub payload: Value,
    /// What the provider answered last, or why it could not be reached.
    pub last_answer: Option<String>,
}

impl Notification {
    pub fn to(&self) -> Receiver {
        Receiver { workspace: self.workspace.clone(), channel: self.channel, name: self.receiver.clone() }
    }
}

/// What one step of evaluation or delivery changes, stored whole or not at all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlertCommit {
    pub workspace: String,
    /// Rule name and its new state, where a rule was judged.
    pub rule: Option<(String, RuleState)>,
    pub alerts: Vec<Alert>,
    pub events: Vec<AlertEvent>,
    /// New or changed; one whose `dedup_key` is there under another id is passed over.
    pub notifications: Vec<Notification>,
}

/// What to look for among alerts. Newest first.
#[derive(Debug, Clone, Default)]
pub struct AlertQuery {
    pub workspace: String,
    pub status: Option<AlertStatus>,
    pub rule: Option<String>,
    pub monitor: Option<String>,
    pub level: Option<Level>,
    pub since: Option<Timestamp>,
    pub limit: u32,
    pub cursor: Option<String>,
}

/// Which events to look at: those of an alert, or of a [`rule_timeline`]. Newest first.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    pub workspace: String,
    pub alert: String,
    /// 0 for no limit.
    pub limit: u32,
    pub cursor: Option<String>,
}

/// What to look for among notifications. Newest first.
#[derive(Debug, Clone, Default)]
pub struct NotificationQuery {
    pub workspace: String,
    pub alert: Option<String>,
    pub status: Option<NotificationStatus>,
    pub limit: u32,
    pub cursor: Option<String>,
}
