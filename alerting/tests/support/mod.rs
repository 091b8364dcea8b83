//! In-memory answers to the ports, and a clock that tests drive.

#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod alerts;
pub(crate) mod fleet;
pub(crate) mod resources;
pub(crate) mod windows;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use nightjar_alerting::{Alerting, AlertingConfig};
use nightjar_model::alert::{Notification, NotificationStatus};
use nightjar_model::kinds::contact::Language;
use nightjar_model::{Clock, Span, Timestamp};

pub(crate) use alerts::MemoryAlerts;
pub(crate) use fleet::MemoryFleet;
pub(crate) use resources::MemoryResources;
pub(crate) use windows::MemoryWindows;

pub(crate) const WORKSPACE: &str = "default";

pub(crate) struct FakeClock(AtomicI64);

impl FakeClock {
    pub(crate) fn set(&self, at: Timestamp) {
        self.0.store(at.millis(), Ordering::SeqCst);
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap_or_else(|| panic!("`{text}` is not a time"))
}

/// The room on fakes.
pub(crate) struct House {
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) resources: Arc<MemoryResources>,
    pub(crate) alerts: Arc<MemoryAlerts>,
    pub(crate) windows: Arc<MemoryWindows>,
    pub(crate) fleet: Arc<MemoryFleet>,
    pub(crate) config: AlertingConfig,
    pub(crate) alerting: Arc<Alerting>,
}

impl House {
    pub(crate) fn new(documents: &str) -> Self {
        Self::with(documents, |_| {})
    }

    pub(crate) fn with(documents: &str, adjust: impl FnOnce(&mut AlertingConfig)) -> Self {
        let mut config = AlertingConfig {
            language: Language::English,
            timezone: Some("Asia/Shanghai".into()),
            send_timeout: Span::from_secs(5),
            settle_in: Span::from_secs(0),
            ..AlertingConfig::default()
        };
        adjust(&mut config);
        let clock = Arc::new(FakeClock(AtomicI64::new(time("2026-01-05T10:00:00Z").millis())));
        let resources = Arc::new(MemoryResources::default());
        resources.put_yaml(documents);
        let alerts = Arc::new(MemoryAlerts::default());
        let windows = Arc::new(MemoryWindows::default());
        let fleet = Arc::new(MemoryFleet::default());
        let alerting = Alerting::new(
            config.clone(),
            clock.clone(),
            resources.clone(),
            alerts.clone(),
            windows.clone(),
            fleet.clone(),
        );
        Self { clock, resources, alerts, windows, fleet, config, alerting }
    }

    /// What a restart of the server leaves: the stores.
    pub(crate) fn restart(&mut self) {
        self.alerting = Alerting::new(
            self.config.clone(),
            self.clock.clone(),
            self.resources.clone(),
            self.alerts.clone(),
            self.windows.clone(),
            self.fleet.clone(),
        );
    }

    /// Runs one of the reconcilers once.
    pub(crate) async fn activate(&self, name: &str) -> nightjar_model::Result<()> {
        let reconcilers = self.alerting.reconcilers();
        let found = reconcilers.iter().find(|reconciler| reconciler.name() == name);
        found.unwrap_or_else(|| panic!("there is no {name}")).activate().await
    }

    /// Runs `deliver` until what is stored is as wanted.
    pub(crate) async fn deliver_until(
        &self,
        what: &str,
        wanted: impl Fn(&[Notification]) -> bool,
    ) -> Vec<Notification> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            self.activate("alerting.deliver").await.expect("deliver");
            let stored = self.alerts.all_notifications();
            if wanted(&stored) {
                return stored;
            }
            assert!(Instant::now() < deadline, "{what}: {stored:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub(crate) fn all_sent(notifications: &[Notification]) -> bool {
    notifications.iter().all(|notification| notification.status == NotificationStatus::Sent)
}
