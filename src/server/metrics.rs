//! The server's own metrics: the recorder behind `/metrics`, and what the process takes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use nightjar_model::ports::Reconciler;

/// Upper bounds of everything measured in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Installs the process's recorder.
pub(super) fn install() -> Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
        .context("the buckets of the metrics")?
        .install_recorder()
        .context("another metrics recorder is already installed")
}

/// Keeps the recorder small and the process's own figures fresh.
pub(super) struct Upkeep(pub(super) PrometheusHandle);

impl Upkeep {
    pub(super) fn reconciler(handle: PrometheusHandle) -> Arc<dyn Reconciler> {
        Arc::new(Self(handle))
    }
}

#[async_trait]
impl Reconciler for Upkeep {
    fn name(&self) -> &'static str {
        "server.metrics"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn activate(&self) -> nightjar_model::Result<()> {
        self.0.run_upkeep();
        if let Some(bytes) = resident_bytes() {
            metrics::gauge!("nightjar_process_resident_bytes").set(bytes as f64);
        }
        if let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") {
            metrics::gauge!("nightjar_process_open_files").set(descriptors.count() as f64);
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
