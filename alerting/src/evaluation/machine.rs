//! The state of one key: when it fires and when it is over. Its input is what checks found, each once, in
//! whatever order they are judged; what counts is their own time.

use std::time::Duration;

use nightjar_model::Timestamp;
use nightjar_model::alert::{AlertState, Found, Phase};
use nightjar_model::kinds::alert_rule::{AlertRuleSpec, Occurrences};

/// A change of the phase, with the check that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Fired(Timestamp),
    Recovered(Timestamp),
}

/// What a rule asks of checks taken together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    pub(super) every: Duration,
    pub(super) needed: Occurrences,
    pub(super) recover_times: u32,
}

impl Demand {
    pub(super) fn of(rule: &AlertRuleSpec) -> Self {
        Self { every: rule.every.0, needed: rule.for_, recover_times: rule.recover.times }
    }

    /// How far back from a check others matter to it.
    pub(super) fn look_back(self) -> Duration {
        self.every * self.needed.window().max(self.recover_times)
    }
}

/// Takes one check. A late one may bring about two changes: what it makes fire can be over already.
pub(super) fn take(state: &mut AlertState, at: Timestamp, found: Found, demand: Demand) -> Vec<Step> {
    state.found.insert(at, found);
    let mut steps = Vec::new();
    loop {
        let (phase, check, step) = match state.phase {
            Phase::Ok => match fires(state, demand) {
                Some(check) => (Phase::Firing, check, Step::Fired(check)),
                None => return steps,
            },
            Phase::Firing => match recovers(state, demand) {
                // What made it fire before must not help to make it fire again.
                Some(check) => (Phase::Ok, check, Step::Recovered(check)),
                None => return steps,
            },
        };
        (state.phase, state.since) = (phase, check);
        steps.push(step);
    }
}

/// Forgets what no check from `from` on can look back on.
pub(super) fn prune(state: &mut AlertState, from: Timestamp, demand: Demand) {
    state.found = state.found.split_off(&from.saturating_sub(demand.look_back()));
}

/// The first check that sees as many hold as are needed, itself among those it looks back on.
fn fires(state: &AlertState, demand: Demand) -> Option<Timestamp> {
    let counts = |at: &Timestamp| *at > state.since;
    let window = demand.every * demand.needed.window();
    state.found.keys().copied().filter(counts).find(|end| {
        let first = end.saturating_sub(window);
        let held = state.found.range(..=end).filter(|(at, found)| **at > first && counts(at) && found.holds).count();
        held >= demand.needed.times as usize
    })
}

/// The last of the first checks in a row that are enough. One that is not judged, or not yet, parts a row.
fn recovers(state: &AlertState, demand: Demand) -> Option<Timestamp> {
    let (mut row, mut before) = (0, None);
    for (at, found) in state.found.iter().filter(|(at, _)| **at > state.since) {
        if before.is_some_and(|before: Timestamp| before.saturating_add(demand.every) != *at) {
            row = 0;
        }
        before = Some(*at);
        match found.recovers {
            Some(true) => row += 1,
            Some(false) => row = 0,
            None => {}
        }
        if row >= demand.recover_times {
            return Some(*at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(number: i64) -> Timestamp {
        Timestamp(number * 60_000)
    }

    fn demand(times: u32, of: u32, recover_times: u32) -> Demand {
        Demand { every: Duration::from_secs(60), needed: Occurrences { times, of: Some(of) }, recover_times }
    }

    /// Each line is a rule, the checks in the order they are judged, and what they bring about. `2/3/1` needs two of
    /// three to fire and one to recover. A check is `MINUTE` and a sign: `+` holds, `-` does not, `.` says nothing. `F5`
    /// fired at minute 5, `R6` recovered at 6. Answers the state after the last line.
    #[track_caller]
    fn check(lines: &str) -> AlertState {
        let mut state = AlertState::new(Default::default());
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (rule, rest) = line.split_once(':').expect("a rule");
            let (checks, expected) = rest.split_once("=>").expect("what comes of it");
            let numbers: Vec<u32> = rule.split('/').map(|number| number.parse().expect("a number")).collect();
            state = AlertState::new(Default::default());
            let told: Vec<String> = checks
                .split_whitespace()
                .flat_map(|word| take_word(&mut state, word, demand(numbers[0], numbers[1], numbers[2])))
                .collect();
            assert_eq!(told.join(" "), expected.trim(), "{line}");
        }
        state
    }

    fn take_word(state: &mut AlertState, word: &str, demand: Demand) -> Vec<String> {
        let (number, sign) = word.split_at(word.len() - 1);
        let found = match sign {
            "+" => Found { holds: true, recovers: Some(false) },
            "-" => Found { holds: false, recovers: Some(true) },
            _ => Found { holds: false, recovers: None },
        };
        let told = |step: &Step| match step {
            Step::Fired(at) => format!("F{}", at.millis() / 60_000),
            Step::Recovered(at) => format!("R{}", at.millis() / 60_000),
        };
        take(state, minute(number.parse().expect("a minute")), found, demand).iter().map(told).collect()
    }

    #[test]
    fn m_of_n_and_recovery() {
        check(
            "1/1/1: 1- 2+ 3- 4+ => F2 R3 F4
             2/3/1: 1+ 2- 3- 4+ 5- 6+ 7- => F6 R7
             3/3/2: 1+ 2+ 3- 4+ 5+ 6+ 7- 8+ 9- 10- => F6 R10",
        );
        // Earlier holding checks do not count again after a recovery.
        check("2/3/1: 1+ 2+ 3- 4+ => F2 R3");
    }

    #[test]
    fn checks_count_by_their_own_time() {
        // Four complete minutes apart are not two of two.
        check(
            "2/2/1: 1+ 5+ =>
             2/3/1: 1+ 3+ => F3",
        );
        // The later one was certain first; the earlier one is not passed over.
        check(
            "2/2/1: 2+ 1+ => F2
             3/5/1: 5+ 1+ 4- =>
             3/5/1: 5+ 1+ 4- 3+ => F5",
        );
    }

    #[test]
    fn what_a_late_check_makes_fire_may_be_over() {
        check(
            "1/1/1: 2- 3- 1+ => F1 R2
             1/1/2: 2- 1+ 3- => F1 R3
             1/1/1: 3+ 2- 1+ => F3",
        );
        // Before the last recovery nothing fires any more.
        check("1/1/1: 3+ 4- 2+ 1+ => F3 R4");
    }

    #[test]
    fn a_row_has_no_gaps() {
        let state = check("1/1/2: 1+ 2- 4- => F1");
        assert_eq!(state.phase, Phase::Firing);
        check(
            "1/1/2: 1+ 2- 4- 3- => F1 R3
             1/1/2: 1+ 2- 4- 5- => F1 R5",
        );
        // What says nothing is no gap.
        check("1/1/2: 1+ 2- 3. 4- => F1 R4");
    }

    /// Whatever order checks of a simple rule are judged in, in the end it fires or not as they say.
    #[test]
    fn in_the_end_the_order_does_not_matter() {
        for pattern in 0..64_u32 {
            let holds = |number: u32| pattern >> number & 1 == 1;
            for shuffle in 0..120_usize {
                let mut order: Vec<u32> = (0..6).collect();
                let mut rest = shuffle;
                for place in (1..6).rev() {
                    order.swap(place, rest % (place + 1));
                    rest /= place + 1;
                }
                let mut state = AlertState::new(Default::default());
                for number in &order {
                    let found = Found { holds: holds(*number), recovers: Some(!holds(*number)) };
                    take(&mut state, minute(1 + i64::from(*number)), found, demand(1, 1, 1));
                }
                let expected = if holds(5) { Phase::Firing } else { Phase::Ok };
                assert_eq!(state.phase, expected, "{pattern:b} as {order:?}");
            }
        }
    }

    #[test]
    fn what_is_out_of_reach_is_forgotten() {
        let mut state = check("2/3/1: 1- 2- 3- 4- 5- 6- =>");
        prune(&mut state, minute(7), demand(2, 3, 1));
        assert_eq!(state.found.keys().map(|at| at.millis() / 60_000).collect::<Vec<_>>(), [4, 5, 6]);
    }
}
