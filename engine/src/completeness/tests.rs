use std::time::Duration;

use nightjar_model::ports::AwayAgent;
use nightjar_model::query::IncompleteReason;

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
    let closed = only(tracker, at, &[expectation]);
    // Those that are new begin at once.
    for name in agents {
        if tracker.track(&key()).is_some_and(|track| track.members[&agent(name)].through.is_none()) {
            pass(tracker, name, at.max(1));
        }
    }
    closed
}

/// From now on these are expected.
fn only(tracker: &mut Tracker, at: i64, expected: &[Expectation]) -> Vec<Closed> {
    let changes = tracker.changes(expected);
    tracker.apply(Timestamp(at), &changes)
}

fn pass(tracker: &mut Tracker, name: &str, through: i64) -> Option<i64> {
    tracker.watermark(&agent(name), &Watermark::new(key(), Timestamp(through))).map(|t| t.0 / MINUTE)
}

/// Tells a gap, and no watermark.
fn gap(tracker: &mut Tracker, name: &str, until: i64) {
    let gap = Watermark { gap: Some(Timestamp(until)), ..Watermark::new(key(), Timestamp(0)) };
    let known = tracker.track(&key()).is_some_and(|track| track.knows(&agent(name)));
    assert_eq!(tracker.watermark(&agent(name), &gap).is_some(), known);
}

/// Late enough that nothing is in progress.
const LATER: i64 = 1 << 40;

/// `C`, `R`, or `P` or `N` with the missing agents, for each minute of the range.
fn check(tracker: &Tracker, minutes: std::ops::Range<i64>, expected: &str) {
    let track = tracker.track(&key()).expect("tracked");
    let states: Vec<String> = minutes
        .map(|minute| {
            let one = Marks::new(track, LATER).of(minute * MINUTE, (minute + 1) * MINUTE);
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
    assert_eq!(pass(&mut tracker, "a", 17 * MINUTE), Some(17));
    assert_eq!(pass(&mut tracker, "b", 16 * MINUTE), Some(16));
    check(&tracker, 10..17, "C C Na Na Na C Pb");
    // One from an agent that has told nothing yet holds from where it was expected.
    only(&mut tracker, 17 * MINUTE - 1, &[named(&["c"])]);
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
    assert_eq!(pass(&mut tracker, "a", 13 * MINUTE), Some(13));
    assert_eq!(pass(&mut tracker, "a", 13 * MINUTE + 1), None);
    check(&tracker, 9..14, "N N Pb Pb Pa+b");
    assert_eq!(pass(&mut tracker, "b", 12 * MINUTE + 59_999), Some(12));
    check(&tracker, 9..14, "N N C Pb Pa+b");
    assert_eq!(tracker.track(&key()).expect("tracked").progress().complete_through, Some(Timestamp(12 * MINUTE)));
    // An earlier watermark takes nothing back; one of a stranger counts for nothing.
    assert_eq!(pass(&mut tracker, "b", MINUTE), None);
    assert_eq!(pass(&mut tracker, "x", 99 * MINUTE), None);
    check(&tracker, 11..13, "C Pb");
}

#[test]
fn what_passed_before_an_agent_began_to_read_is_not_complete() {
    let named = |names: &[&str]| vec![super::tests::named(names)];
    let mut tracker = Tracker::default();
    only(&mut tracker, MINUTE / 2, &named(&["prompt", "late"]));
    // It began in the minute in which it was named.
    assert_eq!(pass(&mut tracker, "prompt", MINUTE / 2), None);
    assert_eq!(pass(&mut tracker, "prompt", 9 * MINUTE), Some(9));
    check(&tracker, 0..3, "N Plate Plate");
    // It was away, and began within minute 3.
    assert_eq!(pass(&mut tracker, "late", 3 * MINUTE + 7), Some(3));
    assert_eq!(pass(&mut tracker, "late", 6 * MINUTE), Some(6));
    check(&tracker, 0..8, "N Nlate Nlate Nlate C C Plate Plate");
    // A configuration that arrives just after the minute has begun: its first lines were not read.
    only(&mut tracker, 10 * MINUTE - 1, &named(&["prompt", "late", "newcomer"]));
    for name in ["newcomer", "prompt", "late"] {
        pass(&mut tracker, name, 10 * MINUTE - 800);
        pass(&mut tracker, name, 12 * MINUTE);
    }
    check(&tracker, 9..13, "C Nnewcomer C Plate+newcomer+prompt");
}

#[test]
fn many_that_leave_at_once_leave_no_window_complete_without_them() {
    let names: Vec<String> = (0..holes::HOLES_NAMED + 5).map(|n| format!("a{n:04}")).collect();
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
    let complete: Vec<i64> = (0..8).filter(|m| Marks::new(track, LATER).state(m * MINUTE).0.is_complete()).collect();
    assert_eq!(complete, [1, 6, 7]);
}

#[test]
fn a_late_delta_revises_a_complete_window_only() {
    let mut tracker = Tracker::default();
    expect(&mut tracker, 0, &["a"]);
    pass(&mut tracker, "a", 3 * MINUTE);
    tracker.delta(&key(), None, 2 * MINUTE);
    tracker.delta(&key(), None, 3 * MINUTE);
    check(&tracker, 0..4, "N C R Pa");
    pass(&mut tracker, "a", 4 * MINUTE);
    check(&tracker, 0..4, "N C R C");
    let track = tracker.track(&key()).expect("tracked");
    assert_eq!(Marks::new(track, LATER).of(MINUTE, 4 * MINUTE).state, CompletenessState::Revised);
    assert_eq!(Marks::new(track, LATER).of(MINUTE, 5 * MINUTE).state, CompletenessState::Partial);
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
    assert_eq!(expect(&mut tracker, 13 * MINUTE, &[]), [(key(), Timestamp(14 * MINUTE))]);
    check(&tracker, 10..16, "C Na Na+c Na+c N N");
    expect(&mut tracker, 20 * MINUTE, &["a"]);
    assert_eq!(pass(&mut tracker, "a", 22 * MINUTE), Some(22));
    check(&tracker, 18..23, "N N N C Pa");
}

#[test]
fn unnamed_monitors_are_expected_of_nobody_and_the_same_again_is_no_change() {
    let mut tracker = Tracker::default();
    let named = |agents: &[&str]| vec![super::tests::named(agents)];
    let differs = |tracker: &Tracker, agents: Option<&[&str]>| {
        !tracker.changes(&agents.map(named).unwrap_or_default()).is_empty()
    };
    assert!(!differs(&tracker, None) && !differs(&tracker, Some(&[])));
    assert!(differs(&tracker, Some(&["a"])));
    only(&mut tracker, 0, &named(&["a"]));
    assert!(!differs(&tracker, Some(&["a"])) && differs(&tracker, Some(&["a", "b"])));
    assert!(differs(&tracker, None) && differs(&tracker, Some(&[])));
    // Of what changes no more is told than that.
    only(&mut tracker, 0, &named(&["a", "b", "c"]));
    let change = &tracker.changes(&named(&["a", "c", "d"]))[0];
    let joined: Vec<&str> = change.joined.iter().map(|agent| agent.id.0.as_str()).collect();
    assert_eq!((joined, &change.removed, &change.away), (vec!["d"], &vec![agent("b")], &vec![]));
    only(&mut tracker, 0, &[]);
    assert!(tracker.track(&key()).expect("kept").known().is_empty());
    assert!(!differs(&tracker, None));
}

/// Those who are away, and since when they left; `None` without a word.
fn with_away(there: &[&str], away: &[(&str, Option<i64>)]) -> Vec<Expectation> {
    let away = away.iter().map(|(id, left)| AwayAgent { id: agent(id), left_at: left.map(Timestamp) });
    vec![Expectation { away: away.collect(), ..named(there) }]
}

#[test]
fn one_that_signs_off_is_waited_for_no_longer() {
    let mut tracker = Tracker::default();
    expect(&mut tracker, 0, &["a", "b"]);
    pass(&mut tracker, "a", 5 * MINUTE);
    pass(&mut tracker, "b", 5 * MINUTE + 9_000);
    // It left in minute 5, having read everything, and is put away half a minute later.
    only(&mut tracker, 5 * MINUTE + 40_000, &with_away(&["a"], &[("b", Some(5 * MINUTE + 10_000))]));
    assert_eq!(pass(&mut tracker, "a", 7 * MINUTE), Some(7));
    check(&tracker, 3..9, "C C C C Pa Pa");
    // It comes back, and is waited for where it had left, as far as nothing is settled: minute 7.
    only(&mut tracker, 7 * MINUTE + 1, &named_only(&["a", "b"]));
    check(&tracker, 5..9, "C C Pa+b Pa+b");
    pass(&mut tracker, "b", 8 * MINUTE);
    pass(&mut tracker, "a", 8 * MINUTE);
    check(&tracker, 5..9, "C C C Pa+b");
}

fn named_only(agents: &[&str]) -> Vec<Expectation> {
    vec![named(agents)]
}

#[test]
fn one_that_signs_off_without_having_read_everything_owes_it() {
    let mut tracker = Tracker::default();
    expect(&mut tracker, 0, &["a", "b"]);
    pass(&mut tracker, "a", 5 * MINUTE);
    pass(&mut tracker, "b", 3 * MINUTE);
    only(&mut tracker, 5 * MINUTE + 40_000, &with_away(&["a"], &[("b", Some(5 * MINUTE + 10_000))]));
    check(&tracker, 2..7, "C Pb Pb Pa+b Pa");
}

#[test]
fn what_one_owes_that_vanished_is_complete_when_it_is_back_and_never_when_it_is_removed() {
    let vanished = || {
        let mut tracker = Tracker::default();
        expect(&mut tracker, 0, &["a", "b"]);
        pass(&mut tracker, "a", 20 * MINUTE);
        pass(&mut tracker, "b", 5 * MINUTE);
        // It expires: minutes to come do not wait for it.
        only(&mut tracker, 15 * MINUTE, &with_away(&["a"], &[("b", None)]));
        assert_eq!(pass(&mut tracker, "a", 21 * MINUTE), Some(21));
        check(&tracker, 4..7, "C Pb Pb");
        check(&tracker, 14..22, "Pb Pb C C C C C Pa");
        tracker
    };
    let mut tracker = vanished();
    only(&mut tracker, 22 * MINUTE, &named_only(&["a", "b"]));
    check(&tracker, 14..23, "Pb Pb C C C C C Pa+b Pa+b");
    assert_eq!(pass(&mut tracker, "b", 15 * MINUTE), Some(15));
    check(&tracker, 4..6, "C C");
    check(&tracker, 14..17, "C Pb C");
    pass(&mut tracker, "b", 23 * MINUTE);
    pass(&mut tracker, "a", 23 * MINUTE);
    check(&tracker, 14..24, "C C C C C C C C C Pa+b");

    let mut tracker = vanished();
    only(&mut tracker, 22 * MINUTE, &named_only(&["a"]));
    check(&tracker, 4..7, "C Nb Nb");
    check(&tracker, 14..22, "Nb Nb C C C C C Pa");
}

#[test]
fn a_lost_host_is_missed_by_its_own_keys_only() {
    let there = |hosts: &[(&str, &str)]| Expectation {
        columns: vec!["$host".into()],
        agents: hosts.iter().map(|(id, host)| ExpectedAgent { id: agent(id), keys: vec![(*host).into()] }).collect(),
        ..named(&[])
    };
    let mut tracker = Tracker::default();
    let fleet = [("a", "h1"), ("b", "h2"), ("c", "h2")];
    only(&mut tracker, MINUTE / 2, &[there(&fleet)]);
    for (name, through) in [("a", 6), ("b", 6), ("c", 4)] {
        pass(&mut tracker, name, MINUTE / 2);
        pass(&mut tracker, name, through * MINUTE);
    }
    let of = |tracker: &Tracker, host: Option<&str>| {
        let track = Arc::clone(tracker.track(&key()).expect("tracked"));
        let accepts = |keys: &[String]| host.is_none_or(|host| keys[0] == host);
        let states = States::new(&track, LATER, &[], &accepts);
        let state = |minute: i64| states.whole().state(minute * MINUTE).0.name()[..1].to_owned();
        (1..7).map(state).collect::<String>()
    };
    check(&tracker, 1..7, "C C C Pc Pc Pa+b+c");
    assert_eq!(of(&tracker, Some("h1")), "cccccp");
    assert_eq!(of(&tracker, Some("h2")), "cccppp");
    // Of a host that nobody is, that of the whole counts.
    assert_eq!(of(&tracker, Some("h9")), of(&tracker, None));
    // One leaves for good, another takes its host over: what was complete stays so.
    only(&mut tracker, 6 * MINUTE + 1, &[there(&[("d", "h1"), ("b", "h2"), ("c", "h2")])]);
    assert_eq!(of(&tracker, Some("h1")), "cccccn");
    pass(&mut tracker, "c", 6 * MINUTE);
    check(&tracker, 1..8, "C C C C C Na+b+c Pb+c+d");
}

#[test]
fn what_a_manifest_of_before_says_is_understood() {
    let text = r#"[["w/m", {"width":60000,"agents":{"a":{"since":60000,"through":240001},"b":{"since":120000,"through":null}},
        "settled":120000,"complete":[[60000,120000]],"revised":[[60000,120000]],
        "abandoned":[{"from":0,"until":60000,"agent":"x"}],"nameless":[[-60000,0]]}]]"#;
    let key_text = serde_json::to_value(key()).expect("a key");
    let mut value: serde_json::Value = serde_json::from_str(text).expect("JSON");
    value[0][0] = key_text;
    let stored: Stored = serde_json::from_value(value).expect("as it was stored");
    let tracker = Tracker::from(stored);
    check(&tracker, -2..4, "N N Nx R Pb Pb");
    let mut tracker = tracker;
    assert_eq!(pass(&mut tracker, "b", 200_000), Some(3));
    check(&tracker, 0..4, "Nx R Nb Nb");
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
    let marks = Marks::new(track, LATER);
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
fn a_window_between_one_that_left_and_those_who_came_is_nobodys() {
    let mut tracker = Tracker::default();
    expect(&mut tracker, 9 * MINUTE + 5, &["b"]);
    pass(&mut tracker, "b", 15 * MINUTE + 52_000);
    only(&mut tracker, 16 * MINUTE, &[named(&["a", "b", "c"])]);
    let mut one = named(&["a"]);
    one.away = vec![
        AwayAgent { id: agent("b"), left_at: Some(Timestamp(16 * MINUTE - 1)) },
        AwayAgent { id: agent("c"), left_at: None },
    ];
    only(&mut tracker, 16 * MINUTE, &[one]);
    let track = tracker.track(&key()).expect("tracked");
    let states = [15, 16].map(|minute| Marks::new(track, LATER).state(minute * MINUTE).0);
    assert_eq!(states, [CompletenessState::Complete, CompletenessState::Never]);
}

#[test]
fn what_was_counted_twice_is_never_complete_also_before_the_second_was_expected() {
    let mut tracker = Tracker::default();
    expect(&mut tracker, 9 * MINUTE + 5, &["a"]);
    pass(&mut tracker, "a", 20 * MINUTE);
    expect(&mut tracker, 20 * MINUTE + 5, &["a", "b"]);
    let gap = AgentGap {
        agent: agent("b"),
        monitor: Some(key()),
        from: Some(Timestamp(12 * MINUTE)),
        until: Timestamp(21 * MINUTE),
        reason: IncompleteReason::CountedTwice,
    };
    tracker.gap(&gap);
    let track = tracker.track(&key()).expect("tracked");
    let states = [11, 12, 19].map(|minute| Marks::new(track, LATER).state(minute * MINUTE).0);
    assert_eq!(states, [CompletenessState::Complete, CompletenessState::Never, CompletenessState::Never]);
}

#[test]
fn who_has_not_told_yet_is_named_once_the_window_is_over() {
    let mut tracker = Tracker::default();
    expect(&mut tracker, 9 * MINUTE + 5, &["a", "b"]);
    pass(&mut tracker, "a", 11 * MINUTE);
    let track = tracker.track(&key()).expect("tracked");
    let at = |now: i64| {
        let one = Marks::new(track, now).of(10 * MINUTE, 11 * MINUTE);
        (one.state, one.missing)
    };
    assert_eq!(at(11 * MINUTE - 1), (CompletenessState::InProgress, Vec::new()));
    assert_eq!(at(11 * MINUTE + 5_000), (CompletenessState::InProgress, vec![agent("b")]));
    assert_eq!(at(11 * MINUTE + 60_000), (CompletenessState::Partial, vec![agent("b")]));
}
