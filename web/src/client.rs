//! From where a request came, and by which address it reached the server.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::request::Parts;
use http::{HeaderMap, header};

use crate::config::{WebConfig, is_host};

/// The client as the server sees it. `X-Forwarded-*` counts only from proxies that are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: Option<IpAddr>,
    pub(crate) https: bool,
}

impl Client {
    pub(crate) fn of(parts: &Parts, config: &WebConfig, tls: bool) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
        let trusted = peer.is_some_and(|peer| config.is_trusted_proxy(peer));
        if !trusted {
            return Self { address: peer, https: tls };
        }
        let forwarded = last_untrusted(&parts.headers, config);
        let https = match header_text(&parts.headers, "x-forwarded-proto") {
            Some(proto) => proto.trim().eq_ignore_ascii_case("https"),
            None => tls,
        };
        Self { address: forwarded.or(peer), https }
    }

    pub(crate) fn text(&self) -> Option<String> {
        self.address.map(|address| address.to_string())
    }
}

/// `http(s)://host[:port]` as the client wrote it; `None` if its `Host` cannot be one.
pub(crate) fn base_url(parts: &Parts, config: &WebConfig, client: &Client) -> Option<String> {
    if let Some(url) = &config.public_url {
        return Some(url.trim_end_matches('/').to_owned());
    }
    let host = header_text(&parts.headers, header::HOST.as_str())
        .or_else(|| parts.uri.authority().map(|authority| authority.as_str()))?;
    let scheme = if client.https { "https" } else { "http" };
    is_host(host).then(|| format!("{scheme}://{host}"))
}

/// Where agents are to report.
pub(crate) fn agents_url(base: &str, config: &WebConfig, port: u16, tls: bool) -> String {
    if let Some(url) = &config.agents_url {
        return url.trim_end_matches('/').to_owned();
    }
    let host = base.split_once("://").map_or(base, |(_, host)| host);
    let name = match host.rfind(':') {
        Some(at) if !host.ends_with(']') => &host[..at],
        _ => host,
    };
    format!("{}://{name}:{port}", if tls { "https" } else { "http" })
}

/// The nearest address in `X-Forwarded-For` that is not one of our proxies: what stands left of it
/// is the client's own invention.
fn last_untrusted(headers: &HeaderMap, config: &WebConfig) -> Option<IpAddr> {
    let hops: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut nearest = None;
    for hop in hops.iter().rev() {
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        nearest = Some(address.to_canonical());
        if !config.is_trusted_proxy(address) {
            break;
        }
    }
    nearest
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn check(peer: &str, forwarded: Option<&str>, expected: &str) {
        let config = WebConfig { trusted_proxies: vec!["10.0.0.0/8".into(), "::1".into()], ..WebConfig::default() };
        let mut request = Request::builder().uri("/");
        if let Some(forwarded) = forwarded {
            request = request.header("x-forwarded-for", forwarded);
        }
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        parts.extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().expect("an address"), 5000)));
        assert_eq!(Client::of(&parts, &config, false).text().as_deref(), Some(expected), "{peer} {forwarded:?}");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        check("192.0.2.7", None, "192.0.2.7");
        check("192.0.2.7", Some("1.1.1.1"), "192.0.2.7");
        check("10.1.2.3", Some("1.1.1.1"), "1.1.1.1");
        check("10.1.2.3", Some("6.6.6.6, 1.1.1.1, 10.9.9.9"), "1.1.1.1");
        check("10.1.2.3", Some("garbage"), "10.1.2.3");
        check("::1", Some("2001:db8::7"), "2001:db8::7");
        check("::ffff:192.0.2.7", None, "192.0.2.7");
    }

    #[test]
    fn the_agents_address_follows_the_host() {
        let config = WebConfig::default();
        for (base, expected) in [
            ("http://mon.example:9700", "https://mon.example:9701"),
            ("https://mon.example", "https://mon.example:9701"),
            ("http://[::1]:9700", "https://[::1]:9701"),
            ("http://[::1]", "https://[::1]:9701"),
        ] {
            assert_eq!(agents_url(base, &config, 9701, true), expected);
        }
    }
}
