//! How long to wait before the next attempt.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// Doubles with each attempt made, up to `longest`, give or take a fifth. The jitter follows from the
/// notification, so that those that failed together do not come back together.
pub(super) fn delay(id: &str, attempts: u32, first: Duration, longest: Duration) -> Duration {
    let doublings = attempts.saturating_sub(1).min(20);
    let plain = first.saturating_mul(1 << doublings).min(longest);
    let digest = Sha256::digest(format!("{id}/{attempts}"));
    let share = f64::from(u16::from_be_bytes([digest[0], digest[1]])) / f64::from(u16::MAX);
    plain.mul_f64(0.8 + 0.4 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest() {
        let of = |attempts| delay("a", attempts, Duration::from_secs(5), Duration::from_secs(600)).as_secs_f64();
        for (attempts, plain) in [(1, 5.0), (2, 10.0), (5, 80.0), (8, 600.0), (4_000_000, 600.0)] {
            assert!((plain * 0.8..=plain * 1.2).contains(&of(attempts)), "{attempts}: {}", of(attempts));
        }
        assert_ne!(of(3), delay("b", 3, Duration::from_secs(5), Duration::from_secs(600)).as_secs_f64());
    }
}
