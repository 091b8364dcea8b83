//! What has been taken of each agent, so that a repeat is known as one.
//!
//! An agent may come back with what it had not sent after any time, so nothing is forgotten because it is old:
//! counted again, under an incarnation that is not known, it would be doubled. Only of more agents than
//! [`AGENTS_KEPT`] those that were not heard of for longest are forgotten.

use std::collections::BTreeMap;

use nightjar_model::Timestamp;
use nightjar_model::names::AgentId;
use nightjar_model::ports::LastTaken;
use rpds::RedBlackTreeMapSync;
use serde::{Deserialize, Serialize};

/// An agent repeats what it sent last, at most from the journal before: older incarnations are forgotten,
/// and what comes of them is then a gap, which is refused.
const INCARNATIONS_KEPT: usize = 4;

const AGENTS_KEPT: usize = 50_000;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sequences(RedBlackTreeMapSync<AgentId, Taken>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) seen: i64,
    /// The latest last.
    pub(crate) incarnations: Vec<Incarnation>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Incarnation {
    pub(crate) number: u64,
    /// The highest sequence.
    pub(crate) last: u64,
    /// Of that record; 0 where it is not known.
    pub(crate) digest: u32,
}

/// As manifests of before the checkpoint have it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Stored(BTreeMap<AgentId, StoredTaken>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StoredTaken {
    seen: i64,
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

impl Stored {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Stored> for Sequences {
    fn from(stored: Stored) -> Self {
        let incarnation = |(number, last): (u64, u64)| Incarnation { number, last, digest: 0 };
        let taken = |taken: StoredTaken| Taken {
            seen: taken.seen,
            incarnations: taken.incarnations.into_iter().map(incarnation).collect(),
        };
        stored.0.into_iter().map(|(agent, known)| (agent, taken(known))).collect()
    }
}

impl FromIterator<(AgentId, Taken)> for Sequences {
    fn from_iter<I: IntoIterator<Item = (AgentId, Taken)>>(agents: I) -> Self {
        Self(agents.into_iter().collect())
    }
}

impl Sequences {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&AgentId, &Taken)> {
        self.0.iter()
    }

    /// The highest sequence taken; 0 if none.
    pub(crate) fn last(&self, agent: &AgentId, incarnation: u64) -> u64 {
        self.last_taken(agent, incarnation).sequence
    }

    pub(crate) fn last_taken(&self, agent: &AgentId, incarnation: u64) -> LastTaken {
        let Some(taken) = self.0.get(agent) else { return LastTaken::default() };
        let found = taken.incarnations.iter().find(|known| known.number == incarnation);
        let Incarnation { last, digest, .. } = found.copied().unwrap_or_default();
        LastTaken { sequence: last, digest, known: true }
    }

    pub(crate) fn take(&mut self, agent: &AgentId, incarnation: u64, (sequence, digest): (u64, u32), at: Timestamp) {
        let mut taken = self.0.get(agent).cloned().unwrap_or_default();
        taken.seen = taken.seen.max(at.0);
        match taken.incarnations.iter_mut().find(|known| known.number == incarnation) {
            Some(known) if known.last < sequence => (known.last, known.digest) = (sequence, digest),
            Some(_) => {}
            None => {
                taken.incarnations.push(Incarnation { number: incarnation, last: sequence, digest });
                if taken.incarnations.len() > INCARNATIONS_KEPT {
                    taken.incarnations.remove(0);
                }
            }
        }
        self.0.insert_mut(agent.clone(), taken);
        if self.0.size() > AGENTS_KEPT
            && let Some(oldest) = self.0.iter().min_by_key(|(_, taken)| taken.seen).map(|(agent, _)| agent.clone())
        {
            metrics::counter!("nightjar_engine_agents_forgotten_total").increment(1);
            self.0.remove_mut(&oldest);
        }
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
        assert_eq!(sequences.last_taken(&agent, 1), LastTaken::default());
        for incarnation in 1..=6 {
            sequences.take(&agent, incarnation, (10 + incarnation, 7), Timestamp(1));
        }
        assert_eq!(sequences.last_taken(&agent, 6), LastTaken { sequence: 16, digest: 7, known: true });
        assert_eq!(sequences.last(&agent, 3), 13);
        assert_eq!(sequences.last_taken(&agent, 2), LastTaken { sequence: 0, digest: 0, known: true });
    }

    #[test]
    fn of_too_many_agents_those_not_heard_of_for_longest_are_forgotten() {
        let mut sequences = Sequences::default();
        let agent = |n: usize| AgentId(format!("a{n}"));
        for n in 0..AGENTS_KEPT + 2 {
            sequences.take(&agent(n), 1, (1, 0), Timestamp(n as i64));
        }
        assert_eq!(sequences.0.size(), AGENTS_KEPT);
        assert!(!sequences.last_taken(&agent(1), 1).known && sequences.last_taken(&agent(2), 1).known);
    }
}
