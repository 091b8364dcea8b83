//! What agents send: small mergeable partials of windows, gathered since the last flush.
//!
//! What is gathered merges ([`partial`](crate::partial)), so it does not matter in which order or in how many
//! pieces the deltas of a window arrive.

use std::time::Duration;

use crate::names::{AgentId, MonitorKey};
pub use crate::partial::{Number, Partial, PartialError, PartialKind};
use crate::time::Timestamp;

/// The field that counts the lines of a window. No column can have this name.
pub const LINES_FIELD: &str = "*";

/// The monitor, present in every workspace, under which agents count what they could not use: grouped
/// by [`FAULT_KEYS`], one minute wide. Users' names cannot start with `_`.
pub const FAULTS_MONITOR: &str = "_faults";

/// Group-by columns of [`FAULTS_MONITOR`]: the monitor, the reason (a [`FaultReason`]), the host.
pub const FAULT_KEYS: [&str; 3] = ["monitor", "reason", "host"];

/// How wide the windows of [`FAULTS_MONITOR`] are.
pub const FAULTS_WIDTH: Duration = Duration::from_secs(60);

/// Why a line, or part of one, did not count as the monitor meant it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultReason {
    /// No time in the line, or none of the expected format; the line is not counted.
    TimeUnreadable,
    /// More than ten minutes ahead of the agent's clock; not counted.
    TimeInFuture,
    /// Older than the engine keeps open (a day); not counted.
    TimeTooOld,
    /// A column that the monitor groups or filters by is not in the line; not counted.
    ColumnMissing,
    /// A column to be summed is not a number; the line counts, the figure does not.
    NotANumber,
    /// Bytes that are not of the source's encoding; replaced, and the line counted.
    InvalidEncoding,
    /// Longer than the line limit; the rest of the line is cut off, what is left counted.
    LineTooLong,
    /// NUL bytes; taken out, and the line counted.
    NulBytes,
    /// A key over `limits.max_keys`; counted under [`OTHER_KEY`](crate::names::OTHER_KEY).
    KeyOverLimit,
    /// A file that is there but cannot be read (permission, a directory, a FIFO, an IO error).
    FileUnreadable,
    /// Bytes that vanished (deleted or truncated away) before they were read.
    BytesLost,
    /// A configuration that this agent refused.
    ConfigRefused,
    /// A record that the server could not read; what it held is not counted, and its windows stay partial.
    RecordRefused,
    /// Of a minute that the server does not keep: older than its retention, or more than a day ahead of its
    /// clock; not counted.
    NotKept,
}

impl FaultReason {
    pub const ALL: [Self; 14] = [
        Self::TimeUnreadable,
        Self::TimeInFuture,
        Self::TimeTooOld,
        Self::ColumnMissing,
        Self::NotANumber,
        Self::InvalidEncoding,
        Self::LineTooLong,
        Self::NulBytes,
        Self::KeyOverLimit,
        Self::FileUnreadable,
        Self::BytesLost,
        Self::ConfigRefused,
        Self::RecordRefused,
        Self::NotKept,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::TimeUnreadable => "time_unreadable",
            Self::TimeInFuture => "time_in_future",
            Self::TimeTooOld => "time_too_old",
            Self::ColumnMissing => "column_missing",
            Self::NotANumber => "not_a_number",
            Self::InvalidEncoding => "invalid_encoding",
            Self::LineTooLong => "line_too_long",
            Self::NulBytes => "nul_bytes",
            Self::KeyOverLimit => "key_over_limit",
            Self::FileUnreadable => "file_unreadable",
            Self::BytesLost => "bytes_lost",
            Self::ConfigRefused => "config_refused",
            Self::RecordRefused => "record_refused",
            Self::NotKept => "not_kept",
        }
    }
}

/// What one series gathered in one window since the last flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowDelta {
    /// The window's start.
    pub start: Timestamp,
    /// Values of the group-by columns, in their order.
    pub keys: Vec<String>,
    /// One for each field, in their order; of one kind for each field of the delta.
    pub partials: Vec<Partial>,
}

/// The deltas of one monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorDelta {
    pub monitor: MonitorKey,
    /// Which monitor it is: that of the document, another one when it was deleted and made again. `None` of
    /// agents that do not say so, and of [`FAULTS_MONITOR`]: then it is the one that has the name now.
    pub uid: Option<String>,
    /// Length of each window.
    pub width: Duration,
    pub group_by: Vec<String>,
    /// [`LINES_FIELD`] first, then each column that a statistic reads.
    pub fields: Vec<String>,
    pub windows: Vec<WindowDelta>,
}

/// Up to when an agent has read everything that a monitor asks of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    pub monitor: MonitorKey,
    /// 0 where only a gap is told.
    pub through: Timestamp,
    /// Between the watermark before this one and here, something was logged that nobody can read any
    /// more: no window from there to here is ever complete.
    pub gap: Option<Timestamp>,
    /// The gap begins here, not at the watermark before: also windows that were complete are not.
    pub gap_from: Option<Timestamp>,
    /// Of the monitor that was read; `None` from agents that do not say.
    pub uid: Option<String>,
}

impl Watermark {
    pub fn new(monitor: MonitorKey, through: Timestamp) -> Self {
        Self { monitor, through, gap: None, gap_from: None, uid: None }
    }
}

/// One journal record as it travels: all that an agent gathered between two flushes. Applied whole,
/// once, in the order of `sequence`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub agent: AgentId,
    /// A new one each time an agent begins a new journal; sequences count within it.
    pub incarnation: u64,
    /// From 1, without gaps.
    pub sequence: u64,
    /// The CRC-32 of the record as it travelled, by which agent and server see whether they remember the
    /// same past; 0 where it is not known.
    pub digest: u32,
    pub deltas: Vec<MonitorDelta>,
    pub watermarks: Vec<Watermark>,
}
