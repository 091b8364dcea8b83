//! One receiver's messages, one after the other.

use std::collections::VecDeque;
use std::time::Duration;

use nightjar_model::alert::{AlertCommit, AlertEvent, Channel, Notification, NotificationStatus, Receiver};
use nightjar_model::{ErrorKind, Timestamp};

use super::{Deliver, backoff};
use crate::channels::Outcome;
use crate::payload::Payload;
use crate::pipeline::channel_name;
use crate::telemetry;

/// Messages of a lane known at once, by their ids; each is read when its turn comes.
pub(super) const LISTED: u32 = 500;
/// A robot's messages are counted over a little more than its minute: the provider's clock is another.
pub(super) const MINUTE: Duration = Duration::from_secs(61);
/// An attempt whose end was not recorded, because the server died in it, is made again after this.
const LEASE: Duration = Duration::from_secs(30);
/// Between attempts to record what came of a message that has left.
const RECORD_AGAIN: Duration = Duration::from_secs(1);

/// What is known of a receiver.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Somebody works it off.
    busy: bool,
    /// Nothing leaves before this.
    blocked_until: Timestamp,
    /// When messages left in the last minute; as many as a robot may send.
    left: VecDeque<Timestamp>,
}

impl Lane {
    /// Whether the caller may work it off now.
    pub(super) fn enter(&mut self) -> bool {
        !std::mem::replace(&mut self.busy, true)
    }

    pub(super) fn matters(&self, now: Timestamp) -> bool {
        self.busy || self.blocked_until > now || self.left.back().is_some_and(|left| now.since(*left) < MINUTE)
    }

    pub(super) fn recall(&mut self, notification: &Notification, now: Timestamp) {
        if let Some(sent) = notification.sent_at.filter(|sent| now.since(*sent) < MINUTE) {
            let at = self.left.partition_point(|left| *left <= sent);
            self.left.insert(at, sent);
        }
        let waits = notification.status == NotificationStatus::Pending && notification.attempts > 0;
        if waits && notification.next_attempt_at > now {
            self.blocked_until = self.blocked_until.max(notification.next_attempt_at);
        }
    }

    /// After the clock was set back: nothing holds the lane for longer than `longest`.
    pub(super) fn wait_at_most(&mut self, longest: Duration, now: Timestamp) {
        if self.blocked_until > now.saturating_add(longest) {
            self.blocked_until = now;
        }
    }

    /// Counts one message; or says from when on there is room for one.
    pub(super) fn reserve(&mut self, now: Timestamp, most_per_minute: u32) -> Result<(), Timestamp> {
        // On a clock that was set back since. They may have left just now, and are counted so: a minute
        // late at most, and the robot's limit holds.
        for left in self.left.iter_mut().rev().take_while(|left| **left > now) {
            *left = now;
        }
        while self.left.front().is_some_and(|left| now.since(*left) >= MINUTE) {
            self.left.pop_front();
        }
        let most = most_per_minute.max(1) as usize;
        if self.left.len() >= most {
            // The last `most` messages count; `front` may be older than needed after the limit was lowered.
            return Err(self.left[self.left.len() - most].saturating_add(MINUTE));
        }
        self.left.push_back(now);
        Ok(())
    }
}

/// Why the rest of a lane has to wait.
struct Hold {
    until: Timestamp,
    reason: String,
    /// Messages that may leave each minute from then on; `None` for any number.
    per_minute: Option<u32>,
}

impl Deliver {
    /// Sends what waits until it is all gone or the receiver has to be left alone for a while.
    pub(super) async fn work_off(&self, receiver: Receiver) {
        let _leave = Leave { deliver: self, receiver: &receiver };
        loop {
            let listed = match self.alerts.due_notifications(&receiver, self.clock.now(), LISTED).await {
                Ok(listed) => listed,
                Err(error) => {
                    tracing::warn!("the queue cannot be read: {error}");
                    return;
                }
            };
            let all = listed.len() < LISTED as usize;
            if !self.send_in_order(&receiver, listed).await || all {
                return;
            }
        }
    }

    /// Whether the receiver can be sent more.
    async fn send_in_order(&self, receiver: &Receiver, listed: Vec<String>) -> bool {
        let mut waiting = listed.into_iter();
        let blocked_until = self.with_lane(receiver, |lane| lane.blocked_until);
        let mut hold = (blocked_until > self.clock.now()).then(|| Hold {
            until: blocked_until,
            reason: "waits behind an earlier message to the same receiver".to_owned(),
            per_minute: None,
        });
        while hold.is_none() && !self.stop.is_cancelled() {
            let Some(id) = waiting.next() else { return true };
            hold = match self.attempt(receiver, &id).await {
                Ok(None) => None,
                Ok(Some(hold)) => {
                    if hold.per_minute.is_some() {
                        // It was not tried: it waits with the others, at their head.
                        self.postpone(receiver, &hold, std::iter::once(id).chain(waiting.by_ref())).await;
                    }
                    Some(hold)
                }
                Err(error) => {
                    tracing::warn!("the queue cannot be read or written: {error}");
                    return false;
                }
            };
        }
        if let Some(hold) = hold {
            self.with_lane(receiver, |lane| lane.blocked_until = lane.blocked_until.max(hold.until));
            self.postpone(receiver, &hold, waiting).await;
        }
        false
    }

    /// One attempt at one message. `Some` if the receiver is to be left alone after it.
    async fn attempt(&self, receiver: &Receiver, id: &str) -> nightjar_model::Result<Option<Hold>> {
        let mut notification = match self.alerts.notification(&receiver.workspace, id).await {
            Ok(notification) => notification,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let now = self.clock.now();
        // A slow lane's list is old when the last of it has its turn.
        if notification.status != NotificationStatus::Pending || notification.next_attempt_at > now {
            return Ok(None);
        }
        if let Some(hold) = self.wait_for_room(receiver, &notification, now).await? {
            return Ok(Some(hold));
        }
        let Ok(_permit) = self.sends.acquire().await else { return Ok(None) };
        notification.attempts += 1;
        notification.next_attempt_at = now.saturating_add(LEASE + self.config.send_timeout.0);
        self.alerts.commit(commit(&notification, Vec::new())).await?;

        let outcome = self.channels.send(&notification).await;
        let now = self.clock.now();
        let (event, hold) = self.settle(&mut notification, outcome, now);
        // A message that has left and is not recorded would leave again.
        while let Err(error) = self.alerts.commit(commit(&notification, vec![event.clone()])).await {
            tracing::warn!("what came of a message cannot be recorded, trying again: {error}");
            tokio::select! {
                () = tokio::time::sleep(RECORD_AGAIN) => {}
                () = self.stop.cancelled() => return Err(error),
            }
        }
        Ok(hold)
    }

    async fn wait_for_room(
        &self,
        receiver: &Receiver,
        notification: &Notification,
        now: Timestamp,
    ) -> nightjar_model::Result<Option<Hold>> {
        if notification.channel != Channel::Dingtalk {
            return Ok(None);
        }
        let definitions = self.definitions.current().await?;
        let Some(robot) = definitions.robot(&notification.workspace, &notification.receiver) else { return Ok(None) };
        let most = robot.max_per_minute;
        let room = self.with_lane(receiver, |lane| lane.reserve(now, most));
        Ok(room.err().map(|until| Hold {
            until,
            reason: format!("the robot has sent its {most} messages of this minute"),
            per_minute: Some(most),
        }))
    }

    fn settle(&self, notification: &mut Notification, outcome: Outcome, now: Timestamp) -> (AlertEvent, Option<Hold>) {
        let channel = channel_name(notification.channel);
        let attempts = notification.attempts;
        let (kind, said, hold) = match outcome {
            Outcome::Sent(said) => {
                notification.status = NotificationStatus::Sent;
                notification.sent_at = Some(now);
                if let Ok(payload) = Payload::from_value(&notification.payload) {
                    telemetry::lag(now.since(payload.minute_end));
                }
                ("sent", said, None)
            }
            Outcome::Refused(said) => {
                notification.status = NotificationStatus::Failed;
                ("failed", format!("refused for good: {said}"), None)
            }
            Outcome::Retry { reason, after } => {
                let config = &self.config;
                let delay = backoff::delay(&notification.id, attempts, config.first_retry.0, config.longest_retry.0);
                let until = now.saturating_add(after.unwrap_or(delay).max(delay));
                let hold = Hold {
                    until,
                    reason: "waits behind an earlier message to the same receiver".to_owned(),
                    per_minute: None,
                };
                if now.since(notification.created_at) >= config.give_up_after.0 {
                    notification.status = NotificationStatus::Failed;
                    let given_up = format!("given up after {} and {attempts} attempts: {reason}", config.give_up_after);
                    ("failed", given_up, Some(hold))
                } else {
                    notification.next_attempt_at = until;
                    ("retry", format!("attempt {attempts}: {reason}; again at {until}"), Some(hold))
                }
            }
        };
        telemetry::notification(channel, kind);
        notification.last_answer = Some(said.clone());
        (event(notification, now, kind, format!("{channel} `{}`: {said}", notification.receiver)), hold)
    }

    /// Says of messages that must wait until when they do, and why.
    async fn postpone(&self, receiver: &Receiver, hold: &Hold, waiting: impl Iterator<Item = String>) {
        let now = self.clock.now();
        for (place, id) in waiting.enumerate() {
            let turn = hold.per_minute.map_or(0, |most| place as u32 / most.max(1));
            let until = hold.until.saturating_add(MINUTE * turn);
            let stored = match self.alerts.notification(&receiver.workspace, &id).await {
                Ok(stored) => stored,
                Err(error) => {
                    tracing::warn!("a waiting message cannot be read: {error}");
                    continue;
                }
            };
            if stored.status != NotificationStatus::Pending || stored.next_attempt_at >= until {
                continue;
            }
            let told_before = stored.last_answer.is_some();
            let mut notification = stored;
            notification.next_attempt_at = until;
            let mut events = Vec::new();
            if !told_before {
                telemetry::notification(channel_name(notification.channel), "delayed");
                notification.last_answer = Some(hold.reason.clone());
                events.push(event(&notification, now, "delayed", format!("{}; until {until}", hold.reason)));
            }
            if let Err(error) = self.alerts.commit(commit(&notification, events)).await {
                tracing::warn!("a waiting message cannot be postponed: {error}");
            }
        }
    }
}

pub(super) fn commit(notification: &Notification, events: Vec<AlertEvent>) -> AlertCommit {
    AlertCommit {
        workspace: notification.workspace.clone(),
        events,
        notifications: vec![notification.clone()],
        ..AlertCommit::default()
    }
}

pub(super) fn event(notification: &Notification, at: Timestamp, outcome: &str, reason: String) -> AlertEvent {
    AlertEvent {
        at,
        alert: notification.alert.clone(),
        stage: "deliver".to_owned(),
        outcome: outcome.to_owned(),
        reason,
        notification: Some(notification.id.clone()),
    }
}

/// Frees the lane, also when its task is dropped.
pub(super) struct Leave<'a> {
    pub(super) deliver: &'a Deliver,
    pub(super) receiver: &'a Receiver,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.deliver.with_lane(self.receiver, |lane| lane.busy = false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_holds_more_than_its_messages() {
        let mut lane = Lane::default();
        let mut left: Vec<i64> = Vec::new();
        let mut now = Timestamp(0);
        for step in 0..500 {
            match lane.reserve(now, 3) {
                Ok(()) => left.push(now.millis()),
                Err(until) => assert!(until > now && until.millis() <= now.millis() + 61_000),
            }
            now = now.saturating_add(Duration::from_millis(1_000 + (step * 7_919) % 9_000));
        }
        assert!(left.windows(4).all(|four| four[3] - four[0] >= 61_000));
        assert!(left.len() > 3 * 30, "the limit is used: {}", left.len());
    }

    #[test]
    fn a_clock_set_back_holds_messages_for_a_minute_at_most() {
        let mut lane = Lane::default();
        let ahead = Timestamp(7_200_000);
        assert!((0..3).all(|_| lane.reserve(ahead, 3).is_ok()));
        let now = Timestamp(1_000);
        assert_eq!(lane.reserve(now, 3), Err(now.saturating_add(MINUTE)));
        assert_eq!(lane.reserve(now.saturating_add(MINUTE), 3), Ok(()));
    }
}
