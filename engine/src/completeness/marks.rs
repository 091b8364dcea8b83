//! Completeness as it is answered: of stretches of windows, of all agents or of those with some keys.
//!
//! Between two places where a mark begins or ends all windows are in the same state, so an answer costs a look
//! at each such place, however many windows or agents there are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use nightjar_model::Timestamp;
use nightjar_model::names::AgentId;
use nightjar_model::query::{Completeness, CompletenessRun, CompletenessState, IncompleteReason, MISSING_NAMED};
use serde::{Deserialize, Serialize};

use super::holes::Hole;
use super::track::{Member, Track};
use super::waited_for;
use crate::ranges::Ranges;

/// Of a window that nobody is expected to contribute to.
pub(crate) fn nobody(start: i64, width: i64, now: i64) -> (CompletenessState, Option<IncompleteReason>) {
    match waited_for(start, width, now) {
        // Before it is over, that nobody was there at its beginning is no news.
        CompletenessState::InProgress => (CompletenessState::InProgress, None),
        _ => (CompletenessState::Never, Some(IncompleteReason::NobodyExpected)),
    }
}

/// The marks of a monitor's windows, for all of its agents or some, as of one moment.
pub(crate) struct Marks<'a> {
    width: i64,
    now: i64,
    complete: Ranges,
    revised: &'a Ranges,
    /// Members with the first window that waits for them, by that: every later one does too.
    waits: Vec<(i64, &'a AgentId)>,
    of_agent: HashMap<&'a AgentId, i64>,
    /// What those who went away owe.
    owed: Vec<(i64, i64, &'a AgentId)>,
    holes: Vec<&'a Hole>,
    nameless: &'a Ranges,
    /// Nobody was expected to contribute to windows before this.
    first: i64,
    /// Windows that wait for anybody at all, chosen or not.
    open: Arc<Ranges>,
}

/// What concerns some agents.
#[derive(Default)]
struct Concerns<'a> {
    members: Vec<(&'a AgentId, &'a Member)>,
    owed: Vec<(i64, i64, &'a AgentId)>,
    holes: Vec<&'a Hole>,
    passed: Vec<&'a Ranges>,
}

impl<'a> Marks<'a> {
    /// Of all agents.
    pub(crate) fn new(track: &'a Track, now: i64) -> Self {
        let concerns = Concerns {
            members: track.members.iter().map(|(id, member)| (&**id, member)).collect(),
            owed: track.owed.iter().map(|(id, (from, until))| (*from, *until, &**id)).collect(),
            holes: track.holes.named.iter().collect(),
            passed: Vec::new(),
        };
        Self::build(track, now, concerns, None)
    }

    /// What all agents have passed is complete for some of them, too. For some of them, given the windows that
    /// are `open` for anybody, what they passed alone is added.
    fn build(track: &'a Track, now: i64, concerns: Concerns<'a>, open: Option<&Arc<Ranges>>) -> Self {
        let (width, nameless) = (track.width, &track.holes.nameless);
        let Concerns { members, owed, holes, passed } = concerns;
        let mut waits: Vec<(i64, &AgentId)> = members.iter().map(|(id, member)| (member.passed(width), *id)).collect();
        waits.sort_unstable();
        let of_agent = waits.iter().map(|(from, id)| (*id, *from)).collect();
        let mut own = Ranges::default();
        passed.iter().flat_map(|ranges| ranges.iter()).for_each(|(from, until)| own.insert(from, until));
        members.iter().for_each(|(_, member)| own.insert(member.since, member.passed(width)));
        own.remove(waits.first().map_or(i64::MAX, |(from, _)| *from), i64::MAX);
        let mut complete = track.complete.clone();
        // Of all agents together, the track says it itself.
        if open.is_some() {
            holes.iter().for_each(|hole| own.remove(hole.from, hole.until));
            owed.iter().for_each(|(from, until, _)| own.remove(*from, *until));
            nameless.iter().for_each(|(from, until)| own.remove(from, until));
            own.iter().for_each(|(from, until)| complete.insert(from, until));
        }
        let first = (members.iter().map(|(_, member)| member.since))
            .chain(holes.iter().map(|hole| hole.from))
            .chain(owed.iter().map(|(from, _, _)| *from))
            .chain([&complete, &track.revised, nameless].into_iter().filter_map(|ranges| Some(ranges.iter().next()?.0)))
            .min()
            .unwrap_or(i64::MAX);
        let open = open.map_or_else(Arc::default, Arc::clone);
        Self { width, now, complete, revised: &track.revised, waits, of_agent, owed, holes, nameless, first, open }
    }

    /// Of the window that starts at `start`.
    pub(crate) fn state(&self, start: i64) -> (CompletenessState, Option<IncompleteReason>) {
        // One that is not over is not complete, even if all who might add to it are gone.
        if self.complete.contains(start) && start.saturating_add(self.width) <= self.now {
            let revised = self.revised.contains(start);
            return (if revised { CompletenessState::Revised } else { CompletenessState::Complete }, None);
        }
        if let Some(hole) = self.holes.iter().find(|hole| hole.from <= start && start < hole.until) {
            return (CompletenessState::Never, Some(hole.reason));
        }
        if self.nameless.contains(start) {
            return (CompletenessState::Never, Some(IncompleteReason::Lost));
        }
        let complete = self.complete.contains(start);
        let waits = self.waits.first().is_some_and(|(from, _)| *from <= start);
        if complete || waits || self.owed.iter().any(|(from, until, _)| *from <= start && start < *until) {
            return (waited_for(start, self.width, self.now), None);
        }
        // What all agents pass is complete for those that are not expected either.
        if self.open.contains(start) {
            return (waited_for(start, self.width, self.now), None);
        }
        nobody(start, self.width, self.now)
    }

    /// Of the windows that start in `[from, until)`, taken together.
    pub(crate) fn of(&self, from: i64, until: i64) -> Completeness {
        let (mut state, mut reason) = (CompletenessState::Complete, None);
        // Stretches that are over and wait for somebody, or lack somebody's data.
        let mut lacking: Vec<(i64, i64)> = Vec::new();
        let cuts = self.cuts(from, until, self.width);
        for stretch in cuts.windows(2) {
            let (one, why) = self.state(stretch[0]);
            state = state.and(one);
            reason = reason.or(why);
            let over = stretch[0].saturating_add(self.width) <= self.now;
            if !one.is_complete() && (over || one != CompletenessState::InProgress) {
                match lacking.last_mut() {
                    Some((_, end)) if *end == stretch[0] => *end = stretch[1],
                    _ => lacking.push((stretch[0], stretch[1])),
                }
            }
        }
        let (missing, missing_count) = self.missing(&lacking);
        Completeness { time: Timestamp(from), state, reason, missing, missing_count }
    }

    /// Of windows of `step` from `from` on, as runs without gaps until `until`.
    pub(crate) fn runs(&self, from: i64, until: i64, step: i64) -> Vec<CompletenessRun> {
        let mut runs: Vec<CompletenessRun> = Vec::new();
        for stretch in self.cuts(from, until, step).windows(2) {
            let (start, end) = (stretch[0], stretch[1]);
            let mark = self.of(start, end.min(start.saturating_add(step)));
            match runs.last_mut() {
                Some(run) if same(&run.mark, &mark) => run.until = Timestamp(end),
                _ => runs.push(CompletenessRun { mark, until: Timestamp(end) }),
            }
        }
        runs
    }

    /// The states of windows of `step`, a multiple of the width, that start in `[from, until)`: each holds from its
    /// start until the next one's.
    fn steps(&self, from: i64, until: i64, step: i64) -> Vec<(i64, CompletenessState)> {
        // Further away than any window, and without overflow.
        let far = 1_i64 << 60;
        let step = step.max(self.width);
        let from = from.clamp(-far, far).div_euclid(step) * step;
        let state = |start: i64| {
            if step == self.width { self.state(start).0 } else { self.of(start, start.saturating_add(step)).state }
        };
        let cuts = self.cuts(from, until.clamp(-far, far), step);
        let mut steps: Vec<(i64, CompletenessState)> = cuts.into_iter().map(|start| (start, state(start))).collect();
        steps.dedup_by_key(|(_, state)| *state);
        steps
    }

    /// Where windows of `step` may differ from the one before, and both ends.
    fn cuts(&self, from: i64, until: i64, step: i64) -> Vec<i64> {
        if from >= until {
            return Vec::new();
        }
        // The first window that is not over, and the first that may still be told of.
        let whole = |at: i64| at.saturating_add(self.width - 1).div_euclid(self.width) * self.width;
        let over = whole(self.now.saturating_sub(self.width).saturating_add(1));
        let told = whole(self.now.saturating_sub(self.width).saturating_sub(super::TELLING).saturating_add(1));
        let mut places = vec![self.first, over, told];
        let within = |from: i64, until: i64, ranges: &Ranges, places: &mut Vec<i64>| {
            ranges.within(from, until).for_each(|(start, end)| places.extend([start, end]));
        };
        within(from, until, &self.complete, &mut places);
        within(from, until, self.revised, &mut places);
        within(from, until, self.nameless, &mut places);
        within(from, until, &self.open, &mut places);
        places.extend(self.holes.iter().flat_map(|hole| [hole.from, hole.until]));
        places.extend(self.owed.iter().flat_map(|(from, until, _)| [*from, *until]));
        let after = self.waits.partition_point(|(wait, _)| *wait <= from);
        let before = self.waits.partition_point(|(wait, _)| *wait < until);
        if let Some(waits) = self.waits.get(after..before) {
            places.extend(waits.iter().map(|(wait, _)| *wait));
        }
        let mut cuts = vec![from, until];
        for place in places.into_iter().filter(|place| (from..until).contains(place)) {
            let cell = from + (place - from).div_euclid(step) * step;
            cuts.push(cell);
            // A window of the answer in which it changes is like neither of its neighbours.
            if cell < place {
                cuts.push(cell.saturating_add(step).min(until));
            }
        }
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    }

    /// Some of those that the windows lack, by name, and how many they are.
    fn missing(&self, lacking: &[(i64, i64)]) -> (Vec<AgentId>, usize) {
        let Some(last) = lacking.last().map(|(_, end)| end - self.width) else { return (Vec::new(), 0) };
        let waiting = self.waits.partition_point(|(from, _)| *from <= last);
        let holes = self.holes.iter().map(|hole| (hole.from, hole.until, &hole.agent));
        let left: BTreeSet<&AgentId> = (holes.chain(self.owed.iter().copied()))
            .filter(|(from, until, _)| any_in(lacking, *from, *until, self.width))
            .map(|(_, _, agent)| agent)
            .filter(|agent| self.of_agent.get(agent).is_none_or(|from| *from > last))
            .collect();
        let count = waiting + left.len();
        let named = self.waits[..waiting].iter().map(|(_, id)| *id).chain(left).take(MISSING_NAMED);
        let named: BTreeSet<&AgentId> = named.collect();
        (named.into_iter().cloned().collect(), count)
    }
}

/// Whether one of the windows in `stretches` starts in `[from, until)`.
fn any_in(stretches: &[(i64, i64)], from: i64, until: i64, width: i64) -> bool {
    let after = stretches.partition_point(|(_, end)| end - width < from);
    stretches.get(after).is_some_and(|(start, _)| {
        let whole = (from - start).max(0).saturating_add(width - 1).div_euclid(width) * width;
        start + whole < until
    })
}

/// But for the time.
fn same(one: &Completeness, other: &Completeness) -> bool {
    (one.state, one.reason, one.missing_count) == (other.state, other.reason, other.missing_count)
        && one.missing == other.missing
}

/// The marks of all agents that a reader asks for, and by key.
pub(crate) struct States<'a> {
    whole: Marks<'a>,
    /// By the values of the columns to keep apart.
    by_keys: BTreeMap<Vec<String>, Marks<'a>>,
}

impl<'a> States<'a> {
    /// `columns` are those of the track's instance columns to keep apart, by place; `accepts` says by their
    /// values which agents are asked for. Where there is none of those, all are.
    pub(crate) fn new(track: &'a Track, now: i64, columns: &[usize], accepts: &dyn Fn(&[String]) -> bool) -> Self {
        let mut groups: BTreeMap<Vec<String>, Concerns<'a>> = BTreeMap::new();
        let mut chosen = Concerns::default();
        let project = |keys: &[String]| -> Vec<String> {
            columns.iter().map(|place| keys.get(*place).cloned().unwrap_or_default()).collect()
        };
        let mut all = true;
        let mut add = |keys: &[String], add: &dyn Fn(&mut Concerns<'a>)| {
            if accepts(keys) {
                add(&mut chosen);
                if !columns.is_empty() {
                    add(groups.entry(project(keys)).or_default());
                }
            } else {
                all = false;
            }
        };
        for (id, member) in track.members.iter() {
            add(&member.keys, &|concerns| concerns.members.push((id, member)));
        }
        for (id, (from, until)) in track.owed.iter() {
            if let Some(away) = track.away.get(id) {
                add(&away.keys, &|concerns| concerns.owed.push((*from, *until, id)));
            }
        }
        for hole in &track.holes.named {
            add(&hole.keys, &|concerns| concerns.holes.push(hole));
        }
        for (keys, ranges) in track.passed.iter() {
            add(keys, &|concerns| concerns.passed.push(ranges));
        }
        let open = Arc::new(track.open());
        let nothing = chosen.members.is_empty() && chosen.passed.is_empty();
        let whole = if all || nothing { Marks::new(track, now) } else { Marks::build(track, now, chosen, Some(&open)) };
        let marks = |(keys, concerns)| (keys, Marks::build(track, now, concerns, Some(&open)));
        Self { whole, by_keys: groups.into_iter().map(marks).collect() }
    }

    /// Of all that are asked for.
    pub(crate) fn whole(&self) -> &Marks<'a> {
        &self.whole
    }

    pub(crate) fn by_keys(&self) -> impl Iterator<Item = (&Vec<String>, &Marks<'a>)> {
        self.by_keys.iter()
    }
}

/// The states of a monitor's windows, whole and by key, for readers that go from row to row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StateSteps {
    width: i64,
    step: i64,
    now: i64,
    /// The first is that of all agents. Many keys are in the same states, which are here once.
    steps: Vec<Vec<(i64, CompletenessState)>>,
    columns: Vec<String>,
    /// Place of the states of those with these values, sorted.
    by_keys: Vec<(Vec<String>, usize)>,
}

impl StateSteps {
    /// Of the windows of `step` that start in `[from, until)`; they are made of those that are `width` wide.
    pub(crate) fn new(track: Option<&Track>, (width, step): (i64, i64), now: i64, (from, until): (i64, i64)) -> Self {
        let Some(track) = track else {
            return Self { width, step, now, steps: vec![Vec::new()], columns: Vec::new(), by_keys: Vec::new() };
        };
        let columns: Vec<usize> = (0..track.columns().len()).collect();
        let states = States::new(track, now, &columns, &|_| true);
        let mut steps = vec![states.whole().steps(from, until, step)];
        let mut places = HashMap::from([(steps[0].clone(), 0)]);
        let mut by_keys = Vec::new();
        for (keys, marks) in states.by_keys() {
            let place = *places.entry(marks.steps(from, until, step)).or_insert_with_key(|of_keys| {
                steps.push(of_keys.clone());
                steps.len() - 1
            });
            by_keys.push((keys.clone(), place));
        }
        Self { width, step, now, steps, columns: track.columns().to_vec(), by_keys }
    }

    /// Whether there is anything by key.
    pub(crate) fn is_by_key(&self) -> bool {
        !self.by_keys.is_empty()
    }

    /// Where the states of a series are, by its values.
    pub(crate) fn of<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> usize {
        let keys: Vec<&str> = self.columns.iter().map(|column| value(column).unwrap_or_default()).collect();
        let known = |(known, _): &(Vec<String>, usize)| known.iter().map(String::as_str).cmp(keys.iter().copied());
        self.by_keys.binary_search_by(known).map_or(0, |at| self.by_keys[at].1)
    }

    /// Of the window that starts at `start`; `of` is what [`StateSteps::of`] said, or 0.
    pub(crate) fn state(&self, of: usize, start: i64) -> CompletenessState {
        let steps = self.steps.get(of).map(Vec::as_slice).unwrap_or_default();
        let after = steps.partition_point(|(from, _)| *from <= start);
        match after.checked_sub(1).and_then(|at| steps.get(at)) {
            Some((_, state)) => *state,
            None => nobody(start + self.step - self.width, self.width, self.now).0,
        }
    }
}
