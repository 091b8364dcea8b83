//! The collector's settings and their bounds.

use std::path::{Path, PathBuf};

use nightjar_model::{Error, Problems, Result, Span};
use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CollectorConfig {
    /// Agents connected at one time; a further one is refused and comes again later.
    pub max_sessions: u32,
    /// What one agent may send each second, compressed. Beyond it the session is read more slowly.
    pub session_bytes_per_second: u64,
    /// What all records between arrival and acknowledgement may take, uncompressed.
    pub in_flight_bytes: u64,
    /// One-off tasks waiting for the answer of one agent.
    pub tasks_per_agent: u32,
    /// How long a one-off task may take.
    pub task_timeout: Span,
    /// An agent that is not heard of for so long is not waited for by minutes to come.
    pub expire_after: Span,
    /// Agents connect in clear without it.
    pub tls: Option<TlsFiles>,
}

/// Certificate chain and private key, PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// A certificate chain and its private key as read, both PEM.
#[derive(Clone)]
pub struct TlsPem {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

impl TlsFiles {
    /// # Errors
    /// A file that cannot be read.
    pub fn load(&self) -> Result<TlsPem> {
        let read = |file: &Path| {
            std::fs::read(file)
                .map_err(|error| Error::invalid(format!("cannot read {}: {error}", file.display()), Vec::new()))
        };
        Ok(TlsPem { certificate: read(&self.cert)?, key: read(&self.key)? })
    }
}

impl Default for CollectorConfig {
    fn default() -> Self {
        Self {
            max_sessions: 10_000,
            session_bytes_per_second: 32 << 20,
            in_flight_bytes: 256 << 20,
            tasks_per_agent: 16,
            task_timeout: Span::from_secs(20),
            expire_after: Span::from_secs(600),
            tls: None,
        }
    }
}

impl CollectorConfig {
    pub fn validate(&self, problems: &mut Problems) {
        if self.max_sessions == 0 {
            problems.add("max_sessions", "must be at least 1");
        }
        if self.session_bytes_per_second < 1 << 10 {
            problems.add("session_bytes_per_second", "must be at least 1024");
        }
        let largest = nightjar_model::protocol::MAX_PAYLOAD_BYTES as u64;
        if !(largest..=1 << 40).contains(&self.in_flight_bytes) {
            problems.add("in_flight_bytes", format!("must be from {largest} (one record) to 1 TiB"));
        }
        if self.tasks_per_agent == 0 {
            problems.add("tasks_per_agent", "must be at least 1");
        }
        if self.task_timeout.0.is_zero() || self.task_timeout.0.as_secs() > 600 {
            problems.add("task_timeout", "must be more than nothing and at most 10m");
        }
        if !(60..=30 * 86_400).contains(&self.expire_after.0.as_secs()) {
            problems.add("expire_after", "must be from 1m to 30d");
        }
        for (path, file) in self.tls.iter().flat_map(|tls| [("tls.cert", &tls.cert), ("tls.key", &tls.key)]) {
            if !file.is_file() {
                problems.add(path, format!("there is no file {}", file.display()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_bounds_are_checked() {
        let mut problems = Problems::new();
        CollectorConfig::default().validate(&mut problems);
        assert!(problems.is_empty());

        let none = CollectorConfig {
            max_sessions: 0,
            session_bytes_per_second: 0,
            in_flight_bytes: 0,
            tasks_per_agent: 0,
            task_timeout: Span::from_secs(0),
            expire_after: Span::from_secs(59),
            tls: Some(TlsFiles { cert: "/nowhere/cert.pem".into(), key: "/nowhere/key.pem".into() }),
        };
        none.validate(&mut problems);
        assert_eq!(problems.into_vec().len(), 8);
    }
}
