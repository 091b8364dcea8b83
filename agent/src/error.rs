//! Why an agent cannot run, with what to do about it.

use std::io;
use std::path::PathBuf;

use nightjar_model::{ErrorKind, Problem};

use crate::journal::JournalError;

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("the configuration is not valid: {}", .0.iter().map(|p| format!("{}: {}", p.path, p.message)).collect::<Vec<_>>().join("; "))]
    Config(Vec<Problem>),
    #[error("the data directory {path} cannot be used; the agent's user must be able to write to it", path = path.display())]
    DataDir {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("another agent is running with the data directory {path}; give each its own with --data-dir", path = path.display())]
    Locked { path: PathBuf },
    #[error("{path} cannot be understood: {reason}. Remove it to enrol anew, with a new token", path = path.display())]
    Identity { path: PathBuf, reason: String },
    #[error(
        "the data directory {path} was copied from another machine, and two agents cannot share it. Empty it to \
             enrol this host anew, with a new token", path = path.display()
    )]
    Copied { path: PathBuf },
    #[error(
        "this agent is not enrolled yet: give it an enrolment token with NIGHTJAR_AGENT_TOKEN or --token-file. \
             `nightjar agent token create` makes one, as does the console under Agents"
    )]
    NoToken,
    #[error(
        "the server refused the enrolment token ({0}): it is wrong, used up or expired. \
             `nightjar agent token create` makes a new one, as does the console under Agents"
    )]
    TokenRefused(String),
    #[error("this host is not enrolled: there is no agent to sign off")]
    NotEnrolled,
    #[error("the server has not removed this agent ({0}). Try again, or delete it in the console under Agents")]
    CannotLeave(String),
    #[error("the server does not take this agent: {0}")]
    Refused(String),
    #[error("the server's certificate cannot be checked: {0}")]
    Tls(String),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("reading stopped for an internal reason; the log says why")]
    Stopped,
    #[error("a thread or runtime could not be started")]
    Runtime(#[source] io::Error),
}

impl From<AgentError> for nightjar_model::Error {
    fn from(error: AgentError) -> Self {
        let kind = match &error {
            AgentError::Config(problems) => return Self::invalid(error.to_string(), problems.clone()),
            AgentError::NoToken | AgentError::TokenRefused(_) => ErrorKind::Unauthenticated,
            AgentError::Locked { .. } | AgentError::Copied { .. } => ErrorKind::Conflict,
            AgentError::Refused(_) | AgentError::NotEnrolled => ErrorKind::InvalidInput,
            AgentError::CannotLeave(_) => ErrorKind::Unavailable,
            AgentError::Tls(_) | AgentError::DataDir { .. } => ErrorKind::Unavailable,
            AgentError::Identity { .. } | AgentError::Journal(_) | AgentError::Stopped | AgentError::Runtime(_) => {
                ErrorKind::Internal
            }
        };
        Self::new(kind, error.to_string())
    }
}
