//! The state of one key: when it fires and when it is over.

use nightjar_model::alert::{AlertState, Phase};
use nightjar_model::kinds::alert_rule::Occurrences;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Fired,
    Recovered,
}

/// Takes one check. `recovers: None` leaves the way to recovery where it is.
pub(super) fn step(
    state: &mut AlertState,
    holds: bool,
    recovers: Option<bool>,
    needed: Occurrences,
    recover_times: u32,
) -> Option<Step> {
    state.checks.push(holds);
    let surplus = state.checks.len().saturating_sub(needed.window() as usize);
    state.checks.drain(..surplus);
    match state.phase {
        Phase::Ok => {
            let held = state.checks.iter().filter(|held| **held).count();
            (held >= needed.times as usize).then(|| {
                state.phase = Phase::Firing;
                state.recovering = 0;
                Step::Fired
            })
        }
        Phase::Firing => {
            match recovers {
                Some(true) => state.recovering += 1,
                Some(false) => state.recovering = 0,
                None => {}
            }
            (state.recovering >= recover_times).then(|| {
                state.phase = Phase::Ok;
                state.recovering = 0;
                // What made it fire before must not help to make it fire again.
                state.checks.clear();
                Step::Recovered
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use nightjar_model::Timestamp;

    use super::*;

    /// `checks`: `+` holds, `-` does not; the answer marks with `F` and `R` where it fired and recovered.
    fn check(times: u32, of: u32, recover: u32, checks: &str, expected: &str) {
        let mut state = AlertState {
            keys: Default::default(),
            phase: Phase::Ok,
            checks: Vec::new(),
            recovering: 0,
            alert: None,
            seen: Timestamp(0),
        };
        let steps: String = checks
            .chars()
            .map(|c| {
                let holds = c == '+';
                match step(&mut state, holds, Some(!holds), Occurrences { times, of: Some(of) }, recover) {
                    Some(Step::Fired) => 'F',
                    Some(Step::Recovered) => 'R',
                    None => c,
                }
            })
            .collect();
        assert_eq!(steps, expected, "{times} of {of}, recover {recover}");
    }

    #[test]
    fn m_of_n_and_recovery() {
        check(1, 1, 1, "-+-+", "-FRF");
        check(2, 3, 1, "+--+-+-", "+--+-FR");
        check(3, 3, 2, "++-+++-+--", "++-++F-+-R");
        // Earlier holding checks do not count again after a recovery.
        check(2, 3, 1, "++-+", "+FR+");
    }
}
