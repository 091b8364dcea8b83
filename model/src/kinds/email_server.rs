//! EmailServer: the SMTP server a workspace's mail goes through.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Document;
use crate::problem::Problems;
use crate::secret::Secret;

/// An email server's `spec`. A workspace uses the first by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailServerSpec {
    pub host: String,
    /// 25, 587 or 465 by `tls` without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(default)]
    pub tls: EmailTls,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub username: String,
    #[serde(default)]
    pub password: Secret,
    /// `Nightjar <alerts@example.com>` or a plain address.
    pub from: String,
    /// PEM of a certificate authority to trust beside the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmailTls {
    /// In clear; refused together with a password unless the server is on loopback.
    None,
    #[default]
    Starttls,
    Tls,
}

impl EmailServerSpec {
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            EmailTls::None => 25,
            EmailTls::Starttls => 587,
            EmailTls::Tls => 465,
        })
    }
}

impl Document for EmailServerSpec {
    fn validate(&self, problems: &mut Problems) {
        if self.host.is_empty() || self.host.chars().any(|c| c.is_whitespace() || c == '/') {
            problems.add("host", "must be a host name or an address");
        }
        if self.port == Some(0) {
            problems.add("port", "must be from 1 to 65535");
        }
        if !self.from.contains('@') || self.from.chars().any(char::is_control) {
            problems.add("from", "must be an email address such as Nightjar <alerts@example.com>");
        }
        let loopback =
            self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if self.tls == EmailTls::None && !self.password.is_empty() && !loopback {
            problems.add("tls", "a password would travel in clear; use starttls or tls");
        }
    }

    fn secrets_go_to(&self) -> String {
        format!("{}:{}", self.host, self.port())
    }

    fn visit_secrets(&mut self, visit: &mut dyn FnMut(&str, &mut Secret)) {
        visit("password", &mut self.password);
    }
}
