//! Who is told: subscriptions → contact groups → robots, webhooks, contacts' mail; and global webhooks.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use nightjar_model::Kind;
use nightjar_model::alert::Channel;
use nightjar_model::kinds::Spec;
use nightjar_model::kinds::contact::Language;
use nightjar_model::kinds::subscription::{Levels, SubscriptionSpec, Target};

use super::{Concern, Draft, Flow, Occurrence, Passage, Stage, channel_name};

const STAGE: &str = "route";
/// Subscriptions that did not match and are named in the event; of more, only how many.
const MOST_NAMED: usize = 20;

pub(super) struct Route {
    pub(super) language: Language,
    pub(super) zone: Tz,
}

/// Receivers found so far; one that several subscriptions lead to is told once.
type Found = BTreeMap<(&'static str, String), Draft>;

impl Stage for Route {
    fn pass(&self, occurrence: &Occurrence<'_>, passage: &mut Passage) -> Flow {
        let workspace = &occurrence.alert.workspace;
        let mut found = Found::new();
        let mut passed_over = Vec::new();
        let mut matched = false;
        for (resource, subscription) in occurrence.definitions.subscriptions(workspace) {
            let name = &resource.metadata.name;
            match hears(subscription, occurrence) {
                Some(why) => passed_over.push(format!("`{name}` {why}")),
                None => {
                    matched = true;
                    for group in &subscription.to {
                        self.open_group(occurrence, name, group, &mut found, passage);
                    }
                }
            }
        }
        self.add_global_webhooks(occurrence, &mut found, passage);
        if !matched {
            passage.note(occurrence, STAGE, "stopped", no_subscription(&passed_over));
        }
        if found.is_empty() {
            return Flow::Stop;
        }
        passage.drafts = found.into_values().collect();
        Flow::On
    }
}

impl Route {
    fn open_group(
        &self,
        occurrence: &Occurrence<'_>,
        subscription: &str,
        group_name: &str,
        found: &mut Found,
        passage: &mut Passage,
    ) {
        let definitions = occurrence.definitions;
        let workspace = &occurrence.alert.workspace;
        let Some(group) = definitions.group(workspace, group_name) else {
            let reason = format!("subscription `{subscription}`: there is no group `{group_name}`");
            return passage.note(occurrence, STAGE, "stopped", reason);
        };
        let contacts: Vec<_> =
            group.contacts.iter().filter_map(|name| Some((name, definitions.contact(workspace, name)?))).collect();
        let mobiles: Vec<&str> =
            contacts.iter().filter_map(|(_, c)| c.dingtalk.as_ref()).map(|d| d.mobile.as_str()).collect();
        let mut reached = Vec::new();
        let mut unreachable = Vec::new();
        for robot in group.robots.iter().filter(|name| definitions.robot(workspace, name).is_some()) {
            let draft = self.draft(found, Channel::Dingtalk, robot);
            for mobile in &mobiles {
                if !draft.mobiles.iter().any(|known| known == mobile) {
                    draft.mobiles.push((*mobile).to_owned());
                }
            }
            reached.push(format!("robot `{robot}`"));
        }
        for webhook in group.webhooks.iter().filter(|name| definitions.webhook(workspace, name).is_some()) {
            self.draft(found, Channel::Webhook, webhook);
            reached.push(format!("webhook `{webhook}`"));
        }
        let has_email_server = definitions.email_server(workspace).is_some();
        for (name, contact) in contacts {
            match (&contact.email, has_email_server) {
                (Some(_), true) => {
                    let draft = self.draft(found, Channel::Email, name);
                    draft.language = contact.language.unwrap_or(self.language);
                    draft.zone = contact.timezone.as_deref().and_then(|z| z.parse().ok()).unwrap_or(self.zone);
                    reached.push(format!("contact `{name}` by email"));
                }
                (Some(_), false) => unreachable.push(format!("contact `{name}`: the workspace has no EmailServer")),
                (None, _) => unreachable.push(format!("contact `{name}` has no email address")),
            }
        }
        let because = if unreachable.is_empty() { String::new() } else { format!(" ({})", unreachable.join("; ")) };
        let (outcome, what) = if reached.is_empty() {
            ("stopped", format!("group `{group_name}` has no reachable receiver{because}"))
        } else {
            ("passed", format!("group `{group_name}`: {}{because}", reached.join(", ")))
        };
        passage.note(occurrence, STAGE, outcome, format!("subscription `{subscription}` matches; {what}"));
    }

    fn add_global_webhooks(&self, occurrence: &Occurrence<'_>, found: &mut Found, passage: &mut Passage) {
        for resource in occurrence.definitions.of(Kind::Webhook, &occurrence.alert.workspace) {
            let Spec::Webhook(webhook) = &resource.spec else { continue };
            if webhook.global {
                let name = &resource.metadata.name;
                self.draft(found, Channel::Webhook, name);
                passage.note(occurrence, STAGE, "passed", format!("webhook `{name}` is told of every alert"));
            }
        }
    }

    fn draft<'f>(&self, found: &'f mut Found, channel: Channel, receiver: &str) -> &'f mut Draft {
        found.entry((channel_name(channel), receiver.to_owned())).or_insert_with(|| Draft {
            channel,
            receiver: receiver.to_owned(),
            mobiles: Vec::new(),
            language: self.language,
            zone: self.zone,
            payload: None,
        })
    }
}

/// Why a subscription does not match; `None` if it does, for the alert itself or for a rule it is about.
fn hears(subscription: &SubscriptionSpec, occurrence: &Occurrence<'_>) -> Option<String> {
    let alert = occurrence.alert;
    let itself = Concern {
        rule: alert.rule.clone(),
        monitor: alert.monitor.clone(),
        folder: alert.folder.clone(),
        level: alert.level,
    };
    let why = mismatch(subscription, occurrence, &itself)?;
    let is_heard = occurrence.concerns.iter().any(|about| mismatch(subscription, occurrence, about).is_none());
    (!is_heard).then_some(why)
}

fn mismatch(subscription: &SubscriptionSpec, occurrence: &Occurrence<'_>, alert: &Concern) -> Option<String> {
    let workspace = &occurrence.alert.workspace;
    if !subscription.enabled {
        return Some("is disabled".to_owned());
    }
    let app = || occurrence.definitions.monitor(workspace, &alert.monitor).and_then(|monitor| monitor.app.as_deref());
    let (matches, wanted) = match &subscription.target {
        Target::Monitor(name) => (*name == alert.monitor, format!("monitor `{name}`")),
        Target::Rule(name) => (*name == alert.rule, format!("rule `{name}`")),
        Target::App(name) => (app() == Some(name), format!("app `{name}`")),
        Target::Folder(folder) => (is_within(&alert.folder, folder), format!("folder `{folder}`")),
        Target::All(_) => (true, String::new()),
    };
    if !matches {
        return Some(format!("is for {wanted}"));
    }
    match &subscription.levels {
        Levels::Only(levels) if !levels.contains(&alert.level) => {
            let names: Vec<&str> = levels.iter().map(|level| level.name()).collect();
            Some(format!("is for level {}", names.join(", ")))
        }
        _ => None,
    }
}

fn is_within(folder: &str, outer: &str) -> bool {
    let outer = outer.trim_matches('/');
    outer.is_empty() || folder.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn no_subscription(passed_over: &[String]) -> String {
    if passed_over.is_empty() {
        return "no subscription matches: the workspace has none".to_owned();
    }
    let more = match passed_over.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let named = &passed_over[..passed_over.len().min(MOST_NAMED)];
    format!("no subscription matches: {}{more}", named.join("; "))
}

#[cfg(test)]
mod tests {
    use super::is_within;

    #[test]
    fn folders_hold_those_under_them() {
        assert!(is_within("trade/core", "trade"));
        assert!(is_within("trade", "trade"));
        assert!(is_within("trade", "/"));
        assert!(!is_within("trader", "trade"));
        assert!(!is_within("trade", "trade/core"));
    }
}
