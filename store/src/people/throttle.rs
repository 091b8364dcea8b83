//! Slows down those who guess passwords: after some failures, each further one doubles the wait, for
//! the name and for the address it came from. Kept in memory, so a restart forgives.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nightjar_model::Timestamp;

/// Failures are forgotten this long after the last.
const FORGET: Duration = Duration::from_secs(3600);

/// How failures are punished.
#[derive(Debug)]
struct Policy {
    free: u32,
    longest: Duration,
    /// Names or addresses remembered.
    bound: usize,
    label: &'static str,
}

/// Short waits only: anybody can make a name fail, and its owner must still get in.
const NAMES: Policy = Policy { free: 5, longest: Duration::from_secs(60), bound: 10_000, label: "name" };

/// Many people may share an address, so it takes more failures; but then the wait is long.
const ADDRESSES: Policy = Policy { free: 20, longest: Duration::from_secs(900), bound: 10_000, label: "address" };

#[derive(Debug)]
pub(crate) struct Throttle {
    names: Failures,
    addresses: Failures,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { names: Failures::new(NAMES), addresses: Failures::new(ADDRESSES) }
    }
}

impl Throttle {
    /// How long to wait before the next attempt; `None` for not at all.
    pub(crate) fn wait(&self, name: &str, address: Option<&str>, now: Timestamp) -> Option<Duration> {
        let by_name = self.names.wait(name, now);
        let by_address = address.map_or(Duration::ZERO, |address| self.addresses.wait(&network(address), now));
        Some(by_name.max(by_address)).filter(|wait| !wait.is_zero())
    }

    pub(crate) fn failed(&mut self, name: &str, address: Option<&str>, now: Timestamp) {
        self.names.add(name, now);
        if let Some(address) = address {
            self.addresses.add(&network(address), now);
        }
    }

    /// The address's failures stay: somebody with one good password must not guess others freely.
    pub(crate) fn succeeded(&mut self, name: &str) {
        self.names.known.remove(&key(name));
    }
}

#[derive(Debug)]
struct Failures {
    policy: Policy,
    known: HashMap<String, Track>,
}

#[derive(Debug)]
struct Track {
    failures: u32,
    last: Timestamp,
}

impl Failures {
    fn new(policy: Policy) -> Self {
        Self { policy, known: HashMap::new() }
    }

    fn wait(&self, name: &str, now: Timestamp) -> Duration {
        let Some(track) = self.known.get(&key(name)) else { return Duration::ZERO };
        if track.failures < self.policy.free || now.since(track.last) >= FORGET {
            return Duration::ZERO;
        }
        let doublings = (track.failures - self.policy.free).min(20);
        let delay = Duration::from_secs(1 << doublings).min(self.policy.longest);
        track.last.saturating_add(delay).since(now)
    }

    fn add(&mut self, name: &str, now: Timestamp) {
        let name = key(name);
        if !self.known.contains_key(&name) && self.known.len() >= self.policy.bound {
            self.make_room(now);
        }
        let track = self.known.entry(name).or_insert(Track { failures: 0, last: now });
        if now.since(track.last) >= FORGET {
            track.failures = 0;
        }
        track.failures = track.failures.saturating_add(1);
        track.last = now;
    }

    /// Drops what is forgotten anyway, else the least guilty: a flood of made-up names must not clear
    /// the record of the one under attack.
    fn make_room(&mut self, now: Timestamp) {
        self.known.retain(|_, track| now.since(track.last) < FORGET);
        if self.known.len() < self.policy.bound {
            return;
        }
        metrics::counter!("nightjar_store_throttle_evictions_total", "by" => self.policy.label).increment(1);
        let least =
            self.known.iter().min_by_key(|(_, track)| (track.failures, track.last)).map(|(name, _)| name.clone());
        if let Some(name) = least {
            self.known.remove(&name);
        }
    }
}

/// A name as it is remembered: bounded, whatever was sent.
fn key(name: &str) -> String {
    name.chars().take(64).collect()
}

/// The address without its port; of IPv6 the network, because one host has as many addresses as it likes.
fn network(address: &str) -> String {
    let ip = address.parse::<SocketAddr>().map(|socket| socket.ip()).or_else(|_| address.parse::<IpAddr>());
    match ip.map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V6(ip)) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Ok(ip) => ip.to_string(),
        Err(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(at: i64) -> Timestamp {
        Timestamp(at * 1000)
    }

    fn failing(throttle: &mut Throttle, times: u32, at: i64) {
        (0..times).for_each(|_| throttle.failed("alice", Some("10.0.0.1:5000"), seconds(at)));
    }

    #[test]
    fn waits_double_up_to_a_minute_by_name() {
        let mut throttle = Throttle::default();
        failing(&mut throttle, 4, 0);
        assert_eq!(throttle.wait("alice", None, seconds(0)), None);
        let mut waits = Vec::new();
        for _ in 0..9 {
            failing(&mut throttle, 1, 0);
            waits.push(throttle.wait("alice", None, seconds(0)).unwrap().as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(throttle.wait("alice", None, seconds(59)), Some(Duration::from_secs(1)));
        assert_eq!(throttle.wait("alice", None, seconds(60)), None);
        assert_eq!(throttle.wait("bob", None, seconds(0)), None);
    }

    #[test]
    fn an_address_is_slowed_whatever_names_it_tries() {
        let mut throttle = Throttle::default();
        for n in 0..25 {
            throttle.failed(&format!("user{n}"), Some("10.0.0.1:5000"), seconds(0));
        }
        assert_eq!(throttle.wait("somebody", Some("10.0.0.1:6000"), seconds(0)), Some(Duration::from_secs(32)));
        assert_eq!(throttle.wait("somebody", Some("10.0.0.2:6000"), seconds(0)), None);
        // A success clears the name only.
        throttle.succeeded("user0");
        assert!(throttle.wait("somebody", Some("10.0.0.1"), seconds(0)).is_some());
    }

    #[test]
    fn one_network_is_one_address() {
        assert_eq!(network("[2001:db8::1]:80"), network("2001:db8::ffff:2"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1:9"));
        assert_ne!(network("10.0.0.1"), network("10.0.0.2"));
    }

    #[test]
    fn success_and_time_forgive_a_name() {
        let mut throttle = Throttle::default();
        failing(&mut throttle, 10, 0);
        assert_eq!(throttle.wait("alice", None, seconds(3600)), None);
        throttle.succeeded("alice");
        assert_eq!(throttle.wait("alice", None, seconds(0)), None);
    }

    #[test]
    fn a_flood_of_names_is_bounded_and_keeps_the_guilty() {
        let mut throttle = Throttle::default();
        failing(&mut throttle, 8, 0);
        for n in 0..NAMES.bound + 5 {
            throttle.failed(&format!("made-up-{n}"), None, seconds(1));
        }
        assert_eq!(throttle.names.known.len(), NAMES.bound);
        assert!(throttle.wait("alice", None, seconds(1)).is_some());
    }
}
