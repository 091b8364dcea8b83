//! Where messages may not go. Documents name the receivers, and who may write documents may not for that
//! reach what only this host can: a cloud's address of credentials, for one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use nightjar_model::address::AddressRange;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::Outcome;

/// Networks to which nothing is sent.
#[derive(Debug, Clone)]
pub(crate) struct Reach(Arc<[AddressRange]>);

#[derive(Debug, thiserror::Error)]
#[error("{0} is in a network that the server may not send to (setting alerting.refused_networks)")]
struct Refused(IpAddr);

impl Reach {
    /// Of settings that were validated.
    pub(crate) fn new(refused_networks: &[String]) -> Self {
        Self(refused_networks.iter().filter_map(|text| AddressRange::parse(text)).collect())
    }

    fn check(&self, address: IpAddr) -> Result<(), Refused> {
        if self.0.iter().any(|range| range.contains(address)) { Err(Refused(address)) } else { Ok(()) }
    }

    /// Checks an address that is spelled out; names are checked where they are resolved, by [`Resolve`].
    pub(crate) fn check_url(&self, url: &reqwest::Url) -> Result<(), Outcome> {
        // IPv6 addresses stand in brackets.
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host.parse()
            .map_or(Ok(()), |address| self.check(address))
            .map_err(|refused| Outcome::Refused(refused.to_string()))
    }

    /// Checks all that a host's name stands for now.
    pub(crate) async fn check_host(&self, host: &str, port: u16) -> Result<(), Outcome> {
        let found = tokio::net::lookup_host((host, port)).await;
        let mut found = found.map_err(|error| Outcome::retry(format!("cannot resolve {host}: {error}")))?;
        found.try_for_each(|at| self.check(at.ip())).map_err(|refused| Outcome::Refused(refused.to_string()))
    }
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            found.iter().try_for_each(|at| reach.check(at.ip()))?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
