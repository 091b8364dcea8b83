//! Passwords verified a moment ago, so that argon2 does not run for each request of a script.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nightjar_model::Timestamp;
use nightjar_model::identity::Principal;
use sha2::{Digest, Sha256};
use uuid::Uuid;

const KEEP: Duration = Duration::from_secs(60);
const CAPACITY: usize = 1024;

/// Bounded and short-lived; holds hashes under a salt of this process, no password. It saves the proof, not
/// the look at the user: what they may do is asked anew each time. Cleared whenever users change.
pub(crate) struct VerifiedPasswords {
    salt: [u8; 32],
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<[u8; 32], (Principal, Timestamp)>,
    /// Counts the clearings: a verification begun before one must not be kept after it.
    generation: u64,
}

impl VerifiedPasswords {
    pub(crate) fn new() -> Self {
        let mut salt = [0; 32];
        salt[..16].copy_from_slice(Uuid::new_v4().as_bytes());
        salt[16..].copy_from_slice(Uuid::new_v4().as_bytes());
        Self { salt, kept: Mutex::default() }
    }

    pub(crate) fn get(&self, name: &str, password: &str, now: Timestamp) -> Option<Principal> {
        let key = self.key(name, password);
        let kept = self.lock();
        let (principal, until) = kept.entries.get(&key)?;
        (now < *until).then(|| principal.clone())
    }

    /// Forgets one that does not hold any more.
    pub(crate) fn forget(&self, name: &str, password: &str) {
        let key = self.key(name, password);
        self.lock().entries.remove(&key);
    }

    pub(crate) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Keeps what was verified, unless users changed since `generation`.
    pub(crate) fn put(&self, name: &str, password: &str, principal: Principal, now: Timestamp, generation: u64) {
        let key = self.key(name, password);
        let mut kept = self.lock();
        if kept.generation != generation {
            return;
        }
        if kept.entries.len() >= CAPACITY {
            kept.entries.retain(|_, (_, until)| now < *until);
        }
        if kept.entries.len() >= CAPACITY {
            metrics::counter!("nightjar_web_verified_passwords_dropped_total").increment(1);
            return;
        }
        kept.entries.insert(key, (principal, now.saturating_add(KEEP)));
    }

    pub(crate) fn clear(&self) {
        let mut kept = self.lock();
        kept.entries.clear();
        kept.generation += 1;
    }

    fn key(&self, name: &str, password: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.salt);
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name);
        hash.update(password);
        hash.finalize().into()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nightjar_model::identity::Actor;

    use super::*;

    fn principal() -> Principal {
        Principal { actor: Actor::system(), platform_admin: false, roles: BTreeMap::new(), credential: None }
    }

    #[test]
    fn only_the_same_password_for_a_minute() {
        let cache = VerifiedPasswords::new();
        let start = Timestamp(1_000_000);
        cache.put("ann", "secret", principal(), start, cache.generation());
        assert!(cache.get("ann", "secret", start.saturating_add(KEEP / 2)).is_some());
        assert!(cache.get("ann", "secret2", start).is_none());
        assert!(cache.get("anns", "ecret", start).is_none());
        assert!(cache.get("ann", "secret", start.saturating_add(KEEP)).is_none());
    }

    #[test]
    fn a_change_of_users_forgets_what_was_verified_and_what_is_under_way() {
        let cache = VerifiedPasswords::new();
        let (start, before) = (Timestamp(0), cache.generation());
        cache.put("ann", "secret", principal(), start, before);
        cache.clear();
        assert!(cache.get("ann", "secret", start).is_none());
        cache.put("ann", "secret", principal(), start, before);
        assert!(cache.get("ann", "secret", start).is_none());
    }

    #[test]
    fn the_number_kept_is_bounded() {
        let cache = VerifiedPasswords::new();
        for index in 0..CAPACITY + 10 {
            cache.put(&index.to_string(), "x", principal(), Timestamp(0), cache.generation());
        }
        assert_eq!(cache.lock().entries.len(), CAPACITY);
        cache.put("late", "x", principal(), Timestamp(120_000), cache.generation());
        assert_eq!(cache.lock().entries.len(), 1);
    }
}
