//! The JSON bodies of webhooks.

use std::collections::BTreeMap;

use nightjar_model::Timestamp;
use nightjar_model::alert::{Alert, AlertStatus};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Message, one_line};
use crate::payload::Content;

/// What Alertmanager says of an alert that has not ended.
const NO_END: &str = "0001-01-01T00:00:00Z";

impl Message<'_> {
    /// Nightjar's own form: the alert as the API shows it, and the message's words.
    pub(crate) fn nightjar_json(&self) -> Result<Content, String> {
        let body = json!({
            "version": 1,
            "event": self.status,
            "title": one_line(&self.view.title),
            "text": self.view.text,
            "reason": self.view.reason,
            "advice": self.view.advice,
            "link": self.view.link,
            "consoleUrl": self.view.console,
            "alert": self.alert.as_ref(),
        });
        as_json(&body)
    }

    /// Alertmanager's webhook form, version 4, as a group of one alert.
    pub(crate) fn alertmanager_json(&self, receiver: &str) -> Result<Content, String> {
        let alert = self.alert.as_ref();
        let status = if alert.status == AlertStatus::Firing { "firing" } else { "resolved" };
        let labels = labels_of(alert);
        let mut annotations =
            BTreeMap::from([("summary", one_line(&self.view.title)), ("description", self.view.text.clone())]);
        for (name, text) in [("advice", &self.view.advice), ("link", &self.view.link), ("reason", &self.view.reason)] {
            if !text.is_empty() {
                annotations.insert(name, text.clone());
            }
        }
        let ends_at = alert.ended_at.map_or_else(|| NO_END.to_owned(), |at| at.to_string());
        let body = json!({
            "version": "4",
            "groupKey": format!("{{}}:{{alertname={:?}}}", alert.rule),
            "truncatedAlerts": 0,
            "status": status,
            "receiver": receiver,
            "groupLabels": { "alertname": alert.rule },
            "commonLabels": labels,
            "commonAnnotations": annotations,
            "externalURL": self.view.console.split("/alerts/").next().unwrap_or_default(),
            "alerts": [{
                "status": status,
                "labels": labels,
                "annotations": annotations,
                "startsAt": shown(alert.started_at),
                "endsAt": ends_at,
                "generatorURL": self.view.console,
                "fingerprint": fingerprint(&labels),
            }],
        });
        as_json(&body)
    }
}

fn as_json(body: &Value) -> Result<Content, String> {
    Ok(Content::Body { content_type: "application/json".into(), body: body.to_string() })
}

fn shown(at: Timestamp) -> String {
    at.to_string()
}

fn labels_of(alert: &Alert) -> BTreeMap<String, String> {
    // Keys first: the fixed labels win over columns of the same name.
    let mut labels: BTreeMap<String, String> =
        alert.keys.iter().map(|(column, key)| (label_name(column), key.clone())).collect();
    labels.extend(
        [
            ("alertname", alert.rule.as_str()),
            ("severity", alert.level.name()),
            ("monitor", &alert.monitor),
            ("workspace", &alert.workspace),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    if !alert.folder.is_empty() {
        labels.insert("folder".to_owned(), alert.folder.clone());
    }
    labels
}

/// `$idc` → `idc`: a label is letters, digits and `_`.
fn label_name(column: &str) -> String {
    column.trim_start_matches('$').chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn fingerprint(labels: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for (name, value) in labels {
        hash.update(name);
        hash.update([0xff]);
        hash.update(value);
        hash.update([0xff]);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
