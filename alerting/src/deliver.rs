//! The reconciler that empties the queue.
//!
//! Each receiver has a lane: its messages leave one at a time and in order, however slow it is, and
//! no lane waits for another. A lane reads its own part of the queue, so that no number of messages to
//! one receiver stands between the others and theirs. An attempt is a row before it is made and after
//! it; what was sent is never sent again, and what may not have been is tried again.

mod backoff;
mod far_off;
mod lane;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use nightjar_model::alert::{NotificationQuery, NotificationStatus, Receiver};
use nightjar_model::ports::{AlertStore, Reconciler, ResourceStore};
use nightjar_model::{Clock, Result, Timestamp};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::channels::Channels;
use crate::config::AlertingConfig;
use crate::definitions::DefinitionSource;
use crate::pipeline::channel_name;
use crate::telemetry;
use lane::Lane;

/// Notifications looked at on start, to learn who must wait and how many messages robots have sent.
const PAGES_ON_START: usize = 10;
const PAGE: u32 = 200;

pub(crate) struct Deliver {
    pub(crate) config: Arc<AlertingConfig>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alerts: Arc<dyn AlertStore>,
    pub(crate) resources: Arc<dyn ResourceStore>,
    pub(crate) definitions: Arc<DefinitionSource>,
    pub(crate) channels: Arc<Channels>,
    pub(crate) wake: Arc<Notify>,
    lanes: Mutex<HashMap<Receiver, Lane>>,
    /// Whether the lanes know what happened before the start.
    recalled: AtomicBool,
    /// When messages that wait too long were last looked for.
    looked_far: Mutex<Option<Timestamp>>,
    sends: Semaphore,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Deliver {
    pub(crate) fn new(
        config: Arc<AlertingConfig>,
        clock: Arc<dyn Clock>,
        alerts: Arc<dyn AlertStore>,
        resources: Arc<dyn ResourceStore>,
        definitions: Arc<DefinitionSource>,
        channels: Arc<Channels>,
        wake: Arc<Notify>,
    ) -> Self {
        let sends = Semaphore::new(config.concurrent_sends);
        Self {
            config,
            clock,
            alerts,
            resources,
            definitions,
            channels,
            wake,
            lanes: Mutex::default(),
            recalled: AtomicBool::new(false),
            looked_far: Mutex::default(),
            sends,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Starts no more messages and waits for those on their way.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Takes one of a robot's messages of this minute, for a message outside the queue.
    pub(crate) fn reserve(&self, receiver: &Receiver, most_per_minute: u32) -> Result<(), Timestamp> {
        let now = self.clock.now();
        self.with_lane(receiver, |lane| lane.reserve(now, most_per_minute))
    }

    fn with_lane<T>(&self, receiver: &Receiver, act: impl FnOnce(&mut Lane) -> T) -> T {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        act(lanes.entry(receiver.clone()).or_default())
    }

    fn lanes_each(&self, act: impl FnMut(&mut Lane)) {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).values_mut().for_each(act);
    }

    /// Learns from the store what the lanes knew before the restart.
    async fn recall(&self) -> Result<()> {
        if self.recalled.load(Ordering::Acquire) {
            return Ok(());
        }
        let now = self.clock.now();
        for workspace in self.resources.workspaces().await? {
            for status in [NotificationStatus::Sent, NotificationStatus::Pending] {
                let mut query = NotificationQuery {
                    workspace: workspace.clone(),
                    alert: None,
                    status: Some(status),
                    limit: PAGE,
                    cursor: None,
                };
                for _ in 0..PAGES_ON_START {
                    let page = self.alerts.notifications(&query).await?;
                    for notification in &page.items {
                        self.with_lane(&notification.to(), |lane| lane.recall(notification, now));
                    }
                    match page.next {
                        Some(next) => query.cursor = Some(next),
                        None => break,
                    }
                }
            }
        }
        self.recalled.store(true, Ordering::Release);
        Ok(())
    }

    async fn dispatch(self: &Arc<Self>) -> Result<()> {
        self.recall().await?;
        let now = self.clock.now();
        self.call_back(now).await?;
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, lane| lane.matters(now));
        let due = self.alerts.due_receivers(now).await?;
        telemetry::queue_depth(due.iter().map(|(_, messages)| messages).sum());
        for (receiver, _) in due {
            if self.stop.is_cancelled() || !self.with_lane(&receiver, Lane::enter) {
                continue;
            }
            let channel = channel_name(receiver.channel);
            let span = tracing::info_span!("deliver", channel, receiver = receiver.name);
            let this = Arc::clone(self);
            self.tasks.spawn(async move { this.work_off(receiver).await }.instrument(span));
        }
        Ok(())
    }
}

/// The part that the driver runs; lanes need the shared [`Deliver`] itself.
pub(crate) struct DeliverTask(pub(crate) Arc<Deliver>);

#[async_trait]
impl Reconciler for DeliverTask {
    fn name(&self) -> &'static str {
        "alerting.deliver"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn wake(&self) -> Option<&Notify> {
        Some(&self.0.wake)
    }

    async fn activate(&self) -> Result<()> {
        self.0.dispatch().await
    }
}
