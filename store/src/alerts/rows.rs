//! Alerts, events and notifications as rows, and back.

use nightjar_model::Timestamp;
use nightjar_model::alert::{Alert, AlertEvent, Notification, RuleState};
use sea_orm::ActiveValue::{NotSet, Set};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Result, StoreError};
use crate::tables::{alert_events, alerts, notifications, rule_states};

/// The word an enum is written as.
pub(super) fn word(value: &impl Serialize) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => Ok(word),
        Ok(other) => Err(StoreError::Internal(format!("{other} is not a word"))),
        Err(error) => Err(StoreError::Internal(error.to_string())),
    }
}

pub(super) fn read_word<T: DeserializeOwned>(of: &str, word: String) -> Result<T> {
    serde_json::from_value(Value::String(word)).map_err(|error| StoreError::Corrupt(of.to_owned(), error))
}

fn json<T: DeserializeOwned>(of: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(of.to_owned(), error))
}

fn text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Internal(error.to_string()))
}

pub(super) fn rule_state(row: rule_states::Model) -> Result<RuleState> {
    Ok(RuleState {
        judged_through: row.judged_through.map(Timestamp),
        states: json(&format!("the state of rule {}/{}", row.workspace, row.rule), &row.states)?,
        rule_uid: row.rule_uid,
    })
}

pub(super) fn rule_state_row(workspace: &str, rule: &str, state: &RuleState) -> Result<rule_states::ActiveModel> {
    Ok(rule_states::ActiveModel {
        workspace: Set(workspace.to_owned()),
        rule: Set(rule.to_owned()),
        rule_uid: Set(state.rule_uid.clone()),
        judged_through: Set(state.judged_through.map(Timestamp::millis)),
        states: Set(text(&state.states)?),
    })
}

pub(super) fn alert(row: alerts::Model) -> Result<Alert> {
    let of = format!("alert {}", row.id);
    Ok(Alert {
        keys: json(&of, &row.keys)?,
        level: read_word(&of, row.level)?,
        status: read_word(&of, row.status)?,
        values: json(&of, &row.figures)?,
        id: row.id,
        workspace: row.workspace,
        rule: row.rule,
        rule_title: row.rule_title,
        monitor: row.monitor,
        folder: row.folder,
        started_at: Timestamp(row.started_at),
        ended_at: row.ended_at.map(Timestamp),
        summary: row.summary,
    })
}

pub(super) fn alert_row(workspace: &str, alert: &Alert) -> Result<alerts::ActiveModel> {
    Ok(alerts::ActiveModel {
        id: Set(alert.id.clone()),
        workspace: Set(workspace.to_owned()),
        rule: Set(alert.rule.clone()),
        rule_title: Set(alert.rule_title.clone()),
        monitor: Set(alert.monitor.clone()),
        folder: Set(alert.folder.clone()),
        keys: Set(text(&alert.keys)?),
        level: Set(word(&alert.level)?),
        status: Set(word(&alert.status)?),
        started_at: Set(alert.started_at.millis()),
        ended_at: Set(alert.ended_at.map(Timestamp::millis)),
        summary: Set(alert.summary.clone()),
        figures: Set(text(&alert.values)?),
    })
}

pub(super) fn event(row: alert_events::Model) -> AlertEvent {
    AlertEvent {
        at: Timestamp(row.at),
        alert: row.alert,
        stage: row.stage,
        outcome: row.outcome,
        reason: row.reason,
        notification: row.notification,
    }
}

pub(super) fn event_row(workspace: &str, event: &AlertEvent) -> alert_events::ActiveModel {
    alert_events::ActiveModel {
        id: NotSet,
        workspace: Set(workspace.to_owned()),
        alert: Set(event.alert.clone()),
        at: Set(event.at.millis()),
        stage: Set(event.stage.clone()),
        outcome: Set(event.outcome.clone()),
        reason: Set(event.reason.clone()),
        notification: Set(event.notification.clone()),
    }
}

pub(super) fn notification(row: notifications::Model) -> Result<Notification> {
    let of = format!("notification {}", row.id);
    Ok(Notification {
        channel: read_word(&of, row.channel)?,
        status: read_word(&of, row.status)?,
        payload: json(&of, &row.payload)?,
        id: row.id,
        workspace: row.workspace,
        dedup_key: row.dedup_key,
        alert: row.alert,
        receiver: row.receiver,
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        created_at: Timestamp(row.created_at),
        next_attempt_at: Timestamp(row.next_attempt_at),
        sent_at: row.sent_at.map(Timestamp),
        last_answer: row.last_answer,
    })
}

pub(super) fn notification_row(workspace: &str, it: &Notification) -> Result<notifications::ActiveModel> {
    Ok(notifications::ActiveModel {
        id: Set(it.id.clone()),
        workspace: Set(workspace.to_owned()),
        dedup_key: Set(it.dedup_key.clone()),
        alert: Set(it.alert.clone()),
        channel: Set(word(&it.channel)?),
        receiver: Set(it.receiver.clone()),
        status: Set(word(&it.status)?),
        attempts: Set(i64::from(it.attempts)),
        created_at: Set(it.created_at.millis()),
        next_attempt_at: Set(it.next_attempt_at.millis()),
        sent_at: Set(it.sent_at.map(Timestamp::millis)),
        payload: Set(text(&it.payload)?),
        last_answer: Set(it.last_answer.clone()),
    })
}
