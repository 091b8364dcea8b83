//! Random tokens, and the hashes by which they are found. A token has 256 random bits, so a plain
//! hash of it cannot be guessed and needs no salt.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nightjar_model::{Error, Secret, Timestamp};
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::vault::random;

pub(crate) const API: &str = "njt_";
pub(crate) const ENROLMENT: &str = "nje_";
pub(crate) const AGENT: &str = "nja_";
pub(crate) const SESSION: &str = "njs_";

/// Longer ones are not worth hashing.
const MAX_BYTES: usize = 512;

/// A new token; the prefix says to people and scanners what it is.
pub(crate) fn new_token(prefix: &str) -> Result<Secret> {
    Ok(Secret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random::<32>()?))))
}

/// The hash that is stored; `None` for what cannot be a token.
pub(crate) fn hash(token: &Secret) -> Option<String> {
    let text = token.expose();
    (!text.is_empty() && text.len() <= MAX_BYTES).then(|| format!("{:x}", Sha256::digest(text.as_bytes())))
}

pub(crate) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Refuses a time of expiry that has passed.
pub(crate) fn check_expiry(expires_at: Option<Timestamp>, now: Timestamp) -> Result<()> {
    match expires_at {
        Some(at) if at <= now => {
            let problem =
                nightjar_model::Problem { path: "expiresAt".into(), message: format!("{at} has passed already") };
            Err(Error::invalid("the token would be expired from the start", vec![problem]).into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_hash_alike() {
        let (a, b) = (new_token(API).unwrap(), new_token(API).unwrap());
        assert_ne!(a, b);
        assert!(a.expose().starts_with("njt_") && a.expose().len() == 4 + 43);
        assert_eq!(hash(&a), hash(&a));
        assert_ne!(hash(&a), hash(&b));
        assert_eq!(hash(&Secret::new("")), None);
        assert_eq!(hash(&Secret::new("x".repeat(513))), None);
    }
}
