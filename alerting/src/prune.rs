//! The reconciler that lets history go.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nightjar_model::ports::{AlertStore, Reconciler};
use nightjar_model::{Clock, Result};

pub(crate) struct Prune {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alerts: Arc<dyn AlertStore>,
    pub(crate) keep: Duration,
}

#[async_trait]
impl Reconciler for Prune {
    fn name(&self) -> &'static str {
        "alerting.prune"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn activate(&self) -> Result<()> {
        let before = self.clock.now().saturating_sub(self.keep);
        let pruned = self.alerts.prune(before).await?;
        if pruned > 0 {
            metrics::counter!("nightjar_alerting_pruned_total").increment(pruned);
            tracing::info!("deleted {pruned} alerts that ended before {before}");
        }
        Ok(())
    }
}
