//! Which windows are complete: every agent expected to contribute has passed their end.
//!
//! What was found is kept as marks, so that a window's state does not change when the fleet does:
//! - an agent is waited for from the window after the one in which it was first expected;
//! - what passed before it began to read, as its first watermark tells, stays partial, with it as the
//!   missing one: it was away, or its configuration was on the way;
//! - what an agent cannot read any more leaves the windows from its last watermark to there partial, with
//!   it as the missing one;
//! - a window that nobody was expected to contribute to is never complete;
//! - when an agent is no longer expected, the windows that it had begun and not passed stay partial, with
//!   it as the missing one, and are waited for no longer.

mod marks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nightjar_model::Timestamp;
use nightjar_model::delta::Watermark;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::Expectation;
use nightjar_model::query::{CompletenessState, Contributor, IncompleteReason, Progress};
use serde::{Deserialize, Serialize};

pub(crate) use self::marks::{Marks, nobody};
use crate::ranges::Ranges;

/// Agents that left a monitor while windows waited for them, or came late: the latest are kept, each one
/// entry.
const ABANDONED_KEPT: usize = 1000;

/// Agents hold their watermarks back by so much, for what is still in writers' buffers: one that begins at
/// the end of a file begins so long after its first watermark.
const HELD_BACK: i64 = 1000;

/// So long after its end a window may still be in progress: agents tell of it a second later, and have to be
/// heard.
const TELLING: i64 = 15_000;

/// A monitor, and the end of its last complete window.
pub(crate) type Closed = (MonitorKey, Timestamp);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<(MonitorKey, Track)>", into = "Vec<(MonitorKey, Track)>")]
pub(crate) struct Tracker(BTreeMap<MonitorKey, Arc<Track>>);

/// One monitor's marks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Track {
    width: i64,
    agents: BTreeMap<AgentId, Expected>,
    /// No window that ends at or before this is waited for.
    settled: Option<i64>,
    complete: Ranges,
    revised: Ranges,
    abandoned: Vec<Abandoned>,
    /// Windows of those abandoned that are kept no longer: they stay partial, by whom is forgotten.
    #[serde(default)]
    nameless: Ranges,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Expected {
    /// The first window that waits for it.
    since: i64,
    through: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Abandoned {
    from: i64,
    until: i64,
    agent: AgentId,
}

impl From<Vec<(MonitorKey, Track)>> for Tracker {
    fn from(tracks: Vec<(MonitorKey, Track)>) -> Self {
        Self(tracks.into_iter().map(|(monitor, track)| (monitor, Arc::new(track))).collect())
    }
}

impl From<Tracker> for Vec<(MonitorKey, Track)> {
    fn from(tracker: Tracker) -> Self {
        tracker.0.into_iter().map(|(monitor, track)| (monitor, Arc::unwrap_or_clone(track))).collect()
    }
}

impl Tracker {
    pub(crate) fn track(&self, monitor: &MonitorKey) -> Option<&Arc<Track>> {
        self.0.get(monitor)
    }

    /// Whether [`Tracker::expect`] would change anything.
    pub(crate) fn differs(&self, expected: &[Expectation]) -> bool {
        let named: BTreeSet<&MonitorKey> = expected.iter().map(|e| &e.monitor).collect();
        self.0.iter().any(|(monitor, track)| !track.agents.is_empty() && !named.contains(monitor))
            || expected.iter().any(|e| match self.0.get(&e.monitor) {
                None => !e.agents.is_empty(),
                Some(track) => {
                    (track.width != e.width.as_millis() as i64 && !e.agents.is_empty())
                        || e.agents.iter().map(|agent| &agent.id).collect::<BTreeSet<_>>()
                            != track.agents.keys().collect()
                }
            })
    }

    /// From `at` on, these and nobody else are expected.
    pub(crate) fn expect(&mut self, at: Timestamp, expected: &[Expectation]) -> Vec<Closed> {
        let mut named: BTreeMap<&MonitorKey, (i64, BTreeSet<&AgentId>)> = BTreeMap::new();
        for expectation in expected {
            let entry = named.entry(&expectation.monitor).or_default();
            entry.0 = expectation.width.as_millis() as i64;
            entry.1.extend(expectation.agents.iter().map(|agent| &agent.id));
        }
        let mut closed = Vec::new();
        for (monitor, track) in &mut self.0 {
            if !named.contains_key(monitor) && !track.agents.is_empty() {
                let track = Arc::make_mut(track);
                closed.extend(
                    track.expect(at.0, track.width, &BTreeSet::new()).map(|through| (monitor.clone(), through)),
                );
            }
        }
        for (monitor, (width, agents)) in named {
            if width <= 0 || (agents.is_empty() && !self.0.contains_key(monitor)) {
                continue;
            }
            let track = self.0.entry(monitor.clone()).or_insert_with(|| Arc::new(Track::new(width)));
            let advanced = Arc::make_mut(track).expect(at.0, width, &agents);
            closed.extend(advanced.map(|through| (monitor.clone(), through)));
        }
        closed
    }

    /// `agent` has read everything of a monitor up to there, or cannot read some of it any more. Answers
    /// how far the monitor has come, if that is further than before. Ignored from an agent that is not
    /// expected.
    pub(crate) fn watermark(&mut self, agent: &AgentId, told: &Watermark) -> Option<Timestamp> {
        let track = self.0.get_mut(&told.monitor)?;
        let known = *track.agents.get(agent)?;
        let further = told.through.0 > 0 && known.through.is_none_or(|known| known < told.through.0);
        if !further && told.gap.is_none() {
            return None;
        }
        let track = Arc::make_mut(track);
        if let Some(until) = told.gap {
            let from = known.through.map_or(known.since, |through| track.floor(through).max(known.since));
            let until = track.floor(until.0).saturating_add(track.width);
            if from < until {
                track.abandon(Abandoned { from, until, agent: agent.clone() });
            }
        }
        if !further {
            return None;
        }
        track.agents.get_mut(agent)?.through = Some(told.through.0);
        let (since, begun) = (known.since, told.through.0.saturating_add(HELD_BACK));
        if known.through.is_none() && begun > since {
            let until = track.floor(begun).saturating_add(track.width);
            track.abandon(Abandoned { from: since, until, agent: agent.clone() });
        }
        track.settle()
    }

    /// A delta of the window that starts at `start` came.
    pub(crate) fn delta(&mut self, monitor: &MonitorKey, start: i64) {
        if let Some(track) = self.0.get_mut(monitor)
            && track.complete.contains(start)
            && !track.revised.contains(start)
        {
            let width = track.width;
            Arc::make_mut(track).revised.insert(start, start + width);
        }
    }

    /// Forgets marks of windows before `before`.
    pub(crate) fn forget_before(&mut self, before: Timestamp) {
        for track in self.0.values_mut() {
            let track = Arc::make_mut(track);
            track.complete.remove(i64::MIN, before.0);
            track.revised.remove(i64::MIN, before.0);
            track.nameless.remove(i64::MIN, before.0);
            track.abandoned.retain(|abandoned| abandoned.until > before.0);
        }
        self.0.retain(|_, track| !(track.agents.is_empty() && track.complete.is_empty() && track.abandoned.is_empty()));
    }
}

impl Track {
    fn new(width: i64) -> Self {
        Self {
            width,
            agents: BTreeMap::new(),
            settled: None,
            complete: Ranges::default(),
            revised: Ranges::default(),
            abandoned: Vec::new(),
            nameless: Ranges::default(),
        }
    }

    fn floor(&self, at: i64) -> i64 {
        at.div_euclid(self.width) * self.width
    }

    fn abandon(&mut self, abandoned: Abandoned) {
        self.abandoned.push(abandoned);
        let excess = self.abandoned.len().saturating_sub(ABANDONED_KEPT);
        for forgotten in self.abandoned.drain(..excess) {
            self.nameless.insert(forgotten.from, forgotten.until);
        }
    }

    fn expect(&mut self, at: i64, width: i64, agents: &BTreeSet<&AgentId>) -> Option<Timestamp> {
        let before = self.complete.end();
        let leaving: Vec<AgentId> =
            self.agents.keys().filter(|agent| width != self.width || !agents.contains(agent)).cloned().collect();
        for agent in leaving {
            let Some(left) = self.agents.remove(&agent) else { continue };
            let from = left.through.map_or(left.since, |through| self.floor(through).max(left.since));
            // The window that is open now too: it may have contributed to it.
            let until = self.floor(at) + self.width;
            if from < until {
                self.abandon(Abandoned { from, until, agent });
            }
        }
        self.width = width;
        let since = self.floor(at) + width;
        for agent in agents {
            self.agents.entry((*agent).clone()).or_insert(Expected { since, through: None });
        }
        self.settle();
        self.complete.end().filter(|end| Some(*end) > before).map(Timestamp)
    }

    /// Marks what has become complete; answers the end of the last complete window if that is new.
    fn settle(&mut self) -> Option<Timestamp> {
        let passed =
            |agent: &Expected| agent.through.map_or(agent.since, |through| self.floor(through).max(agent.since));
        let bound = self.agents.values().map(passed).min()?;
        let owned = self.agents.values().map(|agent| agent.since).min()?;
        let before = self.settled;
        if before.is_some_and(|before| bound <= before) {
            return None;
        }
        let from = before.map_or(owned, |before| before.max(owned));
        let complete = self.complete.end();
        self.complete.insert(from, bound);
        for abandoned in &self.abandoned {
            self.complete.remove(abandoned.from.max(from), abandoned.until);
        }
        for (nameless, until) in self.nameless.iter() {
            self.complete.remove(nameless.max(from), until);
        }
        self.settled = Some(bound);
        self.complete.end().filter(|end| Some(*end) > complete).map(Timestamp)
    }

    pub(crate) fn progress(&self, revision: u64) -> Progress {
        let through = || self.agents.values().map(|agent| agent.through);
        Progress {
            complete_through: self.complete.end().map(Timestamp),
            settled_through: self.settled.filter(|_| !self.agents.is_empty()).map(Timestamp),
            furthest: through().max().flatten().map(Timestamp),
            expected: self.agents.len(),
            revision,
        }
    }

    pub(crate) fn contributors(&self) -> Vec<Contributor> {
        let of = |(agent, known): (&AgentId, &Expected)| Contributor {
            agent: agent.clone(),
            through: known.through.map(Timestamp),
        };
        self.agents.iter().map(of).collect()
    }

    /// Of the window that starts at `start`, as it is `now`.
    pub(crate) fn state(&self, start: i64, now: i64) -> CompletenessState {
        if self.revised.contains(start) {
            CompletenessState::Revised
        } else if self.complete.contains(start) {
            CompletenessState::Complete
        } else {
            match (self.never(start), waited_for(start, self.width, now)) {
                // Before it is over, that nobody was there at its beginning is no news.
                (Some(IncompleteReason::NobodyExpected), CompletenessState::InProgress) | (None, _) => {
                    waited_for(start, self.width, now)
                }
                (Some(_), _) => CompletenessState::Never,
            }
        }
    }

    /// Why a window that is not complete will never be.
    fn never(&self, start: i64) -> Option<IncompleteReason> {
        let abandoned = self.abandoned.iter().any(|left| left.from <= start && start < left.until);
        if abandoned || self.nameless.contains(start) {
            return Some(IncompleteReason::Left);
        }
        let expected = self.agents.values().any(|agent| agent.since <= start);
        (!expected).then_some(IncompleteReason::NobodyExpected)
    }
}

/// Of a window that is not complete and can be.
pub(crate) fn waited_for(start: i64, width: i64, now: i64) -> CompletenessState {
    let told = start.saturating_add(width).saturating_add(TELLING);
    if told > now { CompletenessState::InProgress } else { CompletenessState::Partial }
}

#[cfg(test)]
mod tests;
