//! Why a session or a call is refused or ended: what the agent is told, and what is counted.

use nightjar_model::{Error, ErrorKind};
use tonic::{Code, Status};

#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("metadata `nightjar-agent` (the agent's id) and `authorization: Bearer` (its key) are required")]
    NoCredentials,
    #[error("the server has its limit of {0} agents connected; try again later")]
    TooManySessions(u32),
    #[error("a session opens with a hello; got {0}")]
    NotHello(&'static str),
    #[error("nothing was heard for {0} s")]
    Silent(u64),
    #[error("{0}")]
    Malformed(String),
    #[error("record {got} came where {expected} is next: a sequence has no gaps")]
    Gap { expected: u64, got: u64 },
    #[error("a newer session of the same agent took the place of this one")]
    Replaced,
    #[error(
        "an agent on {host} with the identity of this one is running, and goes on. Hosts made from one image are \
         agents of their own: stop this one, empty its data directory (and keep that out of images), and enrol it anew"
    )]
    Copied { host: String },
    #[error("this agent was removed from the server; enrol it again if it is to stay")]
    Removed,
    #[error("the server is shutting down")]
    ShuttingDown,
    #[error("{}", .0.message)]
    Asked(Error),
}

impl Refusal {
    /// A short name, for the counter.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::TooManySessions(_) => "too_many_sessions",
            Self::NotHello(_) => "not_hello",
            Self::Silent(_) => "silent",
            Self::Malformed(_) => "malformed",
            Self::Gap { .. } => "gap",
            Self::Replaced => "replaced",
            Self::Copied { .. } => "copied",
            Self::Removed => "removed",
            Self::ShuttingDown => "shutting_down",
            Self::Asked(error) => match error.kind {
                ErrorKind::Unauthenticated | ErrorKind::Forbidden => "unauthenticated",
                ErrorKind::Conflict => "conflict",
                ErrorKind::InvalidInput | ErrorKind::TooLarge => "malformed",
                _ => "failed",
            },
        }
    }

    /// Whether an honest agent under normal conditions never meets it.
    pub(crate) fn is_suspicious(&self) -> bool {
        matches!(self.reason(), "copied" | "malformed" | "gap" | "not_hello" | "conflict" | "unauthenticated")
    }

    pub(crate) fn status(&self) -> Status {
        let code = match self {
            Self::NoCredentials | Self::Removed => Code::Unauthenticated,
            Self::TooManySessions(_) => Code::ResourceExhausted,
            Self::NotHello(_) | Self::Malformed(_) => Code::InvalidArgument,
            Self::Silent(_) => Code::DeadlineExceeded,
            Self::Gap { .. } => Code::FailedPrecondition,
            Self::Replaced => Code::Aborted,
            Self::Copied { .. } => Code::AlreadyExists,
            Self::ShuttingDown => Code::Unavailable,
            Self::Asked(error) => code_of(error.kind),
        };
        Status::new(code, self.to_string())
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Asked(error)
    }
}

fn code_of(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidInput => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Conflict | ErrorKind::Stale => Code::FailedPrecondition,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::Forbidden => Code::PermissionDenied,
        ErrorKind::TooLarge | ErrorKind::TooManyRequests => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Timeout => Code::DeadlineExceeded,
        ErrorKind::Internal => Code::Internal,
    }
}
