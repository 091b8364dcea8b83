//! How long to wait before the next attempt.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Twice as long each time, up to half a minute, and by chance up to half shorter, so that a fleet
    /// does not return as one.
    pub(crate) fn failed(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(8)).min(LONGEST);
        self.failures += 1;
        let chance = uuid::Uuid::new_v4().as_bytes()[0];
        whole - whole.mul_f64(f64::from(chance) / 512.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_a_bound_and_starts_over() {
        let mut backoff = Backoff::default();
        for wanted in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000, 30_000] {
            let wait = backoff.failed().as_millis();
            assert!(wait <= wanted && wait >= wanted / 2, "{wait} {wanted}");
        }
        backoff.succeeded();
        assert!(backoff.failed() <= FIRST);
    }
}
