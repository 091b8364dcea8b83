//! Webhook: an HTTP address that is told of alerts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Document;
use crate::problem::Problems;
use crate::secret::Secret;

/// A webhook's `spec`. A `POST` whose body is signed: `X-Nightjar-Timestamp` (seconds) and
/// `X-Nightjar-Signature: sha256=HEX`, the HMAC-SHA256 by `secret_key` of `timestamp + "." + body`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSpec {
    pub url: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Secret>,
    /// Added to the address's query.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Sent as `X-Nightjar-Access-Key`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub access_key: String,
    /// Without one the body is not signed.
    #[serde(default)]
    pub secret_key: Secret,
    #[serde(default)]
    pub format: WebhookFormat,
    /// Told of every alert of the workspace, without a subscription.
    #[serde(default)]
    pub global: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookFormat {
    #[default]
    Nightjar,
    /// Alertmanager's webhook JSON, version 4.
    Alertmanager,
    /// The message as plain text.
    Text,
}

impl Document for WebhookSpec {
    fn validate(&self, problems: &mut Problems) {
        validate_url(&self.url, false, problems);
        for (name, value) in &self.headers {
            let path = format!("headers.{name}");
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
                problems.add(&path, "is not the name of an HTTP header");
            } else if ["host", "content-length", "transfer-encoding", "connection"]
                .contains(&name.to_ascii_lowercase().as_str())
            {
                problems.add(&path, "is set by the sender");
            }
            if value.expose().bytes().any(|b| b < 0x20 || b == 0x7f) {
                problems.add(&path, "holds a control character");
            }
        }
    }

    fn secrets_go_to(&self) -> String {
        self.url.clone()
    }

    fn visit_secrets(&mut self, visit: &mut dyn FnMut(&str, &mut Secret)) {
        visit("secret_key", &mut self.secret_key);
        for (name, value) in &mut self.headers {
            visit(&format!("headers.{name}"), value);
        }
    }
}

/// Adds a problem at `url` unless it is an `http://` or `https://` address (or the mask of one).
pub(super) fn validate_url(url: &str, masked: bool, problems: &mut Problems) {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host_is_there = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '?']));
    if !masked && (!host_is_there || url.chars().any(|c| c.is_whitespace() || c.is_control())) {
        problems.add("url", "must be an address such as https://host/path");
    }
}
