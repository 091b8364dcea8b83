//! Windows that can never be complete, and because of whom.

use std::sync::Arc;

use nightjar_model::names::AgentId;
use nightjar_model::query::IncompleteReason;

use crate::ranges::Ranges;

/// The latest are kept by name, each one entry; of earlier ones only the windows.
pub(super) const HOLES_NAMED: usize = 1000;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hole {
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) agent: AgentId,
    /// Its values of the monitor's instance columns.
    pub(crate) keys: Arc<[String]>,
    pub(crate) reason: IncompleteReason,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Holes {
    pub(crate) named: Vec<Hole>,
    /// Of those that are kept no longer: by whom is forgotten, so they count for every key.
    pub(crate) nameless: Ranges,
}

impl Holes {
    pub(super) fn add(&mut self, hole: Hole) {
        let same = |known: &&mut Hole| {
            known.agent == hole.agent
                && known.reason == hole.reason
                && known.keys == hole.keys
                && known.from <= hole.until
                && hole.from <= known.until
        };
        if let Some(known) = self.named.iter_mut().rev().find(same) {
            (known.from, known.until) = (known.from.min(hole.from), known.until.max(hole.until));
            return;
        }
        self.named.push(hole);
        let excess = self.named.len().saturating_sub(HOLES_NAMED);
        for forgotten in self.named.drain(..excess) {
            self.nameless.insert(forgotten.from, forgotten.until);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.named.is_empty() && self.nameless.is_empty()
    }

    /// Whether there is anything that [`Holes::forget_before`] would forget.
    pub(super) fn any_before(&self, before: i64) -> bool {
        self.named.iter().any(|hole| hole.until <= before)
            || self.nameless.iter().next().is_some_and(|(from, _)| from < before)
    }

    pub(super) fn forget_before(&mut self, before: i64) {
        self.nameless.remove(i64::MIN, before);
        self.named.retain(|hole| hole.until > before);
    }

    /// Takes their windows out of `ranges`, from `from` on.
    pub(super) fn cut(&self, ranges: &mut Ranges, from: i64, until: i64) {
        for hole in self.named.iter().filter(|hole| hole.until > from && hole.from < until) {
            ranges.remove(hole.from.max(from), hole.until);
        }
        for (start, end) in self.nameless.iter().filter(|(start, end)| *end > from && *start < until) {
            ranges.remove(start.max(from), end);
        }
    }
}
