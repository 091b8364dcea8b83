//! Whether a rule sees what it is to judge.

use std::collections::BTreeSet;

use nightjar_model::Timestamp;
use nightjar_model::names::AgentId;

/// What a rule could judge lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sight {
    /// The latest check of which nothing was left out; `None` while that is not known, as after a start.
    pub(super) sees: Option<Timestamp>,
    /// The latest check that was left out for no fault: it looks back to a time when nobody was to collect yet.
    excused: Option<Timestamp>,
    /// Since then every check has been left unjudged, in whole or in part.
    pub(super) blind: Option<Blind>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blind {
    /// The first of these checks.
    pub(super) since: Timestamp,
    /// Agents that are missing from the latest of them.
    pub(super) missing: BTreeSet<AgentId>,
    /// What is said of the latest of them.
    pub(super) reason: String,
    latest: Timestamp,
}

impl Sight {
    /// Not looking is not being blind.
    pub(super) fn passed_over(at: Timestamp) -> Self {
        Self { sees: Some(at), ..Self::default() }
    }

    /// Whether nothing was left out lately.
    pub(super) fn is_clear(&self) -> bool {
        self.blind.is_none() && self.sees > self.excused
    }

    /// Something of the check was left out that nobody could have told.
    pub(super) fn excused(&mut self, at: Timestamp) {
        self.excused = self.excused.max(Some(at));
        self.blind.take_if(|blind| blind.latest <= at);
    }

    /// Nothing of the check was left out. `late` are checks that still are, with what is missing from them as it was.
    pub(super) fn judged(&mut self, at: Timestamp, late: impl Iterator<Item = Timestamp>) {
        self.sees = self.sees.max(Some(at));
        let since = late.filter(|late| self.sees.is_some_and(|sees| *late > sees)).min();
        self.blind = match (self.blind.take(), since) {
            (Some(blind), _) if self.sees.is_some_and(|sees| blind.since > sees) => Some(blind),
            (Some(blind), Some(since)) => Some(Blind { since, ..blind }),
            _ => None,
        };
    }

    /// Something of the check was left out.
    pub(super) fn left_out(&mut self, at: Timestamp, missing: BTreeSet<AgentId>, reason: String) {
        if self.sees.is_some_and(|sees| sees >= at) {
            return;
        }
        match &mut self.blind {
            Some(blind) if blind.latest > at => blind.since = blind.since.min(at),
            Some(blind) => {
                *blind = Blind { since: blind.since.min(at), missing, reason, latest: at };
            }
            None => self.blind = Some(Blind { since: at, missing, reason, latest: at }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp(minute * 60_000)
    }

    fn blind_since(sight: &Sight) -> Option<i64> {
        sight.blind.as_ref().map(|blind| blind.since.millis() / 60_000)
    }

    #[test]
    fn what_was_before_the_beginning_blinds_nobody_and_is_not_seen() {
        let mut sight = Sight::default();
        sight.judged(at(1), std::iter::empty());
        sight.left_out(at(2), BTreeSet::new(), String::new());
        sight.excused(at(3));
        assert_eq!((blind_since(&sight), sight.is_clear()), (None, false));
        sight.left_out(at(4), BTreeSet::new(), String::new());
        sight.excused(at(3));
        assert_eq!(blind_since(&sight), Some(4), "that is of a later one");
        sight.judged(at(5), std::iter::empty());
        assert!(sight.is_clear());
    }

    #[test]
    fn it_is_blind_from_the_first_check_that_nothing_after_it_makes_up_for() {
        let mut sight = Sight::default();
        let left_out = |sight: &mut Sight, minute: i64| sight.left_out(at(minute), BTreeSet::new(), String::new());
        sight.judged(at(1), std::iter::empty());
        (2..5).for_each(|minute| left_out(&mut sight, minute));
        assert_eq!(blind_since(&sight), Some(2));
        // What comes late is judged late, and the later ones are late themselves.
        sight.judged(at(2), [3, 4].map(at).into_iter());
        assert_eq!((blind_since(&sight), sight.sees), (Some(3), Some(at(2))));
        sight.judged(at(4), [3].map(at).into_iter());
        assert_eq!(blind_since(&sight), None);
        left_out(&mut sight, 3);
        assert_eq!(blind_since(&sight), None, "a later one was seen");
    }
}
