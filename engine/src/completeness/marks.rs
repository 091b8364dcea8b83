//! Completeness as it is answered: of stretches of windows, with the agents that they wait for.
//!
//! A stretch costs a look at each of its windows, whatever the number of agents.

use std::collections::{BTreeSet, HashMap};

use nightjar_model::Timestamp;
use nightjar_model::names::AgentId;
use nightjar_model::query::{Completeness, CompletenessState, IncompleteReason, MISSING_NAMED};

use super::Track;

pub(crate) struct Marks<'a> {
    track: &'a Track,
    width: i64,
    /// Agents with the first window that waits for them, by that: every later one does too.
    waits: Vec<(i64, &'a AgentId)>,
    of_agent: HashMap<&'a AgentId, i64>,
    /// Nobody was expected to contribute to windows before this.
    first: i64,
    now: i64,
}

/// Of a window that nobody is expected to contribute to.
pub(crate) fn nobody(start: i64, width: i64, now: i64) -> (CompletenessState, Option<IncompleteReason>) {
    match super::waited_for(start, width, now) {
        CompletenessState::InProgress => (CompletenessState::InProgress, None),
        _ => (CompletenessState::Never, Some(IncompleteReason::NobodyExpected)),
    }
}

impl<'a> Marks<'a> {
    /// As it is `now`.
    pub(crate) fn new(track: &'a Track, width: i64, now: i64) -> Self {
        let wait = |(id, agent): (&'a AgentId, &super::Expected)| {
            let unread = agent.through.map_or(i64::MIN, |through| through.saturating_sub(width).saturating_add(1));
            (agent.since.max(unread), id)
        };
        let mut waits: Vec<(i64, &AgentId)> = track.agents.iter().map(wait).collect();
        waits.sort_unstable();
        let of_agent = waits.iter().map(|(from, id)| (*id, *from)).collect();
        let first = (track.agents.values().map(|agent| agent.since))
            .chain(track.abandoned.iter().map(|left| left.from))
            .chain(track.complete.iter().map(|(from, _)| from))
            .chain(track.revised.iter().map(|(from, _)| from))
            .min()
            .unwrap_or(i64::MAX);
        Self { track, width, waits, of_agent, first, now }
    }

    /// Of the windows that start in `[from, until)`, taken together.
    pub(crate) fn of(&self, from: i64, until: i64) -> Completeness {
        let mut state = CompletenessState::Complete;
        let mut reason = None;
        // Stretches that are over and not complete.
        let mut partial: Vec<(i64, i64)> = Vec::new();
        let mut start = from;
        if start < self.first && start < until {
            (state, reason) = nobody(start, self.width, self.now);
            let skipped = (self.first.min(until) - start).div_euclid(self.width) * self.width;
            start += skipped;
        }
        while start < until {
            let one = self.track.state(start, self.now);
            state = state.and(one);
            let over = start.saturating_add(self.width) <= self.now;
            if !one.is_complete() && (over || one != CompletenessState::InProgress) {
                if one == CompletenessState::Never {
                    reason = reason.or_else(|| self.track.never(start));
                }
                match partial.last_mut() {
                    Some((_, end)) if *end == start => *end += self.width,
                    _ => partial.push((start, start + self.width)),
                }
            }
            start += self.width;
        }
        let (missing, missing_count) = self.missing(&partial);
        Completeness { time: Timestamp(from), state, reason, missing, missing_count }
    }

    /// Some of those that the windows wait for, by name, and how many they are.
    fn missing(&self, partial: &[(i64, i64)]) -> (Vec<AgentId>, usize) {
        let Some(last) = partial.last().map(|(_, end)| end - self.width) else { return (Vec::new(), 0) };
        let waiting = self.waits.partition_point(|(from, _)| *from <= last);
        let left: BTreeSet<&AgentId> = (self.track.abandoned.iter())
            .filter(|left| self.any_in(partial, left.from, left.until))
            .map(|left| &left.agent)
            .filter(|agent| self.of_agent.get(agent).is_none_or(|from| *from > last))
            .collect();
        let count = waiting + left.len();
        let named = self.waits[..waiting].iter().map(|(_, id)| *id).chain(left).take(MISSING_NAMED);
        let named: BTreeSet<&AgentId> = named.collect();
        (named.into_iter().cloned().collect(), count)
    }

    /// Whether one of the partial windows starts in `[from, until)`.
    fn any_in(&self, partial: &[(i64, i64)], from: i64, until: i64) -> bool {
        let after = partial.partition_point(|(_, end)| end - self.width < from);
        partial.get(after).is_some_and(|(start, _)| {
            let whole = (from - start).max(0).saturating_add(self.width - 1).div_euclid(self.width) * self.width;
            start + whole < until
        })
    }
}
