//! What a notification carries in the queue: rendered, and free of secrets.

use nightjar_model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payload {
    /// End of the minute that brought the change; what delivery's lag counts from.
    pub(crate) minute_end: Timestamp,
    /// `firing`, `recovered`, `closed`, `test`.
    pub(crate) change: String,
    #[serde(flatten)]
    pub(crate) content: Content,
}

/// By the channel it goes through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "snake_case")]
pub(crate) enum Content {
    /// For DingTalk. Keywords and those the robot itself mentions are added when it is sent.
    Markdown {
        title: String,
        text: String,
        mobiles: Vec<String>,
    },
    Mail {
        subject: String,
        text: String,
        html: String,
    },
    /// For webhooks: the same bytes at every attempt.
    Body {
        content_type: String,
        body: String,
    },
}

impl Payload {
    pub(crate) fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    pub(crate) fn from_value(value: &Value) -> Result<Self, String> {
        serde_json::from_value(value.clone()).map_err(|error| format!("the stored message cannot be read: {error}"))
    }
}
