//! What is known of a rule between two checks: its stored state, kept at hand.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use nightjar_model::alert::{Alert, AlertState, Phase, RuleState};
use nightjar_model::ports::AlertStore;
use nightjar_model::{ErrorKind, Resource, Result, Timestamp};

use super::form::Form;
use super::record::Record;
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

/// A read of data that did not settle its check.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) check: Timestamp,
    /// Whether the minute was complete then.
    pub(super) complete: bool,
    pub(super) when: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) form: Form,
    pub(super) judged_through: Option<Timestamp>,
    /// The check before the first that was left unjudged and may be complete yet: from there the rule goes on
    /// then, and after a restart.
    pub(super) before_unjudged: Option<Timestamp>,
    pub(super) states: States,
    /// Firing alerts, by id. As many as there are firing states.
    alerts: HashMap<String, Alert>,
    /// When the state was last written.
    pub(super) written: Option<Timestamp>,
    pub(super) looked: Option<Look>,
    /// Whether the last check left something unjudged, or keys out: told once, not at every check.
    pub(super) unjudged: bool,
    pub(super) over_limit: bool,
    /// Why the last check was passed over, if it was.
    pub(super) passed_over: Option<String>,
}

impl Memory {
    pub(super) async fn load(store: &Arc<dyn AlertStore>, id: &RuleId) -> Result<Self> {
        let state = store.rule_state(&id.workspace, &id.name).await?;
        Ok(Self {
            form: Form::from_text(&state.rule_uid),
            judged_through: state.judged_through,
            states: state.states.into_iter().map(|state| (state.keys.clone(), state)).collect(),
            ..Self::default()
        })
    }

    pub(super) fn of_new_rule(form: Form) -> Self {
        Self { form, ..Self::default() }
    }

    pub(super) fn to_state(&self) -> RuleState {
        RuleState {
            judged_through: self.before_unjudged.or(self.judged_through),
            rule_uid: self.form.to_text(),
            states: self.states.values().cloned().collect(),
        }
    }

    pub(super) fn firing(&self) -> usize {
        self.states.values().filter(|state| state.phase == Phase::Firing).count()
    }

    /// Whether anything changed but when keys were last seen.
    pub(super) fn take_states(&mut self, states: States) -> bool {
        let same = |a: &AlertState, b: &AlertState| {
            a.phase == b.phase && a.checks == b.checks && a.recovering == b.recovering && a.alert == b.alert
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
