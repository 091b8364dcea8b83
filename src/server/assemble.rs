//! Builds the rooms and wires their ports: the one place that knows them all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use nightjar_alerting::Alerting;
use nightjar_collector::{Collector, TlsPem};
use nightjar_engine::Engine;
use nightjar_model::ports::ResourceStore;
use nightjar_model::{Clock, Secret};
use nightjar_store::{Bootstrap, Store};
use nightjar_web::{About, Services, Web};

use super::catalog::Catalog;
use super::config::Config;
use super::lab::AgentLab;
use super::metrics::{self, Upkeep};
use super::tasks::Driver;

pub(super) struct Rooms {
    pub(super) store: Arc<Store>,
    pub(super) alerting: Arc<Alerting>,
    pub(super) engine: Arc<Engine>,
    pub(super) collector: Arc<Collector>,
    pub(super) web: Arc<Web>,
    pub(super) driver: Arc<Driver>,
    pub(super) ready: Arc<AtomicBool>,
    pub(super) http_tls: Option<Arc<rustls::ServerConfig>>,
    pub(super) agents_tls: Option<TlsPem>,
}

impl Rooms {
    /// Opens the store, recovers the engine, and builds the rooms on them.
    pub(super) async fn open(
        config: &Config,
        clock: Arc<dyn Clock>,
        http: SocketAddr,
        agents: SocketAddr,
    ) -> Result<Self> {
        let recorder = metrics::install()?;
        let http_tls = config.web.tls.as_ref().map(nightjar_web::TlsFiles::load).transpose()?;
        let agents_tls = config.collector.tls.as_ref().map(nightjar_collector::TlsFiles::load).transpose()?;

        let store = Store::open(config.store.clone(), Arc::clone(&clock)).await.context("opening the store")?;
        bootstrap(&store, config, http).await?;
        let catalog = Catalog::new(store.clone());
        let engine = Engine::open(config.engine.clone(), Arc::clone(&clock), catalog.clone())
            .await
            .context("opening the engine")?;
        let collector =
            Collector::new(config.collector.clone(), Arc::clone(&clock), store.clone(), store.clone(), engine.clone());
        let alerting = Alerting::new(
            config.alerting.clone(),
            Arc::clone(&clock),
            store.clone(),
            store.clone(),
            engine.clone(),
            collector.clone(),
        );

        let listeners = (catalog, Arc::clone(&collector), Arc::clone(&alerting));
        store.on_change(Arc::new(move |keys| {
            listeners.0.resources_changed(keys);
            listeners.1.resources_changed(keys);
            listeners.2.resources_changed(keys);
        }));
        let judge = Arc::clone(&alerting);
        engine.on_closed(Arc::new(move |monitor, through| judge.window_closed(monitor, through)));

        let mut reconcilers = engine.reconcilers();
        reconcilers.extend(collector.reconcilers());
        reconcilers.extend(alerting.reconcilers());
        reconcilers.extend(store.reconcilers());
        reconcilers.push(Upkeep::reconciler(recorder.clone()));
        let driver = Driver::new(Arc::clone(&clock), reconcilers);

        let ready = Arc::new(AtomicBool::new(false));
        let services = Services {
            resources: store.clone(),
            identities: store.clone(),
            registry: store.clone(),
            alerts: store.clone(),
            fleet: collector.clone(),
            windows: engine.clone(),
            lab: Arc::new(AgentLab),
            test_sender: alerting.clone(),
            tasks: driver.clone(),
            clock,
            about: About {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                agents_port: agents.port(),
                agents_tls: agents_tls.is_some(),
                metrics: Some(recorder),
                ready: Arc::clone(&ready),
            },
        };
        let web = Web::new(config.web.clone(), services);
        Ok(Self { store, alerting, engine, collector, web, driver, ready, http_tls, agents_tls })
    }
}

/// The first administrator, and the token given from outside.
async fn bootstrap(store: &Store, config: &Config, http: SocketAddr) -> Result<()> {
    let secret = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty()).map(Secret::new);
    let made = store
        .bootstrap(Bootstrap {
            admin_password: secret("NIGHTJAR_ADMIN_PASSWORD"),
            bootstrap_token: secret("NIGHTJAR_BOOTSTRAP_TOKEN"),
            data_dir: config.data_dir.clone(),
        })
        .await
        .context("making the first administrator")?;
    if made.admin_created {
        tracing::info!(user = "admin", address = %http, "the first administrator was made");
    }
    if let Some(file) = made.password_file {
        tracing::info!(file = %file.display(), "its password is in this file; change it and delete the file");
    }
    Ok(())
}
