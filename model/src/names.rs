//! Names and ids.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The bucket that takes the keys over a monitor's limit. Its figures are real; only the keys are folded.
pub const OTHER_KEY: &str = "(other)";

/// The workspace every server starts with.
pub const DEFAULT_WORKSPACE: &str = "default";

/// A monitor, across workspaces: the unit that figures belong to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct MonitorKey {
    pub workspace: String,
    pub name: String,
}

impl MonitorKey {
    pub fn new(workspace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { workspace: workspace.into(), name: name.into() }
    }
}

impl std::fmt::Display for MonitorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.workspace, self.name)
    }
}

/// An enrolled agent; the server gives it at enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct AgentId(pub String);

impl std::fmt::Display for AgentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with `name` as the name of a resource, if anything: 1 to 63 of `a-z 0-9 -`, starting
/// and ending with a letter or digit.
pub fn resource_name_problem(name: &str) -> Option<&'static str> {
    let edge_is_dash = name.starts_with('-') || name.ends_with('-');
    let allowed = name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    match name.len() {
        0 => Some("is required"),
        1..=63 if allowed && !edge_is_dash => None,
        1..=63 => Some("may hold only a-z, 0-9 and `-`, and must start and end with a letter or digit"),
        _ => Some("is longer than 63 characters"),
    }
}

/// What is wrong with `name` as the name of a column or figure, if anything: a letter or `_`, then
/// letters, digits and `_`, at most 63.
pub fn column_name_problem(name: &str) -> Option<&'static str> {
    let start = name.bytes().next();
    let allowed = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match start {
        None => Some("is required"),
        Some(first) if first.is_ascii_digit() || !allowed => {
            Some("must be a letter or `_`, then letters, digits and `_`")
        }
        Some(_) if name.len() > 63 => Some("is longer than 63 characters"),
        Some(_) => None,
    }
}
