//! How far each file was read: what the journal keeps, and what makes a restart the same as a pause.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

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
    pub device: u64,
    pub inode: u64,
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
    pub tail: Mark,
    pub monitors: BTreeSet<String>,
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
