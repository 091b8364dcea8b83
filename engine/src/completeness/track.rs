//! One monitor's marks.

use std::collections::BTreeMap;
use std::sync::Arc;

use nightjar_model::Timestamp;
use nightjar_model::delta::Watermark;
use nightjar_model::names::AgentId;
use nightjar_model::ports::{AgentGap, AwayAgent, Expectation, ExpectedAgent};
use nightjar_model::query::{Contributor, IncompleteReason, Progress};
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};
use serde::{Deserialize, Serialize};

use super::holes::{Hole, Holes};
use super::{Change, HELD_BACK, LEAVES_BEHIND};
use crate::ranges::Ranges;

/// Agents that are gone, and had passed windows that others had not: so many sets of keys are remembered.
const PASSED_KEPT: usize = 10_000;

/// An agent's values of the monitor's instance columns.
pub(crate) type Keys = Arc<[String]>;

#[derive(Debug, Clone)]
pub(crate) struct Track {
    pub(super) width: i64,
    pub(super) columns: Arc<[String]>,
    /// Who is waited for.
    pub(super) members: RedBlackTreeMapSync<Arc<AgentId>, Member>,
    /// The first window that each member has not passed: the first of them is the one that is waited for.
    order: RedBlackTreeSetSync<(i64, Arc<AgentId>)>,
    /// Who is not waited for, and may come back.
    pub(super) away: RedBlackTreeMapSync<Arc<AgentId>, Away>,
    /// Windows that those who went away without a word had begun and not passed: from there until there.
    pub(super) owed: RedBlackTreeMapSync<Arc<AgentId>, (i64, i64)>,
    /// No member is waited for by a window that ends at or before this.
    pub(super) settled: Option<i64>,
    pub(super) complete: Ranges,
    pub(super) revised: Ranges,
    pub(super) holes: Arc<Holes>,
    /// What agents that have gone, or have other keys now, had passed, by their keys.
    pub(super) passed: Arc<BTreeMap<Keys, Ranges>>,
    /// The furthest watermark.
    pub(super) furthest: Option<i64>,
    /// Another one whenever a window's state may have changed. Not stored.
    revision: u64,
    /// Of the monitor; `None` until somebody says.
    pub(super) uid: Option<Arc<str>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    /// The first window that waits for it.
    pub(crate) since: i64,
    pub(crate) through: Option<i64>,
    pub(crate) keys: Keys,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Away {
    /// The first window that it had not passed.
    pub(crate) from: i64,
    pub(crate) through: Option<i64>,
    pub(crate) keys: Keys,
}

/// As manifests of before the checkpoint have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Stored {
    width: i64,
    agents: BTreeMap<AgentId, StoredAgent>,
    settled: Option<i64>,
    complete: Ranges,
    revised: Ranges,
    abandoned: Vec<StoredHole>,
    #[serde(default)]
    nameless: Ranges,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct StoredAgent {
    since: i64,
    through: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StoredHole {
    from: i64,
    until: i64,
    agent: AgentId,
}

impl From<Stored> for Track {
    fn from(stored: Stored) -> Self {
        let mut track = Self::new(stored.width.max(1), Vec::new());
        for (agent, known) in stored.agents {
            let member = Member { since: known.since, through: known.through, keys: track.no_keys() };
            track.put(Arc::new(agent), member);
        }
        let hole = |hole: StoredHole| Hole {
            from: hole.from,
            until: hole.until,
            agent: hole.agent,
            keys: Arc::default(),
            reason: IncompleteReason::Left,
        };
        let named = stored.abandoned.into_iter().map(hole).collect();
        track.holes = Arc::new(Holes { named, nameless: stored.nameless });
        (track.settled, track.complete, track.revised) = (stored.settled, stored.complete, stored.revised);
        track
    }
}

impl Member {
    /// The end of the last window that it has passed.
    pub(super) fn passed(&self, width: i64) -> i64 {
        self.through.map_or(self.since, |through| floor(through, width).max(self.since))
    }
}

impl Track {
    pub(super) fn new(width: i64, columns: Vec<String>) -> Self {
        Self {
            width,
            columns: columns.into(),
            members: RedBlackTreeMapSync::new_sync(),
            order: RedBlackTreeSetSync::new_sync(),
            away: RedBlackTreeMapSync::new_sync(),
            owed: RedBlackTreeMapSync::new_sync(),
            settled: None,
            complete: Ranges::default(),
            revised: Ranges::default(),
            holes: Arc::default(),
            passed: Arc::default(),
            furthest: None,
            revision: 0,
            uid: None,
        }
    }

    /// Of a monitor that was made again under the name.
    pub(super) fn anew(&self, width: i64, columns: Vec<String>) -> Self {
        Self { revision: self.revision + 1, ..Self::new(width, columns) }
    }

    /// Whether it is about another monitor than the one with this uid, as far as both say.
    pub(crate) fn is_another(&self, uid: Option<&str>) -> bool {
        matches!((&self.uid, uid), (Some(known), Some(uid)) if **known != *uid)
    }

    pub(crate) fn width(&self) -> i64 {
        self.width
    }

    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    fn no_keys(&self) -> Keys {
        vec![String::new(); self.columns.len()].into()
    }

    pub(super) fn floor(&self, at: i64) -> i64 {
        floor(at, self.width)
    }

    /// Everybody who is expected or away.
    pub(super) fn known(&self) -> Vec<AgentId> {
        self.members.keys().chain(self.away.keys()).map(|agent| (**agent).clone()).collect()
    }

    pub(super) fn knows(&self, agent: &AgentId) -> bool {
        self.members.contains_key(agent) || self.away.contains_key(agent)
    }

    /// Puts a member in its place, or in another one.
    pub(super) fn put(&mut self, agent: Arc<AgentId>, member: Member) {
        if let Some(before) = self.members.get(&agent) {
            let place = (before.passed(self.width), Arc::clone(&agent));
            self.order.remove_mut(&place);
        }
        self.furthest = self.furthest.max(member.through);
        self.order.insert_mut((member.passed(self.width), Arc::clone(&agent)));
        self.members.insert_mut(agent, member);
    }

    fn take(&mut self, agent: &AgentId) -> Option<(Arc<AgentId>, Member)> {
        let (id, member) = self.members.get_key_value(agent).map(|(id, member)| (Arc::clone(id), member.clone()))?;
        self.members.remove_mut(agent);
        self.order.remove_mut(&(member.passed(self.width), Arc::clone(&id)));
        Some((id, member))
    }

    /// What has to change so that it is as `one` says; `None` for nothing.
    pub(super) fn change(&self, one: &Expectation) -> Option<Change> {
        let width = one.width.as_millis() as i64;
        let other_shape = self.width != width || *self.columns != *one.columns;
        let anew = self.width != width;
        let stays = |agent: &ExpectedAgent| {
            !anew && self.members.get(&agent.id).is_some_and(|member| *member.keys == *agent.keys)
        };
        let is_away = |away: &AwayAgent| !self.members.contains_key(&away.id);
        let joined: Vec<ExpectedAgent> = one.agents.iter().filter(|agent| !stays(agent)).cloned().collect();
        let away: Vec<AwayAgent> = one.away.iter().filter(|away| !is_away(away)).cloned().collect();
        let mut named: Vec<&AgentId> =
            one.agents.iter().map(|agent| &agent.id).chain(one.away.iter().map(|away| &away.id)).collect();
        named.sort_unstable();
        let gone = |agent: &&Arc<AgentId>| anew || named.binary_search(&&***agent).is_err();
        let removed: Vec<AgentId> =
            self.members.keys().chain(self.away.keys()).filter(gone).map(|agent| (**agent).clone()).collect();
        let changes = !joined.is_empty() || !away.is_empty() || !removed.is_empty();
        let reshaped = other_shape && !(self.members.is_empty() && self.away.is_empty());
        let named = one.uid.is_some() && self.uid.as_deref() != one.uid.as_deref();
        (changes || reshaped || named).then(|| Change {
            monitor: one.monitor.clone(),
            uid: one.uid.clone(),
            width,
            columns: one.columns.clone(),
            joined,
            away,
            removed,
        })
    }

    /// Answers up to where windows may have changed.
    pub(super) fn apply(&mut self, at: i64, change: &Change) -> Option<i64> {
        self.revision += 1;
        if let Some(uid) = &change.uid {
            self.uid = Some(Arc::from(uid.as_str()));
        }
        let removed = change.removed.iter().filter_map(|agent| self.remove(at, agent)).max();
        let left = change.away.iter().filter_map(|away| self.leave(at, away)).max();
        let gone = removed.max(left).and_then(|gone| self.let_go(gone));
        if self.width != change.width {
            self.width = change.width;
            let place = |(id, member): (&Arc<AgentId>, &Member)| (member.passed(change.width), Arc::clone(id));
            self.order = self.members.iter().map(place).collect();
        }
        for agent in &change.joined {
            self.join(at, agent);
        }
        if *self.columns != *change.columns {
            // What was kept by the old ones says nothing of the new.
            self.columns = change.columns.clone().into();
            self.passed = Arc::default();
        }
        self.settle().max(gone)
    }

    fn join(&mut self, at: i64, agent: &ExpectedAgent) {
        let keys: Keys = agent.keys.clone().into();
        if let Some((id, member)) = self.take(&agent.id) {
            // It is somewhere else now: what it passed, it passed there.
            let passed = member.passed(self.width);
            self.keep_passed(&member.keys, member.since, passed);
            let since = member.since.max(passed);
            // What it lost of what is to come is lost wherever it counts.
            let lost = self.holes.named.iter().filter(|hole| hole.agent == *id && hole.until > since);
            let lost: Vec<_> = lost.map(|hole| (hole.from.max(since), hole.until, hole.reason)).collect();
            for (from, until, reason) in lost {
                self.hole(&id, &keys, from, until, reason);
            }
            self.put(id, Member { since, through: member.through, keys });
            return;
        }
        let next = self.floor(at).saturating_add(self.width);
        let before = self.away.get_key_value(&agent.id).map(|(id, away)| (Arc::clone(id), away.clone()));
        self.away.remove_mut(&agent.id);
        let nobody_else = self.members.is_empty();
        let (id, member) = match before {
            // It goes on where it was.
            Some((id, Away { from, through: Some(through), .. })) => {
                self.owed.remove_mut(&id);
                let since = from.min(next);
                self.settled = self.settled.map(|settled| settled.min(since));
                (id, Member { since, through: Some(through), keys })
            }
            // It never began: what it owes nobody will ever have read.
            Some((id, Away { through: None, keys: before, .. })) => {
                if let Some((from, until)) = self.owed.get(&id).copied() {
                    self.owed.remove_mut(&id);
                    self.hole(&id, &before, from, until, IncompleteReason::NotCollected);
                }
                (id, Member { since: next, through: None, keys })
            }
            None => (Arc::new(agent.id.clone()), Member { since: next, through: None, keys }),
        };
        if nobody_else {
            // Nobody was expected to contribute to what is before.
            self.settled = Some(self.settled.map_or(member.since, |settled| settled.max(member.since)));
        }
        self.put(id, member);
    }

    /// Answers up to where it was waited for.
    fn leave(&mut self, at: i64, away: &AwayAgent) -> Option<i64> {
        let (id, member) = self.take(&away.id)?;
        let (width, from) = (self.width, member.passed(self.width));
        let (mut passed, until) = (from, self.floor(at).saturating_add(self.width));
        let in_order = away
            .left_at
            .is_some_and(|left| member.through.is_some_and(|through| through.saturating_add(LEAVES_BEHIND) >= left.0));
        let until = match away.left_at.filter(|_| in_order) {
            Some(left) => {
                passed = passed.max(floor(left.0.min(at), width).saturating_add(width));
                passed
            }
            None => {
                if from < until {
                    self.owed.insert_mut(Arc::clone(&id), (from, until));
                }
                until
            }
        };
        self.keep_passed(&member.keys, member.since, passed);
        self.away.insert_mut(id, Away { from, through: member.through, keys: member.keys });
        // One that came and went within a window was waited for by none.
        (member.since < until).then_some(until)
    }

    /// Answers up to where it was waited for, if it was.
    fn remove(&mut self, at: i64, agent: &AgentId) -> Option<i64> {
        let until = self.floor(at).saturating_add(self.width);
        let waited = self.members.get(agent).is_some_and(|member| member.since < until);
        let (id, keys) = if let Some((id, member)) = self.take(agent) {
            let passed = member.passed(self.width);
            self.keep_passed(&member.keys, member.since, passed);
            if passed < until {
                self.hole(&id, &member.keys, passed, until, IncompleteReason::Left);
            }
            (id, member.keys)
        } else {
            let (id, away) = self.away.get_key_value(agent)?;
            let (id, keys) = (Arc::clone(id), Arc::clone(&away.keys));
            self.away.remove_mut(agent);
            (id, keys)
        };
        if let Some((from, until)) = self.owed.get(agent).copied() {
            self.owed.remove_mut(agent);
            self.hole(&id, &keys, from, until, IncompleteReason::Left);
        }
        waited.then_some(until)
    }

    /// After members left that were waited for up to `gone`: what they had passed is complete, and what is
    /// between them and those who came later nobody was expected to contribute to. Before others come, who may be
    /// waited for by what is complete now.
    fn let_go(&mut self, gone: i64) -> Option<i64> {
        let next = self.members.values().map(|member| member.since).min();
        let mut moved = None;
        if next.is_none_or(|next| self.settled.is_some_and(|settled| settled < next)) {
            moved = self.settle_through(next.map_or(gone, |next| next.min(gone)));
            self.settled = self.settled.max(next);
        }
        moved.max(self.settle())
    }

    fn keep_passed(&mut self, keys: &Keys, from: i64, until: i64) {
        if self.columns.is_empty() || from >= until {
            return;
        }
        let passed = Arc::make_mut(&mut self.passed);
        passed.entry(Arc::clone(keys)).or_default().insert(from, until);
        if passed.len() > PASSED_KEPT {
            let oldest = passed.iter().min_by_key(|(_, ranges)| ranges.end()).map(|(keys, _)| Arc::clone(keys));
            oldest.and_then(|oldest| passed.remove(&oldest));
        }
    }

    fn hole(&mut self, agent: &AgentId, keys: &Keys, from: i64, until: i64, reason: IncompleteReason) {
        let hole = Hole { from, until, agent: agent.clone(), keys: Arc::clone(keys), reason };
        Arc::make_mut(&mut self.holes).add(hole);
    }

    /// Whether [`Track::watermark`] changes anything.
    pub(super) fn would_move(&self, agent: &AgentId, told: &Watermark) -> bool {
        let further =
            |member: &Member| told.through.0 > 0 && member.through.is_none_or(|through| through < told.through.0);
        self.members.get(agent).is_some_and(|member| told.gap.is_some() || further(member))
    }

    /// Answers up to where windows may have changed.
    pub(super) fn watermark(&mut self, agent: &AgentId, told: &Watermark) -> Option<i64> {
        let (id, member) = self.members.get_key_value(agent).map(|(id, member)| (Arc::clone(id), member.clone()))?;
        let before = member.passed(self.width);
        let mut changed = None;
        if let Some(until) = told.gap {
            let from = told.gap_from.map_or(before, |from| self.floor(from.0).max(member.since));
            let until = self.floor(until.0).saturating_add(self.width);
            if from < until {
                self.revision += 1;
                self.hole(&id, &member.keys, from, until, IncompleteReason::Lost);
                if told.gap_from.is_some() {
                    self.complete_less(from, until);
                }
                changed = Some(until);
            }
        }
        let through = told.through.0;
        if through <= 0 || member.through.is_some_and(|known| known >= through) {
            return changed;
        }
        let begun = through.saturating_add(HELD_BACK);
        if member.through.is_none() && begun > member.since {
            let until = self.floor(begun).saturating_add(self.width);
            self.hole(&id, &member.keys, member.since, until, IncompleteReason::NotCollected);
        }
        let next = Member { through: Some(through), ..member };
        let passed = next.passed(self.width);
        if passed == before {
            self.furthest = self.furthest.max(Some(through));
            self.members.insert_mut(id, next);
            return changed;
        }
        self.revision += 1;
        let front = self.order.last().is_none_or(|(furthest, _)| *furthest < passed);
        self.put(id, next);
        changed.max(self.settle()).max(front.then_some(passed))
    }

    /// Takes what is never complete, or owed, out of `ranges`.
    fn cut(&self, ranges: &mut Ranges, from: i64, until: i64) {
        self.holes.cut(ranges, from, until);
        for (owed, end) in self.owed.values().filter(|(owed, end)| *end > from && *owed < until) {
            ranges.remove(*owed, *end);
        }
    }

    /// Windows that an agent says are lost; those that are complete stay so unless it names them.
    pub(super) fn gap(&mut self, gap: &AgentGap) -> Option<i64> {
        let (since, passed, keys) = match (self.members.get(&gap.agent), self.away.get(&gap.agent)) {
            (Some(member), _) => (member.since, member.passed(self.width), Arc::clone(&member.keys)),
            (None, Some(away)) => (i64::MIN, away.from, Arc::clone(&away.keys)),
            (None, None) => return None,
        };
        // What was counted twice was so also where nobody expected it of this one.
        let since = if gap.reason == IncompleteReason::CountedTwice { i64::MIN } else { since };
        let from = gap.from.map_or(passed, |from| self.floor(from.0).max(since));
        let until = self.floor(gap.until.0).saturating_add(self.width);
        if from >= until {
            return None;
        }
        self.revision += 1;
        self.hole(&gap.agent, &keys, from, until, gap.reason);
        self.complete_less(from, until);
        Some(until)
    }

    /// What was stored of these windows cannot be read any more.
    pub(super) fn lose(&mut self, from: i64, until: i64) {
        let (from, until) = (self.floor(from), self.floor(until.saturating_sub(1)).saturating_add(self.width));
        if from >= until {
            return;
        }
        self.revision += 1;
        Arc::make_mut(&mut self.holes).nameless.insert(from, until);
        self.complete_less(from, until);
    }

    fn complete_less(&mut self, from: i64, until: i64) {
        self.complete.remove(from, until);
        self.revised.remove(from, until);
    }

    pub(super) fn is_revised_by(&self, start: i64) -> bool {
        self.complete.contains(start) && !self.revised.contains(start)
    }

    pub(super) fn revise(&mut self, start: i64) {
        self.revision += 1;
        let width = self.width;
        self.revised.insert(start, start.saturating_add(width));
    }

    /// Marks what has become complete; answers up to where nobody is waited for any more, if that is new.
    fn settle(&mut self) -> Option<i64> {
        let bound = self.order.first().map(|(passed, _)| *passed)?;
        self.settle_through(bound)
    }

    fn settle_through(&mut self, bound: i64) -> Option<i64> {
        let from = self.settled.unwrap_or(bound);
        if bound <= from && self.settled.is_some() {
            return None;
        }
        let mut fresh = Ranges::default();
        fresh.insert(from, bound);
        self.cut(&mut fresh, from, bound);
        for (from, until) in fresh.iter() {
            self.complete.insert(from, until);
        }
        self.settled = Some(bound);
        (from < bound).then_some(bound)
    }

    /// Windows that wait for anybody at all.
    pub(super) fn open(&self) -> Ranges {
        let mut open = Ranges::default();
        self.owed.values().for_each(|(from, until)| open.insert(*from, *until));
        if let Some((passed, _)) = self.order.first() {
            open.insert(*passed, i64::MAX);
        }
        open
    }

    /// The latest that anybody has told of.
    pub(super) fn newest(&self) -> Option<i64> {
        self.furthest.max(self.settled)
    }

    pub(super) fn holds_before(&self, before: i64) -> bool {
        let begins = |ranges: &Ranges| ranges.iter().next().is_some_and(|(from, _)| from < before);
        begins(&self.complete)
            || begins(&self.revised)
            || self.holes.any_before(before)
            || self.owed.values().any(|(_, until)| *until <= before)
            || self.passed.values().any(begins)
    }

    pub(super) fn forget_before(&mut self, before: i64) {
        self.complete.remove(i64::MIN, before);
        self.revised.remove(i64::MIN, before);
        Arc::make_mut(&mut self.holes).forget_before(before);
        let paid: Vec<_> =
            self.owed.iter().filter(|(_, (_, until))| *until <= before).map(|(id, _)| Arc::clone(id)).collect();
        for agent in paid {
            self.owed.remove_mut(&agent);
        }
        let passed = Arc::make_mut(&mut self.passed);
        passed.values_mut().for_each(|ranges| ranges.remove(i64::MIN, before));
        passed.retain(|_, ranges| !ranges.is_empty());
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.members.is_empty() && self.away.is_empty() && self.complete.is_empty() && self.holes.is_empty()
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress {
            complete_through: self.complete.end().map(Timestamp),
            settled_through: self.settled.filter(|_| !self.members.is_empty()).map(Timestamp),
            furthest: self.furthest.map(Timestamp),
            expected: self.members.size(),
            revision: self.revision,
        }
    }

    pub(crate) fn contributors(&self) -> Vec<Contributor> {
        let of = |(agent, member): (&Arc<AgentId>, &Member)| Contributor {
            agent: (**agent).clone(),
            through: member.through.map(Timestamp),
        };
        self.members.iter().map(of).collect()
    }
}

fn floor(at: i64, width: i64) -> i64 {
    at.div_euclid(width).saturating_mul(width)
}
