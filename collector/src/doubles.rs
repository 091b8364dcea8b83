//! Two agents on one host that read the same file for the same monitor count its lines twice. The one that was
//! enrolled first goes on; the other is taken off that monitor while the first is there.
//!
//! In one mount namespace they see the same files, so nothing is missing. Otherwise, as in two containers or two
//! services of systemd with directories of their own, each may read something that the other does not, now or later: one is taken off, lest any line count twice, but it is
//! waited for as before. The monitor is not complete until somebody parts their files. Which it is, is judged anew when
//! the monitor is changed.
//!
//! Agents that share a kernel share devices and inodes, whatever containers they are in. Agents tell some of
//! the files they read, those that sort first, so that two that read the same tell the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nightjar_model::Result;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::AgentGap;
use nightjar_model::query::IncompleteReason;
use nightjar_model::time::Timestamp;

use crate::Collector;
use crate::hand_out::{MonitorVersion, Plan};
use crate::live::Live;
use crate::presence::Presence;

/// Why an agent does not collect a monitor that wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excluded {
    /// Who counts in its place, and on which host, for people.
    pub(crate) by: AgentId,
    pub(crate) host: String,
    /// It may read files that the other does not, which nobody counts now.
    pub(crate) misses: bool,
    /// Of the monitor as it was then.
    monitor: MonitorVersion,
}

/// What an agent reads for a monitor.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reads {
    /// Device and inode of its files, those that sort first.
    pub(crate) told: Vec<(u64, u64)>,
    /// How many it reads.
    pub(crate) count: usize,
}

impl Reads {
    pub(crate) fn new(told: Vec<(u64, u64)>, count: usize) -> Self {
        Self { count: count.max(told.len()), told }
    }

    fn share(&self, other: &Self) -> bool {
        self.told.iter().any(|file| other.told.contains(file))
    }

    /// Whether the other reads all that this one reads, as far as both tell.
    fn are_within(&self, other: &Self) -> bool {
        let all_told = other.count == other.told.len();
        let last = other.told.iter().max();
        let mut would_be_told = self.told.iter().filter(|file| all_told || Some(*file) <= last);
        self.count <= other.count && would_be_told.all(|file| other.told.contains(file))
    }
}

/// Agents learn of a rotated file some heartbeats apart: so long it may seem that only one of them reads it.
const DIFFER_FOR: Duration = Duration::from_secs(60);

/// Found to be counted twice.
struct Double {
    loser: Arc<Live>,
    monitor: String,
    excluded: Excluded,
    since: Timestamp,
}

impl Collector {
    /// Notes whether others are on the same host, and what an earlier session of the agent was taken off.
    pub(crate) fn settle_doubles(&self, live: &Live, before: Option<&Live>) {
        if let Some(before) = before {
            let excluded = before.state().excluded.clone();
            live.state().excluded = excluded;
        }
        if live.boot_id.is_empty() {
            return;
        }
        for other in self.neighbours(live) {
            other.has_neighbours.store(true, Ordering::Relaxed);
            live.has_neighbours.store(true, Ordering::Relaxed);
        }
    }

    /// Connected agents of the same workspace on the same host.
    fn neighbours(&self, live: &Live) -> Vec<Arc<Live>> {
        let is_neighbour = |other: &&Arc<Live>| {
            other.id != live.id
                && other.boot_id == live.boot_id
                && other.workspace == live.workspace
                && other.is_connected()
        };
        self.live_agents().values().filter(is_neighbour).cloned().collect()
    }

    /// After an agent has told what it reads: parts it from others that read the same.
    pub(crate) async fn part_doubles(&self, live: &Arc<Live>) -> Result<()> {
        if !live.has_neighbours.load(Ordering::Relaxed) {
            return Ok(());
        }
        let now = self.clock.now();
        let found = self.find_doubles(live, now);
        let mut outcome = Ok(());
        for Double { loser, monitor, excluded, since } in found {
            if loser.state().excluded.contains_key(&monitor) {
                continue;
            }
            let gap = AgentGap {
                agent: loser.id.clone(),
                monitor: Some(MonitorKey::new(&loser.workspace, &monitor)),
                from: Some(since),
                until: now,
                reason: IncompleteReason::CountedTwice,
            };
            // First: one that is expected no longer has no windows that could be marked.
            if let Err(error) = self.intake.note_gap(gap).await {
                outcome = Err(error);
                continue;
            }
            tracing::warn!(agent = %loser.id, monitor, "another agent reads the same files on the same host and counts in its place");
            metrics::counter!("nightjar_collector_doubles_total").increment(1);
            loser.state().excluded.insert(monitor, excluded);
            loser.reconfigure.notify_one();
            self.changed.notify_one();
        }
        outcome
    }

    fn find_doubles(&self, live: &Arc<Live>, now: Timestamp) -> Vec<Double> {
        let (mine, differed) = {
            let mut state = live.state();
            (state.reads.clone(), std::mem::take(&mut state.differs))
        };
        let (mut found, mut differs) = (Vec::new(), BTreeMap::new());
        for other in self.neighbours(live) {
            let theirs = other.state().reads.clone();
            let (winner, loser) = if (other.enrolled_at, &other.id) < (live.enrolled_at, &live.id) {
                (&other, live)
            } else {
                (live, &other)
            };
            for (monitor, files) in &mine {
                // One that is off itself counts in nobody's place.
                let is_off = |agent: &Live| agent.state().excluded.contains_key(monitor);
                let theirs = theirs.get(monitor).filter(|theirs| files.share(theirs));
                let Some(theirs) = theirs.filter(|_| !is_off(live) && !is_off(&other)) else { continue };
                let (winners, losers) = if Arc::ptr_eq(winner, live) { (files, theirs) } else { (theirs, files) };
                let see_the_same = live.mount_namespace != 0 && live.mount_namespace == other.mount_namespace;
                let all_read = see_the_same || losers.are_within(winners);
                let (winner, loser, differ) = match (all_read, winners.are_within(losers)) {
                    (true, _) => (winner, loser, false),
                    (false, true) => (loser, winner, false),
                    (false, false) => (winner, loser, true),
                };
                if differ {
                    let since = *differed.get(monitor).unwrap_or(&now);
                    differs.insert(monitor.clone(), since);
                    if now.since(since) < DIFFER_FOR {
                        continue;
                    }
                }
                let Some(version) = self.plan.borrow().version_of(&live.workspace, monitor) else { continue };
                let (by, host) = (winner.id.clone(), winner.facts().hostname);
                let excluded = Excluded { by, host, misses: !see_the_same, monitor: version };
                // The later one has read what the other had: from where its figures begin they are double.
                let later = if winner.connected_at > loser.connected_at { winner } else { loser };
                let earliest = later.state().earliest.get(monitor).copied();
                let since = earliest.unwrap_or(later.connected_at).min(later.connected_at);
                found.push(Double { loser: Arc::clone(loser), monitor: monitor.clone(), excluded, since });
            }
        }
        live.state().differs = differs;
        found
    }

    /// What an agent is off and another counts in its place, and what it may have back, as the other is not there any
    /// more, or the monitor is another one.
    pub(crate) fn exclusions(
        &self,
        agent: &AgentId,
        plan: &Plan,
        presence: impl Fn(&AgentId) -> Option<Presence>,
    ) -> (BTreeSet<String>, BTreeSet<String>) {
        let Some(live) = self.live(agent) else { return Default::default() };
        let state = live.state();
        let holds = |(monitor, excluded): &(&String, &Excluded)| {
            let is_same = plan.version_of(&live.workspace, monitor).is_some_and(|now| now == excluded.monitor);
            is_same && presence(&excluded.by) == Some(Presence::There)
        };
        let (still, back): (Vec<_>, Vec<_>) = state.excluded.iter().partition(holds);
        let names = |of: Vec<(&String, &Excluded)>| of.into_iter().map(|(monitor, _)| monitor.clone()).collect();
        (names(still.into_iter().filter(|(_, excluded)| !excluded.misses).collect()), names(back))
    }

    /// Once the engine expects it there: what an agent collects must be waited for.
    pub(crate) fn give_back(&self, agent: &AgentId, monitors: &BTreeSet<String>) {
        if let Some(live) = self.live(agent) {
            live.state().excluded.retain(|monitor, _| !monitors.contains(monitor));
            live.reconfigure.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(told: impl IntoIterator<Item = u64>, count: usize) -> Reads {
        Reads::new(told.into_iter().map(|inode| (1, inode)).collect(), count)
    }

    #[test]
    fn knows_who_reads_all_of_another() {
        assert!(reads([1], 1).are_within(&reads([1, 2], 2)));
        assert!(!reads([1, 2], 2).are_within(&reads([1], 1)));
        assert!(!reads([1, 3], 2).are_within(&reads([1, 2], 2)));
        // Of many the first are told: what is not told may be there.
        assert!(reads([2, 9], 2).are_within(&reads(1..=5, 20)));
        assert!(!reads([0, 9], 2).are_within(&reads(1..=5, 20)));
        assert!(!reads(1..=5, 30).are_within(&reads(1..=5, 20)));
    }
}
