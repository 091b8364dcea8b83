//! What is known of a rule between two checks: its stored state, kept at hand.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use nightjar_model::alert::{Alert, AlertState, Found, Phase, RuleState};
use nightjar_model::ports::AlertStore;
use nightjar_model::{ErrorKind, Resource, Result, Timestamp};

use super::form::Form;
use super::record::Record;
use super::sight::Sight;
use crate::evaluation::{States, Values};

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RuleId {
    pub(super) workspace: String,
    pub(super) name: String,
}

impl RuleId {
    pub(super) fn of(resource: &Resource) -> Self {
        Self { workspace: resource.metadata.workspace.clone(), name: resource.metadata.name.clone() }
    }
}

impl std::fmt::Display for RuleId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.workspace, self.name)
    }
}

/// A check that is not done.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) looked: Option<Look>,
    /// It was left unjudged, and is judged when its data comes.
    pub(super) is_late: bool,
}

/// A read of data that did not settle its check.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) when: Timestamp,
    /// Of the monitor's progress.
    pub(super) revision: u64,
    /// Whether all agents had come so far.
    pub(super) settled: bool,
    pub(super) last_call: bool,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) form: Form,
    /// The latest check that was taken up. Those up to it are done, but for the open ones.
    pub(super) taken_up: Option<Timestamp>,
    pub(super) open: BTreeMap<Timestamp, Open>,
    /// Checks that are done and come after an open one.
    pub(super) done: BTreeSet<Timestamp>,
    pub(super) states: States,
    /// Firing alerts, by id. As many as there are firing states.
    alerts: HashMap<String, Alert>,
    /// When the state was last written.
    pub(super) written: Option<Timestamp>,
    /// The latest check of which something was left out, until one after it is judged whole: told once, not at
    /// every check.
    pub(super) left_out: Option<Timestamp>,
    /// Whether keys are left out, because there are too many.
    pub(super) over_limit: bool,
    /// Why the last check was passed over, if it was.
    pub(super) passed_over: Option<String>,
    /// The last check that was given up.
    pub(super) given_up: Option<Timestamp>,
    pub(super) sight: Sight,
}

impl Memory {
    /// `every` is how often the rule is judged.
    pub(super) async fn load(store: &Arc<dyn AlertStore>, id: &RuleId, every: Duration) -> Result<Self> {
        let state = store.rule_state(&id.workspace, &id.name).await?;
        let through = state.judged_through;
        let dated = |mut state: AlertState| {
            through.iter().for_each(|through| state.date(*through, every));
            (state.keys.clone(), state)
        };
        Ok(Self {
            form: Form::from_text(&state.rule_uid),
            taken_up: through,
            states: state.states.into_iter().map(dated).collect(),
            ..Self::default()
        })
    }

    pub(super) fn of_new_rule(form: Form) -> Self {
        Self { form, ..Self::default() }
    }

    /// Every check up to this one is done.
    pub(super) fn floor(&self, every: Duration) -> Option<Timestamp> {
        let first_open = self.open.first_key_value().map(|(at, _)| at.saturating_sub(every));
        first_open.or(self.taken_up)
    }

    /// After a restart checks go on from the earliest that is not done; what was judged of it is in the states.
    pub(super) fn to_state(&self, every: Duration) -> RuleState {
        RuleState {
            judged_through: self.floor(every),
            rule_uid: self.form.to_text(),
            states: self.states.values().cloned().collect(),
        }
    }

    /// Takes up the checks after `from`, up to `through`.
    pub(super) fn take_up(&mut self, from: Timestamp, through: Timestamp, every: Duration) {
        let mut at = from.floor(every).saturating_add(every);
        while at <= through {
            self.open.entry(at).or_default();
            self.taken_up = self.taken_up.max(Some(at));
            at = at.saturating_add(every);
        }
    }

    pub(super) fn is_done(&mut self, at: Timestamp, every: Duration) {
        self.open.remove(&at);
        self.done.insert(at);
        if let Some(floor) = self.floor(every) {
            self.done = self.done.split_off(&floor.saturating_add(Duration::from_millis(1)));
        }
    }

    /// Leaves everything before `resume` and goes on after it.
    pub(super) fn resume_after(&mut self, resume: Timestamp) {
        self.open.clear();
        self.done.clear();
        self.taken_up = Some(resume);
    }

    pub(super) fn firing(&self) -> usize {
        self.states.values().filter(|state| state.phase == Phase::Firing).count()
    }

    /// Whether anything changed that is worth writing at once: what judging the same checks again would not bring back.
    pub(super) fn take_states(&mut self, states: States) -> bool {
        let same = |a: &AlertState, b: &AlertState| {
            a.phase == b.phase && a.since == b.since && a.alert == b.alert && counting(a).eq(counting(b))
        };
        let unchanged = states.len() == self.states.len()
            && states.iter().zip(&self.states).all(|((k, a), (l, b))| k == l && same(a, b));
        self.states = states;
        !unchanged
    }

    /// The alert with this id, from memory or the store. `None` if it is not there, as after a pruning.
    pub(super) async fn alert(
        &mut self,
        store: &Arc<dyn AlertStore>,
        workspace: &str,
        id: &str,
    ) -> Result<Option<Alert>> {
        if let Some(alert) = self.alerts.get(id) {
            return Ok(Some(alert.clone()));
        }
        match store.alert(workspace, id).await {
            Ok(alert) => Ok(Some(alert)),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn keep(&mut self, alert: Alert) {
        self.alerts.insert(alert.id.clone(), alert);
    }

    pub(super) fn drop_alert(&mut self, id: &str) {
        self.alerts.remove(id);
    }

    /// Brings a firing alert's figures up to date.
    pub(super) async fn refresh(
        &mut self,
        store: &Arc<dyn AlertStore>,
        workspace: &str,
        id: &str,
        values: &Values,
        record: &mut Record,
    ) -> Result<()> {
        let Some(mut alert) = self.alert(store, workspace, id).await? else { return Ok(()) };
        let values: BTreeMap<_, _> = values.clone();
        if alert.values != values {
            alert.values = values;
            record.alerts.push(alert.clone());
        }
        self.keep(alert);
        Ok(())
    }
}

/// The checks that count towards the next change of a state.
fn counting(state: &AlertState) -> impl Iterator<Item = (&Timestamp, &Found)> {
    let put_off = |(_, found): &(&Timestamp, &Found)| found.recovers == Some(false);
    let row_from = match state.phase {
        Phase::Ok => state.since,
        Phase::Firing => state.found.iter().rev().find(put_off).map_or(state.since, |(at, _)| *at),
    };
    let phase = state.phase;
    state.found.iter().filter(move |(at, found)| **at > row_from && (phase == Phase::Firing || found.holds))
}
