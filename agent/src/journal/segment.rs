//! Segment files, and reading them all when the journal is opened.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{Checkpoint, JournalError, Place, frame};
use crate::durable::sync_directory;
use crate::tail::{PositionChanges, Positions};

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// Ordinal of its first frame.
    pub(super) first: u64,
    /// Ordinal of its last frame; 0 while it has none.
    pub(super) last: u64,
    pub(super) length: u64,
}

impl Segment {
    pub(super) fn path_of(directory: &Path, first: u64) -> PathBuf {
        directory.join(format!("{first:020}.seg"))
    }

    /// Whether all it holds is at or before `ordinal`.
    pub(super) fn is_done(&self, ordinal: u64) -> bool {
        self.last > 0 && self.last <= ordinal
    }

    pub(super) fn create(directory: &Path, first: u64) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let path = Self::path_of(directory, first);
        File::options().create(true).write(true).truncate(true).mode(0o600).open(&path)?.sync_all()?;
        sync_directory(directory)?;
        Ok(Self { path, first, last: 0, length: 0 })
    }
}

/// What the segments hold.
pub(super) struct Recovered {
    pub(super) segments: VecDeque<Segment>,
    pub(super) positions: Positions,
    pub(super) unacked: VecDeque<Place>,
    pub(super) last: u64,
}

/// Reads every segment; cuts off what a crash left unfinished at the end of the last.
///
/// Damage anywhere else is not skipped. What stands after it was likely taken by the server: to read those
/// lines again would count them twice, and to go on without what is damaged would call windows complete
/// that are not.
pub(super) fn scan(directory: &Path, checkpoint: &Checkpoint) -> Result<Recovered, JournalError> {
    let fail = |source| JournalError::Io { path: directory.to_path_buf(), source };
    let damaged = |path: &Path, at: u64| JournalError::Damaged {
        path: path.to_path_buf(),
        at,
        directory: directory.to_path_buf(),
    };
    let mut firsts: Vec<u64> = fs::read_dir(directory)
        .map_err(fail)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".seg")?.parse().ok())
        .collect();
    firsts.sort_unstable();
    let mut found = Recovered {
        segments: VecDeque::new(),
        positions: checkpoint.positions.clone(),
        unacked: VecDeque::new(),
        last: checkpoint.through,
    };
    // What comes before is not needed, and may be gone.
    let mut next = checkpoint.acked.min(checkpoint.through) + 1;
    for (index, first) in firsts.iter().enumerate() {
        let path = Segment::path_of(directory, *first);
        if *first > next || (index > 0 && *first < next) {
            return Err(damaged(&path, 0));
        }
        let bytes = fs::read(&path).map_err(fail)?;
        let mut segment = Segment { path, first: *first, last: 0, length: 0 };
        if let Some(at) = read_segment(&bytes, &mut segment, checkpoint, &mut found) {
            return Err(damaged(&segment.path, at));
        }
        next = if segment.last > 0 { segment.last + 1 } else { *first };
        let torn = segment.length < bytes.len() as u64;
        let is_last = index + 1 == firsts.len();
        // A checkpoint is written after what it is about was synced.
        if (torn && !is_last) || (is_last && next <= checkpoint.through) {
            return Err(damaged(&segment.path, segment.length));
        }
        if torn {
            tracing::info!(path = %segment.path.display(), at = segment.length, "cut off an unfinished record");
            let file = File::options().write(true).open(&segment.path).map_err(fail)?;
            file.set_len(segment.length).and_then(|()| file.sync_all()).map_err(fail)?;
        }
        found.segments.push_back(segment);
    }
    Ok(found)
}

/// Takes in the groups of frames that are whole, up to the segment's `length`. Answers where damage is that
/// a torn write does not explain.
fn read_segment(bytes: &[u8], segment: &mut Segment, checkpoint: &Checkpoint, found: &mut Recovered) -> Option<u64> {
    let (mut at, mut next) = (0, segment.first);
    let mut group: Vec<Place> = Vec::new();
    while let Some(frame) = frame::decode(&bytes[at..]) {
        // Each is sound, yet what was between them is gone.
        if frame.ordinal != next || (frame.first && !group.is_empty()) {
            return Some(at as u64);
        }
        next += 1;
        let offset = (at + frame.payload.start) as u64;
        let digest = crc32fast::hash(&bytes[at..][frame.payload.clone()]);
        let (ordinal, length) = (frame.ordinal, frame.payload.len());
        group.push(Place { ordinal, segment: segment.first, offset, length, digest });
        at += frame.length;
        if !frame.last {
            continue;
        }
        if frame.ordinal > checkpoint.through {
            found.positions.apply(&frame.positions.unwrap_or_else(PositionChanges::default));
        }
        found.last = found.last.max(frame.ordinal);
        found.unacked.extend(group.drain(..).filter(|place| place.ordinal > checkpoint.acked));
        segment.last = frame.ordinal;
        segment.length = at as u64;
    }
    frame::any_begins_in(&bytes[at..]).then_some(at as u64)
}
