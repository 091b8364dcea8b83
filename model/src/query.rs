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
    /// It is over, and some have not: they are named.
    Partial,
    /// It was complete, and a late line came after that.
    Revised,
    /// It is not over yet, or only just: agents have not had the time to tell.
    InProgress,
    /// It can never be complete any more: [`IncompleteReason`] says why.
    Never,
}

impl CompletenessState {
    pub const ALL: [Self; 5] = [Self::Complete, Self::Partial, Self::Revised, Self::InProgress, Self::Never];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Revised => "revised",
            Self::InProgress => "in_progress",
            Self::Never => "never",
        }
    }

    /// Whether all of it is there.
    pub const fn is_complete(self) -> bool {
        matches!(self, Self::Complete | Self::Revised)
    }

    /// Whether waiting changes nothing any more: it is complete, or will never be.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Revised | Self::Never)
    }

    /// Of windows taken together: one that is not complete makes the whole so, the gravest first.
    pub fn and(self, other: Self) -> Self {
        const fn gravity(state: CompletenessState) -> u8 {
            match state {
                CompletenessState::Complete => 0,
                CompletenessState::Revised => 1,
                CompletenessState::InProgress => 2,
                CompletenessState::Partial => 3,
                CompletenessState::Never => 4,
            }
        }
        if gravity(other) > gravity(self) { other } else { self }
    }
}

/// Why a window can never be complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncompleteReason {
    /// No agent was expected to contribute: none was enrolled, or the monitor was paused or not yet there.
    NobodyExpected,
    /// An agent was expected and began to read only later: it was away, or its configuration on the way.
    NotCollected,
    /// An agent was taken out, vanished, or was given other monitors before it had passed the window.
    Left,
    /// An agent says that something was logged which nobody can read any more.
    Lost,
    /// What an agent had sent, and the server had acknowledged, is gone: the server or the agent went back
    /// in time, as from a backup or an image.
    RolledBack,
    /// Two agents on one host read the same files: their lines may be counted twice.
    CountedTwice,
}

/// The completeness of one window of a monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Completeness {
    /// The window's start.
    pub time: Timestamp,
    pub state: CompletenessState,
    /// With `never`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<IncompleteReason>,
    /// With `partial`, agents that have not passed its end; with `never`, those that never will or whose
    /// data is missing; with `in_progress`, once its end is past, those that have not told so far and may
    /// well be on time. At most 20 of them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub missing: Vec<AgentId>,
    /// How many there are, named or not.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub missing_count: usize,
}

/// A stretch of windows of the same completeness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompletenessRun {
    /// That of the first.
    #[serde(flatten)]
    pub mark: Completeness,
    /// Where the first window after them starts.
    pub until: Timestamp,
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
    /// One for each window of the range that has begun: of all agents that the filter lets through.
    pub completeness: Vec<Completeness>,
    /// The same apart for agents that contribute to different keys.
    pub instances: InstanceCompleteness,
    /// Before it windows as fine as asked for are not kept any more, and coarser ones are: a longer step shows them.
    pub kept_from: Option<Timestamp>,
}

impl WindowAnswer {
    /// The completeness of the window that starts at `time`, for a key: of the agents that can contribute to
    /// it. That key need not have a series. `None` for a window that has not begun or was not asked for.
    pub fn mark(&self, keys: &[String], time: Timestamp) -> Option<&Completeness> {
        match self.instances.of(keys) {
            Some(runs) => {
                let after = runs.partition_point(|run| run.mark.time <= time);
                runs[..after].last().filter(|run| time < run.until).map(|run| &run.mark)
            }
            None => {
                let at = self.completeness.binary_search_by_key(&time, |mark| mark.time).ok()?;
                Some(&self.completeness[at])
            }
        }
    }
}

/// Completeness by what is fixed for an agent, such as its `$host`: a host that is lost is missed by its own
/// keys only.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InstanceCompleteness {
    /// Places in [`WindowAnswer::by`] of the columns that are fixed for an agent; empty if none is.
    pub columns: Vec<usize>,
    /// By the values of these columns, in their order: runs without gaps from the first window of the answer
    /// to the last that has begun. Values that no agent has are not there: for them that of the whole counts.
    pub runs: BTreeMap<Vec<String>, Vec<CompletenessRun>>,
}

impl InstanceCompleteness {
    /// For a key in the order of [`WindowAnswer::by`]; `None` where that of the whole counts.
    pub fn of(&self, keys: &[String]) -> Option<&[CompletenessRun]> {
        if self.columns.is_empty() {
            return None;
        }
        let instance: Option<Vec<String>> = self.columns.iter().map(|place| keys.get(*place).cloned()).collect();
        self.runs.get(&instance?).map(Vec::as_slice)
    }
}

/// How far a monitor's data has come. Cheap to ask for, however many agents there are.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// The end of the last window that is complete; `None` while none is. Windows before it are complete
    /// unless they never will be.
    pub complete_through: Option<Timestamp>,
    /// No agent that is expected is waited for by a window that ends at or before this: it is complete, will
    /// never be, or is owed by an agent that went away and may come back. `None` while no agent is expected.
    pub settled_through: Option<Timestamp>,
    /// How far the agent has come that has come furthest: up to there some keys may be complete.
    pub furthest: Option<Timestamp>,
    /// How many agents are expected.
    pub expected: usize,
    /// Another number whenever the completeness of a window, or of one of its keys, may have changed. Not
    /// kept over restarts.
    pub revision: u64,
}

/// An agent that is expected to contribute.
#[derive(Debug, Clone, PartialEq)]
pub struct Contributor {
    pub agent: AgentId,
    /// Up to when it has read everything; `None` before it has begun.
    pub through: Option<Timestamp>,
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
