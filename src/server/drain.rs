//! An orderly end: one room after the other, those that take long named every five seconds, and a hard
//! limit after which the process goes without them. What the WAL and the journals hold is safe either
//! way; a clean end only makes the next start faster.

use std::time::Duration;

use nightjar_model::Result;
use tokio::time::{Instant, interval_at, sleep_until};
use tracing::{info, warn};

const NAME_EVERY: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(30);

pub(super) struct Drain {
    deadline: Instant,
}

impl Drain {
    pub(super) fn begin() -> Self {
        Self { deadline: Instant::now() + LIMIT }
    }

    /// Waits for one room.
    pub(super) async fn step<T>(&self, name: &'static str, ending: impl Future<Output = T>) {
        self.watch(|| vec![name], ending).await;
        info!(room = name, "ended");
    }

    /// Waits for a room whose end can fail; the others are ended all the same.
    pub(super) async fn fallible(&self, name: &'static str, ending: impl Future<Output = Result<()>>) {
        match self.watch(|| vec![name], ending).await {
            Ok(()) => info!(room = name, "ended"),
            Err(error) => warn!(room = name, %error, "did not end cleanly; the next start makes up for it"),
        }
    }

    /// Waits for several, which `left` names.
    pub(super) async fn watch<T>(&self, left: impl Fn() -> Vec<&'static str>, ending: impl Future<Output = T>) -> T {
        let mut tick = interval_at(Instant::now() + NAME_EVERY, NAME_EVERY);
        tokio::pin!(ending);
        loop {
            tokio::select! {
                ended = &mut ending => return ended,
                _ = tick.tick() => warn!(waiting_for = ?left(), "still shutting down"),
                () = sleep_until(self.deadline) => {
                    warn!(waiting_for = ?left(), "gave up after {} s; nothing acknowledged is lost", LIMIT.as_secs());
                    std::process::exit(1);
                }
            }
        }
    }
}
