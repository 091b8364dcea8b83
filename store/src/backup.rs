//! Copying the store while a server uses it.

use std::fs;
use std::path::{Path, PathBuf};

use nightjar_model::Result;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbBackend, Statement};

use crate::config::StoreConfig;
use crate::error::StoreError;

/// What of a store was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedStore {
    /// The database; `None` for PostgreSQL, which has tools of its own.
    pub database: Option<PathBuf>,
    /// The key of the secrets; `None` where it is a setting, or was to be left out.
    pub key: Option<PathBuf>,
}

/// As the copies are called, whatever the originals are.
pub const DATABASE: &str = "nightjar.db";
pub const KEY: &str = "secret.key";

/// Copies the database, as of one moment, and the key of the secrets into `into`, which must be there.
///
/// # Errors
/// What the database and the disk give.
pub async fn copy(config: &StoreConfig, into: &Path, with_key: bool) -> Result<CopiedStore> {
    Ok(copy_store(config, into, with_key).await?)
}

async fn copy_store(config: &StoreConfig, into: &Path, with_key: bool) -> Result<CopiedStore, StoreError> {
    let url = match &config.url {
        Some(url) if url.expose().starts_with("postgres") => None,
        Some(url) => Some(url.expose().to_owned()),
        None => Some(format!("sqlite:{}?mode=rw", config.data_dir.join(DATABASE).display())),
    };
    let mut database = None;
    if let Some(url) = url {
        let path = into.join(DATABASE);
        let mut options = ConnectOptions::new(url);
        options.max_connections(1);
        let connection = Database::connect(options).await?;
        let vacuum = "VACUUM INTO ?";
        let values = [path.to_string_lossy().into_owned().into()];
        connection.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, vacuum, values)).await?;
        connection.close().await?;
        private(&path)?;
        database = Some(path);
    }
    let mut key = None;
    if let Some(from) = key_file(config).filter(|from| with_key && from.exists()) {
        let path = into.join(KEY);
        fs::copy(&from, &path).map_err(|error| StoreError::Io(format!("cannot copy {}", from.display()), error))?;
        private(&path)?;
        key = Some(path);
    }
    Ok(CopiedStore { database, key })
}

/// Where the key of the secrets is, unless it is a setting.
pub fn key_file(config: &StoreConfig) -> Option<PathBuf> {
    match (&config.secret_key, &config.secret_key_file) {
        (Some(_), _) => None,
        (None, Some(path)) => Some(path.clone()),
        (None, None) => Some(config.data_dir.join(KEY)),
    }
}

/// For its owner only, and on disk.
fn private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .and_then(|()| fs::File::open(path)?.sync_all())
        .map_err(|error| StoreError::Io(format!("cannot write {}", path.display()), error))
}
