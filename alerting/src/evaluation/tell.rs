//! What a check is told by.

use std::collections::BTreeSet;

use nightjar_model::alert::AlertState;
use nightjar_model::kinds::alert_rule::AlertRuleSpec;
use nightjar_model::names::AgentId;
use nightjar_model::query::{Completeness, CompletenessState, IncompleteReason};

use super::coverage::Coverage;
use super::figures::{self, Figure};
use super::{Check, Truth, Values};

pub(super) fn describe(rule: &AlertRuleSpec, figures: &[Figure], truth: Truth, coverage: &Coverage) -> String {
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
    let told = told.join("; ");
    match coverage.holes.len() {
        _ if !coverage.is_complete => format!("{told} (on partial data)"),
        0 => told,
        1 => format!("{told} (1 minute of it is not complete)"),
        holes => format!("{told} ({holes} minutes of it are not complete)"),
    }
}

pub(super) fn held(check: &Check<'_>, state: &AlertState, reason: &str) -> String {
    let (needed, window) = (check.rule.for_.times, check.rule.for_.window());
    let first = check.at.saturating_sub(check.rule.every.0 * window);
    let counts = |(at, found): &(&_, &nightjar_model::alert::Found)| **at > first.max(state.since) && found.holds;
    let held = state.found.range(..=check.at).filter(counts).count();
    format!("{reason}; held in {held} of the last {window} checks, {needed} are needed")
}

pub(super) fn values(rule: &AlertRuleSpec, figures: &[Figure]) -> Values {
    let mut values = Values::new();
    for (condition, figure) in rule.conditions.iter().zip(figures) {
        values.entry(condition.field.clone()).or_insert(figure.value);
    }
    values
}

/// Of the windows that the check reads, those that are not complete.
fn incomplete_marks<'a>(check: &'a Check<'_>) -> impl Iterator<Item = &'a Completeness> {
    let (from, until) = (check.at.saturating_sub(check.rule.reach().0), check.at);
    let marks = check.answer.completeness.iter().filter(move |mark| mark.time >= from && mark.time < until);
    marks.filter(|mark| !mark.state.is_complete())
}

/// Whether nothing is missing but what was before the monitor began, or while it was paused, with the moment that
/// agents took to hear of it.
pub(crate) fn nobody_was_expected(check: &Check<'_>) -> bool {
    let mut reasons = incomplete_marks(check).map(|mark| mark.reason);
    reasons.next() == Some(Some(IncompleteReason::NobodyExpected))
        && reasons
            .all(|reason| matches!(reason, Some(IncompleteReason::NobodyExpected | IncompleteReason::NotCollected)))
}

/// What of the data is missing, why, and by whom.
pub(crate) fn incomplete(check: &Check<'_>) -> String {
    let marks = || incomplete_marks(check);
    let never: Option<&Completeness> = marks().find(|mark| mark.state == CompletenessState::Never);
    let (reach, at, wait) = (check.rule.reach(), check.at, check.rule.max_wait);
    let what = if reach.0 > check.monitor.width() { format!("the {reach}") } else { "the minute".to_owned() };
    let missing: BTreeSet<&AgentId> = marks().flat_map(|mark| &mark.missing).collect();
    let who = named(check, &missing);
    match never.filter(|_| marks().all(|mark| mark.state == CompletenessState::Never)) {
        Some(mark) => {
            let why = match mark.reason {
                Some(IncompleteReason::NobodyExpected) | None => "no agent was expected to report then",
                Some(IncompleteReason::NotCollected) => "an agent that was expected began to read later",
                Some(IncompleteReason::Left) => "an agent left before it had read all",
                Some(IncompleteReason::Lost) => "something was logged that nobody can read any more",
                Some(IncompleteReason::RolledBack) => "something that was sent is gone",
                Some(IncompleteReason::CountedTwice) => "two agents on one host read the same files",
            };
            format!(
                "{what} to {at} can never be complete: {why}{}",
                who.map(|who| format!("; {who}")).unwrap_or_default()
            )
        }
        None => {
            let who = who.unwrap_or_else(|| "no agent is expected to report".to_owned());
            format!("{what} to {at} is still partial after {wait}; {who}")
        }
    }
}

fn named(check: &Check<'_>, agents: &BTreeSet<&AgentId>) -> Option<String> {
    const MOST_NAMED: usize = 5;
    let name = |agent: &&AgentId| check.hosts.get(*agent).map_or(agent.0.as_str(), String::as_str).to_owned();
    let first: Vec<String> = agents.iter().map(name).take(MOST_NAMED).collect();
    match agents.len() {
        0 => None,
        many if many > MOST_NAMED => Some(format!("{many} agents are missing, among them {}", first.join(", "))),
        _ => Some(format!("missing: {}", first.join(", "))),
    }
}
