//! The store's error, and how other rooms see it.

use nightjar_model::{Error, ErrorKind};
use sea_orm::DbErr;

pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The asker's affair: as it is told.
    #[error(transparent)]
    Refused(#[from] Error),
    #[error("the database failed")]
    Database(#[from] DbErr),
    /// What is stored cannot be understood.
    #[error("{0} in the database cannot be read")]
    Corrupt(String, #[source] serde_json::Error),
    #[error("{0}")]
    Io(String, #[source] std::io::Error),
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    #[error("{0}")]
    Internal(String),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(error) => error,
            StoreError::Database(cause) => {
                let kind = if is_passing(&cause) { ErrorKind::Unavailable } else { ErrorKind::Internal };
                Self::new(kind, format!("the database failed: {cause}"))
            }
            StoreError::Corrupt(ref what, ref cause) => Self::internal(format!("{what} cannot be read: {cause}")),
            StoreError::Io(what, cause) => Self::unavailable(format!("{what}: {cause}")),
            StoreError::Random(_) | StoreError::Internal(_) => Self::internal(error.to_string()),
        }
    }
}

/// Whether trying again later may help: no connection, disk full, locked.
fn is_passing(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        _ => {
            let text = error.to_string();
            ["disk is full", "database is locked", "disk I/O error", "No space left", "PoolTimedOut"]
                .iter()
                .any(|sign| text.contains(sign))
                || (collided(error) && !is_duplicate(error))
        }
    }
}

/// Whether a row that must be unique is there already.
pub(crate) fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_)))
}

/// Whether the transaction lost against another and can be repeated: `serialization_failure`,
/// `deadlock_detected`, `SQLITE_BUSY`; or a row that another made meanwhile.
pub(crate) fn collided(error: &DbErr) -> bool {
    if is_duplicate(error) {
        return true;
    }
    let (DbErr::Exec(sea_orm::RuntimeErr::SqlxError(cause))
    | DbErr::Query(sea_orm::RuntimeErr::SqlxError(cause))
    | DbErr::Conn(sea_orm::RuntimeErr::SqlxError(cause))) = error
    else {
        return false;
    };
    let code = cause.as_database_error().and_then(|e| e.code());
    matches!(code.as_deref(), Some("40001" | "40P01" | "5" | "517" | "261"))
}
