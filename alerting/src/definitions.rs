//! The documents alerting works by, read once and kept until one of them changes. Secrets in them are
//! masked: they are fetched when a message is sent, and only then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use nightjar_model::builtin;
use nightjar_model::kinds::Spec;
use nightjar_model::kinds::alert_rule::AlertRuleSpec;
use nightjar_model::kinds::contact::{ContactGroupSpec, ContactSpec};
use nightjar_model::kinds::dingtalk_robot::DingtalkRobotSpec;
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::kinds::subscription::SubscriptionSpec;
use nightjar_model::kinds::webhook::WebhookSpec;
use nightjar_model::ports::{ListQuery, ResourceStore};
use nightjar_model::{Clock, Kind, Resource, ResourceKey, Result, Timestamp};

/// Read again after this long even if no change was told.
const STALE_AFTER: std::time::Duration = std::time::Duration::from_secs(60);

/// All documents, as they were at one moment.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    resources: BTreeMap<ResourceKey, Resource>,
}

macro_rules! lookups {
    ($($name:ident, $kind:ident, $spec:ty;)+) => {
        impl Definitions {
            $(pub(crate) fn $name(&self, workspace: &str, name: &str) -> Option<&$spec> {
                match &self.resources.get(&ResourceKey::new(Kind::$kind, workspace, name))?.spec {
                    Spec::$kind(spec) => Some(spec),
                    _ => None,
                }
            })+
        }
    };
}

lookups! {
    written_monitor, Monitor, MonitorSpec;
    contact, Contact, ContactSpec;
    group, ContactGroup, ContactGroupSpec;
    robot, DingtalkRobot, DingtalkRobotSpec;
    webhook, Webhook, WebhookSpec;
}

impl Definitions {
    pub(crate) fn new(resources: Vec<Resource>) -> Self {
        Self { resources: resources.into_iter().map(|r| (r.key(), r)).collect() }
    }

    /// One that was written, or that every workspace has.
    pub(crate) fn monitor(&self, workspace: &str, name: &str) -> Option<&MonitorSpec> {
        builtin::monitor(name).map(AsRef::as_ref).or_else(|| self.written_monitor(workspace, name))
    }

    pub(crate) fn resource(&self, key: &ResourceKey) -> Option<&Resource> {
        self.resources.get(key)
    }

    /// Those that have documents.
    pub(crate) fn workspaces(&self) -> std::collections::BTreeSet<&str> {
        self.resources.keys().map(|key| key.workspace.as_str()).collect()
    }

    /// Those of a kind in a workspace, by name.
    pub(crate) fn of(&self, kind: Kind, workspace: &str) -> impl Iterator<Item = &Resource> {
        self.resources
            .range(ResourceKey::new(kind, workspace, "")..)
            .take_while(move |(key, _)| key.kind == kind && key.workspace == workspace)
            .map(|(_, resource)| resource)
    }

    /// The rules of all workspaces.
    pub(crate) fn rules(&self) -> impl Iterator<Item = (&Resource, &AlertRuleSpec)> {
        self.resources.values().filter_map(|resource| match &resource.spec {
            Spec::AlertRule(spec) => Some((resource, spec.as_ref())),
            _ => None,
        })
    }

    pub(crate) fn subscriptions(&self, workspace: &str) -> impl Iterator<Item = (&Resource, &SubscriptionSpec)> {
        self.of(Kind::Subscription, workspace).filter_map(|resource| match &resource.spec {
            Spec::Subscription(spec) => Some((resource, spec.as_ref())),
            _ => None,
        })
    }

    /// The server that the workspace's mail goes through: the first by name.
    pub(crate) fn email_server(&self, workspace: &str) -> Option<ResourceKey> {
        self.of(Kind::EmailServer, workspace).next().map(Resource::key)
    }
}

/// Where the present [`Definitions`] come from.
pub(crate) struct DefinitionSource {
    store: Arc<dyn ResourceStore>,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Counts changes, so that what was read while one happened is not kept.
    changes: u64,
    definitions: Option<(Timestamp, Arc<Definitions>)>,
}

impl DefinitionSource {
    pub(crate) fn new(store: Arc<dyn ResourceStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, kept: Mutex::default() }
    }

    pub(crate) fn invalidate(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.changes += 1;
        kept.definitions = None;
    }

    pub(crate) async fn current(&self) -> Result<Arc<Definitions>> {
        let now = self.clock.now();
        let changes = {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            match &kept.definitions {
                Some((read_at, definitions)) if now.since(*read_at) < STALE_AFTER => return Ok(definitions.clone()),
                _ => kept.changes,
            }
        };
        let definitions = Arc::new(self.read().await?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.changes == changes {
            kept.definitions = Some((now, definitions.clone()));
        }
        Ok(definitions)
    }

    async fn read(&self) -> Result<Definitions> {
        let mut resources = Vec::new();
        for kind in Kind::ALL {
            let mut query = ListQuery { kind: Some(kind), ..ListQuery::default() };
            loop {
                let page = self.store.list(&query).await?;
                resources.extend(page.items);
                match page.next {
                    Some(next) => query.cursor = Some(next),
                    None => break,
                }
            }
        }
        Ok(Definitions::new(resources))
    }
}
