//! The bandwidth of one session: a bucket that holds one second's worth.

use std::time::Duration;

use tokio::time::Instant;

pub(crate) struct Pace {
    bytes_per_second: u64,
    /// When what was sent so far would have been sent at the allowed rate.
    paid_until: Instant,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: u64, now: Instant) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), paid_until: now }
    }

    /// Counts `bytes` and answers how long to wait before more is read.
    pub(crate) fn spend(&mut self, bytes: usize, now: Instant) -> Duration {
        let burst = Duration::from_secs(1);
        let cost = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        // An idle session saves up one second, no more.
        self.paid_until = self.paid_until.max(now) + cost;
        self.paid_until.saturating_duration_since(now).saturating_sub(burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_the_rest_waits() {
        let start = Instant::now();
        let mut pace = Pace::new(1000, start);
        assert_eq!(pace.spend(1000, start), Duration::ZERO);
        assert_eq!(pace.spend(500, start), Duration::from_millis(500));
        let later = start + Duration::from_secs(60);
        assert_eq!(pace.spend(1000, later), Duration::ZERO, "idle time saves up one second's worth");
        assert_eq!(pace.spend(1000, later), Duration::from_secs(1));
    }
}
