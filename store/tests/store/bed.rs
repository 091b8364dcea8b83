//! What a case stands on: a store on a database of its own, with a clock that the case drives.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use nightjar_model::identity::{Actor, AuditEntry, UserChange};
use nightjar_model::ports::{Applied, Identities, ResourceStore, WriteOptions};
use nightjar_model::{Clock, Error, Kind, Resource, ResourceKey, Secret, Timestamp};
use nightjar_store::{Store, StoreConfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::postgres::Server;

/// 2026-03-01T00:00:00Z: any time will do.
pub(crate) const START: Timestamp = Timestamp(1_772_323_200_000);

pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) struct Bed {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) config: StoreConfig,
    pub(crate) directory: TempDir,
    /// Where the database keeps its files.
    pub(crate) files: PathBuf,
}

impl Bed {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = directory.path().to_owned();
        Self::open(config(directory.path()), directory, files).await
    }

    pub(crate) async fn postgres(server: &Server, database: &str) -> Self {
        let url = server.create_database(database).await;
        let directory = tempfile::tempdir().unwrap();
        let config = StoreConfig { url: Some(url), ..config(directory.path()) };
        Self::open(config, directory, server.data().to_owned()).await
    }

    async fn open(config: StoreConfig, directory: TempDir, files: PathBuf) -> Self {
        let clock = Arc::new(TestClock(AtomicI64::new(START.millis())));
        let store = Store::open(config.clone(), clock.clone()).await.unwrap();
        Self { store, clock, config, directory, files }
    }

    pub(crate) async fn apply(&self, documents: &[Value]) -> Result<Vec<Applied>, Error> {
        self.apply_with(documents, WriteOptions::default()).await
    }

    pub(crate) async fn apply_with(&self, documents: &[Value], options: WriteOptions) -> Result<Vec<Applied>, Error> {
        self.store.apply(&alice(), documents.iter().map(resource).collect(), options).await
    }

    pub(crate) async fn audit(&self) -> Vec<AuditEntry> {
        self.store.audit_log(None, 0, None).await.unwrap().items
    }

    /// `action kind name` of each entry of the audit log, oldest first.
    pub(crate) async fn told(&self) -> Vec<String> {
        let entries = self.audit().await;
        entries.iter().rev().map(|entry| format!("{} {} {}", entry.action, entry.kind, entry.name)).collect()
    }

    pub(crate) async fn user(&self, name: &str, password: &str, admin: bool) {
        let change =
            UserChange { password: Some(Secret::new(password)), platform_admin: Some(admin), ..UserChange::default() };
        self.store.put_user(&alice(), name, change).await.unwrap();
    }
}

pub(crate) fn config(data_dir: &Path) -> StoreConfig {
    // Weak hashes: what is tested is not how long they take.
    StoreConfig {
        data_dir: data_dir.to_owned(),
        password_memory_kib: 64,
        password_iterations: 1,
        ..StoreConfig::default()
    }
}

/// Runs them all at the same time.
pub(crate) async fn race<F>(racers: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    racers.into_iter().collect::<JoinSet<_>>().join_all().await
}

pub(crate) fn alice() -> Actor {
    Actor { name: "user:alice".into(), address: Some("192.0.2.7".into()) }
}

pub(crate) fn resource(value: &Value) -> Resource {
    Resource::from_value(value, None).unwrap()
}

pub(crate) fn key(kind: Kind, name: &str) -> ResourceKey {
    ResourceKey::new(kind, "default", name)
}

pub(crate) fn monitor(name: &str, stats: &[&str]) -> Value {
    let stats: Vec<Value> = stats.iter().map(|stat| json!({ "name": stat, "fn": "lines" })).collect();
    json!({
        "kind": "Monitor",
        "metadata": { "name": name },
        "spec": {
            "type": "minute",
            "source": { "log": { "paths": [{ "path": "/var/log/app.log" }] } },
            "stats": stats,
        },
    })
}

pub(crate) fn rule(name: &str, monitor: &str, field: &str) -> Value {
    json!({
        "kind": "AlertRule",
        "metadata": { "name": name },
        "spec": { "monitor": monitor, "conditions": [{ "field": field, "op": ">", "threshold": 100 }] },
    })
}

pub(crate) fn robot(name: &str, url: &str, secret: &str) -> Value {
    json!({ "kind": "DingtalkRobot", "metadata": { "name": name }, "spec": { "url": url, "secret": secret } })
}

/// Asserts the problems of a refused request, as `path: message` with the message's start.
#[track_caller]
pub(crate) fn check_problems<T: std::fmt::Debug>(outcome: Result<T, Error>, expected: &[(&str, &str)]) {
    let error = outcome.expect_err("should be refused");
    let found: Vec<(&str, &str)> = error.problems.iter().map(|p| (p.path.as_str(), p.message.as_str())).collect();
    let fits = found.len() == expected.len()
        && found.iter().zip(expected).all(|((path, message), (p, m))| path == p && message.contains(m));
    assert!(fits, "{}: {found:#?}", error.message);
}
