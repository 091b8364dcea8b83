//! Hashing passwords (argon2id), off the runtime's threads and few at a time: each takes real memory.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use nightjar_model::{Error, ErrorKind, Problems, Secret};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::StoreConfig;
use crate::error::{Result, StoreError};
use crate::vault::random;

/// Passwords hashed at the same time.
const AT_ONCE: usize = 4;

/// Requests that wait for their turn; more are sent away.
const WAITING: usize = 64;

pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    /// What an unknown user's password is compared with, so that it takes as long as a known one's.
    nobody: String,
    turns: Semaphore,
    places: Semaphore,
}

/// The right to hash: one's place among those waiting, and one's turn.
pub(crate) struct Turn<'a> {
    _place: SemaphorePermit<'a>,
    _turn: SemaphorePermit<'a>,
}

impl Passwords {
    pub(crate) fn new(config: &StoreConfig) -> Result<Self> {
        let params = Params::new(config.password_memory_kib, config.password_iterations, 1, None)
            .map_err(|error| StoreError::Internal(format!("password_memory_kib, password_iterations: {error}")))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash(&argon2, &Secret::new(String::from_utf8_lossy(&random::<16>()?).into_owned()))?;
        Ok(Self { argon2, nobody, turns: Semaphore::new(AT_ONCE), places: Semaphore::new(WAITING + AT_ONCE) })
    }

    pub(crate) async fn turn(&self) -> Result<Turn<'_>> {
        let Ok(place) = self.places.try_acquire() else {
            metrics::counter!("nightjar_store_logins_turned_away_total").increment(1);
            let message = "too many people are logging in at this moment; try again in a few seconds";
            return Err(Error::new(ErrorKind::TooManyRequests, message).into());
        };
        let turn = self.turns.acquire().await.map_err(|_| StoreError::Internal("the store is closed".into()))?;
        Ok(Turn { _place: place, _turn: turn })
    }

    pub(crate) async fn hash(&self, _turn: &Turn<'_>, password: &Secret) -> Result<String> {
        let (argon2, password) = (self.argon2.clone(), password.clone());
        off_runtime(move || hash(&argon2, &password)).await?
    }

    /// Whether it is the password; `None` stands for a user who is not there and takes as long.
    pub(crate) async fn verify(&self, _turn: &Turn<'_>, password: &Secret, stored: Option<&str>) -> Result<bool> {
        let (argon2, password) = (self.argon2.clone(), password.clone());
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.nobody).to_owned();
        let right = off_runtime(move || match PasswordHash::new(&stored) {
            Ok(parsed) => Ok(argon2.verify_password(password.expose().as_bytes(), &parsed).is_ok()),
            Err(error) => Err(StoreError::Internal(format!("a stored password hash cannot be read: {error}"))),
        })
        .await??;
        Ok(right && known)
    }
}

/// Adds what is wrong with a new password, at `path`.
pub(crate) fn check(password: &Secret, path: &str, problems: &mut Problems) {
    if password.is_mask() {
        problems.add(path, "`***` only stands for a password; leave it out to keep the present one");
    } else if password.expose().chars().count() < 8 {
        problems.add(path, "must have at least 8 characters");
    } else if password.expose().len() > 1024 {
        problems.add(path, "is longer than 1024 bytes");
    }
}

async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| StoreError::Internal(format!("hashing a password broke off: {error}")))
}

fn hash(argon2: &Argon2<'_>, password: &Secret) -> Result<String> {
    let failed = |error| StoreError::Internal(format!("a password could not be hashed: {error}"));
    let salt = SaltString::encode_b64(&random::<16>()?).map_err(failed)?;
    let hash = argon2.hash_password(password.expose().as_bytes(), &salt).map_err(failed)?;
    Ok(hash.to_string())
}
