//! Judging a rule at one check time: figures in, states and transitions out. Pure: no IO, no clock.
//!
//! A check at `T` judges the minute that ends at `T`. Each condition yields a [`Truth`] for each key;
//! while minutes it reads are not complete for that key it is [`Truth::Unknown`], unless what is missing can
//! only confirm it. A check is judged for a key once, when its data is there, whichever other check is; none is
//! judged on data that more data could overturn, unless the rule asks for that.

mod coverage;
mod figures;
mod hours;
mod key;
mod machine;
mod tell;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use nightjar_model::Timestamp;
use nightjar_model::alert::{AlertKeys, AlertState, Phase};
use nightjar_model::kinds::alert_rule::{AlertRuleSpec, MatchMode, NoData, PartialData};
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::names::AgentId;
use nightjar_model::query::{SeriesWindows, WindowAnswer};
use sha2::{Digest, Sha256};

pub(crate) use figures::confirmed_by_less;
pub(crate) use hours::is_active;
pub(crate) use tell::{incomplete, nobody_was_expected};

use crate::error::AlertingError;
use coverage::Coverages;
use figures::Windows;
use machine::Demand;

/// States of a rule's keys.
pub(crate) type States = BTreeMap<AlertKeys, AlertState>;

/// One check of one rule.
pub(crate) struct Check<'a> {
    pub(crate) rule: &'a AlertRuleSpec,
    pub(crate) rule_uid: &'a str,
    pub(crate) monitor: &'a MonitorSpec,
    pub(crate) at: Timestamp,
    pub(crate) answer: &'a WindowAnswer,
    /// `max_wait` is over: what is unknown now is left so until its data comes.
    pub(crate) last_call: bool,
    /// Every check up to this one is done.
    pub(crate) floor: Timestamp,
    /// Later checks that are done.
    pub(crate) done: &'a BTreeSet<Timestamp>,
    pub(crate) max_states: usize,
    pub(crate) forget_keys_after: Duration,
    /// How people call the agents.
    pub(crate) hosts: &'a HashMap<AgentId, String>,
}

/// What became of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Change {
    Fired,
    /// It goes on, and is told again.
    Reminded,
    Recovered,
    Closed,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Transition {
    pub(crate) change: Change,
    /// The check that brought it about.
    pub(crate) at: Timestamp,
    pub(crate) keys: AlertKeys,
    /// The alert's id.
    pub(crate) alert: String,
    /// The figures behind it, for people.
    pub(crate) reason: String,
    pub(crate) values: Values,
}

/// Figures by field.
pub(crate) type Values = BTreeMap<String, Option<f64>>;

/// Where a check stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// All of it is judged.
    #[default]
    Judged,
    /// Data may still come, within `max_wait`.
    Waiting,
    /// Something is left unjudged until its data comes.
    Late,
    /// Something is left unjudged, and its data can never come.
    Missed,
}

#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) states: States,
    pub(crate) transitions: Vec<Transition>,
    /// Alert id and present figures of the keys that go on firing.
    pub(crate) still_firing: Vec<(String, Values)>,
    /// Keys whose conditions held, but not often enough yet; a few of them.
    pub(crate) held: Vec<(AlertKeys, String)>,
    pub(crate) standing: Standing,
    /// Keys without a state because the rule has as many as it may.
    pub(crate) over_limit: usize,
}

impl Verdict {
    fn is_at_least(&mut self, standing: Standing) {
        let rank = |standing| match standing {
            Standing::Judged => 0,
            Standing::Missed => 1,
            Standing::Late => 2,
            Standing::Waiting => 3,
        };
        if rank(standing) > rank(self.standing) {
            self.standing = standing;
        }
    }
}

/// What a condition, or a rule, says of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    Yes,
    No,
    /// The data is not complete, and more could overturn what it says.
    Unknown,
    /// There is no line to judge.
    NoData,
}

/// Judges one check.
///
/// # Errors
/// A condition on a statistic that the monitor does not have.
pub(crate) fn judge(check: &Check<'_>, states: &States) -> Result<Verdict, AlertingError> {
    let windows = Windows::new(check)?;
    let coverages = Coverages::new(check);
    let judging = key::Judging {
        check,
        windows: &windows,
        coverages: &coverages,
        demand: Demand::of(check.rule),
        absence_matters: check.rule.no_data == NoData::Alert || windows.hold_of_nothing(),
    };
    let series: HashMap<AlertKeys, &SeriesWindows> =
        check.answer.series.iter().map(|series| (keys_of(&check.answer.by, series), series)).collect();
    let mut keys: BTreeSet<&AlertKeys> = series.keys().chain(states.keys()).collect();
    let total = AlertKeys::new();
    if check.rule.where_.is_empty() {
        keys.insert(&total);
    }

    let mut verdict = Verdict { states: states.clone(), ..Verdict::default() };
    for key in keys {
        judging.judge(key, series.get(key).copied(), &mut verdict);
    }
    // Of what is missing there may be keys that nobody has heard of yet.
    if !check.rule.where_.is_empty() && !coverages.whole.is_complete {
        verdict.is_at_least(judging.without_data(&coverages.whole));
    }
    if verdict.standing != Standing::Waiting {
        forget_lost_keys(check, &mut verdict);
    }
    Ok(verdict)
}

/// Closes what is firing, because the rule or its key is no longer judged.
pub(crate) fn close_all(states: &States, at: Timestamp, reason: &str) -> Vec<Transition> {
    let firing = states.values().filter(|state| state.phase == Phase::Firing);
    firing.map(|state| closing(state, at, reason)).collect()
}

/// Checks up to `through` count no more; what fires goes on, and keys are still known.
pub(crate) fn break_off(states: &mut States, through: Timestamp) {
    for state in states.values_mut() {
        state.found.clear();
        state.since = through;
    }
}

fn close(verdict: &mut Verdict, keys: &AlertKeys, at: Timestamp, reason: &str) {
    if let Some(state) = verdict.states.remove(keys)
        && state.phase == Phase::Firing
    {
        verdict.transitions.push(closing(&state, at, reason));
    }
}

fn closing(state: &AlertState, at: Timestamp, reason: &str) -> Transition {
    Transition {
        change: Change::Closed,
        at,
        keys: state.keys.clone(),
        alert: state.alert.clone().unwrap_or_default(),
        reason: reason.to_owned(),
        values: Values::new(),
    }
}

/// Keys that have been without data in so many checks that they are taken for gone. Time in which the rule did not
/// look does not count, and what was told of because it is absent stays told of.
fn forget_lost_keys(check: &Check<'_>, verdict: &mut Verdict) {
    let told_of_absence = |state: &AlertState| state.phase == Phase::Firing && check.rule.no_data == NoData::Alert;
    let lost: Vec<AlertKeys> = verdict
        .states
        .values()
        .filter(|state| !state.keys.is_empty() && !told_of_absence(state))
        .filter(|state| check.rule.every.0 * state.absent >= check.forget_keys_after)
        .map(|state| state.keys.clone())
        .collect();
    let hours = check.forget_keys_after.as_secs() / 3600;
    for keys in lost {
        let reason = format!("the key has had no data for {hours} h and is no longer judged");
        close(verdict, &keys, check.at, &reason);
    }
}

fn combine(mode: MatchMode, truths: impl Iterator<Item = Truth>) -> Truth {
    let decisive = if mode == MatchMode::All { Truth::No } else { Truth::Yes };
    let otherwise = if mode == MatchMode::All { Truth::Yes } else { Truth::No };
    truths.fold(otherwise, |so_far, truth| match (so_far, truth) {
        (a, b) if a == decisive || b == decisive => decisive,
        (Truth::Unknown, _) | (_, Truth::Unknown) => Truth::Unknown,
        (Truth::NoData, _) | (_, Truth::NoData) => Truth::NoData,
        _ => otherwise,
    })
}

fn keys_of(by: &[String], series: &SeriesWindows) -> AlertKeys {
    by.iter().cloned().zip(series.keys.iter().cloned()).collect()
}

/// An alert's id follows from its rule, its key and the minute it fired at: judging that minute again
/// after a crash yields the same alert, not a second one. UUIDv7, so that ids sort by time.
pub(crate) fn alert_id(rule_uid: &str, keys: &AlertKeys, at: Timestamp) -> String {
    let mut hash = Sha256::new();
    hash.update(rule_uid);
    for part in keys.iter().flat_map(|(column, key)| [column, key]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    stable_id(at, &hash.finalize())
}

/// The UUIDv7 of a moment and of what a digest was made from.
pub(crate) fn stable_id(at: Timestamp, digest: &[u8]) -> String {
    let mut tail = [0; 10];
    tail.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    let millis = u64::try_from(at.millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid().to_string()
}

/// Whether the rule takes what there is, where waiting is over.
fn judges_partial(rule: &AlertRuleSpec) -> bool {
    rule.partial_data == PartialData::Judge
}
