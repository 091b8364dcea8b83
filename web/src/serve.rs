//! The server: routes and layers put together, connections taken, shutdown.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::{Router, middleware};
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use nightjar_model::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};

use crate::auth::{AccessTable, VerifiedPasswords, guard};
use crate::config::WebConfig;
use crate::connection::{self, Gate};
use crate::edge::edge;
use crate::installer::AgentBinary;
use crate::places::Places;
use crate::services::Services;
use crate::{api, console, openapi};

#[derive(Debug, thiserror::Error)]
pub enum WebError {
    #[error("HTTP listener failed")]
    Serve(#[source] std::io::Error),
    #[error("TLS: {}: {reason}", file.display())]
    Tls { file: PathBuf, reason: String },
}

impl From<WebError> for Error {
    fn from(error: WebError) -> Self {
        match &error {
            WebError::Serve(source) => Self::internal(format!("{error}: {source}")),
            WebError::Tls { .. } => Self::invalid(error.to_string(), Vec::new()),
        }
    }
}

/// What handlers share.
pub(crate) struct Shared {
    pub(crate) config: WebConfig,
    pub(crate) services: Services,
    pub(crate) access: AccessTable,
    pub(crate) passwords: VerifiedPasswords,
    pub(crate) agent_binary: AgentBinary,
    pub(crate) openapi_json: Vec<u8>,
    pub(crate) places: Places,
    tls: AtomicBool,
}

impl Shared {
    /// Whether connections are encrypted by this server.
    pub(crate) fn tls(&self) -> bool {
        self.tls.load(Ordering::Relaxed)
    }
}

/// The HTTP server.
pub struct Web {
    shared: Arc<Shared>,
    router: Router,
}

impl Web {
    pub fn new(config: WebConfig, services: Services) -> Arc<Self> {
        let (routes, document) = openapi::complete(api::routes(), &services.about.version);
        let shared = Arc::new(Shared {
            access: AccessTable::of_document(&document),
            passwords: VerifiedPasswords::new(),
            agent_binary: AgentBinary::new(config.agent_binary()),
            openapi_json: serde_json::to_vec(&document).unwrap_or_default(),
            places: Places::new(config.max_requests, config.max_requests_per_address),
            tls: AtomicBool::new(false),
            config,
            services,
        });
        // A download keeps its length, and does not shrink anyway.
        let compression = CompressionLayer::new()
            .compress_when(DefaultPredicate::new().and(NotForContentType::const_new("application/octet-stream")));
        let router = routes
            .fallback(console::serve)
            .layer(middleware::from_fn_with_state(shared.clone(), guard))
            .layer(middleware::from_fn_with_state(shared.clone(), edge))
            .layer(compression)
            .with_state(shared.clone());
        Arc::new(Self { shared, router })
    }

    /// The routes with all their layers, for tests and for serving in some other way.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Answers requests until `stop`; then takes no more, and waits for those under way for as long as
    /// the configuration says.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        &self,
        listener: TcpListener,
        tls: Option<Arc<rustls::ServerConfig>>,
        stop: CancellationToken,
    ) -> Result<(), WebError> {
        self.shared.tls.store(tls.is_some(), Ordering::Relaxed);
        let listener = listener.into_std().map_err(WebError::Serve)?;
        let handle = Handle::new();
        let app = self.router.clone().into_make_service_with_connect_info::<SocketAddr>();
        let gate = Gate(connection::connections(&self.shared.config));
        let mut server = axum_server::from_tcp(listener).map_err(WebError::Serve)?.handle(handle.clone());
        connection::limit(server.http_builder());
        match tls {
            Some(tls) => {
                // Inside the gate: a handshake that does not come on is a connection on which nothing begins.
                let tls = RustlsAcceptor::new(RustlsConfig::from_config(tls)).acceptor(gate);
                self.drain_on(stop, handle, server.acceptor(tls).serve(app)).await
            }
            None => self.drain_on(stop, handle, server.acceptor(gate).serve(app)).await,
        }
    }

    async fn drain_on(
        &self,
        stop: CancellationToken,
        handle: Handle<SocketAddr>,
        serving: impl Future<Output = std::io::Result<()>>,
    ) -> Result<(), WebError> {
        tokio::pin!(serving);
        let ended = tokio::select! {
            ended = &mut serving => ended,
            () = stop.cancelled() => {
                self.shared.services.about.ready.store(false, Ordering::Relaxed);
                handle.graceful_shutdown(Some(self.shared.config.drain_timeout.0));
                serving.await
            }
        };
        ended.map_err(WebError::Serve)
    }
}
