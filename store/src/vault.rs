//! Secrets at rest: XChaCha20-Poly1305 under one key of the installation. What is sealed for one
//! place cannot be opened at another.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind as IoErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use nightjar_model::{Error, Secret};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sea_orm::{ActiveValue::Set, EntityTrait};

use crate::config::StoreConfig;
use crate::database::{Database, transaction};
use crate::error::{Result, StoreError};
use crate::tables::settings;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Written before the base64, so that another algorithm can follow.
const VERSION: &str = "v1.";

/// The setting by which a wrong key is noticed at the start, and the place it is sealed for.
const CHECK: &str = "secret-key-check";
const CHECK_CLEAR: &str = "nightjar";

pub(crate) struct Vault {
    cipher: XChaCha20Poly1305,
}

impl Vault {
    /// Reads the key, or makes one for a database that has none yet.
    pub(crate) async fn open(config: &StoreConfig, database: &Database) -> Result<Self> {
        let check = settings::Entity::find_by_id(CHECK).one(database.read()).await?;
        let source = KeySource::of(config);
        let key = match (source.read()?, &check) {
            (Some(key), _) => key,
            (None, Some(_)) => {
                return Err(Error::unavailable(format!(
                    "the database holds secrets, but their key is not in {source}; put it back from your backup"
                ))
                .into());
            }
            (None, None) => source.make()?,
        };
        let vault = Self { cipher: XChaCha20Poly1305::new((&key).into()) };
        let check = match check {
            Some(row) => row.value,
            None => {
                let sealed = vault.seal(CHECK, CHECK_CLEAR)?;
                transaction!(*database, "secret-key", |tx| {
                    // Another server may have started on the same database meanwhile.
                    if let Some(row) = settings::Entity::find_by_id(CHECK).one(tx).await? {
                        return Ok(row.value);
                    }
                    let row = settings::ActiveModel { name: Set(CHECK.into()), value: Set(sealed.clone()) };
                    settings::Entity::insert(row).exec_without_returning(tx).await?;
                    Ok(sealed.clone())
                })?
            }
        };
        vault.open_sealed(CHECK, &check).ok_or_else(|| {
            Error::unavailable(format!(
                "the key in {source} is not the one that this database's secrets were encrypted with; \
                 put the right one back"
            ))
        })?;
        Ok(vault)
    }

    /// Encrypts for one place.
    pub(crate) fn seal(&self, place: &str, clear: &str) -> Result<String> {
        let nonce = random::<NONCE_BYTES>()?;
        let payload = Payload { msg: clear.as_bytes(), aad: place.as_bytes() };
        let sealed = self
            .cipher
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| StoreError::Internal("a secret could not be encrypted".into()))?;
        Ok(format!("{VERSION}{}", STANDARD.encode([&nonce[..], &sealed].concat())))
    }

    /// `None` if it was sealed by another key, for another place, or was tampered with.
    pub(crate) fn open_sealed(&self, place: &str, sealed: &str) -> Option<Secret> {
        let bytes = STANDARD.decode(sealed.strip_prefix(VERSION)?).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES)?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let clear = self.cipher.decrypt(XNonce::from_slice(nonce), payload).ok()?;
        String::from_utf8(clear).ok().map(Secret::new)
    }
}

/// Bytes fit for keys, nonces and salts.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| StoreError::Random(error.to_string()))?;
    Ok(bytes)
}

/// A key as it is written in files and settings.
pub(crate) fn parse_key(text: &str) -> Option<[u8; KEY_BYTES]> {
    STANDARD.decode(text.trim()).ok()?.try_into().ok()
}

/// Writes a file that only its owner may read: whole or not at all, and on the disk when it returns.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        let unfinished = path.with_extension("new");
        // One that a crash left behind may have another mode.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != IoErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|error| StoreError::Io(format!("cannot write {}", path.display()), error))
}

enum KeySource {
    Setting(Secret),
    File(PathBuf),
}

impl KeySource {
    fn of(config: &StoreConfig) -> Self {
        match (&config.secret_key, &config.secret_key_file) {
            (Some(key), _) => Self::Setting(key.clone()),
            (None, Some(path)) => Self::File(path.clone()),
            (None, None) => Self::File(config.data_dir.join("secret.key")),
        }
    }

    fn read(&self) -> Result<Option<[u8; KEY_BYTES]>> {
        let text = match self {
            Self::Setting(key) => key.expose().to_owned(),
            Self::File(path) => match fs::read_to_string(path) {
                Ok(text) => {
                    if fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o077 != 0) {
                        tracing::warn!(path = %path.display(), "others may read the secret key; chmod 600 it");
                    }
                    text
                }
                Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(StoreError::Io(format!("cannot read {}", path.display()), error)),
            },
        };
        match parse_key(&text) {
            Some(key) => Ok(Some(key)),
            None => Err(Error::unavailable(format!("{self} holds no key: 32 bytes in base64 are expected")).into()),
        }
    }

    fn make(&self) -> Result<[u8; KEY_BYTES]> {
        let key = random()?;
        if let Self::File(path) = self {
            write_private(path, &format!("{}\n", STANDARD.encode(key)))?;
        }
        Ok(key)
    }
}

impl std::fmt::Display for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Setting(_) => f.write_str("the setting `secret_key`"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(key: u8) -> Vault {
        Vault { cipher: XChaCha20Poly1305::new(&[key; KEY_BYTES].into()) }
    }

    fn opened(vault: &Vault, place: &str, sealed: &str) -> Option<String> {
        vault.open_sealed(place, sealed).map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn opens_only_with_its_key_and_at_its_place() {
        let sealed = vault(1).seal("Webhook default/a secret_key", "hunter2").unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_eq!(opened(&vault(1), "Webhook default/a secret_key", &sealed).as_deref(), Some("hunter2"));
        assert_eq!(opened(&vault(2), "Webhook default/a secret_key", &sealed), None);
        assert_eq!(opened(&vault(1), "Webhook default/b secret_key", &sealed), None);
    }

    #[test]
    fn the_same_secret_is_never_sealed_alike() {
        let vault = vault(1);
        assert_ne!(vault.seal("p", "s").unwrap(), vault.seal("p", "s").unwrap());
    }

    #[test]
    fn what_was_tampered_with_does_not_open() {
        let vault = vault(1);
        let sealed = vault.seal("p", "secret").unwrap();
        for at in VERSION.len()..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(opened(&vault, "p", &changed), None, "byte {at}");
        }
        for text in ["", "v1.", "v1.AAAA", "v2.AAAA", "***"] {
            assert_eq!(opened(&vault, "p", text), None, "{text}");
        }
    }
}
