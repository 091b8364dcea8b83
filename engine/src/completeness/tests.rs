use std::time::Duration;

use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000;

fn key() -> MonitorKey {
    MonitorKey::new("w", "m")
}

fn agent(name: &str) -> AgentId {
    AgentId(name.into())
}

fn named(agents: &[&str]) -> Expectation {
    Expectation::new(key(), Duration::from_secs(60), agents.iter().map(|name| agent(name)))
}

fn expect(tracker: &mut Tracker, at: i64, agents: &[&str]) -> Vec<Closed> {
    let expectation = named(agents);
    let closed = tracker.expect(Timestamp(at), &[expectation]);
    // Those that are new begin at once.
    for name in agents {
        if tracker.track(&key()).is_some_and(|track| track.agents[&agent(name)].through.is_none()) {
            pass(tracker, name, at.max(1));
        }
    }
    closed
}

fn pass(tracker: &mut Tracker, name: &str, through: i64) -> Option<i64> {
    tracker.watermark(&agent(name), &Watermark::new(key(), Timestamp(through))).map(|t| t.0 / MINUTE)
}

/// Tells a gap, and no watermark.
fn gap(tracker: &mut Tracker, name: &str, until: i64) {
    let gap = Watermark { gap: Some(Timestamp(until)), ..Watermark::new(key(), Timestamp(0)) };
    assert_eq!(tracker.watermark(&agent(name), &gap), None);
}

/// Late enough that nothing is in progress.
const LATER: i64 = 1 << 40;

/// `C`, `R`, or `P` or `N` with the missing agents, for each minute of the range.
fn check(tracker: &Tracker, minutes: std::ops::Range<i64>, expected: &str) {
    let track = tracker.track(&key()).expect("tracked");
    let states: Vec<String> = minutes
        .map(|minute| {
            let one = Marks::new(track, MINUTE, LATER).of(minute * MINUTE, (minute + 1) * MINUTE);
            let missing: Vec<&str> = one.missing.iter().map(|agent| agent.0.as_str()).collect();
            match one.state {
                CompletenessState::Complete => "C".into(),
                CompletenessState::Revised => "R".into(),
                CompletenessState::InProgress => "I".into(),
                CompletenessState::Partial => format!("P{}", missing.join("+")),
                CompletenessState::Never => format!("N{}", missing.join("+")),
            }
        })
        .collect();
    assert_eq!(states.join(" "), expected);
}

#[test]
fn what_nobody_can_read_any_more_leaves_its_windows_partial() {
    let mut tracker = Tracker::default();
    expect(&mut tracker, 9 * MINUTE + 5, &["a", "b"]);
    pass(&mut tracker, "a", 12 * MINUTE + 30_000);
    pass(&mut tracker, "b", 13 * MINUTE);
    check(&tracker, 10..14, "C C Pa Pa+b");
    // The windows before its watermark were complete and stay so.
    gap(&mut tracker, "a", 14 * MINUTE + 1);
    gap(&mut tracker, "nobody", 14 * MINUTE + 1);
    check(&tracker, 10..14, "C C Na Na+b");
    assert_eq!(pass(&mut tracker, "a", 17 * MINUTE), None);
    assert_eq!(pass(&mut tracker, "b", 16 * MINUTE), Some(16));
    check(&tracker, 10..17, "C C Na Na Na C Pb");
    // One from an agent that has told nothing yet holds from where it was expected.
    tracker.expect(Timestamp(17 * MINUTE - 1), &[named(&["c"])]);
    gap(&mut tracker, "c", 18 * MINUTE);
    pass(&mut tracker, "c", 16 * MINUTE);
    assert_eq!(pass(&mut tracker, "c", 20 * MINUTE), Some(20));
    check(&tracker, 17..20, "Nc Nc C");
}

#[test]
fn a_window_waits_for_every_agent_from_the_one_after_it_was_named() {
    let mut tracker = Tracker::default();
    assert!(expect(&mut tracker, 10 * MINUTE + 5, &["a", "b"]).is_empty());
    check(&tracker, 9..13, "N N Pa+b Pa+b");
    assert_eq!(pass(&mut tracker, "a", 13 * MINUTE), None);
    check(&tracker, 9..14, "N N Pb Pb Pa+b");
    assert_eq!(pass(&mut tracker, "b", 12 * MINUTE + 59_999), Some(12));
    check(&tracker, 9..14, "N N C Pb Pa+b");
    assert_eq!(tracker.track(&key()).expect("tracked").progress(0).complete_through, Some(Timestamp(12 * MINUTE)));
    // An earlier watermark takes nothing back; one of a stranger counts for nothing.
    assert_eq!(pass(&mut tracker, "b", MINUTE), None);
    assert_eq!(pass(&mut tracker, "x", 99 * MINUTE), None);
    check(&tracker, 11..13, "C Pb");
}

#[test]
fn what_passed_before_an_agent_began_to_read_is_not_complete() {
    let named = |names: &[&str]| vec![super::tests::named(names)];
    let mut tracker = Tracker::default();
    tracker.expect(Timestamp(MINUTE / 2), &named(&["prompt", "late"]));
    // It began in the minute in which it was named.
    assert_eq!(pass(&mut tracker, "prompt", MINUTE / 2), None);
    assert_eq!(pass(&mut tracker, "prompt", 9 * MINUTE), None);
    check(&tracker, 0..3, "N Plate Plate");
    // It was away, and began within minute 3.
    assert_eq!(pass(&mut tracker, "late", 3 * MINUTE + 7), None);
    assert_eq!(pass(&mut tracker, "late", 6 * MINUTE), Some(6));
    check(&tracker, 0..8, "N Nlate Nlate Nlate C C Plate Plate");
    // A configuration that arrives just after the minute has begun: its first lines were not read.
    tracker.expect(Timestamp(10 * MINUTE - 1), &named(&["prompt", "late", "newcomer"]));
    for name in ["newcomer", "prompt", "late"] {
        pass(&mut tracker, name, 10 * MINUTE - 800);
        pass(&mut tracker, name, 12 * MINUTE);
    }
    check(&tracker, 9..13, "C Nnewcomer C Plate+newcomer+prompt");
}

#[test]
fn many_that_leave_at_once_leave_no_window_complete_without_them() {
    let names: Vec<String> = (0..ABANDONED_KEPT + 5).map(|n| format!("a{n:04}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).chain(["stays"]).collect();
    let mut tracker = Tracker::default();
    expect(&mut tracker, 0, &all);
    // The first to leave had read the least.
    for (n, name) in names.iter().enumerate() {
        pass(&mut tracker, name, if n < 5 { 2 * MINUTE } else { 4 * MINUTE });
    }
    pass(&mut tracker, "stays", 2 * MINUTE);
    expect(&mut tracker, 5 * MINUTE + 1, &["stays"]);
    assert_eq!(pass(&mut tracker, "stays", 8 * MINUTE), Some(8));
    let track = tracker.track(&key()).expect("tracked");
    let complete: Vec<i64> = (0..8).filter(|m| track.state(m * MINUTE, LATER) == CompletenessState::Complete).collect();
    assert_eq!(complete, [1, 6, 7]);
}

#[test]
fn a_late_delta_revises_a_complete_window_only() {
    let mut tracker = Tracker::default();
    expect(&mut tracker, 0, &["a"]);
    pass(&mut tracker, "a", 3 * MINUTE);
    tracker.delta(&key(), 2 * MINUTE);
    tracker.delta(&key(), 3 * MINUTE);
    check(&tracker, 0..4, "N C R Pa");
    pass(&mut tracker, "a", 4 * MINUTE);
    check(&tracker, 0..4, "N C R C");
    let track = tracker.track(&key()).expect("tracked");
    assert_eq!(Marks::new(track, MINUTE, LATER).of(MINUTE, 4 * MINUTE).state, CompletenessState::Revised);
    assert_eq!(Marks::new(track, MINUTE, LATER).of(MINUTE, 5 * MINUTE).state, CompletenessState::Partial);
}

#[test]
fn history_stays_when_the_fleet_changes() {
    let mut tracker = Tracker::default();
    expect(&mut tracker, 0, &["a", "b"]);
    pass(&mut tracker, "a", 10 * MINUTE);
    pass(&mut tracker, "b", 7 * MINUTE + 1);
    // b leaves in minute 8: 7 and 8 were b's too and stay without it, 9 is a's alone.
    let closed = expect(&mut tracker, 8 * MINUTE + 5, &["a"]);
    assert_eq!(closed, [(key(), Timestamp(10 * MINUTE))]);
    check(&tracker, 6..11, "C Nb Nb C Pa");
    // c joins: what is past is not c's.
    expect(&mut tracker, 10 * MINUTE + 1, &["a", "c"]);
    check(&tracker, 6..12, "C Nb Nb C Pa Pa+c");
    // Nobody is expected for a while: nothing completes, and then it goes on.
    pass(&mut tracker, "a", 11 * MINUTE);
    pass(&mut tracker, "c", 12 * MINUTE);
    assert!(expect(&mut tracker, 13 * MINUTE, &[]).is_empty());
    check(&tracker, 10..16, "C Na Na+c Na+c N N");
    expect(&mut tracker, 20 * MINUTE, &["a"]);
    assert_eq!(pass(&mut tracker, "a", 22 * MINUTE), Some(22));
    check(&tracker, 18..23, "N N N C Pa");
}

#[test]
fn unnamed_monitors_are_expected_of_nobody_and_the_same_again_is_no_change() {
    let mut tracker = Tracker::default();
    let named = |agents: &[&str]| vec![super::tests::named(agents)];
    assert!(!tracker.differs(&[]) && !tracker.differs(&named(&[])));
    assert!(tracker.differs(&named(&["a"])));
    tracker.expect(Timestamp(0), &named(&["a"]));
    assert!(!tracker.differs(&named(&["a"])) && tracker.differs(&named(&["a", "b"])));
    assert!(tracker.differs(&[]) && tracker.differs(&named(&[])));
    tracker.expect(Timestamp(0), &[]);
    assert!(tracker.track(&key()).expect("kept").agents.is_empty());
    assert!(!tracker.differs(&[]));
}

proptest! {
    /// Whatever happens, a complete window never becomes partial, and the marks survive storing.
    #[test]
    fn complete_stays_complete(steps in proptest::collection::vec((0usize..4, 0i64..6, any::<[bool; 3]>()), 1..60)) {
        let names = ["a", "b", "c"];
        let (mut tracker, mut now) = (Tracker::default(), 0);
        let mut complete = BTreeSet::new();
        for (what, minutes, chosen) in steps {
            now += 20_000 * minutes;
            let agents: Vec<&str> = names.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(name, _)| *name).collect();
            match what {
                0 => { expect(&mut tracker, now, &agents); }
                1 => tracker.delta(&key(), (now - minutes * MINUTE).div_euclid(MINUTE) * MINUTE),
                _ => for name in agents { pass(&mut tracker, name, now - 10_000); },
            }
            let stored = serde_json::to_string(&tracker).expect("stored");
            prop_assert_eq!(&serde_json::from_str::<Tracker>(&stored).expect("read"), &tracker);
            let Some(track) = tracker.track(&key()) else { continue };
            let is_complete = |minute: i64| track.state(minute * MINUTE, LATER).is_complete();
            prop_assert!(complete.iter().all(|minute| is_complete(*minute)));
            complete.extend((0..now / MINUTE + 1).filter(|minute| is_complete(*minute)));
            prop_assert!(complete.iter().all(|minute| (minute + 1) * MINUTE <= now), "nothing is complete before it ends");
        }
    }
}

#[test]
fn a_window_names_some_of_many_and_counts_all() {
    let mut tracker = Tracker::default();
    let names: Vec<String> = (0..5000).map(|n| format!("agent-{n:04}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    expect(&mut tracker, 10 * MINUTE + 5, &all);
    for name in &all[..100] {
        pass(&mut tracker, name, 20 * MINUTE);
    }
    let track = tracker.track(&key()).expect("tracked");
    let marks = Marks::new(track, MINUTE, LATER);
    let one = marks.of(15 * MINUTE, 16 * MINUTE);
    assert_eq!((one.missing.len(), one.missing_count), (20, 4900));
    assert_eq!(marks.of(0, 11 * MINUTE).missing_count, 0);
    // A stretch that nobody was there for is not walked through.
    let long = marks.of(-(1 << 50) / MINUTE * MINUTE, 12 * MINUTE);
    assert_eq!((long.state, long.missing_count), (CompletenessState::Never, 4900));
    let started = std::time::Instant::now();
    let count: usize = (0..50_000).map(|minute| marks.of(minute * MINUTE, (minute + 1) * MINUTE).missing.len()).sum();
    assert!(count > 900_000 && started.elapsed() < Duration::from_secs(20), "{count} in {:?}", started.elapsed());
}

#[test]
fn who_has_not_told_yet_is_named_once_the_window_is_over() {
    let mut tracker = Tracker::default();
    expect(&mut tracker, 9 * MINUTE + 5, &["a", "b"]);
    pass(&mut tracker, "a", 11 * MINUTE);
    let track = tracker.track(&key()).expect("tracked");
    let at = |now: i64| {
        let one = Marks::new(track, MINUTE, now).of(10 * MINUTE, 11 * MINUTE);
        (one.state, one.missing)
    };
    assert_eq!(at(11 * MINUTE - 1), (CompletenessState::InProgress, Vec::new()));
    assert_eq!(at(11 * MINUTE + 5_000), (CompletenessState::InProgress, vec![agent("b")]));
    assert_eq!(at(11 * MINUTE + 60_000), (CompletenessState::Partial, vec![agent("b")]));
}
