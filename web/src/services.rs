//! What the rooms answer on the API's behalf.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use metrics_exporter_prometheus::PrometheusHandle;
use nightjar_model::Clock;
use nightjar_model::ports::{
    AgentRegistry, AlertStore, Fleet, Identities, LineLab, ResourceStore, Tasks, TestSender, WindowReader,
};

/// The ports the API stands on.
#[derive(Clone)]
pub struct Services {
    pub resources: Arc<dyn ResourceStore>,
    pub identities: Arc<dyn Identities>,
    pub registry: Arc<dyn AgentRegistry>,
    pub fleet: Arc<dyn Fleet>,
    pub alerts: Arc<dyn AlertStore>,
    pub windows: Arc<dyn WindowReader>,
    pub lab: Arc<dyn LineLab>,
    pub test_sender: Arc<dyn TestSender>,
    pub tasks: Arc<dyn Tasks>,
    pub clock: Arc<dyn Clock>,
    pub about: About,
}

/// What the process knows of itself.
#[derive(Clone)]
pub struct About {
    pub version: String,
    /// Port of the agents' listener, and whether it speaks TLS.
    pub agents_port: u16,
    pub agents_tls: bool,
    /// What `/metrics` shows; 404 without it.
    pub metrics: Option<PrometheusHandle>,
    /// What `/-/ready` answers. The server takes it back when it begins to shut down.
    pub ready: Arc<AtomicBool>,
}
