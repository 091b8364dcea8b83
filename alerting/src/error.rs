//! What can go wrong inside the room.

use nightjar_model::{Error, ErrorKind};

#[derive(Debug, thiserror::Error)]
pub(crate) enum AlertingError {
    #[error("monitor `{monitor}` has no statistic `{field}` any more; correct the rule or the monitor")]
    UnknownStatistic { monitor: String, field: String },
    #[error("{failed} of {all} rules could not be judged; {first}")]
    Rules { failed: usize, all: usize, first: String },
}

impl From<AlertingError> for Error {
    fn from(error: AlertingError) -> Self {
        let kind = match &error {
            AlertingError::UnknownStatistic { .. } => ErrorKind::Conflict,
            AlertingError::Rules { .. } => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}
