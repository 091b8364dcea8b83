//! Judging a rule at one check time: figures in, states and transitions out. Pure: no IO, no clock.
//!
//! A check at `T` judges the minute that ends at `T`. Each condition yields a [`Truth`] for each key;
//! while minutes it reads are partial it is [`Truth::Unknown`], unless what is missing can only confirm
//! it. A rule stays at a check until nothing is unknown or its `max_wait` is over, so no check is ever
//! judged twice for a key and none is judged on data that more data could overturn.

mod figures;
mod hours;
mod machine;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use nightjar_model::Timestamp;
use nightjar_model::alert::{AlertKeys, AlertState, Phase};
use nightjar_model::kinds::alert_rule::{AlertRuleSpec, Condition, MatchMode, NoData, PartialData};
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::names::AgentId;
use nightjar_model::query::{SeriesWindows, WindowAnswer};
use sha2::{Digest, Sha256};

pub(crate) use figures::confirmed_by_less;
pub(crate) use hours::is_active;

use crate::error::AlertingError;
use figures::{Figure, Windows};
use machine::Step;

/// How many conditions that hold without firing one check tells of.
const MOST_HELD: usize = 20;

/// States of a rule's keys.
pub(crate) type States = BTreeMap<AlertKeys, AlertState>;

/// One check of one rule.
pub(crate) struct Check<'a> {
    pub(crate) rule: &'a AlertRuleSpec,
    pub(crate) rule_uid: &'a str,
    pub(crate) monitor: &'a MonitorSpec,
    pub(crate) at: Timestamp,
    pub(crate) answer: &'a WindowAnswer,
    /// `max_wait` is over: what is unknown now stays so.
    pub(crate) last_call: bool,
    pub(crate) max_states: usize,
    pub(crate) forget_keys_after: Duration,
    /// Whether no agent is expected to report, or one of them has not come so far.
    pub(crate) agent_away: bool,
    /// How people call the agents.
    pub(crate) hosts: &'a HashMap<AgentId, String>,
}

/// What became of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Change {
    Fired,
    Recovered,
    Closed,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Transition {
    pub(crate) change: Change,
    pub(crate) keys: AlertKeys,
    /// The alert's id.
    pub(crate) alert: String,
    /// The figures behind it, for people.
    pub(crate) reason: String,
    pub(crate) values: Values,
}

/// Figures by field.
pub(crate) type Values = BTreeMap<String, Option<f64>>;

#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) states: States,
    pub(crate) transitions: Vec<Transition>,
    /// Alert id and present figures of the keys that go on firing.
    pub(crate) still_firing: Vec<(String, Values)>,
    /// Keys whose conditions held, but not often enough yet; at most [`MOST_HELD`].
    pub(crate) held: Vec<(AlertKeys, String)>,
    /// Nothing is left to wait for: the check is done.
    pub(crate) settled: bool,
    /// The check is done, and these were left unjudged for want of complete data.
    pub(crate) unjudged: Vec<AlertKeys>,
    /// Keys without a state because the rule has as many as it may.
    pub(crate) over_limit: usize,
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
    let series: HashMap<AlertKeys, &SeriesWindows> =
        check.answer.series.iter().map(|series| (keys_of(&check.answer.by, series), series)).collect();
    let mut keys: BTreeSet<&AlertKeys> = series.keys().chain(states.keys()).collect();
    let total = AlertKeys::new();
    if check.rule.where_.is_empty() {
        keys.insert(&total);
    }

    let mut verdict = Verdict { states: states.clone(), settled: true, ..Verdict::default() };
    for key in keys {
        judge_key(check, &windows, key, series.get(key).copied(), &mut verdict);
    }
    if verdict.settled {
        forget_lost_keys(check, &mut verdict);
    }
    Ok(verdict)
}

fn judge_key(
    check: &Check<'_>,
    windows: &Windows<'_>,
    keys: &AlertKeys,
    series: Option<&SeriesWindows>,
    verdict: &mut Verdict,
) {
    let present = verdict.states.get(keys);
    if let Some(state) = present {
        if !is_judged(check.rule, keys) {
            close(verdict, keys, "the rule no longer judges this key");
            return;
        }
        // Judged before, on partial data that could only confirm it.
        if state.seen >= check.at {
            return;
        }
    }
    let is_total = check.rule.where_.is_empty();
    let look = |conditions: &[Condition]| -> Vec<Figure> {
        conditions.iter().map(|condition| windows.figure(condition, series, is_total)).collect()
    };
    let figures = look(&check.rule.conditions);
    let truth = combine(check.rule.match_, figures.iter().map(|f| f.truth));
    let firing = present.is_some_and(|state| state.phase == Phase::Firing);
    let own_recovery = firing && !check.rule.recover.conditions.is_empty();
    let recovery =
        own_recovery.then(|| combine(MatchMode::All, look(&check.rule.recover.conditions).iter().map(|f| f.truth)));

    let mut values = windows.others(series, is_total);
    values.extend(values_of(check.rule, &figures));
    // Whether a key has no data is settled with the minute; a rule that judges partial data settles it so.
    let absence_is_open = truth == Truth::NoData && !windows.complete() && !judges_partial(check);
    if truth == Truth::Unknown || recovery == Some(Truth::Unknown) || absence_is_open {
        if !check.last_call {
            verdict.settled = false;
        } else if check.rule.no_data == NoData::Alert && (is_total || truth == Truth::NoData) && check.agent_away {
            // Who asks to be told of missing data is told of this, too: nobody can say what there was.
            let reason = format!("no data: {}", incomplete(check));
            let judged =
                Judged { keys, with_data: false, holds: true, recovers: Some(false), early: false, reason, values };
            advance(check, judged, verdict);
        } else {
            verdict.unjudged.push(keys.clone());
        }
        return;
    }
    let Some(holds) = as_check(check.rule.no_data, truth) else { return };
    let recovers = match recovery {
        Some(Truth::NoData) => as_check(check.rule.no_data, Truth::NoData).map(|holds| !holds),
        Some(recovery) => Some(recovery == Truth::Yes),
        None => Some(!holds),
    };
    let judged = Judged {
        keys,
        with_data: truth != Truth::NoData,
        holds,
        recovers,
        early: !windows.complete() && !check.last_call,
        reason: describe(check.rule, &figures, truth, windows.complete()),
        values,
    };
    advance(check, judged, verdict);
}

/// What one check found of one key.
struct Judged<'a> {
    keys: &'a AlertKeys,
    with_data: bool,
    holds: bool,
    /// `None` neither brings recovery nearer nor puts it off.
    recovers: Option<bool>,
    /// Judged before the data was complete; the check comes back for the other keys.
    early: bool,
    reason: String,
    values: Values,
}

fn advance(check: &Check<'_>, judged: Judged<'_>, verdict: &mut Verdict) {
    let Judged { keys, with_data, holds, recovers, early, reason, values } = judged;
    let known = verdict.states.contains_key(keys);
    // A key that has nothing to be remembered needs no state; most keys never have one.
    let watched_for_absence = check.rule.no_data == NoData::Alert && !keys.is_empty();
    let worth_a_state = holds || (watched_for_absence && with_data);
    if !known && !worth_a_state {
        return;
    }
    if !known && verdict.states.len() >= check.max_states {
        verdict.over_limit += 1;
        return;
    }
    let state = verdict.states.entry(keys.clone()).or_insert_with(|| AlertState {
        keys: keys.clone(),
        phase: Phase::Ok,
        checks: Vec::new(),
        recovering: 0,
        alert: None,
        seen: Timestamp::from_millis(i64::MIN),
    });
    let never_seen = state.seen == Timestamp::from_millis(i64::MIN);
    if with_data || never_seen {
        state.seen = check.at;
    }
    match machine::step(state, holds, recovers, check.rule.for_, check.rule.recover.times) {
        Some(Step::Fired) => {
            let alert = alert_id(check.rule_uid, keys, check.at);
            state.alert = Some(alert.clone());
            let reason = if check.rule.for_.window() > 1 {
                format!("{reason}; held in {} of the last {} checks", check.rule.for_.times, check.rule.for_.window())
            } else {
                reason
            };
            verdict.transitions.push(Transition { change: Change::Fired, keys: keys.clone(), alert, reason, values });
        }
        Some(Step::Recovered) => {
            let alert = state.alert.clone().unwrap_or_default();
            let reason = match check.rule.recover.times {
                1 => reason,
                times => format!("{reason}; {times} checks in a row"),
            };
            verdict.transitions.push(Transition {
                change: Change::Recovered,
                keys: keys.clone(),
                alert,
                reason,
                values,
            });
        }
        None if state.phase == Phase::Firing => {
            verdict.still_firing.push((state.alert.clone().unwrap_or_default(), values));
        }
        None if holds && verdict.held.len() < MOST_HELD => {
            let held = state.checks.iter().filter(|held| **held).count();
            verdict.held.push((
                keys.clone(),
                format!(
                    "{reason}; held in {held} of the last {} checks, {} are needed",
                    check.rule.for_.window(),
                    check.rule.for_.times
                ),
            ));
        }
        None => {}
    }
    // Judged early, the state also remembers that this check is done.
    let nothing_to_remember = state.phase == Phase::Ok && !state.checks.contains(&true) && !early;
    if nothing_to_remember && !watched_for_absence {
        verdict.states.remove(keys);
    }
}

/// Closes what is firing, because the rule or its key is no longer judged.
pub(crate) fn close_all(states: &States, reason: &str) -> Vec<Transition> {
    let firing = states.values().filter(|state| state.phase == Phase::Firing);
    firing.map(|state| closing(state, reason)).collect()
}

/// After a stretch that was not judged, earlier checks are not "the last ones" any more.
pub(crate) fn break_off(states: &mut States, no_data: NoData) {
    states.retain(|keys, state| {
        state.checks.clear();
        state.recovering = 0;
        state.phase == Phase::Firing || (no_data == NoData::Alert && !keys.is_empty())
    });
}

fn close(verdict: &mut Verdict, keys: &AlertKeys, reason: &str) {
    if let Some(state) = verdict.states.remove(keys)
        && state.phase == Phase::Firing
    {
        verdict.transitions.push(closing(&state, reason));
    }
}

fn closing(state: &AlertState, reason: &str) -> Transition {
    Transition {
        change: Change::Closed,
        keys: state.keys.clone(),
        alert: state.alert.clone().unwrap_or_default(),
        reason: reason.to_owned(),
        values: Values::new(),
    }
}

/// What was left unjudged will never be complete: the checks before it are not "the last ones" any more.
pub(crate) fn give_up(states: &mut States, unjudged: &[AlertKeys], no_data: NoData) {
    let mut given_up: States = unjudged.iter().filter_map(|keys| states.remove_entry(keys)).collect();
    break_off(&mut given_up, no_data);
    states.append(&mut given_up);
}

fn forget_lost_keys(check: &Check<'_>, verdict: &mut Verdict) {
    let oldest = check.at.saturating_sub(check.forget_keys_after);
    let lost: Vec<AlertKeys> = verdict
        .states
        .values()
        .filter(|state| state.seen < oldest && !state.keys.is_empty())
        .map(|state| state.keys.clone())
        .collect();
    let hours = check.forget_keys_after.as_secs() / 3600;
    for keys in lost {
        close(verdict, &keys, &format!("the key has had no data for {hours} h and is no longer judged"));
    }
}

/// Whether the rule, as it is now, judges these keys.
fn is_judged(rule: &AlertRuleSpec, keys: &AlertKeys) -> bool {
    rule.where_.len() == keys.len()
        && keys.iter().all(|(column, key)| rule.where_.get(column).is_some_and(|wanted| wanted.accepts(key)))
}

fn as_check(policy: NoData, truth: Truth) -> Option<bool> {
    match truth {
        Truth::Yes => Some(true),
        Truth::No => Some(false),
        Truth::Unknown => None,
        Truth::NoData => match policy {
            NoData::Keep => None,
            NoData::Alert => Some(true),
            NoData::Ok => Some(false),
        },
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

fn describe(rule: &AlertRuleSpec, figures: &[Figure], truth: Truth, complete: bool) -> String {
    let told: Vec<String> = match truth {
        Truth::NoData => vec!["no data: no line to judge".to_owned()],
        _ => rule
            .conditions
            .iter()
            .zip(figures)
            .filter(|(_, figure)| truth != Truth::Yes || figure.truth == Truth::Yes)
            .map(|(condition, figure)| figures::describe(condition, figure))
            .collect(),
    };
    let partial = if complete { "" } else { " (on partial data)" };
    format!("{}{partial}", told.join("; "))
}

/// What of the data is missing, and by whom.
pub(crate) fn incomplete(check: &Check<'_>) -> String {
    const MOST_NAMED: usize = 5;
    let missing: BTreeSet<&AgentId> = check.answer.completeness.iter().flat_map(|mark| &mark.missing).collect();
    let name = |agent: &&AgentId| check.hosts.get(*agent).map_or(agent.0.as_str(), String::as_str).to_owned();
    let named: Vec<String> = missing.iter().map(name).take(MOST_NAMED).collect();
    let who = match missing.len() {
        0 if check.agent_away => "no agent is expected to report".to_owned(),
        0 => "the monitor began or was changed then".to_owned(),
        agents if agents > MOST_NAMED => format!("{agents} agents are missing, among them {}", named.join(", ")),
        _ => format!("missing: {}", named.join(", ")),
    };
    let (reach, at, wait) = (check.rule.reach(), check.at, check.rule.max_wait);
    let what = if reach.0 > check.monitor.width() { format!("the {reach}") } else { "the minute".to_owned() };
    format!("{what} to {at} is still partial after {wait}; {who}")
}

fn values_of(rule: &AlertRuleSpec, figures: &[Figure]) -> Values {
    let mut values = Values::new();
    for (condition, figure) in rule.conditions.iter().zip(figures) {
        values.entry(condition.field.clone()).or_insert(figure.value);
    }
    values
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

/// Whether partial data is judged once `max_wait` is over.
fn judges_partial(check: &Check<'_>) -> bool {
    check.last_call && check.rule.partial_data == PartialData::Judge
}
