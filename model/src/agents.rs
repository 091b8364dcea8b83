//! Agents as the server knows them, and what it may ask of one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kinds::monitor::{MonitorSpec, Pick};
use crate::names::AgentId;
use crate::problem::Problem;
use crate::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentHealth {
    Healthy,
    /// Connected, but something is wrong; `reasons` says what.
    Abnormal,
    /// Its clock differs from the server's by more than 3 s.
    ClockSkew,
    /// Not heard of for 30 s.
    Lost,
    /// It signed off, having sent all that it had: nobody waits for it.
    Left,
}

/// What an agent says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentFacts {
    pub hostname: String,
    pub ip: String,
    pub version: String,
    pub os: String,
    pub arch: String,
    /// Of times that name no zone; empty where the host's is not known.
    pub timezone: String,
    /// Why the host's zone is not known; empty where it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub timezone_problem: String,
    pub labels: BTreeMap<String, String>,
}

/// What an agent last reported of one monitor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MonitorReport {
    pub monitor: String,
    /// Files it reads now.
    pub files: u32,
    pub lines: u64,
    /// Counts since the agent started, by reason (see `FaultReason`).
    pub faults: BTreeMap<String, u64>,
    /// The latest example of each reason: the place and the start of the line.
    pub examples: BTreeMap<String, String>,
    pub watermark: Option<Timestamp>,
}

/// An agent's self-metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentSelf {
    pub resident_bytes: u64,
    /// Since its start.
    pub cpu_millis: u64,
    pub journal_bytes: u64,
    pub journal_limit_bytes: u64,
    /// Records not yet acknowledged.
    pub unacked_records: u64,
    /// Whether the journal is full and reading is paused.
    pub paused: bool,
}

/// A row of the fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentView {
    pub id: AgentId,
    pub workspace: String,
    pub facts: AgentFacts,
    pub health: AgentHealth,
    pub reasons: Vec<String>,
    pub enrolled_at: Timestamp,
    pub last_seen_at: Option<Timestamp>,
    /// When it signed off; it has not been back since.
    pub left_at: Option<Timestamp>,
    pub clock_skew_ms: i64,
    /// Configuration in force on the agent, and the one it should have.
    pub config_applied: Option<String>,
    pub config_wanted: String,
    pub monitors: Vec<MonitorReport>,
    pub process: AgentSelf,
}

/// An enrolled agent, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRecord {
    pub id: AgentId,
    pub workspace: String,
    pub facts: AgentFacts,
    pub enrolled_at: Timestamp,
    pub last_seen_at: Option<Timestamp>,
    /// When it signed off; `None` once it is back.
    pub left_at: Option<Timestamp>,
}

/// What a successful enrolment gives: the key is shown here only.
#[derive(Debug, Clone)]
pub struct Enrolled {
    pub id: AgentId,
    pub workspace: String,
    pub key: crate::Secret,
}

/// Something to do once on a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentTask {
    ListFiles {
        /// Directory to list, absolute.
        root: String,
        #[serde(default = "thousand")]
        limit: u32,
    },
    /// The last lines of a file.
    PreviewFile {
        path: String,
        #[serde(default = "hundred")]
        lines: u32,
        #[serde(default = "auto")]
        charset: String,
    },
    /// A monitor on the last lines of the files that it names.
    TryMonitor {
        spec: Box<MonitorSpec>,
        #[serde(default = "hundred")]
        lines: u32,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentTaskResult {
    Files(FileListing),
    Preview(FilePreview),
    Trial(TrialReport),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileListing {
    pub root: String,
    pub files: Vec<FileEntry>,
    /// There were more than asked for.
    pub truncated: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileEntry {
    pub path: String,
    pub directory: bool,
    pub readable: bool,
    pub size_bytes: u64,
    pub modified_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FilePreview {
    pub path: String,
    pub lines: Vec<String>,
    /// The encoding the lines were read in.
    pub charset: String,
    pub size_bytes: u64,
}

/// What a monitor makes of some lines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrialReport {
    pub lines: Vec<TrialLine>,
    pub rows: Vec<TrialRow>,
    /// Counts by reason.
    pub faults: BTreeMap<String, u64>,
    pub problems: Vec<Problem>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrialLine {
    pub text: String,
    pub time: Option<Timestamp>,
    /// The format in which the time was found, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_format: Option<String>,
    /// What each column picked; absent where it picked nothing.
    pub columns: BTreeMap<String, String>,
    pub counted: bool,
    /// Why it was not counted, or only in part: `filtered`, or a fault's reason.
    pub reason: Option<String>,
    /// Of `time_unreadable`, where more can be said: `two_meanings` (day and month), `no_zone` (none is named, and the
    /// host's is not known), `shared_zone` (an abbreviation of several, such as CST), `unknown_zone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}

/// One window of one series, as `scan` and `monitor try` print it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrialRow {
    pub time: Timestamp,
    pub keys: Vec<(String, String)>,
    pub stats: Vec<(String, Option<f64>)>,
}

/// A word selected in a sample line, in characters from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selection {
    pub line: usize,
    pub from: usize,
    pub to: usize,
}

/// A pick that yields the selected word, with what it yields on every sample line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PickSuggestion {
    pub pick: Pick,
    pub yields: Vec<Option<String>>,
    /// Distinct values on the sample lines.
    pub distinct: usize,
}

fn thousand() -> u32 {
    1000
}

fn hundred() -> u32 {
    100
}

fn auto() -> String {
    "auto".to_owned()
}
