//! Reading log files as they grow, each line exactly once, through rotation and restarts.
//!
//! A **file** is one generation of an inode: what was written between two truncations. It is known
//! by device, inode, a hash of its first bytes, a hash of the bytes before each cursor, and the **trail**
//! of each: checksums of all that was read, run by run. Which lines are new is decided by content: where
//! another file takes the place of one, or the content of one changes, reading goes on where what was read
//! ends in it ([`kin`], [`succession`]). A
//! **track** is a watched path and the file that stands there. When something else stands there
//! (renamed away, copied and truncated, once or several times, just now or while the agent was not
//! running) one routine, `turn_over`, finds what is left of the old file and the generations in
//! between. Files are read independently of each other; counting does not depend on their order.
//!
//! The tailer is synchronous and owns no clock: who drives it says what time it is. Its positions
//! are handed out as changes and belong into the same journal record as what was counted.

mod cursor;
mod discover;
mod elsewhere;
mod file;
mod glob;
mod kin;
mod known;
mod lines;
mod positions;
mod rest;
mod room;
mod siblings;
mod succession;
mod trail;
mod turnover;

#[cfg(test)]
mod content_tests;
#[cfg(test)]
mod edit_tests;
#[cfg(test)]
mod race_tests;
#[cfg(test)]
mod rotation_tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use nightjar_model::Timestamp;
use nightjar_model::delta::FaultReason;
use nightjar_model::kinds::monitor::{PathPattern, StartAt};

use self::file::{Outlet, Place, Progress, TailFile};
pub(crate) use self::glob::expand;
use self::known::FileId;
pub(crate) use self::known::open_regular;
pub use self::positions::{
    CopyPosition, CursorPosition, FileNo, FilePosition, FormerPosition, Mark, PositionChanges, Positions, TrackPosition,
};
use self::positions::{path_to_text, text_to_path};
use self::succession::FILLS_WITHIN;
pub use self::trail::Trail;
use crate::guard::Guard;

/// The longest line; what is over it is cut off.
pub const LINE_LIMIT_BYTES: usize = crate::pipeline::MAX_LINE_BYTES;
/// Read at once.
const READ_BYTES: usize = 256 << 10;
/// Read from one file before another has its turn.
const TURN_BYTES: usize = 1 << 20;
/// Files that one pattern may find; over it the rest is not read, and that is a fault.
pub const MAX_FILES_PER_PATTERN: usize = 1000;
/// Files kept open, so that what is in them can be read even after they are deleted.
const MAX_OPEN: usize = 512;
/// Lines with a time this near to the present may still be in the writer's buffer.
pub const GRACE_MILLIS: i64 = 1000;

/// What a monitor wants read.
#[derive(Debug, Clone)]
pub struct Watch {
    pub monitor: String,
    /// Another one when a monitor of this name was deleted and made again; empty where it is not known.
    pub uid: String,
    /// What [`Sink`] calls it.
    pub slot: usize,
    pub patterns: Vec<PathPattern>,
    pub start: StartAt,
}

/// Where lines go.
pub trait Sink {
    /// One line without its end, for each of these monitors. `cut`: there was more of it.
    fn line(&mut self, monitors: &[usize], line: &[u8], cut: bool, path: &Path);
    /// The time of the last line of this monitor that had one, of the lines since this was last asked.
    fn take_last_time(&mut self, monitor: usize) -> Option<Timestamp>;
    fn fault(&mut self, monitor: usize, reason: FaultReason, count: u64, example: &str);
}

/// Something that is wrong with a monitor's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailFault {
    pub monitor: String,
    pub reason: FaultReason,
    pub count: u64,
    pub example: String,
    /// Of what can be read no more: it was logged before this.
    pub gap: Option<Timestamp>,
}

pub struct Tailer {
    guard: Guard,
    next: FileNo,
    files: BTreeMap<FileNo, TailFile>,
    by_id: HashMap<FileId, FileNo>,
    tracks: BTreeMap<PathBuf, Track>,
    primed: BTreeMap<String, BTreeSet<String>>,
    copies: BTreeMap<u64, CopyPosition>,
    begun: BTreeSet<String>,
    watches: BTreeMap<String, Watch>,
    unreadable: BTreeMap<PathBuf, Unreadable>,
    faults: Vec<TailFault>,
    changed: Changed,
    discovered_at: Option<Timestamp>,
    buffer: Vec<u8>,
}

#[derive(Debug, Default)]
struct Track {
    current: Option<FileNo>,
    seen: BTreeSet<(u64, i64)>,
    /// The directory's time of change when `seen` was taken.
    listed: Option<(i64, i64)>,
    /// What stands there is a copy of another file and is left alone.
    held: Option<FileId>,
}

/// A path that is there and cannot be read.
#[derive(Debug)]
struct Unreadable {
    /// Monitors that name this very path: their minutes are not complete without it.
    needed_by: BTreeSet<String>,
    /// Monitors that found it when they came: it is still "already there" once it can be read.
    found_by: BTreeSet<String>,
    counted_at: Timestamp,
}

/// What the next record must carry.
#[derive(Debug, Default)]
struct Changed {
    files: BTreeSet<FileNo>,
    tracks: BTreeSet<PathBuf>,
    primed: BTreeSet<String>,
    copies: BTreeSet<u64>,
    begun: BTreeSet<String>,
}

impl Tailer {
    pub fn new(positions: &Positions, guard: Guard, now: Timestamp) -> Self {
        let files: BTreeMap<FileNo, TailFile> =
            positions.files.iter().map(|(no, p)| (*no, TailFile::from_position(*no, p, now))).collect();
        let track = |t: &TrackPosition| Track { current: t.current, seen: t.seen.clone(), ..Track::default() };
        Self {
            guard,
            next: positions.next,
            by_id: files.iter().map(|(no, file)| (file.id, *no)).collect(),
            files,
            tracks: positions.tracks.iter().map(|(path, t)| (text_to_path(path), track(t))).collect(),
            primed: positions.primed.clone(),
            copies: positions.copies.clone(),
            begun: positions.begun.clone(),
            watches: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            faults: Vec::new(),
            changed: Changed::default(),
            discovered_at: None,
            buffer: vec![0; READ_BYTES],
        }
    }

    /// Replaces what is watched. A monitor that is no longer among them forgets its places; should it
    /// come back, it begins at the end, whatever it says: what was there it may have read before.
    pub fn configure(&mut self, watches: Vec<Watch>) {
        self.watches = watches.into_iter().map(|watch| (watch.monitor.clone(), watch)).collect();
        self.discovered_at = None;
        let watches = &self.watches;
        self.primed.retain(|monitor, patterns| {
            let wanted = watches.get(monitor);
            let before = patterns.len();
            patterns.retain(|pattern| wanted.is_some_and(|w| w.patterns.iter().any(|p| p.as_str() == pattern)));
            if patterns.len() != before {
                self.changed.primed.insert(monitor.clone());
            }
            !patterns.is_empty()
        });
        for (no, file) in &mut self.files {
            let (origin, path) = (file.origin.clone(), file.path.clone());
            for cursor in &mut file.cursors {
                let before = cursor.monitors.len();
                cursor
                    .monitors
                    .retain(|monitor, _| watches.get(monitor).is_some_and(|w| w.wants(&origin) || w.wants(&path)));
                if cursor.monitors.len() != before {
                    self.changed.files.insert(*no);
                }
            }
            file.cursors.retain(|cursor| !cursor.monitors.is_empty());
        }
        let idle: Vec<FileNo> = self.files.values().filter(|f| f.cursors.is_empty()).map(|f| f.no).collect();
        idle.into_iter().for_each(|no| self.forget(no));
        let watches = &self.watches;
        self.tracks.retain(|path, _| {
            let wanted = watches.values().any(|w| w.wants(path));
            if !wanted {
                self.changed.tracks.insert(path.clone());
            }
            wanted
        });
        self.unreadable.clear();
    }

    /// Reads about `budget` bytes of what is there. `true`: there is more.
    pub fn read(&mut self, budget: usize, now: Timestamp, sink: &mut dyn Sink) -> bool {
        let watches = &self.watches;
        let slots = |monitor: &str| watches.get(monitor).map(|watch| watch.slot);
        let outlet = &mut Outlet { buffer: &mut self.buffer, slots: &slots, sink };
        let mut used = 0;
        let mut more = false;
        let mut finished = Vec::new();
        for (no, file) in &mut self.files {
            let known = file.look.is_some() && !matches!(file.place, Place::Missing(_));
            if known && file.caught_up_at.is_none() {
                if used >= budget {
                    more = true;
                    continue;
                }
                let turn = TURN_BYTES.min(budget - used);
                let outcome = file.read(outlet, turn);
                used += turn;
                if std::mem::take(&mut file.moved) {
                    self.changed.files.insert(*no);
                }
                match outcome {
                    Ok(Progress::CaughtUp) => file.catch_up(now),
                    Ok(Progress::More) => more = true,
                    // The next pass finds out what happened.
                    Ok(Progress::Turned) => file.look = None,
                    Err(error) => tracing::debug!(path = %file.path.display(), %error, "cannot read"),
                }
            }
            if !file.closing && file.caught_up_at.is_some() && file.is_rest_due(now) {
                if let Err(error) = file.hand_out_rest(outlet) {
                    tracing::debug!(path = %file.path.display(), %error, "cannot read a line without an end");
                }
                if std::mem::take(&mut file.moved) {
                    self.changed.files.insert(*no);
                }
            }
            if file.closing && file.caught_up_at.is_some() {
                if let Err(error) = file.finish(outlet) {
                    tracing::debug!(path = %file.path.display(), %error, "cannot read the last line");
                }
                finished.push(*no);
            }
        }
        self.tell_noted(now);
        finished.into_iter().for_each(|no| self.forget(no));
        more
    }

    /// Up to when everything that this monitor asks for was read; `None` where nothing can be said.
    pub fn through(&self, monitor: &str) -> Option<Timestamp> {
        if self.unreadable.values().any(|u| u.needed_by.contains(monitor)) {
            return None;
        }
        let discovered = self.discovered_at?;
        let mut through = discovered;
        for file in self.files.values() {
            for cursor in &file.cursors {
                let Some(last_time) = cursor.monitors.get(monitor) else { continue };
                // What is not new even once nothing more came to it is the beginning of a line that was read.
                let fills = discovered.since(file.changed_at) < FILLS_WITHIN;
                let held = fills && cursor.former.is_some() && cursor.offset < file.size;
                through = through.min(match (file.caught_up_at.filter(|_| !held), file.place) {
                    // The line that is being written is of a time between the last one's and now.
                    (Some(at), _) => {
                        file.waits_since(discovered).map_or(at, |since| last_time.map_or(since, |time| time.min(since)))
                    }
                    // Of one that was not seen since the start nobody knows yet.
                    (None, Place::Missing(_)) if file.size <= cursor.offset && file.look.is_some() => through,
                    (None, _) => (*last_time)?,
                });
            }
        }
        Some(Timestamp(through.0 - GRACE_MILLIS))
    }

    /// Files that this monitor reads.
    pub fn files_of(&self, monitor: &str) -> u32 {
        self.files.values().filter(|file| file.has(monitor) && !matches!(file.place, Place::Missing(_))).count() as u32
    }

    /// Device and inode of files that this monitor reads, at most `limit`: those that sort first.
    pub fn on_disk(&self, monitor: &str, limit: usize) -> Vec<(u64, u64)> {
        let reads = |file: &&TailFile| file.has(monitor) && !matches!(file.place, Place::Missing(_));
        let mut found: Vec<(u64, u64)> =
            self.files.values().filter(reads).map(|file| (file.id.device, file.id.inode)).collect();
        found.sort_unstable();
        found.dedup();
        found.truncate(limit);
        found
    }

    /// What changed since it was last asked, to be journalled with what was counted meanwhile.
    pub fn take_changes(&mut self) -> PositionChanges {
        let changed = std::mem::take(&mut self.changed);
        let track = |t: &Track| TrackPosition { current: t.current, seen: t.seen.clone() };
        PositionChanges {
            next: self.next,
            files: changed.files.into_iter().map(|no| (no, self.files.get(&no).map(TailFile::position))).collect(),
            tracks: changed
                .tracks
                .into_iter()
                .map(|path| (path_to_text(&path), self.tracks.get(&path).map(track)))
                .collect(),
            primed: changed.primed.into_iter().map(|m| (m.clone(), self.primed.get(&m).cloned())).collect(),
            begun: changed.begun,
            copies: changed.copies.into_iter().map(|inode| (inode, self.copies.get(&inode).cloned())).collect(),
        }
    }

    pub fn take_faults(&mut self) -> Vec<TailFault> {
        std::mem::take(&mut self.faults)
    }

    fn forget(&mut self, no: FileNo) {
        if let Some(file) = self.files.remove(&no) {
            self.changed.files.insert(no);
            if self.by_id.get(&file.id) == Some(&no) {
                self.by_id.remove(&file.id);
            }
        }
    }
}

impl Watch {
    fn wants(&self, path: &Path) -> bool {
        self.patterns.iter().any(|pattern| match pattern {
            // By their parts: a slash too many makes no other path.
            PathPattern::Path(wanted) => Path::new(wanted) == path,
            PathPattern::Glob(glob) => glob::matches(glob, &path.to_string_lossy()),
        })
    }
}
