//! Rules that come and go.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use nightjar_model::alert::RuleState;
use nightjar_model::kinds::Spec;
use nightjar_model::kinds::alert_rule::AlertRuleSpec;
use nightjar_model::{Kind, ResourceKey, Result, Timestamp};

use super::form::Form;
use super::memory::{Memory, RuleId};
use super::record::Record;
use super::{Evaluate, Subject};
use crate::definitions::Definitions;
use crate::evaluation;

impl Evaluate {
    /// The rule is new, was made anew under the name of a deleted one, or watches another monitor now.
    pub(super) async fn start_afresh(
        &self,
        subject: &Subject<'_>,
        memory: &mut Memory,
        form: Form,
        why: &str,
        now: Timestamp,
    ) -> Result<()> {
        let mut record = Record::default();
        for transition in evaluation::close_all(&memory.states, now, why) {
            self.record_transition(subject, memory, now, &transition, &mut record).await?;
        }
        *memory = Memory::of_new_rule(form);
        if record.is_empty() {
            return Ok(());
        }
        memory.taken_up = Some(now.floor(subject.rule.every.0));
        self.store(subject, memory, record, true).await
    }

    /// Closes what rules left behind that were deleted or disabled since the last look.
    pub(super) async fn retire(&self, definitions: &Arc<Definitions>) -> Result<BTreeMap<RuleId, String>> {
        let seen = self.swept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if seen.is_some_and(|seen| Arc::ptr_eq(&seen, definitions)) {
            return Ok(BTreeMap::new());
        }
        let mut failures = BTreeMap::new();
        for (workspace, name) in self.alerts.rules_with_state().await? {
            if super::system::is_system(&name) {
                continue;
            }
            let id = RuleId { workspace, name };
            let key = ResourceKey::new(Kind::AlertRule, &id.workspace, &id.name);
            let resource = definitions.resource(&key);
            let rule = resource.and_then(|resource| match &resource.spec {
                Spec::AlertRule(rule) => Some(rule.as_ref()),
                _ => None,
            });
            if rule.is_some_and(|rule| rule.enabled) {
                continue;
            }
            let reason = if rule.is_some() { "its rule was disabled" } else { "its rule was deleted" };
            if let Err(error) = self.close_rule(&id, rule, definitions, reason).await {
                failures.insert(id, error.message);
            }
        }
        if failures.is_empty() {
            *self.swept.lock().unwrap_or_else(PoisonError::into_inner) = Some(definitions.clone());
        }
        Ok(failures)
    }

    /// Closes what a retired rule has firing, then forgets its state.
    async fn close_rule(
        &self,
        id: &RuleId,
        rule: Option<&AlertRuleSpec>,
        definitions: &Definitions,
        reason: &str,
    ) -> Result<()> {
        self.lock_memories().remove(id);
        let every = rule.map_or(Duration::from_secs(60), |rule| rule.every.0);
        let mut memory = Memory::load(&self.alerts, id, every).await?;
        let now = self.clock.now();
        let mut record = Record::default();
        for transition in evaluation::close_all(&memory.states, now, reason) {
            if let Some(mut alert) = memory.alert(&self.alerts, &id.workspace, &transition.alert).await? {
                self.tell(&mut alert, &transition, rule, &[], definitions, now, &mut record);
            }
        }
        if !record.is_empty() {
            let state = RuleState { states: Vec::new(), ..memory.to_state(every) };
            self.commit(id, state, record).await?;
        }
        self.alerts.forget_rule(&id.workspace, &id.name).await
    }
}
