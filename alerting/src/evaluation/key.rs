//! One key at one check.

use nightjar_model::alert::{AlertKeys, AlertState, Found, Phase};
use nightjar_model::kinds::alert_rule::{AlertRuleSpec, Condition, MatchMode, NoData};
use nightjar_model::query::SeriesWindows;

use super::coverage::{Coverage, Coverages};
use super::figures::{Figure, Known, Windows};
use super::machine::{self, Demand, Step};
use super::{Change, Check, Standing, Transition, Truth, Values, Verdict, alert_id, close, combine, tell};

/// How many conditions that hold without firing one check tells of.
const MOST_HELD: usize = 20;

pub(super) struct Judging<'a> {
    pub(super) check: &'a Check<'a>,
    pub(super) windows: &'a Windows<'a>,
    pub(super) coverages: &'a Coverages,
    pub(super) demand: Demand,
    /// Keys that were seen are watched, for they may go without another line.
    pub(super) absence_matters: bool,
}

/// What one check found of one key.
struct Judged<'a> {
    keys: &'a AlertKeys,
    with_data: bool,
    found: Found,
    reason: String,
    values: Values,
}

impl Judging<'_> {
    /// Where a check stands that cannot be judged.
    pub(super) fn without_data(&self, coverage: &Coverage) -> Standing {
        match (coverage.is_final, self.check.last_call) {
            (true, _) if super::judges_partial(self.check.rule) => Standing::Judged,
            (true, _) => Standing::Missed,
            (false, false) => Standing::Waiting,
            (false, true) if super::judges_partial(self.check.rule) => Standing::Judged,
            (false, true) => Standing::Late,
        }
    }

    pub(super) fn judge(&self, keys: &AlertKeys, series: Option<&SeriesWindows>, verdict: &mut Verdict) {
        let (check, rule) = (self.check, self.check.rule);
        let present = verdict.states.get(keys);
        if let Some(state) = present {
            if !is_judged(rule, keys) {
                return close(verdict, keys, check.at, "the rule no longer judges this key");
            }
            // Judged before: all that it says is in the state.
            if state.found.contains_key(&check.at) {
                return;
            }
        }
        let ordered: Vec<String> = check.answer.by.iter().filter_map(|column| keys.get(column).cloned()).collect();
        if self.coverages.is_retired(&ordered) {
            return close(verdict, keys, check.at, "no agent contributes to this key any more");
        }
        let coverage = self.coverages.of(&ordered);
        let is_total = rule.where_.is_empty();
        let as_it_is = super::judges_partial(rule) && (check.last_call || coverage.is_final);
        let known = Known { series, is_total, coverage, as_it_is };
        let look = |conditions: &[Condition]| -> Vec<Figure> {
            conditions.iter().map(|condition| self.windows.figure(condition, known)).collect()
        };
        let figures = look(&rule.conditions);
        let truth = combine(rule.match_, figures.iter().map(|figure| figure.truth));
        let own_recovery = present.is_some_and(|state| state.phase == Phase::Firing) && has_own_recovery(rule);
        let recovery =
            own_recovery.then(|| combine(MatchMode::All, look(&rule.recover.conditions).iter().map(|f| f.truth)));

        let mut values = self.windows.others(known);
        values.extend(tell::values(rule, &figures));
        // Whether a key has no data is settled with the minute; a rule that judges partial data settles it so.
        let absence_is_open = truth == Truth::NoData && !coverage.is_complete && !as_it_is;
        if truth == Truth::Unknown || recovery == Some(Truth::Unknown) || absence_is_open {
            let standing = self.without_data(coverage);
            let asks_to_be_told =
                rule.no_data == NoData::Alert && (is_total || !self.windows.has_lines(series)) && coverage.agent_away;
            if check.last_call && asks_to_be_told {
                // Who asks to be told of missing data is told of this, too: nobody can say what there was.
                let reason = format!("no data: {}", tell::incomplete(check));
                let found = Found { holds: true, recovers: Some(false) };
                self.advance(Judged { keys, with_data: false, found, reason, values }, verdict);
            } else {
                verdict.is_at_least(standing);
            }
            return;
        }
        let judged = Judged {
            keys,
            with_data: is_total || self.windows.has_lines(series),
            found: found(rule.no_data, truth, recovery),
            reason: tell::describe(rule, &figures, truth, coverage),
            values,
        };
        self.advance(judged, verdict);
    }

    fn advance(&self, judged: Judged<'_>, verdict: &mut Verdict) {
        let check = self.check;
        let Judged { keys, with_data, found, reason, values } = judged;
        let is_known = verdict.states.contains_key(keys);
        // A key that has nothing to be remembered needs no state; most keys never have one.
        let is_watched = self.absence_matters && !keys.is_empty();
        let is_worth_a_state = found.holds || (is_watched && with_data);
        if !is_known && !is_worth_a_state {
            return;
        }
        if !is_known && verdict.states.len() >= check.max_states {
            verdict.over_limit += 1;
            return;
        }
        let state = verdict.states.entry(keys.clone()).or_insert_with(|| AlertState::new(keys.clone()));
        self.make_up(state);
        if with_data && check.at >= state.seen {
            (state.seen, state.absent) = (check.at, 0);
        } else if !with_data && check.at > state.seen {
            state.absent = state.absent.saturating_add(1);
        }
        let steps = machine::take(state, check.at, found, self.demand);
        for step in &steps {
            let transition = self.transition(state, *step, &reason, &values);
            verdict.transitions.push(transition);
        }
        if steps.is_empty() && state.phase == Phase::Firing {
            verdict.still_firing.push((state.alert.clone().unwrap_or_default(), values));
        } else if steps.is_empty() && found.holds && verdict.held.len() < MOST_HELD {
            verdict.held.push((keys.clone(), tell::held(check, state, &reason)));
        }
        machine::prune(state, check.floor, self.demand);
        // What fired and is over is remembered until no check can come that would make it fire again.
        let may_matter = |(at, found): (&_, &Found)| found.holds && (*at > state.since || *at > check.floor);
        let is_empty = state.phase == Phase::Ok && !state.found.iter().any(may_matter);
        if is_empty && is_watched {
            state.found.clear();
        } else if is_empty {
            verdict.states.remove(keys);
        }
    }

    /// Of a key of which nothing is remembered: it held in none of the later checks that are done.
    fn make_up(&self, state: &mut AlertState) {
        let nothing = state.phase == Phase::Ok && state.found.is_empty();
        if nothing && self.windows.are_of_counts() && !has_own_recovery(self.check.rule) {
            let later = self.check.done.range(self.check.at..);
            state.found = later.map(|at| (*at, Found { holds: false, recovers: Some(true) })).collect();
        }
    }

    fn transition(&self, state: &mut AlertState, step: Step, reason: &str, values: &Values) -> Transition {
        let check = self.check;
        let keys = state.keys.clone();
        let (change, at, reason) = match step {
            Step::Fired(at) => {
                state.alert = Some(alert_id(check.rule_uid, &keys, at));
                let (times, window) = (check.rule.for_.times, check.rule.for_.window());
                let often =
                    if window > 1 { format!("; held in {times} of the last {window} checks") } else { String::new() };
                (Change::Fired, at, format!("{reason}{often}"))
            }
            Step::Recovered(at) => {
                let reason = if at == check.at {
                    reason.to_owned()
                } else {
                    format!("the check at {at}, which was judged before, did not hold")
                };
                let often = match check.rule.recover.times {
                    1 => String::new(),
                    times => format!("; {times} checks in a row"),
                };
                (Change::Recovered, at, format!("{reason}{often}"))
            }
        };
        let alert = state.alert.clone().unwrap_or_default();
        Transition { change, at, keys, alert, reason, values: values.clone() }
    }
}

fn found(policy: NoData, truth: Truth, recovery: Option<Truth>) -> Found {
    let nothing = match policy {
        NoData::Keep => None,
        NoData::Alert => Some(false),
        NoData::Ok => Some(true),
    };
    let holds = match truth {
        Truth::Yes => true,
        Truth::NoData => policy == NoData::Alert,
        Truth::No | Truth::Unknown => false,
    };
    let recovers = match recovery {
        Some(Truth::NoData) => nothing,
        Some(recovery) => Some(recovery == Truth::Yes),
        None if truth == Truth::NoData => nothing,
        None => Some(!holds),
    };
    Found { holds, recovers }
}

fn has_own_recovery(rule: &AlertRuleSpec) -> bool {
    !rule.recover.conditions.is_empty()
}

/// Whether the rule, as it is now, judges these keys.
fn is_judged(rule: &AlertRuleSpec, keys: &AlertKeys) -> bool {
    rule.where_.len() == keys.len()
        && keys.iter().all(|(column, key)| rule.where_.get(column).is_some_and(|wanted| wanted.accepts(key)))
}
