//! The room's part of the configuration.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nightjar_model::address::AddressRange;
use nightjar_model::{Problems, Span};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;

use crate::serve::WebError;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebConfig {
    /// Where agents reach the server, e.g. `https://nightjar.example.com:9701`. Without it: the host of
    /// the request that asks, and the port of the agents' listener.
    pub agents_url: Option<String>,
    /// Where people and installers reach the server, e.g. `https://nightjar.example.com`. Without it:
    /// the host of the request that asks.
    pub public_url: Option<String>,
    /// The agent that `/download/nightjar-agent` hands out. Without it: `nightjar-agent` beside the
    /// server's own executable.
    pub agent_binary: Option<PathBuf>,
    /// Addresses (`10.0.0.1`, `10.0.0.0/8`) whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<String>,
    /// Larger request bodies are refused.
    pub body_limit_bytes: usize,
    /// A request that takes longer is given up.
    pub request_timeout: Span,
    /// How long shutdown waits for requests under way.
    pub drain_timeout: Span,
    /// A body that takes longer to come is given up.
    pub body_timeout: Span,
    /// Requests worked on at once; more are refused with 503.
    pub max_requests: usize,
    /// Requests of one address under way at once; more are refused with 429. A trusted proxy's clients count
    /// each for themselves.
    pub max_requests_per_address: usize,
    /// Connections at once. For a further one the oldest that is not at work is closed, of the address that has
    /// the most.
    pub max_connections: usize,
    /// Connections of one address at once; for a further one its oldest that is not at work is closed.
    pub max_connections_per_address: usize,
    pub tls: Option<TlsFiles>,
}

/// Certificate chain and private key, PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            agents_url: None,
            public_url: None,
            agent_binary: None,
            trusted_proxies: Vec::new(),
            body_limit_bytes: 1 << 20,
            request_timeout: Span::from_secs(60),
            drain_timeout: Span::from_secs(10),
            body_timeout: Span::from_secs(30),
            max_requests: 512,
            max_requests_per_address: 128,
            max_connections: 4096,
            max_connections_per_address: 256,
            tls: None,
        }
    }
}

impl WebConfig {
    pub fn validate(&self, problems: &mut Problems) {
        for (path, url) in [("agents_url", &self.agents_url), ("public_url", &self.public_url)] {
            if url.as_ref().is_some_and(|url| !is_base_url(url)) {
                problems.add(path, "must be an address such as https://nightjar.example.com:9700, without a path");
            }
        }
        for (index, proxy) in self.trusted_proxies.iter().enumerate() {
            if AddressRange::parse(proxy).is_none() {
                problems.add(format!("trusted_proxies[{index}]"), AddressRange::EXPECTED);
            }
        }
        if !(1024..=256 << 20).contains(&self.body_limit_bytes) {
            problems.add("body_limit_bytes", "must be from 1024 to 268435456");
        }
        if self.request_timeout.0.is_zero() {
            problems.add("request_timeout", "must be longer than nothing");
        }
        if self.body_timeout.0.is_zero() {
            problems.add("body_timeout", "must be longer than nothing");
        }
        for (path, value) in [
            ("max_requests", self.max_requests),
            ("max_requests_per_address", self.max_requests_per_address),
            ("max_connections", self.max_connections),
            ("max_connections_per_address", self.max_connections_per_address),
        ] {
            if !(1..=100_000).contains(&value) {
                problems.add(path, "must be from 1 to 100000");
            }
        }
        if let Some(tls) = &self.tls {
            problems.within("tls", |p| {
                for (path, file) in [("cert", &tls.cert), ("key", &tls.key)] {
                    if !file.is_file() {
                        p.add(path, format!("there is no file {}", file.display()));
                    }
                }
            });
        }
    }

    pub(crate) fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().filter_map(|text| AddressRange::parse(text)).any(|range| range.contains(address))
    }

    pub(crate) fn agent_binary(&self) -> Option<PathBuf> {
        let beside = || std::env::current_exe().ok()?.parent().map(|folder| folder.join("nightjar-agent"));
        self.agent_binary.clone().or_else(beside)
    }
}

impl TlsFiles {
    /// Reads both files into what [`Web::serve`](crate::Web::serve) takes. The process's default
    /// cryptography provider must be installed.
    ///
    /// # Errors
    /// A file that cannot be read, holds nothing of its kind, or a key that does not fit the certificate.
    pub fn load(&self) -> Result<Arc<rustls::ServerConfig>, WebError> {
        let unusable = |file: &Path, reason: String| WebError::Tls { file: file.to_owned(), reason };
        let certificates = CertificateDer::pem_file_iter(&self.cert)
            .and_then(|found| found.collect::<Result<Vec<_>, _>>())
            .map_err(|error| unusable(&self.cert, error.to_string()))?;
        if certificates.is_empty() {
            return Err(unusable(&self.cert, "holds no certificate".into()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| unusable(&self.key, error.to_string()))?;
        let mut config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .map_err(|error| unusable(&self.key, error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Whether `url` is `http(s)://host[:port]`, of characters that mean nothing to a shell.
pub(crate) fn is_base_url(url: &str) -> bool {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    host.is_some_and(|host| is_host(host.trim_end_matches('/')))
}

/// Whether `host` is `name`, `name:port`, `[v6]` or `[v6]:port`.
pub(crate) fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 255
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']' | b'_'))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn every_problem_is_reported() {
        let config = WebConfig {
            agents_url: Some("nightjar:9701".into()),
            public_url: Some("http://x/$(reboot)".into()),
            trusted_proxies: vec!["10.0.0.0/8".into(), "10.0.0.0/40".into()],
            body_limit_bytes: 3,
            max_requests: 0,
            ..WebConfig::default()
        };
        let mut problems = Problems::new();
        config.validate(&mut problems);
        let lines: Vec<String> = problems.into_vec().iter().map(|p| format!("{}: {}\n", p.path, p.message)).collect();
        expect![[r#"
            agents_url: must be an address such as https://nightjar.example.com:9700, without a path
            public_url: must be an address such as https://nightjar.example.com:9700, without a path
            trusted_proxies[1]: must be an address or a range such as 10.0.0.0/8
            body_limit_bytes: must be from 1024 to 268435456
            max_requests: must be from 1 to 100000
        "#]]
        .assert_eq(&lines.concat());
    }
}
