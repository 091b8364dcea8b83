use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use nightjar_model::alert::{
    Alert, AlertCommit, AlertEvent, AlertQuery, EventQuery, Notification, NotificationQuery, NotificationStatus,
    Receiver, RuleState,
};
use nightjar_model::ports::{AlertStore, Page};
use nightjar_model::{Error, Result, Timestamp};

#[derive(Default)]
pub(crate) struct MemoryAlerts {
    kept: Mutex<Kept>,
    /// So many commits fail from now on.
    pub(crate) failing_commits: AtomicUsize,
    pub(crate) commits: AtomicUsize,
}

#[derive(Default)]
struct Kept {
    rules: BTreeMap<(String, String), RuleState>,
    alerts: BTreeMap<String, Alert>,
    events: Vec<AlertEvent>,
    notifications: BTreeMap<String, Notification>,
}

impl MemoryAlerts {
    pub(crate) fn all_events(&self) -> Vec<AlertEvent> {
        self.kept.lock().expect("no test panicked here").events.clone()
    }

    pub(crate) fn all_alerts(&self) -> Vec<Alert> {
        self.kept.lock().expect("no test panicked here").alerts.values().cloned().collect()
    }

    pub(crate) fn all_notifications(&self) -> Vec<Notification> {
        let mut all: Vec<_> =
            self.kept.lock().expect("no test panicked here").notifications.values().cloned().collect();
        all.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        all
    }

    fn due(&self, now: Timestamp) -> Vec<Notification> {
        let mut due = self.all_notifications();
        due.retain(|n| n.status == NotificationStatus::Pending && n.next_attempt_at <= now);
        due
    }

    pub(crate) fn states_of(&self, rule: &str) -> usize {
        let kept = self.kept.lock().expect("no test panicked here");
        kept.rules.iter().filter(|((_, name), _)| name == rule).map(|(_, state)| state.states.len()).sum()
    }

    /// Puts a notification into the queue, past evaluation.
    pub(crate) fn enqueue(&self, notification: Notification) {
        self.kept.lock().expect("no test panicked here").notifications.insert(notification.id.clone(), notification);
    }
}

#[async_trait]
impl AlertStore for MemoryAlerts {
    async fn rule_state(&self, workspace: &str, rule: &str) -> Result<RuleState> {
        let kept = self.kept.lock().expect("no test panicked here");
        Ok(kept.rules.get(&(workspace.to_owned(), rule.to_owned())).cloned().unwrap_or_default())
    }

    async fn rules_with_state(&self) -> Result<Vec<(String, String)>> {
        Ok(self.kept.lock().expect("no test panicked here").rules.keys().cloned().collect())
    }

    async fn forget_rule(&self, workspace: &str, rule: &str) -> Result<()> {
        self.kept.lock().expect("no test panicked here").rules.remove(&(workspace.to_owned(), rule.to_owned()));
        Ok(())
    }

    async fn commit(&self, commit: AlertCommit) -> Result<()> {
        let fails = self.failing_commits.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if fails.is_ok() {
            return Err(Error::unavailable("the disk is full"));
        }
        self.commits.fetch_add(1, Ordering::SeqCst);
        let mut kept = self.kept.lock().expect("no test panicked here");
        if let Some((rule, state)) = commit.rule {
            kept.rules.insert((commit.workspace, rule), state);
        }
        kept.alerts.extend(commit.alerts.into_iter().map(|alert| (alert.id.clone(), alert)));
        kept.events.extend(commit.events);
        for notification in commit.notifications {
            let there = kept
                .notifications
                .values()
                .any(|other| other.dedup_key == notification.dedup_key && other.id != notification.id);
            if !there {
                kept.notifications.insert(notification.id.clone(), notification);
            }
        }
        Ok(())
    }

    async fn due_receivers(&self, now: Timestamp) -> Result<Vec<(Receiver, u64)>> {
        let mut due = HashMap::new();
        for notification in self.due(now) {
            *due.entry(notification.to()).or_insert(0) += 1;
        }
        Ok(due.into_iter().collect())
    }

    async fn due_notifications(&self, receiver: &Receiver, now: Timestamp, limit: u32) -> Result<Vec<String>> {
        let due = self.due(now).into_iter().filter(|notification| notification.to() == *receiver);
        Ok(due.map(|notification| notification.id).take(limit as usize).collect())
    }

    async fn alert(&self, _: &str, id: &str) -> Result<Alert> {
        let kept = self.kept.lock().expect("no test panicked here");
        kept.alerts.get(id).cloned().ok_or_else(|| Error::not_found("there is no such alert"))
    }

    async fn alerts(&self, _: &AlertQuery) -> Result<Page<Alert>> {
        Ok(Page { items: self.all_alerts(), next: None })
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<AlertEvent>> {
        Ok(Page {
            items: self.all_events().into_iter().rev().filter(|event| event.alert == query.alert).collect(),
            next: None,
        })
    }

    async fn notification(&self, _: &str, id: &str) -> Result<Notification> {
        let kept = self.kept.lock().expect("no test panicked here");
        kept.notifications.get(id).cloned().ok_or_else(|| Error::not_found("there is no such notification"))
    }

    async fn notifications(&self, query: &NotificationQuery) -> Result<Page<Notification>> {
        let mut items = self.all_notifications();
        items.reverse();
        items.retain(|n| query.status.is_none_or(|status| n.status == status));
        items.truncate(query.limit as usize);
        Ok(Page { items, next: None })
    }

    async fn prune(&self, before: Timestamp) -> Result<u64> {
        let mut kept = self.kept.lock().expect("no test panicked here");
        let all = kept.alerts.len();
        kept.alerts.retain(|_, alert| alert.ended_at.is_none_or(|ended| ended >= before));
        Ok((all - kept.alerts.len()) as u64)
    }
}
