//! Two agents on one host that read the same file for the same monitor count its lines twice. One of them goes
//! on, the one that was enrolled first; the other is taken off that monitor while the first is there.
//!
//! Agents that share a kernel share devices and inodes, whatever containers they are in. Agents tell some of
//! the files they read, those that sort first, so that two that read the same tell the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nightjar_model::Result;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::AgentGap;
use nightjar_model::query::IncompleteReason;
use nightjar_model::time::Timestamp;

use crate::Collector;
use crate::live::Live;
use crate::presence::Presence;

/// Why an agent does not collect a monitor that wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excluded {
    /// Who counts in its place, and on which host, for people.
    pub(crate) by: AgentId,
    pub(crate) host: String,
}

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
        let found = self.find_doubles(live);
        let now = self.clock.now();
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

    fn find_doubles(&self, live: &Arc<Live>) -> Vec<Double> {
        let mine = live.state().reads.clone();
        let mut found = Vec::new();
        for other in self.neighbours(live) {
            let theirs = other.state().reads.clone();
            let (winner, loser) = if (other.enrolled_at, &other.id) < (live.enrolled_at, &live.id) {
                (&other, live)
            } else {
                (live, &other)
            };
            for (monitor, files) in &mine {
                let same = theirs.get(monitor).is_some_and(|theirs| files.iter().any(|file| theirs.contains(file)));
                // One that is off itself counts in nobody's place.
                let is_off = |agent: &Live| agent.state().excluded.contains_key(monitor);
                if !same || is_off(loser) || is_off(winner) {
                    continue;
                }
                let excluded = Excluded { by: winner.id.clone(), host: winner.facts().hostname };
                // The later one has read what the other had: from where its figures begin they are double.
                let later = if winner.connected_at > loser.connected_at { winner } else { loser };
                let earliest = later.state().earliest.get(monitor).copied();
                let since = earliest.unwrap_or(later.connected_at).min(later.connected_at);
                found.push(Double { loser: Arc::clone(loser), monitor: monitor.clone(), excluded, since });
            }
        }
        found
    }

    /// What an agent is off still, and what it may have back, as who counts in its place is not there any more.
    pub(crate) fn exclusions(
        &self,
        agent: &AgentId,
        presence: impl Fn(&AgentId) -> Option<Presence>,
    ) -> (BTreeSet<String>, BTreeSet<String>) {
        let Some(live) = self.live(agent) else { return Default::default() };
        let state = live.state();
        let (still, back): (Vec<_>, Vec<_>) =
            state.excluded.iter().partition(|(_, excluded)| presence(&excluded.by) == Some(Presence::There));
        let names = |of: Vec<(&String, &Excluded)>| of.into_iter().map(|(monitor, _)| monitor.clone()).collect();
        (names(still), names(back))
    }

    /// Once the engine expects it there: what an agent collects must be waited for.
    pub(crate) fn give_back(&self, agent: &AgentId, monitors: &BTreeSet<String>) {
        if let Some(live) = self.live(agent) {
            live.state().excluded.retain(|monitor, _| !monitors.contains(monitor));
            live.reconfigure.notify_one();
        }
    }
}
