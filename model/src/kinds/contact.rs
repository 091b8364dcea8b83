//! Contact and ContactGroup: who can be told, and how they are told together.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, Kind, Reference, references_of};
use crate::problem::Problems;

/// A contact's `spec`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContactSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dingtalk: Option<ContactDingtalk>,
    /// IANA name; times in messages are shown in it. The server's default without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactDingtalk {
    /// The mobile number of the DingTalk account; robots of the group mention it.
    pub mobile: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Language {
    #[default]
    #[serde(rename = "zh-CN")]
    Chinese,
    #[serde(rename = "en-US")]
    English,
}

/// A contact group's `spec`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContactGroupSpec {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// DingTalk robots.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub robots: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<String>,
}

impl Document for ContactSpec {
    fn validate(&self, problems: &mut Problems) {
        if let Some(email) = &self.email {
            let parts: Vec<&str> = email.split('@').collect();
            if parts.len() != 2
                || parts.iter().any(|p| p.is_empty())
                || email.chars().any(|c| c.is_whitespace() || c.is_control())
            {
                problems.add("email", format!("`{email}` is not an email address"));
            }
        }
        for (path, number) in
            [("phone", self.phone.as_deref()), ("dingtalk.mobile", self.dingtalk.as_ref().map(|d| d.mobile.as_str()))]
        {
            if number.is_some_and(|n| {
                n.is_empty() || n.len() > 20 || !n.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-'))
            }) {
                problems.add(path, "must be digits, `+` and `-`, at most 20");
            }
        }
        if self.timezone.as_ref().is_some_and(|zone| zone.parse::<chrono_tz::Tz>().is_err()) {
            problems.add("timezone", "is not an IANA time zone such as Asia/Shanghai");
        }
    }
}

impl Document for ContactGroupSpec {
    fn validate(&self, problems: &mut Problems) {
        if self.contacts.is_empty() && self.robots.is_empty() && self.webhooks.is_empty() {
            problems.absent("", "needs at least one contact, robot or webhook");
        }
    }

    fn references(&self) -> Vec<Reference> {
        references_of(Kind::Contact, "contacts", &self.contacts)
            .chain(references_of(Kind::DingtalkRobot, "robots", &self.robots))
            .chain(references_of(Kind::Webhook, "webhooks", &self.webhooks))
            .collect()
    }
}
