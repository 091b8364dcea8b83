//! Alerts that no rule of a user's brings about: of agents, and of rules that are blind. They have the state,
//! routing, messages and timeline of any other; what stands for their rule is made here.

use nightjar_model::kinds::Spec;
use nightjar_model::kinds::alert_rule::{AlertRuleSpec, Level};
use nightjar_model::kinds::contact::Language;
use nightjar_model::names::MonitorKey;
use nightjar_model::{Error, Metadata, Resource, Result, Timestamp};

use nightjar_model::alert::{AlertKeys, AlertState, Phase};

use super::memory::{Memory, RuleId};
use super::record::Record;
use super::{Evaluate, Subject};
use crate::definitions::Definitions;
use crate::evaluation::{Change, Transition, Values, alert_id};
use crate::pipeline::Concern;

/// A kind of such alerts. Its name stands in place of a rule's; users' names cannot start with `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    chinese: &'static str,
    english: &'static str,
}

pub(super) const AGENT_LOST: Kind = Kind { name: "_agent-lost", chinese: "采集代理失联", english: "Agent lost" };
pub(super) const AGENT_UNWELL: Kind =
    Kind { name: "_agent-unwell", chinese: "采集代理异常", english: "Agent unwell" };
pub(super) const BLIND: Kind =
    Kind { name: "_blind", chinese: "告警规则无法判定", english: "Rules cannot be judged" };

/// Whether the name is that of such alerts.
pub(super) fn is_system(rule: &str) -> bool {
    rule.starts_with('_')
}

/// What is to become of one alert.
pub(super) struct News {
    pub(super) change: Change,
    pub(super) keys: AlertKeys,
    pub(super) reason: String,
    /// The rules it is about: who hears of them hears of this.
    pub(super) concerns: Vec<Concern>,
    pub(super) monitor: String,
    pub(super) folder: String,
    pub(super) level: Level,
}

impl Evaluate {
    /// Writes and tells the news of one kind in a workspace. In a state, `seen` is when it was last told.
    pub(super) async fn tell_news(
        &self,
        kind: Kind,
        workspace: &str,
        definitions: &Definitions,
        memory: &mut Memory,
        news: Vec<News>,
        now: Timestamp,
    ) -> Result<()> {
        for piece in news {
            let resource = stand_in(kind, workspace, &piece, self.config.language)?;
            let Spec::AlertRule(rule) = &resource.spec else { continue };
            let subject = Subject {
                id: RuleId::of(&resource),
                uid: kind.name,
                resource: &resource,
                rule,
                definitions,
                concerns: &piece.concerns,
            };
            let known = memory.states.get(&piece.keys).and_then(|state| state.alert.clone());
            let alert = match piece.change {
                Change::Fired => alert_id(&format!("{} {workspace}", kind.name), &piece.keys, now),
                _ => known.unwrap_or_default(),
            };
            let transition = Transition {
                change: piece.change,
                at: now,
                keys: piece.keys.clone(),
                alert: alert.clone(),
                reason: piece.reason,
                values: Values::new(),
            };
            let mut record = Record::default();
            self.record_transition(&subject, memory, now, &transition, &mut record).await?;
            match piece.change {
                Change::Fired | Change::Reminded => {
                    let state = memory.states.entry(piece.keys.clone()).or_insert_with(|| AlertState::new(piece.keys));
                    state.phase = Phase::Firing;
                    (state.seen, state.alert) = (now, Some(alert));
                    if piece.change == Change::Fired {
                        state.since = now;
                    }
                }
                Change::Recovered | Change::Closed => drop(memory.states.remove(&piece.keys)),
            }
            self.store(&subject, memory, record, true).await?;
        }
        Ok(())
    }

    /// Whether it is time to tell again of what goes on.
    pub(super) fn is_to_be_reminded(&self, state: &AlertState, now: Timestamp) -> bool {
        let every = self.config.remind_every.0;
        !every.is_zero() && now.since(state.seen) >= every
    }
}

/// What stands for the rule of such an alert.
fn stand_in(kind: Kind, workspace: &str, news: &News, language: Language) -> Result<Resource> {
    let spec = serde_json::json!({ "monitor": news.monitor, "level": news.level, "conditions": [] });
    let spec: AlertRuleSpec = serde_json::from_value(spec).map_err(|error| Error::internal(error.to_string()))?;
    let title = match language {
        Language::Chinese => kind.chinese,
        Language::English => kind.english,
    };
    let metadata = Metadata {
        name: kind.name.to_owned(),
        workspace: workspace.to_owned(),
        display_name: title.to_owned(),
        folder: news.folder.clone(),
        ..Metadata::default()
    };
    Ok(Resource { metadata, spec: Spec::AlertRule(Box::new(spec)) })
}

/// The enabled rules of a monitor.
pub(super) fn rules_of<'a>(
    definitions: &'a Definitions,
    monitor: &'a MonitorKey,
) -> impl Iterator<Item = (&'a Resource, &'a AlertRuleSpec)> {
    definitions.rules().filter(|(resource, rule)| {
        rule.enabled && rule.monitor == monitor.name && resource.metadata.workspace == monitor.workspace
    })
}

pub(super) fn concern(resource: &Resource, rule: &AlertRuleSpec) -> Concern {
    Concern {
        rule: resource.metadata.name.clone(),
        monitor: rule.monitor.clone(),
        folder: resource.metadata.folder.clone(),
        level: rule.level,
    }
}
