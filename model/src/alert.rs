//! Alerts, their states, and the notifications they give rise to: what the store keeps of them.

use std::collections::BTreeMap;
use std::time::Duration;

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
    /// What checks found, by their time: those that the rule looks back on, and those since the earliest that is
    /// still to be judged. A check is judged when its data is complete, so they need not come in order.
    #[serde(default, with = "found")]
    pub found: BTreeMap<Timestamp, Found>,
    /// The check at which the phase began. Earlier ones and this one count no more.
    #[serde(default)]
    pub since: Timestamp,
    /// The alert that is firing, or fired last.
    pub alert: Option<String>,
    /// The last check at which the key had data.
    pub seen: Timestamp,
    /// Checks since then, without data.
    #[serde(default)]
    pub absent: u32,
    /// As versions before kept `found`: results of the last checks, newest last. Only read.
    #[serde(default, skip_serializing)]
    checks: Vec<bool>,
    /// As versions before kept it: checks in a row that count towards recovery. Only read.
    #[serde(default, skip_serializing)]
    recovering: u32,
}

/// What one check found of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub holds: bool,
    /// `None` neither brings recovery nearer nor puts it off.
    pub recovers: Option<bool>,
}

impl AlertState {
    pub fn new(keys: AlertKeys) -> Self {
        Self {
            keys,
            phase: Phase::Ok,
            found: BTreeMap::new(),
            since: Timestamp::default(),
            alert: None,
            seen: Timestamp::default(),
            absent: 0,
            checks: Vec::new(),
            recovering: 0,
        }
    }

    /// Gives what a version before this one kept its times: its last check was the one at `through`.
    pub fn date(&mut self, through: Timestamp, every: Duration) {
        let back = |checks: usize| through.saturating_sub(every * u32::try_from(checks).unwrap_or(u32::MAX));
        let checks = std::mem::take(&mut self.checks);
        let recovering = std::mem::take(&mut self.recovering) as usize;
        if checks.is_empty() && recovering == 0 {
            return;
        }
        for (age, holds) in checks.iter().rev().enumerate() {
            self.found.insert(back(age), Found { holds: *holds, recovers: Some(age < recovering) });
        }
        for age in checks.len()..recovering {
            self.found.insert(back(age), Found { holds: false, recovers: Some(true) });
        }
        if self.phase == Phase::Firing {
            self.since = back(recovering);
        }
    }
}

/// `[minute since 1970, code, …]`: there are many of them.
mod found {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Found, Timestamp};

    const MINUTE_MS: i64 = 60_000;
    const HOLDS: i64 = 1;
    const RECOVERY_KNOWN: i64 = 2;
    const RECOVERS: i64 = 4;

    pub(super) fn serialize<S: Serializer>(
        found: &BTreeMap<Timestamp, Found>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let code = |found: &Found| {
            let recovery = match found.recovers {
                None => 0,
                Some(false) => RECOVERY_KNOWN,
                Some(true) => RECOVERY_KNOWN | RECOVERS,
            };
            i64::from(found.holds) | recovery
        };
        let flat: Vec<i64> = found.iter().flat_map(|(at, found)| [at.millis() / MINUTE_MS, code(found)]).collect();
        flat.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Timestamp, Found>, D::Error> {
        let flat = Vec::<i64>::deserialize(deserializer)?;
        let read = |pair: &[i64]| {
            let recovers = (pair[1] & RECOVERY_KNOWN != 0).then_some(pair[1] & RECOVERS != 0);
            (Timestamp(pair[0].saturating_mul(MINUTE_MS)), Found { holds: pair[1] & HOLDS != 0, recovers })
        };
        Ok(flat.chunks_exact(2).map(read).collect())
    }
}

/// How far a rule has been judged, with the states of its keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleState {
    /// Every check up to this one is done; `None` before the first. Later ones may be done for some keys, as the
    /// states of these say.
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

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minute: i64) -> Timestamp {
        Timestamp(minute * 60_000)
    }

    #[test]
    fn a_state_comes_back_as_it_was() {
        let mut state = AlertState::new([("goods".to_owned(), "a".to_owned())].into());
        state.since = at(29_000_000);
        state.found.insert(at(29_000_001), Found { holds: true, recovers: Some(false) });
        state.found.insert(at(29_000_002), Found { holds: false, recovers: Some(true) });
        state.found.insert(at(29_000_005), Found { holds: false, recovers: None });
        let text = serde_json::to_string(&state).expect("JSON");
        assert!(text.contains("[29000001,3,29000002,6,29000005,0]"), "{text}");
        assert_eq!(serde_json::from_str::<AlertState>(&text).expect("a state"), state);
    }

    /// What versions before stored.
    #[test]
    fn earlier_states_are_dated() {
        let read = |text: &str| {
            let mut state: AlertState = serde_json::from_str(text).expect("a state");
            state.date(at(100), MINUTE);
            state
        };
        let ok = read(
            r#"{"keys":{},"phase":"ok","checks":[true,false],"recovering":0,"alert":null,"seen":"1970-01-01T01:40:00Z"}"#,
        );
        assert_eq!(
            ok.found.iter().map(|(at, found)| (at.millis() / 60_000, found.holds)).collect::<Vec<_>>(),
            [(99, true), (100, false)]
        );
        let firing = read(
            r#"{"keys":{},"phase":"firing","checks":[true],"recovering":2,"alert":"x","seen":"1970-01-01T01:40:00Z"}"#,
        );
        let recovering = firing.found.iter().filter(|(at, found)| **at > firing.since && found.recovers == Some(true));
        assert_eq!((recovering.count(), firing.since), (2, at(98)));
        let mut again = firing.clone();
        again.date(at(200), MINUTE);
        assert_eq!(again, firing, "once is enough");
    }
}
