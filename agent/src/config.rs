//! What an agent is told when it is started.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nightjar_model::{Problem, Problems, Secret, Span};
use serde::Deserialize;

/// Settings of `nightjar-agent run`. Also the form of its configuration file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentConfig {
    /// `http://host:9701` or `https://…`.
    pub server: String,
    /// Needed once; afterwards the agent has a key of its own.
    pub token: Option<Secret>,
    pub data_dir: PathBuf,
    pub labels: BTreeMap<String, String>,
    /// Certificates (PEM) that the server's must descend from; the host's without it.
    pub ca_file: Option<PathBuf>,
    /// SHA-256 of the server's certificate, in hexadecimal: exactly this one is trusted.
    pub fingerprint: Option<String>,
    /// At this size of the journal reading pauses until the server is back.
    pub journal_limit_bytes: u64,
    pub flush_interval: Span,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            server: String::new(),
            token: None,
            data_dir: PathBuf::from("/var/lib/nightjar-agent"),
            labels: BTreeMap::new(),
            ca_file: None,
            fingerprint: None,
            journal_limit_bytes: 256 << 20,
            flush_interval: Span::from_secs(2),
        }
    }
}

impl AgentConfig {
    pub fn validate(&self, problems: &mut Problems) {
        match self.server.parse::<tonic::transport::Uri>() {
            Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() => {}
            _ => problems.add("server", "must be the server's address for agents, such as https://host:9701"),
        }
        if self.ca_file.is_some() && self.fingerprint.is_some() {
            problems.add("fingerprint", "give either a CA file or a fingerprint, not both");
        }
        if self.fingerprint.as_ref().is_some_and(|text| parse_fingerprint(text).is_none()) {
            problems.add("fingerprint", "must be a SHA-256 in hexadecimal: 64 digits, colons may stand between them");
        }
        if self.journal_limit_bytes < 1 << 20 {
            problems.add("journal_limit_bytes", "must be at least 1048576 (1 MiB)");
        }
        if !(100..=60_000).contains(&self.flush_interval.0.as_millis()) {
            problems.add("flush_interval", "must be from 100ms to 1m");
        }
        if self.labels.len() > 64 {
            problems.add("labels", "holds more than 64 labels");
        }
        for (key, value) in &self.labels {
            if key.is_empty() || key.len() > 63 || value.len() > 255 {
                let rule = "a label has a key of 1 to 63 bytes and a value of at most 255";
                problems.add(format!("labels.{key}"), rule);
            }
        }
    }

    /// All that is wrong with it.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::new();
        self.validate(&mut problems);
        problems.into_vec()
    }
}

/// The bytes of a fingerprint written as 64 hexadecimal digits.
pub(crate) fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .trim_start_matches("sha256:")
        .bytes()
        .filter(|b| *b != b':')
        .map(|b| char::from(b).to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit)).collect();
    bytes.try_into().ok().filter(|_| digits.len() == 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut AgentConfig), wanted: &[&str]) {
        let mut config = AgentConfig { server: "https://host:9701".into(), ..AgentConfig::default() };
        change(&mut config);
        let paths: Vec<String> = config.problems().into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, wanted);
    }

    #[test]
    fn every_problem_has_its_path() {
        check(|_| {}, &[]);
        check(|c| c.server = "host:9701".into(), &["server"]);
        check(|c| c.server = "ftp://host".into(), &["server"]);
        check(|c| c.fingerprint = Some("ab".into()), &["fingerprint"]);
        check(|c| c.fingerprint = Some("AB:".repeat(32)), &[]);
        check(
            |c| {
                c.journal_limit_bytes = 1;
                c.flush_interval = Span::from_secs(3600);
                c.labels = [(String::new(), String::new())].into();
            },
            &["journal_limit_bytes", "flush_interval", "labels."],
        );
    }
}
