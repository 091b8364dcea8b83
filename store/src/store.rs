//! The store as a whole: what its parts share, from opening to closing.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use nightjar_model::ports::{ChangeListener, Reconciler};
use nightjar_model::{Clock, Error, ResourceKey, Result, Timestamp};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::config::StoreConfig;
use crate::database::Database;
use crate::error::StoreError;
use crate::people::bootstrap::{self, Bootstrap, Bootstrapped};
use crate::people::passwords::Passwords;
use crate::people::throttle::Throttle;
use crate::pruning;
use crate::vault::Vault;

/// The store; answers the ports `ResourceStore`, `Identities`, `AgentRegistry` and `AlertStore`.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) config: StoreConfig,
    pub(crate) database: Database,
    pub(crate) vault: Vault,
    pub(crate) passwords: Passwords,
    pub(crate) throttle: Mutex<Throttle>,
    clock: Arc<dyn Clock>,
    listeners: RwLock<Vec<ChangeListener>>,
    writes: TaskTracker,
}

impl Store {
    /// Connects, brings the tables up to date and reads (or makes) the key of the secrets.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be reached or the key does not belong to it.
    pub async fn open(config: StoreConfig, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        let database = Database::open(&config).await?;
        let vault = Vault::open(&config, &database).await?;
        let passwords = Passwords::new(&config)?;
        let shared = Shared {
            config,
            database,
            vault,
            passwords,
            throttle: Mutex::default(),
            clock,
            listeners: RwLock::default(),
            writes: TaskTracker::new(),
        };
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    /// Makes the first administrator, if there is no user yet, and the administrator's token.
    ///
    /// # Errors
    /// `InvalidInput` for a password that is too short; what the database and the disk give.
    pub async fn bootstrap(&self, bootstrap: Bootstrap) -> Result<Bootstrapped> {
        Ok(bootstrap::run(&self.shared, bootstrap).await?)
    }

    /// What prunes sessions and tokens, and the audit log.
    pub fn reconcilers(&self) -> Vec<Arc<dyn Reconciler>> {
        pruning::reconcilers(&self.shared)
    }

    /// Waits for writes under way and closes the connections.
    ///
    /// # Errors
    /// What the database gives; what was acknowledged is safe all the same.
    pub async fn close(&self) -> Result<()> {
        self.shared.writes.close();
        self.shared.writes.wait().await;
        Ok(self.shared.database.close().await?)
    }
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_listener(&self, listener: ChangeListener) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    pub(crate) fn tell(&self, changed: &[ResourceKey]) {
        if changed.is_empty() {
            return;
        }
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in listeners {
            listener(changed);
        }
    }

    /// Runs a write to its end even if whoever asked for it goes away, so that a commit is never
    /// without its listeners.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        self: &Arc<Self>,
        what: &'static str,
        write: impl Future<Output = crate::error::Result<T>> + Send + 'static,
    ) -> Result<T> {
        let span = tracing::debug_span!("store.write", what);
        match self.writes.spawn(write.instrument(span)).await {
            Ok(outcome) => Ok(outcome?),
            Err(error) => Err(Error::from(StoreError::Internal(format!("a write broke off: {error}")))),
        }
    }
}
