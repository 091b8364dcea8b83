//! How much is there of what a check reads: of all agents together, and by key where agents contribute to
//! different ones, so that a host that is lost is missed by its own keys only.

use std::collections::{BTreeSet, HashMap};

use nightjar_model::Timestamp;
use nightjar_model::query::{Completeness, CompletenessState, IncompleteReason};

use super::Check;

/// Of so many windows that a condition over several reads, one may be missing for good and the others be
/// judged all the same. Fewer allow for none: a rule over five minutes waits until it is out of sight.
const WINDOWS_PER_HOLE: usize = 10;

/// What is there for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Start of the earliest window from which on nothing is missing; the check's time if the last one is not
    /// complete.
    pub(super) complete_from: Timestamp,
    /// All that the check reads is there, but for [`holes`](Self::holes).
    pub(crate) is_complete: bool,
    /// Waiting changes nothing any more.
    pub(crate) is_final: bool,
    /// Windows before the last one that can never be complete and count as they are.
    pub(super) holes: BTreeSet<Timestamp>,
    /// The last window in which lines count twice: more data confirms nothing of what it says.
    pub(super) doubled: Option<Timestamp>,
    /// Of the last window: an agent that may know of it is away, or there was none.
    pub(super) agent_away: bool,
}

pub(super) struct Coverages {
    pub(super) whole: Coverage,
    /// Places in the answer's `by`; empty if agents are not kept apart.
    columns: Vec<usize>,
    by_instance: HashMap<Vec<String>, Coverage>,
}

impl Coverages {
    pub(super) fn new(check: &Check<'_>) -> Self {
        let answer = check.answer;
        let marks: HashMap<Timestamp, &Completeness> =
            answer.completeness.iter().map(|mark| (mark.time, mark)).collect();
        let of_instance = |instance: &Vec<String>| {
            let mut keys = vec![String::new(); answer.by.len()];
            for (place, value) in answer.instances.columns.iter().zip(instance) {
                if let Some(key) = keys.get_mut(*place) {
                    key.clone_from(value);
                }
            }
            coverage(check, |start| answer.mark(&keys, start))
        };
        Self {
            whole: coverage(check, |start| marks.get(&start).copied()),
            by_instance: answer.instances.runs.keys().map(|keys| (keys.clone(), of_instance(keys))).collect(),
            columns: answer.instances.columns.clone(),
        }
    }

    /// Of a key whose values are in the order of the answer's `by`.
    pub(super) fn of(&self, keys: &[String]) -> &Coverage {
        self.instance(keys).and_then(|instance| self.by_instance.get(&instance)).unwrap_or(&self.whole)
    }

    /// Whether no agent contributes to the key any more: it is gone with its host.
    pub(super) fn is_retired(&self, keys: &[String]) -> bool {
        self.whole.is_final
            && !self.by_instance.is_empty()
            && self.instance(keys).is_some_and(|instance| !self.by_instance.contains_key(&instance))
    }

    fn instance(&self, keys: &[String]) -> Option<Vec<String>> {
        if self.columns.is_empty() {
            return None;
        }
        self.columns.iter().map(|place| keys.get(*place).cloned()).collect()
    }
}

fn coverage<'a>(check: &Check<'_>, mark: impl Fn(Timestamp) -> Option<&'a Completeness>) -> Coverage {
    let width = check.monitor.width();
    let windows = (check.rule.reach().0.as_millis() / width.as_millis().max(1)).max(1) as usize;
    let (mut complete_from, mut whole, mut is_final, mut holes) = (check.at, true, true, BTreeSet::new());
    let (mut start, mut doubled) = (check.at, None);
    for window in 0..windows {
        start = start.saturating_sub(width);
        let state = mark(start).map(|mark| mark.state);
        is_final &= state.is_some_and(CompletenessState::is_final);
        let is_doubled = mark(start).is_some_and(|mark| mark.reason == Some(IncompleteReason::CountedTwice));
        if is_doubled && doubled.is_none() {
            doubled = Some(start);
        }
        let counts_as_it_is = window > 0
            && state == Some(CompletenessState::Never)
            && !is_doubled
            && holes.len() < windows / WINDOWS_PER_HOLE;
        if whole && counts_as_it_is {
            holes.insert(start);
        }
        whole &= state.is_some_and(CompletenessState::is_complete) || counts_as_it_is;
        if whole {
            complete_from = start;
        }
    }
    let last = mark(check.at.saturating_sub(width));
    let agent_away = last.is_none_or(|last| match last.state {
        CompletenessState::Complete | CompletenessState::Revised => false,
        CompletenessState::Partial | CompletenessState::InProgress => true,
        CompletenessState::Never => !matches!(last.reason, Some(IncompleteReason::Lost | IncompleteReason::RolledBack)),
    });
    Coverage { complete_from, is_complete: whole, is_final, holes, doubled, agent_away }
}
