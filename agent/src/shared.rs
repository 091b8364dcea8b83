//! Where the two halves of a running agent meet: the thread that reads and counts ([`gather`](crate::gather))
//! and the task that talks to the server ([`session`](crate::session)).

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightjar_model::Clock;
use nightjar_model::agents::MonitorReport;
use nightjar_model::protocol::wire;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use crate::journal::Journal;
use crate::zone::HostZone;

/// What the server wants collected, as it came and as it is kept over restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Configuration {
    pub(crate) version: String,
    /// Name and document of each monitor.
    pub(crate) monitors: Vec<(String, String)>,
    /// By name; one that is deleted and made again has another.
    #[serde(default)]
    pub(crate) uids: BTreeMap<String, String>,
}

impl From<wire::Config> for Configuration {
    fn from(config: wire::Config) -> Self {
        let uids = config.monitors.iter().map(|monitor| (monitor.name.clone(), monitor.uid.clone())).collect();
        let monitors = config.monitors.into_iter().map(|monitor| (monitor.name, monitor.spec_json)).collect();
        Self { version: config.version, monitors, uids }
    }
}

/// The configuration in force, and what of it was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) version: String,
    pub(crate) problems: Vec<Refusal>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) monitor: String,
    pub(crate) path: String,
    pub(crate) message: String,
}

/// What heartbeats tell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reports {
    pub(crate) monitors: Vec<MonitorReport>,
    /// Device and inode of some of the files that each monitor reads.
    pub(crate) on_disk: BTreeMap<String, Vec<(u64, u64)>>,
    pub(crate) paused: bool,
}

pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    journal: Mutex<Journal>,
    /// There is a new record in the journal.
    pub(crate) appended: Notify,
    inbox: Mutex<Inbox>,
    woken: Condvar,
    pub(crate) applied: watch::Sender<Applied>,
    /// The host's zone, once it is another than at the start.
    pub(crate) zone: watch::Sender<Option<HostZone>>,
    reports: Mutex<Reports>,
}

/// What the gathering thread is asked. Only the latest configuration counts, so none queues up.
#[derive(Default)]
struct Inbox {
    configuration: Option<Configuration>,
    stop: bool,
    /// The server took records: there may be room again.
    acknowledged: bool,
}

impl Shared {
    pub(crate) fn new(clock: Arc<dyn Clock>, journal: Journal) -> Self {
        Self {
            clock,
            journal: Mutex::new(journal),
            appended: Notify::new(),
            inbox: Mutex::default(),
            woken: Condvar::new(),
            applied: watch::Sender::new(Applied::default()),
            zone: watch::Sender::new(None),
            reports: Mutex::default(),
        }
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        lock(&self.journal)
    }

    pub(crate) fn reports(&self) -> Reports {
        lock(&self.reports).clone()
    }

    pub(crate) fn report(&self, reports: Reports) {
        *lock(&self.reports) = reports;
    }

    pub(crate) fn configure(&self, configuration: Configuration) {
        lock(&self.inbox).configuration = Some(configuration);
        self.woken.notify_all();
    }

    pub(crate) fn stop(&self) {
        lock(&self.inbox).stop = true;
        self.woken.notify_all();
    }

    pub(crate) fn acknowledge(&self, sequence: u64) {
        let was_full = {
            let mut journal = self.journal();
            let was_full = journal.is_full();
            journal.acknowledge(sequence, self.clock.now());
            was_full
        };
        if was_full {
            lock(&self.inbox).acknowledged = true;
            self.woken.notify_all();
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        lock(&self.inbox).stop
    }

    /// Waits until there is something to do or `timeout` has passed; the new configuration, if any.
    pub(crate) fn wait(&self, timeout: Duration) -> Option<Configuration> {
        let inbox = lock(&self.inbox);
        let idle = |inbox: &mut Inbox| !inbox.stop && !inbox.acknowledged && inbox.configuration.is_none();
        let (mut inbox, _) =
            self.woken.wait_timeout_while(inbox, timeout, idle).unwrap_or_else(PoisonError::into_inner);
        inbox.acknowledged = false;
        inbox.configuration.take()
    }
}

/// What these locks guard stays whole even if a holder panics: it is replaced, never half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
