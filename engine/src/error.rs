//! What can go wrong in the engine, and which of the model's kinds each is.

use std::io;
use std::path::PathBuf;

use nightjar_model::Error;

pub(crate) type Result<T, E = EngineError> = std::result::Result<T, E>;

/// An error of the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("cannot {what} {path}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "the log is damaged: {path} at offset {offset}: {reason}. What comes after it was acknowledged, so it is not \
         skipped: restore the file from a backup, or move it and the later ones out of the directory to go on without \
         what they hold"
    )]
    CorruptLog { path: PathBuf, offset: u64, reason: String },
    #[error("{path} is damaged: {reason}. Restore it from a backup")]
    Corrupt { path: PathBuf, reason: String },
    #[error("{0} is in use by another process")]
    Locked(PathBuf),
    #[error("the data in {path} has format {found}, this program reads format {known}")]
    Format { path: PathBuf, found: u32, known: u32 },
    #[error("block {path} cannot be used: {reason}")]
    Block { path: String, reason: String },
    #[error("the engine is closed")]
    Closed,
    #[error("{0}")]
    Refused(Error),
    #[error("the settings are not valid: {0}")]
    Config(String),
}

impl EngineError {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

impl From<Error> for EngineError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused(error) => error,
            EngineError::Closed => Self::unavailable("the engine is closed"),
            EngineError::Io { source, .. } if is_full(&source) => {
                Self::unavailable("the disk is full: free some space, it goes on by itself then")
            }
            other => {
                let mut message = other.to_string();
                let mut source = std::error::Error::source(&other);
                while let Some(cause) = source {
                    message.push_str(&format!(": {cause}"));
                    source = cause.source();
                }
                Self::internal(message)
            }
        }
    }
}

/// Whether there is no space, or no quota, left.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}
