//! The tracker against a model that knows, of each agent and minute, what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use nightjar_model::delta::Watermark;
use nightjar_model::ports::{AgentGap, AwayAgent, ExpectedAgent};
use nightjar_model::query::{Completeness, IncompleteReason};
use proptest::prelude::*;

use super::checkpoint;
use super::*;
use crate::sequences::Sequences;

const MINUTE: i64 = 60_000;
const AGENTS: [&str; 4] = ["a", "b", "c", "d"];
const LATER: i64 = 1 << 40;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    There {
        key: u8,
    },
    Silent,
    /// Signed off so many milliseconds ago.
    Left(i64),
    Gone,
}

#[derive(Debug, Clone)]
enum Step {
    Expect([Place; 4]),
    /// How many seconds each lags behind the clock.
    Pass([Option<i64>; 4]),
    Gap {
        agent: usize,
        from: Option<i64>,
        until: i64,
    },
    Late {
        back: i64,
    },
    Store,
}

#[derive(Debug, Clone, Default)]
struct Model {
    /// First window that waits, how far it came, key.
    members: BTreeMap<usize, (i64, Option<i64>, u8)>,
    /// The first window that it had not passed, how far it came, key.
    away: BTreeMap<usize, (i64, Option<i64>, u8)>,
    owed: BTreeMap<usize, (i64, i64)>,
    /// By agent: windows that it passed, or that are lost, with the key that it had then.
    passed: BTreeSet<(usize, u8, i64)>,
    holes: BTreeSet<(usize, u8, i64)>,
    complete: BTreeSet<i64>,
}

fn minute(at: i64) -> i64 {
    at.div_euclid(MINUTE)
}

impl Model {
    /// The first minute that a member has not passed.
    fn at(&self, agent: usize) -> i64 {
        let (since, through, _) = self.members[&agent];
        through.map_or(since, |through| minute(through).max(since))
    }

    fn expect(&mut self, now: i64, places: &[Place; 4]) {
        let next = minute(now) + 1;
        for (agent, _) in places.iter().enumerate().filter(|(_, place)| **place == Place::Gone) {
            if let Some((_, _, key)) = self.members.get(&agent).copied() {
                self.holes.extend((self.at(agent)..next).map(|minute| (agent, key, minute)));
                self.members.remove(&agent);
                self.lose_owed(agent, key);
            } else if let Some((_, _, key)) = self.away.remove(&agent) {
                self.lose_owed(agent, key);
            }
        }
        for (agent, place) in places.iter().enumerate() {
            let left = match place {
                Place::Silent => None,
                Place::Left(ago) => Some(now - ago),
                Place::There { .. } | Place::Gone => continue,
            };
            let Some((_, through, key)) = self.members.get(&agent).copied() else { continue };
            let at = self.at(agent);
            match left.filter(|left| through.is_some_and(|through| through + LEAVES_BEHIND >= *left)) {
                Some(left) => self.passed.extend((at..=minute(left)).map(|minute| (agent, key, minute))),
                None if at < next => {
                    self.owed.insert(agent, (at, next));
                }
                None => {}
            }
            self.members.remove(&agent);
            self.away.insert(agent, (at, through, key));
        }
        // What those who went had passed counts before others come.
        self.settle();
        for (agent, place) in places.iter().enumerate() {
            let Place::There { key } = place else { continue };
            if let Some((since, through, _)) = self.members.get(&agent).copied() {
                let at = self.at(agent);
                if self.members[&agent].2 != *key {
                    let lost = self.holes.iter().filter(|(of, _, minute)| *of == agent && *minute >= since.max(at));
                    let lost: Vec<_> = lost.map(|(of, _, minute)| (*of, *key, *minute)).collect();
                    self.holes.extend(lost);
                    self.members.insert(agent, (since.max(at), through, *key));
                }
            } else {
                match self.away.remove(&agent) {
                    Some((from, Some(through), _)) => {
                        self.owed.remove(&agent);
                        self.members.insert(agent, (from.min(next), Some(through), *key));
                    }
                    before => {
                        if let Some((_, _, key)) = before {
                            self.lose_owed(agent, key);
                        }
                        self.members.insert(agent, (next, None, *key));
                    }
                }
            }
        }
        self.settle();
    }

    fn lose_owed(&mut self, agent: usize, key: u8) {
        if let Some((from, until)) = self.owed.remove(&agent) {
            self.holes.extend((from..until).map(|minute| (agent, key, minute)));
        }
    }

    fn pass(&mut self, agent: usize, through: i64) {
        let Some((since, known, key)) = self.members.get(&agent).copied() else { return };
        if through <= 0 || known.is_some_and(|known| known >= through) {
            return;
        }
        let before = self.at(agent);
        if known.is_none() && through + HELD_BACK > since * MINUTE {
            self.holes.extend((since..=minute(through + HELD_BACK)).map(|minute| (agent, key, minute)));
        }
        self.members.insert(agent, (since, Some(through), key));
        self.passed.extend((before..self.at(agent)).map(|minute| (agent, key, minute)));
        self.settle();
    }

    fn gap(&mut self, agent: usize, from: Option<i64>, until: i64) {
        let (since, at, key) = match (self.members.get(&agent), self.away.get(&agent)) {
            (Some((since, _, key)), _) => (*since, self.at(agent), *key),
            (None, Some((from, _, key))) => (i64::MIN, *from, *key),
            _ => return,
        };
        let from = from.map_or(at, |from| minute(from).max(since));
        for lost in from..=minute(until) {
            self.holes.insert((agent, key, lost));
            self.complete.remove(&lost);
        }
    }

    fn settle(&mut self) {
        let candidates: BTreeSet<i64> = self.passed.iter().map(|(_, _, minute)| *minute).collect();
        for minute in candidates {
            if self.is_complete_for(minute, |_| true) {
                self.complete.insert(minute);
            }
        }
    }

    fn is_complete_for(&self, minute: i64, chosen: impl Fn(u8) -> bool) -> bool {
        let waits = |(agent, (_, _, key)): (&usize, &(i64, Option<i64>, u8))| chosen(*key) && self.at(*agent) <= minute;
        let owes = |(agent, (from, until)): (&usize, &(i64, i64))| {
            self.away.get(agent).is_some_and(|(_, _, key)| chosen(*key)) && (*from..*until).contains(&minute)
        };
        self.passed.iter().any(|(_, key, passed)| chosen(*key) && *passed == minute)
            && !self.holes.iter().any(|(_, key, hole)| chosen(*key) && *hole == minute)
            && !self.owed.iter().any(owes)
            && !self.members.iter().any(waits)
    }
}

fn key_name(key: u8) -> Vec<String> {
    vec![format!("k{key}")]
}

fn monitor() -> MonitorKey {
    MonitorKey::new("w", "m")
}

fn id(agent: usize) -> AgentId {
    AgentId(AGENTS[agent].into())
}

fn expectation(now: i64, places: &[Place; 4]) -> Expectation {
    let mut one = Expectation::new(monitor(), Duration::from_secs(60), []);
    one.columns = vec!["$idc".into()];
    for (agent, place) in places.iter().enumerate() {
        match place {
            Place::There { key } => one.agents.push(ExpectedAgent { id: id(agent), keys: key_name(*key) }),
            Place::Silent => one.away.push(AwayAgent { id: id(agent), left_at: None }),
            Place::Left(ago) => one.away.push(AwayAgent { id: id(agent), left_at: Some(Timestamp(now - ago)) }),
            Place::Gone => {}
        }
    }
    one
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let place = || {
        prop_oneof![
            5 => (0u8..2).prop_map(|key| Place::There { key }),
            1 => Just(Place::Silent),
            1 => (0i64..30_000).prop_map(Place::Left),
            1 => Just(Place::Gone),
        ]
    };
    let lag = || proptest::option::weighted(0.7, prop_oneof![4 => 0i64..20, 1 => 0i64..300]);
    let step = prop_oneof![
        3 => [place(), place(), place(), place()].prop_map(Step::Expect),
        8 => [lag(), lag(), lag(), lag()].prop_map(Step::Pass),
        1 => (0usize..4, proptest::option::of(0i64..300), 0i64..60).prop_map(|(agent, from, until)| Step::Gap { agent, from, until }),
        1 => (0i64..10).prop_map(|back| Step::Late { back }),
        1 => Just(Step::Store),
    ];
    proptest::collection::vec((0i64..100, step), 1..60)
}

fn stored(tracker: &Tracker) -> Tracker {
    let path = Path::new("checkpoint");
    let bytes = checkpoint::encode(&Sequences::default(), tracker).expect("encoded");
    let (_, again) = checkpoint::decode(&bytes, path).expect("decoded");
    assert_eq!(checkpoint::encode(&Sequences::default(), &again).expect("encoded"), bytes);
    again
}

fn compare(tracker: &Tracker, model: &Model, now: i64) {
    let Some(track) = tracker.track(&monitor()) else { return assert!(model.complete.is_empty()) };
    let states = States::new(track, LATER, &[0], &|_| true);
    let last = minute(now) + 2;
    for window in -1..last {
        let (state, _) = states.whole().state(window * MINUTE);
        assert_eq!(
            state.is_complete(),
            model.complete.contains(&window),
            "minute {window}: {state:?}, {model:?} {track:?}"
        );
    }
    for (keys, marks) in states.by_keys() {
        for window in -1..last {
            let (state, _) = marks.state(window * MINUTE);
            let own = model.is_complete_for(window, |key| key_name(key) == *keys);
            let right = own || model.complete.contains(&window);
            assert_eq!(state.is_complete(), right, "minute {window} of {keys:?}: {state:?}, {model:?} {track:?}");
        }
        // Runs say what the windows say one by one.
        for run in marks.runs(-MINUTE, last * MINUTE, MINUTE) {
            for window in minute(run.mark.time.0)..minute(run.until.0) {
                let alone = marks.of(window * MINUTE, (window + 1) * MINUTE);
                assert_eq!(alone, Completeness { time: alone.time, ..run.mark.clone() });
            }
        }
    }
    let steps = StateSteps::new(Some(track), (MINUTE, MINUTE), LATER, (i64::MIN, i64::MAX));
    for window in -1..last {
        assert_eq!(steps.state(0, window * MINUTE), states.whole().state(window * MINUTE).0);
    }
}

fn run(steps: Vec<(i64, Step)>) {
    let (mut tracker, mut model, mut now) = (Tracker::default(), Model::default(), 10 * MINUTE);
    for (seconds, step) in steps {
        now += seconds * 1000;
        match step {
            Step::Expect(places) => {
                let expected = [expectation(now, &places)];
                let changes = tracker.changes(&expected);
                tracker.apply(Timestamp(now), &changes);
                assert_eq!(tracker.changes(&expected), [], "the same again changes nothing");
                model.expect(now, &places);
            }
            Step::Pass(lags) => {
                for (agent, lag) in lags.iter().enumerate() {
                    if let Some(lag) = lag {
                        let through = now - lag * 1000;
                        tracker.watermark(&id(agent), &Watermark::new(monitor(), Timestamp(through)));
                        model.pass(agent, through);
                    }
                }
            }
            Step::Gap { agent, from, until } => {
                let (from, until) = (from.map(|from| now - from * 1000), now - until * 1000);
                let reason = IncompleteReason::RolledBack;
                let gap = AgentGap {
                    agent: id(agent),
                    monitor: None,
                    from: from.map(Timestamp),
                    until: Timestamp(until),
                    reason,
                };
                tracker.gap(&gap);
                model.gap(agent, from, until);
            }
            Step::Late { back } => tracker.delta(&monitor(), None, (minute(now) - back) * MINUTE),
            Step::Store => tracker = stored(&tracker),
        }
        compare(&tracker, &model, now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn as_the_model_says(steps in steps()) {
        run(steps);
    }
}
