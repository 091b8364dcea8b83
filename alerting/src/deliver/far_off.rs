//! Messages that wait for longer than anything here makes them wait: the clock was ahead when their next
//! attempt was set, and was set back since. They are due at once.

use std::sync::PoisonError;
use std::time::Duration;

use nightjar_model::alert::{Channel, Notification, NotificationStatus};
use nightjar_model::{Result, Timestamp};

use super::lane::{LISTED, Lane, Leave, MINUTE, commit, event};
use super::{Deliver, Receiver};
use crate::channels::MOST_RETRY_AFTER;

/// Between two looks, which a clock that is set back cuts short.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Whatever waits is due within this.
const EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

impl Deliver {
    /// Calls them back, if it is time to look for any.
    pub(super) async fn call_back(&self, now: Timestamp) -> Result<()> {
        let looked = *self.looked_far.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.is_some_and(|at| at <= now && now.since(at) < LOOK_EVERY) {
            return Ok(());
        }
        let longest = self.longest_wait();
        self.lanes_each(|lane| lane.wait_at_most(longest, now));
        let ever = now.saturating_add(EVER);
        for (receiver, _) in self.alerts.due_receivers(ever).await? {
            let latest = now.saturating_add(self.longest_wait_of(&receiver).await?);
            for id in self.alerts.due_notifications(&receiver, ever, LISTED).await? {
                let listed = self.alerts.notification(&receiver.workspace, &id).await?;
                if listed.next_attempt_at > latest {
                    self.call_one_back(&receiver, &listed, now).await?;
                }
            }
        }
        *self.looked_far.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }

    async fn call_one_back(&self, receiver: &Receiver, listed: &Notification, now: Timestamp) -> Result<()> {
        // Of one that is on its way just now, the lane writes what came of it.
        if !self.with_lane(receiver, Lane::enter) {
            return Ok(());
        }
        let _leave = Leave { deliver: self, receiver };
        let mut notification = self.alerts.notification(&listed.workspace, &listed.id).await?;
        if notification.status != NotificationStatus::Pending || notification.next_attempt_at != listed.next_attempt_at
        {
            return Ok(());
        }
        notification.next_attempt_at = now;
        let reason = format!("was to wait until {}: the clock was ahead; due at once", listed.next_attempt_at);
        tracing::info!(notification = notification.id, "a message {reason}");
        let event = event(&notification, now, "retry", reason);
        self.alerts.commit(commit(&notification, vec![event])).await
    }

    /// A receiver is left alone for so long at most: by the longest backoff with its jitter, or as it asked.
    fn longest_wait(&self) -> Duration {
        MOST_RETRY_AFTER.max(self.config.longest_retry.0 * 2)
    }

    /// Messages to a robot may also wait for their turn behind as many as are read from the queue at once.
    async fn longest_wait_of(&self, receiver: &Receiver) -> Result<Duration> {
        let longest = self.longest_wait();
        if receiver.channel != Channel::Dingtalk {
            return Ok(longest);
        }
        let definitions = self.definitions.current().await?;
        let robot = definitions.robot(&receiver.workspace, &receiver.name);
        let most = robot.map_or(1, |robot| robot.max_per_minute.max(1));
        Ok(longest.max(MINUTE * (LISTED / most + 2)))
    }
}
