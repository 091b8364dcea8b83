//! Names and ids.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::protocol::MAX_KEY_BYTES;

/// The bucket that takes the keys over a monitor's limit. Its figures are real; only the keys are folded.
pub const OTHER_KEY: &str = "(other)";

/// Bytes of the digest behind a key that was cut, in hexadecimal 16 digits: of the keys of one monitor no
/// two have the same.
const DIGEST_BYTES: usize = 8;

/// What stands between a key that was cut and its digest.
const CUT: &str = "…#";

/// `value` as it is kept as a key: what is longer than [`MAX_KEY_BYTES`] is cut where a character ends, and
/// a digest of the whole put behind it, as `…#9f3a2c11d04b7e65`. The same everywhere and always, so that
/// agents, versions and times of one key add up.
#[inline]
pub fn stored_key(value: &str) -> Cow<'_, str> {
    if value.len() <= MAX_KEY_BYTES { Cow::Borrowed(value) } else { Cow::Owned(cut_key(value)) }
}

#[cold]
fn cut_key(value: &str) -> String {
    let room = MAX_KEY_BYTES - CUT.len() - 2 * DIGEST_BYTES;
    let digest = &Sha256::digest(value.as_bytes())[..DIGEST_BYTES];
    let mut key = format!("{}{CUT}", &value[..value.floor_char_boundary(room)]);
    digest.iter().for_each(|byte| key.push_str(&format!("{byte:02x}")));
    key
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_keys_are_cut_and_told_apart() {
        let long = "a".repeat(MAX_KEY_BYTES);
        assert_eq!(stored_key(&long), long);
        let (one, two) = (stored_key(&format!("{long}1")).into_owned(), stored_key(&format!("{long}2")).into_owned());
        assert_ne!(one, two);
        // What is stored stays under its name.
        assert_eq!(one, format!("{}…#{}", &long[..236], "3695957a683bafbd"));
        assert_eq!(one.len(), MAX_KEY_BYTES);
    }

    proptest! {
        #[test]
        fn a_key_fits_ends_with_a_character_and_stays_as_it_is(value in "[a衣😀]{0,400}", tail in "[ab]{1,3}") {
            let key = stored_key(&value).into_owned();
            prop_assert!(key.len() <= MAX_KEY_BYTES);
            prop_assert_eq!(stored_key(&key), key.as_str());
            let longer = format!("{value}{tail}");
            prop_assert_ne!(stored_key(&longer), key.as_str());
            prop_assert!(value.len() > MAX_KEY_BYTES || key == value);
        }
    }
}
