//! From figures to people: judging alert rules, and telling those concerned.
//!
//! **Owns** the evaluation of rules, the state of alerts, the routing of their changes to receivers, and
//! the delivery of messages through DingTalk, email and webhooks.
//!
//! **Never** reads storage but through [`WindowReader`], keeps state that is not in the [`AlertStore`]
//! first, or lets a secret into a message, an event or a log.
//!
//! **Entry points**: [`Alerting::new`], its [`reconcilers`](Alerting::reconcilers), and the
//! [`TestSender`](nightjar_model::ports::TestSender) it is.
//!
//! **Data flow**: a minute closes → `evaluate` asks for its windows → `evaluation` judges (pure) →
//! `pipeline` decides who is told what (pure) → one transaction → `deliver` → `channels`.

mod channels;
mod config;
mod definitions;
mod deliver;
mod error;
mod evaluate;
mod evaluation;
mod message;
mod payload;
mod pipeline;
mod prune;
mod telemetry;
mod test_send;

use std::sync::Arc;

use nightjar_model::names::MonitorKey;
use nightjar_model::ports::{AlertStore, Fleet, Reconciler, ResourceStore, WindowReader};
use nightjar_model::{Clock, ResourceKey, Timestamp};
use tokio::sync::Notify;

pub use config::AlertingConfig;

use channels::Channels;
use definitions::DefinitionSource;
use deliver::{Deliver, DeliverTask};
use evaluate::{Evaluate, EvaluateSlow, WatchAgents, WatchSight};
use prune::Prune;

/// The room.
pub struct Alerting {
    config: Arc<AlertingConfig>,
    clock: Arc<dyn Clock>,
    definitions: Arc<DefinitionSource>,
    channels: Arc<Channels>,
    evaluate: Arc<Evaluate>,
    deliver: Arc<Deliver>,
    prune: Arc<Prune>,
}

impl Alerting {
    pub fn new(
        config: AlertingConfig,
        clock: Arc<dyn Clock>,
        resources: Arc<dyn ResourceStore>,
        alerts: Arc<dyn AlertStore>,
        windows: Arc<dyn WindowReader>,
        fleet: Arc<dyn Fleet>,
    ) -> Arc<Self> {
        let config = Arc::new(config);
        let definitions = Arc::new(DefinitionSource::new(resources.clone(), clock.clone()));
        let channels = Arc::new(Channels::new(resources.clone(), definitions.clone(), clock.clone(), &config));
        let deliver_wake = Arc::new(Notify::new());
        let deliver = Arc::new(Deliver::new(
            config.clone(),
            clock.clone(),
            alerts.clone(),
            resources,
            definitions.clone(),
            channels.clone(),
            deliver_wake.clone(),
        ));
        let prune = Arc::new(Prune { clock: clock.clone(), alerts: alerts.clone(), keep: config.keep_history.0 });
        let evaluate = Arc::new(Evaluate::new(
            config.clone(),
            clock.clone(),
            alerts,
            windows,
            fleet,
            definitions.clone(),
            deliver_wake,
        ));
        Arc::new(Self { config, clock, definitions, channels, evaluate, deliver, prune })
    }

    /// The background work: `alerting.evaluate`, `alerting.evaluate_slow`, `alerting.agents`,
    /// `alerting.sight`, `alerting.deliver`, `alerting.prune`.
    pub fn reconcilers(&self) -> Vec<Arc<dyn Reconciler>> {
        vec![
            self.evaluate.clone(),
            Arc::new(EvaluateSlow(self.evaluate.clone())),
            Arc::new(WatchAgents(self.evaluate.clone())),
            Arc::new(WatchSight(self.evaluate.clone())),
            Arc::new(DeliverTask(self.deliver.clone())),
            self.prune.clone(),
        ]
    }

    /// To be called when every window of a monitor that ends at or before the time is complete.
    pub fn window_closed(&self, _monitor: &MonitorKey, _through: Timestamp) {
        self.evaluate.wake.notify_one();
    }

    /// To be called after documents were written or deleted.
    pub fn resources_changed(&self, _keys: &[ResourceKey]) {
        self.definitions.invalidate();
        self.evaluate.wake.notify_one();
    }

    /// Sends no more messages and waits for those on their way, at most the time-out of a send. What is
    /// left in the queue is sent after the next start.
    pub async fn close(&self) {
        self.deliver.close().await;
    }
}
