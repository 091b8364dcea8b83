//! What is asked of stored windows, and what is answered.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::ToSchema;

use crate::delta::Partial;
use crate::error::{Error, Result};
use crate::kinds::alert_rule::KeyMatch;
use crate::names::{AgentId, MonitorKey};
use crate::time::Timestamp;

/// Whether a window can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompletenessState {
    /// Every agent expected to contribute has passed its end.
    Complete,
    /// Some have not.
    Partial,
    /// It was complete, and a late line came after that.
    Revised,
}

impl CompletenessState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Revised => "revised",
        }
    }
}

/// The completeness of one window of a monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Completeness {
    pub time: Timestamp,
    pub state: CompletenessState,
    /// Agents that have not passed its end, at most 20 of them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub missing: Vec<AgentId>,
    /// How many there are, named or not.
    #[serde(rename = "missingCount", skip_serializing_if = "is_zero", default)]
    pub missing_count: usize,
}

/// A window names at most as many agents that it waits for: an answer has many windows.
pub const MISSING_NAMED: usize = 20;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Which windows, of which keys, merged how.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowQuery {
    pub monitor: MonitorKey,
    /// First window's start.
    pub from: Timestamp,
    /// Windows starting at or after this are not read.
    pub until: Timestamp,
    /// Keys to keep, by column.
    pub filter: BTreeMap<String, KeyMatch>,
    /// Group-by columns to keep apart; keys that differ in others are merged. `None` keeps all.
    pub by: Option<Vec<String>>,
    /// Length of the windows answered, a multiple of the stored width; `None` for as stored.
    pub step: Option<Duration>,
    /// More series than this is an error.
    pub max_series: usize,
}

/// One series of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesWindows {
    /// Values of the columns kept, in the order of [`WindowAnswer::by`].
    pub keys: Vec<String>,
    /// By time, only windows that have data; partials in the order of [`WindowAnswer::fields`].
    pub windows: Vec<(Timestamp, Vec<Partial>)>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct WindowAnswer {
    pub by: Vec<String>,
    pub fields: Vec<String>,
    pub series: Vec<SeriesWindows>,
    /// One for each window of the range that has begun.
    pub completeness: Vec<Completeness>,
}

/// How far a monitor's data has come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Every window that ends at or before this is complete; `None` while nothing is.
    pub complete_through: Option<Timestamp>,
    /// Agents expected to contribute, with how far each has come.
    pub agents: Vec<(AgentId, Option<Timestamp>)>,
}

/// How SQL results are to be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SqlFormat {
    #[default]
    Json,
    Csv,
    /// Arrow IPC stream.
    Arrow,
}

/// An answer to SQL, ready to be sent.
#[derive(Debug)]
pub struct SqlAnswer {
    pub content_type: &'static str,
    pub body: SqlBody,
}

/// The bytes of an answer: all at once, or as they come.
#[derive(Debug)]
pub struct SqlBody {
    first: Option<Vec<u8>>,
    /// Ended by an empty piece.
    rest: Option<mpsc::Receiver<Result<Vec<u8>>>>,
}

impl SqlBody {
    pub fn whole(bytes: Vec<u8>) -> Self {
        Self { first: Some(bytes), rest: None }
    }

    /// `first`, then what `rest` brings until an empty piece.
    pub fn streamed(first: Vec<u8>, rest: mpsc::Receiver<Result<Vec<u8>>>) -> Self {
        Self { first: Some(first), rest: Some(rest) }
    }

    /// How long it is, if all of it is there.
    pub fn length(&self) -> Option<usize> {
        if self.rest.is_some() { None } else { Some(self.first.as_ref().map_or(0, Vec::len)) }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// What went wrong on the way: what has come so far is not the whole answer.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        let rest = self.rest.as_mut()?;
        let next = rest.recv().await;
        if !matches!(&next, Some(Ok(piece)) if !piece.is_empty()) {
            self.rest = None;
        }
        match next {
            Some(Ok(piece)) if piece.is_empty() => None,
            Some(next) => Some(next),
            None => Some(Err(Error::internal("the answer broke off"))),
        }
    }

    /// All of it.
    ///
    /// # Errors
    /// As [`SqlBody::next`].
    pub async fn read(mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await {
            all.extend(piece?);
        }
        Ok(all)
    }
}
