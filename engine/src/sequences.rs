//! What has been taken of each agent, so that a repeat is known as one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use nightjar_model::Timestamp;
use nightjar_model::names::AgentId;
use serde::{Deserialize, Serialize};

/// An agent repeats what it sent last, at most from the journal before: older incarnations are forgotten,
/// and what comes of them is then a gap, which is refused.
const INCARNATIONS_KEPT: usize = 4;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sequences(BTreeMap<AgentId, Taken>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    seen: i64,
    /// Incarnation and highest sequence; the latest last.
    incarnations: Vec<(u64, u64)>,
}

/// What a sequence is, given what was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Next,
    Repeat,
    Gap,
}

pub(crate) fn judge(last: u64, sequence: u64) -> Verdict {
    match sequence {
        0 => Verdict::Gap,
        _ if sequence <= last => Verdict::Repeat,
        _ if sequence - 1 == last => Verdict::Next,
        _ => Verdict::Gap,
    }
}

impl Sequences {
    /// The highest sequence taken; 0 if none.
    pub(crate) fn last(&self, agent: &AgentId, incarnation: u64) -> u64 {
        let taken = self.0.get(agent).map(|taken| taken.incarnations.as_slice()).unwrap_or_default();
        taken.iter().find(|(known, _)| *known == incarnation).map_or(0, |(_, last)| *last)
    }

    pub(crate) fn take(&mut self, agent: &AgentId, incarnation: u64, sequence: u64, at: Timestamp) {
        let taken = match self.0.entry(agent.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Taken::default()),
        };
        taken.seen = taken.seen.max(at.0);
        match taken.incarnations.iter_mut().find(|(known, _)| *known == incarnation) {
            Some((_, last)) => *last = (*last).max(sequence),
            None => {
                taken.incarnations.push((incarnation, sequence));
                if taken.incarnations.len() > INCARNATIONS_KEPT {
                    taken.incarnations.remove(0);
                }
            }
        }
    }

    /// Forgets agents that have not sent anything since.
    pub(crate) fn forget_before(&mut self, before: Timestamp) {
        self.0.retain(|_, taken| taken.seen >= before.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges() {
        assert_eq!(judge(0, 1), Verdict::Next);
        assert_eq!(judge(4, 4), Verdict::Repeat);
        assert_eq!(judge(4, 1), Verdict::Repeat);
        assert_eq!(judge(4, 6), Verdict::Gap);
        assert_eq!(judge(0, 0), Verdict::Gap);
    }

    #[test]
    fn the_latest_incarnations_are_kept() {
        let agent = AgentId("a".into());
        let mut sequences = Sequences::default();
        for incarnation in 1..=6 {
            sequences.take(&agent, incarnation, 10 + incarnation, Timestamp(1));
        }
        assert_eq!(sequences.last(&agent, 6), 16);
        assert_eq!(sequences.last(&agent, 3), 13);
        assert_eq!(sequences.last(&agent, 2), 0);
        sequences.forget_before(Timestamp(2));
        assert_eq!(sequences.last(&agent, 6), 0);
    }
}
