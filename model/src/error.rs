//! The few kinds of error there are; `web` maps each to one HTTP status, once.

use crate::problem::Problem;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// What was sent cannot be accepted; `problems` says where and why.
    InvalidInput,
    NotFound,
    /// The present state forbids it (a referrer, a duplicate, a forged sequence).
    Conflict,
    /// `If-Match` names a version that is no longer the current one.
    Stale,
    Unauthenticated,
    Forbidden,
    TooLarge,
    TooManyRequests,
    /// Cannot be done now, may be later: storage full, overloaded, agent away.
    Unavailable,
    Timeout,
    Internal,
}

/// An error as rooms hand it to each other. `message` is for the user: it says what is wrong and,
/// where there is one, the remedy. It never holds a secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub kind: ErrorKind,
    pub message: String,
    pub problems: Vec<Problem>,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), problems: Vec::new() }
    }

    pub fn invalid(message: impl Into<String>, problems: Vec<Problem>) -> Self {
        Self { kind: ErrorKind::InvalidInput, message: message.into(), problems }
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, message)
    }

    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unauthenticated, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }
}
