//! How far each file was read: what the journal keeps, and what makes a restart the same as a pause.

use std::collections::{BTreeMap, BTreeSet};

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::trail::Trail;

/// The tailer's number of a file's generation; never used twice in one data directory.
pub type FileNo = u64;

/// Everything the tailer must know to go on where it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Positions {
    pub next: FileNo,
    pub files: BTreeMap<FileNo, FilePosition>,
    pub tracks: BTreeMap<String, TrackPosition>,
    /// Per monitor the patterns whose files were there when it came are already accounted for.
    pub primed: BTreeMap<String, BTreeSet<String>>,
    /// Files that are left alone, by inode: copies of what was read.
    pub copies: BTreeMap<u64, CopyPosition>,
    /// The uids of monitors that have ever begun.
    pub begun: BTreeSet<String>,
}

/// What changed since the last record; `None` for what is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PositionChanges {
    pub next: FileNo,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<FileNo, Option<FilePosition>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tracks: BTreeMap<String, Option<TrackPosition>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub primed: BTreeMap<String, Option<BTreeSet<String>>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub copies: BTreeMap<u64, Option<CopyPosition>>,
    /// Those that have begun since.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub begun: BTreeSet<String>,
}

/// One generation of a file: what was written between two truncations of one inode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePosition {
    pub path: String,
    /// The watched path that it came under.
    pub origin: String,
    /// Where it is by a path without links, if that is another; empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub real: String,
    pub device: u64,
    pub inode: u64,
    /// When the inode was made, in nanoseconds since the epoch; 0 where that is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub born: i64,
    pub head: Mark,
    /// Its size when last looked at.
    pub size: u64,
    /// No longer what stands at a watched path.
    pub retired: bool,
    /// Generations before it may still have to be looked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blank: bool,
    pub cursors: Vec<CursorPosition>,
}

/// A place in a file that some monitors have read up to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorPosition {
    pub offset: u64,
    /// In the rest of a line that was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipping: bool,
    /// That line was handed out because it had no end for long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub early: bool,
    /// The file's size when a monitor began at its end.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub inherited: u64,
    pub tail: Mark,
    /// Agents before this did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail: Option<Trail>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<FormerPosition>,
    pub monitors: BTreeSet<String>,
}

/// How far a content was read that was cut or replaced, and may yet come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerPosition {
    pub offset: u64,
    pub head: Mark,
    pub tail: Mark,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail: Option<Trail>,
}

/// A file as it was when it was found to be a copy of one that these monitors read. While it stays so,
/// it has nothing new for them, whatever becomes of its original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyPosition {
    pub size: u64,
    /// Seconds and nanoseconds.
    pub modified: (i64, i64),
    pub monitors: BTreeSet<String>,
}

/// A hash of some bytes of a file, by which it is known again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub length: u32,
    pub hash: u64,
}

/// A watched path: which generation stands there, and which of its siblings are no news.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackPosition {
    pub current: Option<FileNo>,
    /// Rotation-like siblings that were there while `current` stood at the path: inode and time of birth.
    pub seen: BTreeSet<(u64, i64)>,
}

impl Positions {
    pub fn apply(&mut self, changes: &PositionChanges) {
        self.next = self.next.max(changes.next);
        merge(&mut self.files, &changes.files);
        merge(&mut self.tracks, &changes.tracks);
        merge(&mut self.primed, &changes.primed);
        merge(&mut self.copies, &changes.copies);
        self.begun.extend(changes.begun.iter().cloned());
    }

    /// All of it as changes to nothing.
    pub fn to_changes(&self) -> PositionChanges {
        PositionChanges {
            next: self.next,
            files: some(&self.files),
            tracks: some(&self.tracks),
            primed: some(&self.primed),
            copies: some(&self.copies),
            begun: self.begun.clone(),
        }
    }
}

impl PositionChanges {
    pub fn is_empty(&self) -> bool {
        *self == Self { next: self.next, ..Self::default() }
    }

    /// Adds what changed after this.
    pub fn extend(&mut self, later: Self) {
        self.next = self.next.max(later.next);
        self.files.extend(later.files);
        self.tracks.extend(later.tracks);
        self.primed.extend(later.primed);
        self.copies.extend(later.copies);
        self.begun.extend(later.begun);
    }
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A path as the journal keeps it: as it is where it is UTF-8, otherwise a NUL, which is in no path, and
/// its bytes in hexadecimal.
pub(super) fn path_to_text(path: &Path) -> String {
    match path.to_str() {
        Some(text) => text.to_owned(),
        None => path.as_os_str().as_bytes().iter().fold("\0".to_owned(), |text, byte| format!("{text}{byte:02x}")),
    }
}

pub(super) fn text_to_path(text: &str) -> PathBuf {
    let Some(digits) = text.strip_prefix('\0') else { return PathBuf::from(text) };
    let value = |digit: &u8| char::from(*digit).to_digit(16).unwrap_or_default() as u8;
    let bytes: Vec<u8> =
        digits.as_bytes().chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| (byte << 4) | value(digit))).collect();
    std::ffi::OsString::from_vec(bytes).into()
}

fn merge<K: Ord + Clone, V: Clone>(into: &mut BTreeMap<K, V>, changes: &BTreeMap<K, Option<V>>) {
    for (key, value) in changes {
        match value {
            Some(value) => into.insert(key.clone(), value.clone()),
            None => into.remove(key),
        };
    }
}

fn some<K: Ord + Clone, V: Clone>(all: &BTreeMap<K, V>) -> BTreeMap<K, Option<V>> {
    all.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn every_path_is_kept() {
        for bytes in [&b"/l/a.log"[..], "/l/交易.log".as_bytes(), b"/l/\xbd\xbb\xd2\xd7.log", b""] {
            let path = Path::new(OsStr::from_bytes(bytes));
            assert_eq!(text_to_path(&path_to_text(path)), path);
        }
    }

    #[test]
    fn what_agents_before_trails_kept_is_understood() {
        let kept = r#"{"next":1,"files":{"1":{"path":"/l/a.log","origin":"/l/a.log","device":1,"inode":2,
            "head":{"length":3,"hash":9},"size":3,"retired":false,
            "cursors":[{"offset":3,"tail":{"length":3,"hash":9},"monitors":["m"]}]}}}"#;
        let positions: Positions = serde_json::from_str(kept).unwrap();
        let cursor = &positions.files[&1].cursors[0];
        assert_eq!((cursor.offset, &cursor.trail, &cursor.former), (3, &None, &None));
        assert!(!serde_json::to_string(&positions).unwrap().contains("real"));
    }
}
