//! One generation of a file, and the cursors that monitors have in it.
//!
//! **Invariant**: a cursor's offset only moves over bytes that were handed out (or belong to a cut
//! line), and each read first checks that the bytes before the offset are still the ones read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nightjar_model::Timestamp;

use super::known::{FileId, HEAD_BYTES, Look, open_regular, read_full};
use super::lines::cut_lines;
use super::positions::{CursorPosition, FileNo, FilePosition, Mark};
use super::{LINE_LIMIT_BYTES, READ_BYTES, Sink};

/// The bytes before a cursor, by which the place is known again.
const TAIL_BYTES: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At a watched path.
    Watched,
    /// Renamed or deleted, read to its end.
    Retired,
    /// Not found; forgotten after a while.
    Missing(Timestamp),
}

pub(crate) struct TailFile {
    pub(crate) no: FileNo,
    pub(crate) id: FileId,
    pub(crate) path: PathBuf,
    pub(crate) origin: PathBuf,
    pub(crate) head: Mark,
    pub(crate) cursors: Vec<Cursor>,
    pub(crate) handle: Option<File>,
    /// The last look after which the content was known to be this generation's.
    pub(crate) look: Option<Look>,
    pub(crate) size: u64,
    /// Up to where there is no further complete line, as far as was seen.
    pub(crate) scanned: u64,
    /// When it was last seen to hold nothing unread.
    pub(crate) caught_up_at: Option<Timestamp>,
    /// Where a line begins that has no end yet, and since when it is known.
    pub(crate) unended: Option<(u64, Timestamp)>,
    pub(crate) changed_at: Timestamp,
    pub(crate) place: Place,
    /// Hand out what stands after the last line end, then forget the file.
    pub(crate) closing: bool,
    /// A cursor moved since this was last asked.
    pub(crate) moved: bool,
    /// Whether nothing of it had been seen when the last pass ended.
    pub(crate) was_blank: bool,
    /// Its head was taken down after the files beside it: generations may have passed in between.
    pub(crate) captured_late: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    pub(crate) offset: u64,
    pub(crate) skipping: bool,
    pub(crate) tail: Mark,
    /// With the time of the last line each read here.
    pub(crate) monitors: BTreeMap<String, Option<Timestamp>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    CaughtUp,
    /// The budget was used up.
    More,
    /// The content before a cursor is no longer what was read, or the file is not open: it is to be
    /// looked at again.
    Turned,
}

impl Cursor {
    pub(crate) fn at_start(monitors: impl IntoIterator<Item = String>) -> Self {
        let monitors = monitors.into_iter().map(|monitor| (monitor, None)).collect();
        Self { offset: 0, skipping: false, tail: Mark::default(), monitors }
    }

    /// Behind the last line end of `file`, so that the line being written is still read whole.
    pub(crate) fn at_end(file: &File, size: u64) -> io::Result<Self> {
        let mut block = vec![0; (64 << 10).min(size as usize)];
        let from = size - block.len() as u64;
        let got = read_full(file, &mut block, from)?;
        let block = &block[..got];
        let (kept, skipping) = match memchr::memrchr(b'\n', block) {
            Some(at) => (at + 1, false),
            None if from == 0 => (0, false),
            None => (got, true),
        };
        let tail = Mark::of(&block[kept.saturating_sub(TAIL_BYTES)..kept]);
        Ok(Self { offset: from + kept as u64, skipping, tail, monitors: BTreeMap::new() })
    }

    /// Whether the bytes before it are in `file`.
    pub(crate) fn stands_in(&self, file: &File) -> io::Result<bool> {
        let length = self.tail.length;
        Ok(length == 0 || Mark::read(file, self.offset - u64::from(length), length)? == self.tail)
    }
}

impl TailFile {
    pub(crate) fn from_position(no: FileNo, position: &FilePosition, now: Timestamp) -> Self {
        let cursor = |c: &CursorPosition| Cursor {
            offset: c.offset,
            skipping: c.skipping,
            tail: c.tail,
            monitors: c.monitors.iter().map(|monitor| (monitor.clone(), None)).collect(),
        };
        Self {
            no,
            id: FileId { device: position.device, inode: position.inode },
            path: position.path.clone().into(),
            origin: position.origin.clone().into(),
            head: position.head,
            cursors: position.cursors.iter().map(cursor).collect(),
            handle: None,
            look: None,
            size: position.size,
            scanned: 0,
            caught_up_at: None,
            unended: None,
            changed_at: now,
            place: if position.retired { Place::Retired } else { Place::Watched },
            closing: false,
            moved: false,
            was_blank: position.blank,
            captured_late: false,
        }
    }

    /// A file just opened, that nobody reads yet.
    pub(crate) fn opened(no: FileNo, id: FileId, handle: File, path: &Path, origin: &Path, now: Timestamp) -> Self {
        Self {
            no,
            id,
            path: path.to_path_buf(),
            origin: origin.to_path_buf(),
            head: Mark::default(),
            cursors: Vec::new(),
            handle: Some(handle),
            look: None,
            size: 0,
            scanned: 0,
            caught_up_at: None,
            unended: None,
            changed_at: now,
            place: Place::Watched,
            closing: false,
            moved: false,
            was_blank: false,
            captured_late: false,
        }
    }

    /// Takes out the generation whose content is gone, for what is left of it to be looked for
    /// elsewhere. What remains is the inode, with nothing of it read.
    pub(crate) fn take_generation(&mut self) -> Self {
        Self {
            no: self.no,
            id: self.id,
            path: self.path.clone(),
            origin: self.origin.clone(),
            head: std::mem::take(&mut self.head),
            cursors: std::mem::take(&mut self.cursors),
            handle: None,
            look: self.look.take(),
            size: std::mem::take(&mut self.size),
            scanned: std::mem::take(&mut self.scanned),
            caught_up_at: self.caught_up_at.take(),
            unended: self.unended.take(),
            changed_at: self.changed_at,
            place: self.place,
            closing: std::mem::take(&mut self.closing),
            moved: false,
            was_blank: false,
            captured_late: false,
        }
    }

    pub(crate) fn position(&self) -> FilePosition {
        let cursor = |c: &Cursor| CursorPosition {
            offset: c.offset,
            skipping: c.skipping,
            tail: c.tail,
            monitors: c.monitors.keys().cloned().collect(),
        };
        FilePosition {
            path: self.path.to_string_lossy().into_owned(),
            origin: self.origin.to_string_lossy().into_owned(),
            device: self.id.device,
            inode: self.id.inode,
            head: self.head,
            size: self.size,
            retired: self.place != Place::Watched,
            blank: self.was_blank || self.is_blank(),
            cursors: self.cursors.iter().map(cursor).collect(),
        }
    }

    pub(crate) fn has(&self, monitor: &str) -> bool {
        self.cursors.iter().any(|cursor| cursor.monitors.contains_key(monitor))
    }

    pub(crate) fn furthest(&self) -> u64 {
        self.cursors.iter().map(|cursor| cursor.offset).max().unwrap_or(0)
    }

    /// Nothing of it was ever seen.
    pub(crate) fn is_blank(&self) -> bool {
        self.head.length == 0 && self.furthest() == 0
    }

    /// Opens it at `path` if it is not open, and learns whether the content is still this generation's.
    /// `None` where another inode stands at the path.
    pub(crate) fn verify(&mut self, path: &Path) -> io::Result<Option<bool>> {
        if self.handle.is_some() {
            return self.is_unturned(false).map(Some);
        }
        let (file, metadata) = open_regular(path)?;
        if Look::of(&metadata).id != self.id {
            return Ok(None);
        }
        self.reopen(file).map(Some)
    }

    /// Goes on with this handle on its inode, if the content is still this generation's.
    pub(crate) fn reopen(&mut self, file: File) -> io::Result<bool> {
        self.handle = Some(file);
        self.is_unturned(true)
    }

    fn is_unturned(&mut self, opened: bool) -> io::Result<bool> {
        let Some(file) = &self.handle else { return Ok(false) };
        let look = Look::of(&file.metadata()?);
        let standing = look.size >= self.furthest()
            && look.size >= u64::from(self.head.length)
            // The tail alone tells where there is one of full length and the inode cannot be another's.
            && ((!opened && self.furthest() >= TAIL_BYTES as u64)
                || Mark::read(file, 0, self.head.length)? == self.head)
            && self.cursors.iter().map(|c| c.stands_in(file)).collect::<io::Result<Vec<_>>>()?.iter().all(|ok| *ok);
        if !standing {
            return Ok(false);
        }
        let wanted = look.size.min(HEAD_BYTES) as u32;
        if self.head.length < wanted {
            match self.head.grown(file, wanted)? {
                Some(head) => self.head = head,
                None => return Ok(false),
            }
        }
        if look.size != self.scanned {
            self.caught_up_at = None;
        }
        self.size = look.size;
        self.look = Some(look);
        Ok(true)
    }

    /// Whether `other` begins with this one's head.
    pub(crate) fn has_head_of(&self, other: &File, size: u64) -> io::Result<bool> {
        let length = self.head.length;
        Ok(length > 0 && size >= u64::from(length) && Mark::read(other, 0, length)? == self.head)
    }

    /// Whether the file at `path` begins with what was read of this one: a copy, or this one renamed.
    pub(crate) fn continues_in(&self, file: &File, size: u64) -> io::Result<bool> {
        Ok(self.head.length > 0
            && size >= self.furthest().max(u64::from(self.head.length))
            && Mark::read(file, 0, self.head.length)? == self.head
            && self.cursors.iter().map(|c| c.stands_in(file)).collect::<io::Result<Vec<_>>>()?.iter().all(|ok| *ok))
    }

    /// Whether `other` is, as far as it goes, the same bytes as this file has now: a copy being made.
    pub(crate) fn begins_like(&self, other: &File, size: u64) -> io::Result<bool> {
        let Some(file) = &self.handle else { return Ok(false) };
        if size == 0 || size > file.metadata()?.len() {
            return Ok(false);
        }
        let same = |offset: u64, length: u64| -> io::Result<bool> {
            Ok(Mark::read(file, offset, length as u32)? == Mark::read(other, offset, length as u32)?)
        };
        let head = size.min(HEAD_BYTES);
        Ok(same(0, head)? && same(size - head, head)?)
    }

    /// Lets `monitors` read it from `cursor`, those that are in it already excepted.
    pub(crate) fn attach(&mut self, mut cursor: Cursor) -> bool {
        cursor.monitors.retain(|monitor, _| !self.has(monitor));
        let any = !cursor.monitors.is_empty();
        if any {
            self.cursors.push(cursor);
            self.caught_up_at = None;
            self.scanned = 0;
        }
        any
    }

    /// Reads at most about `budget` bytes.
    pub(crate) fn read(
        &mut self,
        buffer: &mut Vec<u8>,
        budget: usize,
        slots: &dyn Fn(&str) -> Option<usize>,
        sink: &mut dyn Sink,
    ) -> io::Result<Progress> {
        let Some(file) = &self.handle else { return Ok(Progress::Turned) };
        let mut used = 0;
        loop {
            merge_cursors(&mut self.cursors);
            let next = self.cursors.get(1).map(|cursor| cursor.offset);
            let Some(cursor) = self.cursors.first_mut() else { return Ok(Progress::CaughtUp) };
            let overlap = cursor.tail.length as usize;
            let got = read_full(file, buffer, cursor.offset - overlap as u64)?;
            if got < overlap || Mark::of(&buffer[..overlap]) != cursor.tail {
                return Ok(Progress::Turned);
            }
            // Near the start the bytes before the cursor say little; the head says it.
            if cursor.offset == overlap as u64 {
                let start = &buffer[..got.min(HEAD_BYTES as usize)];
                if start.get(..self.head.length as usize).map(Mark::of) != Some(self.head) {
                    return Ok(Progress::Turned);
                }
                // What was blank when it was last looked at is known again by what is read of it.
                if start.len() > self.head.length as usize {
                    self.head = Mark::of(start);
                }
            }
            let at_end = got < buffer.len();
            let data = &buffer[overlap..got];
            let monitors: Vec<usize> = cursor.monitors.keys().filter_map(|name| slots(name)).collect();
            let path = &self.path;
            let mut hand_out = |line: &[u8], cut: bool| sink.line(&monitors, line, cut, path);
            // Up to the next cursor, where both become one; if a line reaches over it, past it.
            let joint = next.map_or(data.len(), |offset| data.len().min((offset - cursor.offset) as usize));
            let mut cutting = cut_lines(&data[..joint], cursor.skipping, LINE_LIMIT_BYTES, &mut hand_out);
            if cutting.consumed == 0 && joint < data.len() {
                cutting = cut_lines(data, cursor.skipping, LINE_LIMIT_BYTES, &mut hand_out);
            }
            if cutting.nul_run {
                for monitor in &monitors {
                    sink.fault(*monitor, nightjar_model::delta::FaultReason::NulBytes, 1, &path.to_string_lossy());
                }
            }
            let consumed = cutting.consumed;
            if consumed > 0 {
                self.moved = true;
                let end = overlap + consumed;
                cursor.offset += consumed as u64;
                cursor.skipping = cutting.skipping;
                cursor.tail = Mark::of(&buffer[end.saturating_sub(TAIL_BYTES)..end]);
                for (name, time) in &mut cursor.monitors {
                    if let Some(slot) = slots(name) {
                        *time = sink.take_last_time(slot).or(*time);
                    }
                }
            }
            self.scanned = cursor.offset - consumed as u64 + (got - overlap) as u64;
            used += consumed;
            if at_end && (consumed == 0 || self.cursors.len() == 1) {
                shrink(buffer);
                return Ok(Progress::CaughtUp);
            }
            if consumed == 0 {
                // A line longer than the buffer: make room for the longest that is not cut.
                buffer.resize(LINE_LIMIT_BYTES + TAIL_BYTES + 1, 0);
            } else if used >= budget {
                shrink(buffer);
                return Ok(Progress::More);
            }
        }
    }

    /// There is nothing more to read but, perhaps, the beginning of a line.
    pub(crate) fn catch_up(&mut self, now: Timestamp) {
        self.caught_up_at = Some(now);
        let begin = self.furthest();
        let known = self.unended.filter(|(known, _)| *known == begin);
        self.unended = (self.scanned > begin).then(|| known.unwrap_or((begin, now)));
    }

    /// Hands out what stands after the last line end: nothing will follow it.
    pub(crate) fn finish(
        &mut self,
        buffer: &mut Vec<u8>,
        slots: &dyn Fn(&str) -> Option<usize>,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        let Some(file) = &self.handle else { return Ok(()) };
        for cursor in self.cursors.iter().filter(|cursor| !cursor.skipping) {
            buffer.resize(LINE_LIMIT_BYTES + TAIL_BYTES + 1, 0);
            let got = read_full(file, &mut buffer[..LINE_LIMIT_BYTES], cursor.offset)?;
            if buffer[..got].iter().any(|b| *b != 0) {
                let monitors: Vec<usize> = cursor.monitors.keys().filter_map(|name| slots(name)).collect();
                sink.line(&monitors, &buffer[..got], false, &self.path);
                // It says nothing about the file that is read next.
                for monitor in monitors {
                    sink.take_last_time(monitor);
                }
            }
        }
        shrink(buffer);
        Ok(())
    }
}

fn shrink(buffer: &mut Vec<u8>) {
    buffer.truncate(READ_BYTES);
    buffer.shrink_to(READ_BYTES);
}

/// Cursors at one place become one, so that what follows is read once.
fn merge_cursors(cursors: &mut Vec<Cursor>) {
    if cursors.len() < 2 {
        return;
    }
    cursors.retain(|cursor| !cursor.monitors.is_empty());
    cursors.sort_by_key(|cursor| (cursor.offset, cursor.skipping));
    cursors.dedup_by(|later, earlier| {
        let same = later.offset == earlier.offset && later.skipping == earlier.skipping;
        if same {
            earlier.monitors.append(&mut later.monitors);
        }
        same
    });
}
