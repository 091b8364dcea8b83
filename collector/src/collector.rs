//! The room itself: what it is made of, how it starts and how it drains.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightjar_model::agents::AgentRecord;
use nightjar_model::names::AgentId;
use nightjar_model::ports::{AgentRegistry, Intake, Reconciler, ResourceStore};
use nightjar_model::protocol::MAX_MESSAGE_BYTES;
use nightjar_model::protocol::wire::agents_server::AgentsServer;
use nightjar_model::resource::{Kind, ResourceKey};
use nightjar_model::{Clock, Error, Result, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};

use crate::config::{CollectorConfig, TlsPem};
use crate::hand_out::{HandOut, Plan};
use crate::incoming::{self, Incoming, LimitStrangers};
use crate::live::Live;
use crate::refusal::Refusal;
use crate::service::AgentService;

/// Where agents connect. See the crate's documentation.
pub struct Collector {
    pub(crate) config: CollectorConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) resources: Arc<dyn ResourceStore>,
    pub(crate) registry: Arc<dyn AgentRegistry>,
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) plan: watch::Sender<Arc<Plan>>,
    /// Documents or fleet changed.
    pub(crate) changed: Notify,
    pub(crate) hand_out_turn: Semaphore,
    /// Places for sessions.
    pub(crate) places: Arc<Semaphore>,
    /// Uncompressed KiB of records between arrival and acknowledgement.
    pub(crate) in_flight: Semaphore,
    /// Calls whose caller is not known yet.
    pub(crate) strangers: Semaphore,
    pub(crate) tasks: TaskTracker,
    pub(crate) closing: CancellationToken,
    /// Before it nobody was there to hear of agents.
    pub(crate) started_at: Timestamp,
    live: Mutex<HashMap<AgentId, Arc<Live>>>,
}

impl Collector {
    pub fn new(
        config: CollectorConfig,
        clock: Arc<dyn Clock>,
        resources: Arc<dyn ResourceStore>,
        registry: Arc<dyn AgentRegistry>,
        intake: Arc<dyn Intake>,
    ) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(config.max_sessions as usize)),
            in_flight: Semaphore::new((config.in_flight_bytes >> 10) as usize),
            strangers: Semaphore::new(64),
            plan: watch::Sender::new(Arc::default()),
            changed: Notify::new(),
            hand_out_turn: Semaphore::new(1),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            live: Mutex::default(),
            started_at: clock.now(),
            config,
            clock,
            resources,
            registry,
            intake,
        })
    }

    /// Serves agents until `shutdown`, then lets every session finish the record it is at, and
    /// returns once all have.
    ///
    /// # Errors
    /// Documents or fleet cannot be read, or the certificate is none.
    pub async fn serve(
        self: &Arc<Self>,
        listener: TcpListener,
        tls: Option<TlsPem>,
        shutdown: CancellationToken,
    ) -> Result<()> {
        // Before the first agent is heard, so that none of what it sends is taken for unknown.
        self.hand_out().await?;
        let service = AgentsServer::new(AgentService(Arc::clone(self)))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let mut server = Server::builder()
            .layer(LimitStrangers)
            .http2_keepalive_interval(Some(Duration::from_secs(10)))
            .http2_keepalive_timeout(Some(Duration::from_secs(10)))
            .max_concurrent_streams(16)
            .http2_max_header_list_size(16 << 10)
            .http2_max_pending_accept_reset_streams(Some(20));
        if let Some(pem) = tls {
            let identity = Identity::from_pem(&pem.certificate, &pem.key);
            server = server.tls_config(ServerTlsConfig::new().identity(identity)).map_err(|error| {
                Error::invalid(format!("the agents' certificate or key is not usable: {error}"), vec![])
            })?;
        }
        let connections = incoming::connections(self.config.max_sessions);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).filter_map(move |taken| match taken {
            Ok(stream) => Incoming::admit(&connections, stream).map(Ok),
            Err(error) => Some(Err(error)),
        });
        let closing = self.closing.clone();
        let serving = server.add_service(service).serve_with_incoming_shutdown(incoming, async move {
            shutdown.cancelled().await;
            closing.cancel();
        });
        let outcome = serving.await.map_err(|error| Error::internal(format!("serving agents failed: {error}")));
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        outcome
    }

    /// To be called with every change of documents.
    pub fn resources_changed(&self, keys: &[ResourceKey]) {
        if keys.iter().any(|key| key.kind == Kind::Monitor) {
            self.changed.notify_one();
        }
    }

    pub fn reconcilers(self: &Arc<Self>) -> Vec<Arc<dyn Reconciler>> {
        vec![Arc::new(HandOut(Arc::clone(self)))]
    }

    pub(crate) fn live(&self, id: &AgentId) -> Option<Arc<Live>> {
        self.live_agents().get(id).cloned()
    }

    /// Puts a new session in its place; answers the one that had it.
    pub(crate) fn install(&self, live: &Arc<Live>) -> Option<Arc<Live>> {
        self.live_agents().insert(live.id.clone(), Arc::clone(live))
    }

    /// Ends the sessions of agents that are not enrolled any more, and forgets them.
    pub(crate) fn forget_all_but(&self, agents: &[AgentRecord]) {
        let enrolled: HashSet<&AgentId> = agents.iter().map(|agent| &agent.id).collect();
        // An agent that enrolled since the list was read is connected but not in it, so only those
        // without a session are forgotten here; `disconnect` ends the others.
        self.live_agents().retain(|id, live| live.is_connected() || enrolled.contains(id));
    }

    pub(crate) fn remove(&self, id: &AgentId) {
        let removed = self.live_agents().remove(id);
        if let Some(live) = removed {
            live.end_with(Refusal::Removed);
        }
    }

    pub(crate) fn live_agents(&self) -> MutexGuard<'_, HashMap<AgentId, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
