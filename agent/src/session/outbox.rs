//! Which records are on their way: in order, a bounded number at once, again after `Busy`.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

const MAX_RECORDS: usize = 32;
const MAX_BYTES: usize = 8 << 20;
/// A server that is busy is asked again at the soonest after this, at the latest after the other.
const SOONEST: Duration = Duration::from_millis(50);
const LATEST: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Outbox {
    /// The last sequence sent.
    sent: u64,
    in_flight: VecDeque<(u64, usize)>,
    bytes: usize,
    held_until: Option<Instant>,
}

impl Outbox {
    pub(super) fn after(taken: u64) -> Self {
        Self { sent: taken, in_flight: VecDeque::new(), bytes: 0, held_until: None }
    }

    /// The sequence after which the next record is to be sent now, if one may be.
    pub(super) fn next(&mut self, now: Instant) -> Option<u64> {
        if self.held_until.is_some_and(|until| now >= until) {
            self.held_until = None;
        }
        let room = self.in_flight.len() < MAX_RECORDS && self.bytes < MAX_BYTES;
        (room && self.held_until.is_none()).then_some(self.sent)
    }

    pub(super) fn sent(&mut self, sequence: u64, bytes: usize) {
        self.sent = sequence;
        self.bytes += bytes;
        self.in_flight.push_back((sequence, bytes));
    }

    pub(super) fn acknowledged(&mut self, sequence: u64) {
        while let Some((_, bytes)) = self.in_flight.front().copied().filter(|(first, _)| *first <= sequence) {
            self.bytes -= bytes;
            self.in_flight.pop_front();
        }
        self.sent = self.sent.max(sequence);
    }

    /// The server could not take this one: it and those after it are sent again after a while.
    pub(super) fn busy(&mut self, sequence: u64, retry_after: Duration, now: Instant) {
        // An answer to what was sent before an earlier one was refused says nothing new.
        let Some(first) = self.in_flight.iter().position(|(sent, _)| *sent == sequence) else { return };
        for (_, bytes) in self.in_flight.drain(first..) {
            self.bytes -= bytes;
        }
        self.sent = sequence - 1;
        self.held_until = Some(now + retry_after.clamp(SOONEST, LATEST));
    }

    pub(super) fn held_until(&self) -> Option<Instant> {
        self.held_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_in_order_and_again_when_busy() {
        let now = Instant::now();
        let mut outbox = Outbox::after(10);
        while let Some(after) = outbox.next(now) {
            outbox.sent(after + 1, 100);
        }
        assert_eq!(outbox.sent, 10 + MAX_RECORDS as u64);
        outbox.acknowledged(12);
        assert_eq!(outbox.next(now), Some(42));
        outbox.busy(15, Duration::from_secs(1), now);
        outbox.busy(16, Duration::from_secs(1), now);
        assert_eq!((outbox.next(now), outbox.held_until()), (None, Some(now + Duration::from_secs(1))));
        assert_eq!(outbox.next(now + Duration::from_secs(1)), Some(14));
        assert_eq!(outbox.bytes, 200);
        outbox.acknowledged(14);
        assert_eq!(outbox.bytes, 0);
    }

    #[test]
    fn one_large_record_at_a_time_still_goes() {
        let now = Instant::now();
        let mut outbox = Outbox::after(0);
        outbox.sent(1, MAX_BYTES * 2);
        assert_eq!(outbox.next(now), None);
        outbox.acknowledged(1);
        assert_eq!(outbox.next(now), Some(1));
    }
}
