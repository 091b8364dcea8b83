//! Which windows are complete: every agent expected to contribute has passed their end.
//!
//! What was found is kept as marks, so that a window's state does not change when the fleet does:
//! - an agent is waited for from the window after the one in which it was first expected;
//! - what passed before it began to read, as its first watermark tells, is never complete: it was away, or
//!   its configuration was on the way;
//! - what an agent cannot read any more leaves the windows from its last watermark to there never complete;
//! - a window that nobody was expected to contribute to is never complete;
//! - an agent that signs off in order has passed the window in which it left;
//! - one that is away without a word owes the windows that it had begun and not passed: they stay partial,
//!   and complete if it comes back and goes on where it was;
//! - one that is expected no longer leaves them never complete.
//!
//! **Cost**: a watermark costs look-ups in trees of the monitor's agents, and a look at the windows only when
//! the agent that was furthest behind moved into another one. What is kept is shared with snapshots.

pub(crate) mod checkpoint;
mod holes;
mod marks;
mod track;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nightjar_model::Timestamp;
use nightjar_model::delta::Watermark;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{AgentGap, AwayAgent, Expectation, ExpectedAgent};
use nightjar_model::query::CompletenessState;
use serde::{Deserialize, Serialize};

#[cfg(test)]
pub(crate) use self::marks::Marks;
pub(crate) use self::marks::{StateSteps, States, nobody};
pub(crate) use self::track::Track;

/// Agents hold their watermarks back by so much, for what is still in writers' buffers: one that begins at
/// the end of a file begins so long after its first watermark.
const HELD_BACK: i64 = 1000;

/// So long after its end a window may still be in progress: agents tell of it a second later, and have to be
/// heard.
const TELLING: i64 = 15_000;

/// An agent that signs off had read everything if its last watermark is no older than this.
const LEAVES_BEHIND: i64 = 15_000;

/// Marks are kept as long as windows are, by the server's clock, unless that is so far ahead of the newest
/// watermark: a clock that jumped would forget everything.
const CLOCK_AHEAD: i64 = 86_400_000;

/// A monitor, and the end of its latest window that became complete, or never will be, for all or some keys.
pub(crate) type Closed = (MonitorKey, Timestamp);

#[derive(Debug, Clone, Default)]
pub(crate) struct Tracker(BTreeMap<MonitorKey, Arc<Track>>);

/// As manifests of before the checkpoint have it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Stored(Vec<(MonitorKey, track::Stored)>);

impl Stored {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What changes of the expectations of one monitor; what is not named stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) monitor: MonitorKey,
    /// `None` where nobody says.
    pub(crate) uid: Option<String>,
    /// Of its windows, in milliseconds.
    pub(crate) width: i64,
    pub(crate) columns: Vec<String>,
    pub(crate) joined: Vec<ExpectedAgent>,
    pub(crate) away: Vec<AwayAgent>,
    pub(crate) removed: Vec<AgentId>,
}

impl From<Stored> for Tracker {
    fn from(tracks: Stored) -> Self {
        Self(tracks.0.into_iter().map(|(monitor, stored)| (monitor, Arc::new(stored.into()))).collect())
    }
}

impl FromIterator<(MonitorKey, Track)> for Tracker {
    fn from_iter<I: IntoIterator<Item = (MonitorKey, Track)>>(tracks: I) -> Self {
        Self(tracks.into_iter().map(|(monitor, track)| (monitor, Arc::new(track))).collect())
    }
}

impl Tracker {
    pub(crate) fn track(&self, monitor: &MonitorKey) -> Option<&Arc<Track>> {
        self.0.get(monitor)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&MonitorKey, &Arc<Track>)> {
        self.0.iter()
    }

    /// What [`Tracker::apply`] has to change so that these and nobody else are expected.
    pub(crate) fn changes(&self, expected: &[Expectation]) -> Vec<Change> {
        let named: BTreeSet<&MonitorKey> = expected.iter().map(|one| &one.monitor).collect();
        let unnamed = self.0.iter().filter(|(monitor, _)| !named.contains(monitor)).filter_map(|(monitor, track)| {
            let removed = track.known();
            let change = Change {
                monitor: monitor.clone(),
                uid: None,
                width: track.width(),
                columns: track.columns().to_vec(),
                joined: Vec::new(),
                away: Vec::new(),
                removed,
            };
            (!change.removed.is_empty()).then_some(change)
        });
        let fresh = Track::new(1, Vec::new());
        let changed = expected.iter().filter_map(|one| {
            let known = self.0.get(&one.monitor).map(|track| &**track);
            // One made again under the name begins anew.
            known.filter(|track| !track.is_another(one.uid.as_deref())).unwrap_or(&fresh).change(one)
        });
        unnamed.chain(changed).collect()
    }

    /// Something that was stored of `[from, until)` cannot be read any more, nobody knows of which monitor.
    pub(crate) fn lose(&mut self, from: i64, until: i64) {
        self.0.values_mut().for_each(|track| Arc::make_mut(track).lose(from, until));
    }

    /// Changes who is expected, from `at` on.
    pub(crate) fn apply(&mut self, at: Timestamp, changes: &[Change]) -> Vec<Closed> {
        let mut closed = Vec::new();
        for change in changes.iter().filter(|change| change.width > 0) {
            let track = self.0.entry(change.monitor.clone());
            let track = track.or_insert_with(|| Arc::new(Track::new(change.width, change.columns.clone())));
            if track.is_another(change.uid.as_deref()) {
                *track = Arc::new(track.anew(change.width, change.columns.clone()));
            }
            let through = Arc::make_mut(track).apply(at.0, change);
            closed.extend(through.map(|through| (change.monitor.clone(), Timestamp(through))));
        }
        closed
    }

    /// `agent` has read everything of a monitor up to there, or cannot read some of it any more. Answers up to
    /// where windows may have become complete for all or some keys. Ignored from an agent that is not expected.
    pub(crate) fn watermark(&mut self, agent: &AgentId, told: &Watermark) -> Option<Timestamp> {
        let track = self.0.get_mut(&told.monitor)?;
        if track.is_another(told.uid.as_deref()) || !track.would_move(agent, told) {
            return None;
        }
        Arc::make_mut(track).watermark(agent, told).map(Timestamp)
    }

    /// Notes that windows of an agent are lost, of one monitor or of every one that it contributes to.
    pub(crate) fn gap(&mut self, gap: &AgentGap) -> Vec<Closed> {
        let of_agent = |(monitor, track): (&MonitorKey, &mut Arc<Track>)| {
            let meant = gap.monitor.as_ref().is_none_or(|meant| meant == monitor);
            if !meant || !track.knows(&gap.agent) {
                return None;
            }
            let until = Arc::make_mut(track).gap(gap)?;
            Some((monitor.clone(), Timestamp(until)))
        };
        self.0.iter_mut().filter_map(of_agent).collect()
    }

    /// A delta of the window that starts at `start` came.
    pub(crate) fn delta(&mut self, monitor: &MonitorKey, uid: Option<&str>, start: i64) {
        if let Some(track) = self.0.get_mut(monitor)
            && !track.is_another(uid)
            && track.is_revised_by(start)
        {
            Arc::make_mut(track).revise(start);
        }
    }

    /// Forgets marks of windows that are out of retention.
    pub(crate) fn forget_before(&mut self, before: Timestamp, now: Timestamp) {
        let retention = now.0.saturating_sub(before.0);
        for track in self.0.values_mut() {
            let newest = track.newest().map_or(now.0, |newest| newest.saturating_add(CLOCK_AHEAD).min(now.0));
            let before = newest.saturating_sub(retention);
            if track.holds_before(before) {
                Arc::make_mut(track).forget_before(before);
            }
        }
        self.0.retain(|_, track| !track.is_forgotten());
    }
}

/// Of a window that is not complete and can be.
fn waited_for(start: i64, width: i64, now: i64) -> CompletenessState {
    let told = start.saturating_add(width).saturating_add(TELLING);
    if told > now { CompletenessState::InProgress } else { CompletenessState::Partial }
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;
