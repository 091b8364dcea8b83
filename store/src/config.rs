//! The store's settings.

use std::path::PathBuf;

use nightjar_model::{Problems, Secret, Span};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// `sqlite:PATH?mode=rwc` or `postgres://…`; without one, `nightjar.db` in the data directory. A
    /// secret, because it may hold a password.
    pub url: Option<Secret>,
    pub data_dir: PathBuf,
    /// Connections to PostgreSQL, or readers of SQLite.
    pub max_connections: u32,
    /// The key that secrets are encrypted with, 32 bytes in base64. Without one, it is in
    /// `secret_key_file`.
    pub secret_key: Option<Secret>,
    /// Without one, `secret.key` in the data directory, made at the first start.
    pub secret_key_file: Option<PathBuf>,
    /// A console session ends this long after it was last used.
    pub session_length: Span,
    /// However it is used, a console session ends this long after the login.
    pub session_limit: Span,
    pub audit_days: u32,
    /// Memory that hashing one password takes.
    pub password_memory_kib: u32,
    pub password_iterations: u32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: None,
            data_dir: PathBuf::from("data"),
            max_connections: 8,
            secret_key: None,
            secret_key_file: None,
            session_length: Span::from_secs(12 * 3600),
            session_limit: Span::from_secs(7 * 24 * 3600),
            audit_days: 400,
            // The second choice of RFC 9106 asks for 64 MiB; this is OWASP's minimum, kind to small servers.
            password_memory_kib: 19 * 1024,
            password_iterations: 2,
        }
    }
}

impl StoreConfig {
    pub fn validate(&self, problems: &mut Problems) {
        if let Some(url) = &self.url
            && !["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.expose().starts_with(scheme))
        {
            problems.add("url", "must start with `sqlite:` or `postgres://`");
        }
        if !(1..=100).contains(&self.max_connections) {
            problems.add("max_connections", "must be 1 to 100");
        }
        if self.secret_key.is_some() && self.secret_key_file.is_some() {
            problems.add("secret_key", "give either this or `secret_key_file`");
        }
        if let Some(key) = &self.secret_key
            && crate::vault::parse_key(key.expose()).is_none()
        {
            problems.add("secret_key", "must be 32 bytes in base64, such as `openssl rand -base64 32` prints");
        }
        if self.session_length < Span::from_secs(600) {
            problems.add("session_length", "must be at least 10m");
        }
        if self.session_limit < self.session_length {
            problems.add("session_limit", "must be at least `session_length`");
        }
        if !(1..=36_500).contains(&self.audit_days) {
            problems.add("audit_days", "must be 1 to 36500");
        }
        if !(8 * 1024..=1024 * 1024).contains(&self.password_memory_kib) {
            problems.add("password_memory_kib", "must be 8192 to 1048576");
        }
        if !(1..=20).contains(&self.password_iterations) {
            problems.add("password_iterations", "must be 1 to 20");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        let mut problems = Problems::new();
        StoreConfig::default().validate(&mut problems);
        assert_eq!(problems.into_vec(), []);
    }

    #[test]
    fn every_problem_is_told_with_its_path() {
        let config = StoreConfig {
            url: Some(Secret::new("mysql://x")),
            max_connections: 0,
            secret_key: Some(Secret::new("short")),
            session_length: Span::from_secs(2),
            session_limit: Span::from_secs(1),
            audit_days: 0,
            password_memory_kib: 1,
            ..StoreConfig::default()
        };
        let mut problems = Problems::new();
        config.validate(&mut problems);
        let paths: Vec<String> = problems.into_vec().into_iter().map(|p| p.path).collect();
        let expected = [
            "url",
            "max_connections",
            "secret_key",
            "session_length",
            "session_limit",
            "audit_days",
            "password_memory_kib",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn no_secret_is_printed() {
        let config = StoreConfig {
            url: Some(Secret::new("postgres://nightjar:hunter2@db/nightjar")),
            secret_key: Some(Secret::new("hunter2")),
            ..StoreConfig::default()
        };
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
