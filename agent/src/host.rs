//! What the agent knows of the host and of itself.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, UdpSocket};

use nightjar_model::agents::{AgentFacts, AgentSelf};

use crate::journal::JournalStats;
use crate::pipeline::HostFacts;
use crate::zone::HostZone;

/// Ticks a second in `/proc/self/stat`, which Linux fixes for everything it shows to users.
const TICKS_PER_SECOND: u64 = 100;
const PAGE_BYTES: u64 = 4096;

/// The host's facts, as seen on the way to `server`.
pub(crate) fn host_facts(labels: &BTreeMap<String, String>, server: Option<SocketAddr>) -> HostFacts {
    let ip = server.and_then(address_towards).unwrap_or_default();
    HostFacts { labels: labels.clone(), ip, ..HostFacts::of_this_machine() }
}

pub(crate) fn agent_facts(host: &HostFacts) -> AgentFacts {
    let mut facts = AgentFacts {
        hostname: host.hostname.clone(),
        ip: host.ip.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        os: os_name().unwrap_or_else(|| std::env::consts::OS.to_owned()),
        arch: std::env::consts::ARCH.to_owned(),
        labels: host.labels.clone(),
        ..AgentFacts::default()
    };
    put_zone(&mut facts, &host.zone);
    facts
}

pub(crate) fn put_zone(facts: &mut AgentFacts, zone: &HostZone) {
    facts.timezone = zone.name.clone();
    facts.timezone_problem = zone.problem().unwrap_or_default().to_owned();
}

/// The address that packets to `server` leave from. Sends none.
fn address_towards(server: SocketAddr) -> Option<String> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(server).ok()?;
    Some(socket.local_addr().ok()?.ip().to_string())
}

/// Of the kernel's start; the same for all containers of a host. Empty where it cannot be read.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// Of what files the agent sees, within its host. 0 where it cannot be read.
pub(crate) fn mount_namespace() -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self/ns/mnt").map(|namespace| namespace.ino()).unwrap_or_default()
}

fn os_name() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

/// Memory and CPU time of this process, with what the journal says.
pub(crate) fn self_report(journal: JournalStats, paused: bool) -> AgentSelf {
    AgentSelf {
        resident_bytes: resident_bytes().unwrap_or(0),
        cpu_millis: cpu_millis().unwrap_or(0),
        journal_bytes: journal.bytes,
        journal_limit_bytes: journal.limit_bytes,
        unacked_records: journal.unacked_records,
        paused,
    }
}

fn resident_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE_BYTES)
}

fn cpu_millis() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may hold spaces; utime and stime are the 12th and 13th after it.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    let ticks = fields.next()?.ok()? + fields.next()?.ok()?;
    Some(ticks * 1000 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_figures() {
        let stats = JournalStats { bytes: 1, limit_bytes: 2, unacked_records: 3 };
        let report = self_report(stats, true);
        assert!(report.resident_bytes > 100_000);
        assert_eq!((report.journal_bytes, report.unacked_records, report.paused), (1, 3, true));
        assert!(cpu_millis().is_some());
    }

    #[test]
    fn finds_the_way_to_a_server() {
        assert_eq!(address_towards(([127, 0, 0, 1], 9).into()).as_deref(), Some("127.0.0.1"));
    }
}
