//! One generation of a file, and the cursors that monitors have in it.
//!
//! **Invariant**: a cursor's offset only moves over bytes that were handed out (or belong to a cut
//! line), and each read first checks that the bytes before the offset are still the ones read.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nightjar_model::Timestamp;
use nightjar_model::delta::FaultReason;

use super::cursor::{Cursor, TAIL_BYTES, merge_cursors};
use super::known::{FileId, HEAD_BYTES, Look, open_regular, read_full, without_trailing_nuls};
use super::lines::cut_lines;
use super::positions::{FileNo, FilePosition, Mark, path_to_text, text_to_path};
use super::room::{Room, nuls_until};
use super::{LINE_LIMIT_BYTES, READ_BYTES, Sink};

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
    /// When the inode was made; 0 where that is not known.
    pub(crate) born: i64,
    pub(crate) path: PathBuf,
    pub(crate) origin: PathBuf,
    /// By a path without links, as far as it is known.
    pub(crate) real: PathBuf,
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
    /// Where there are NULs, as far as was seen to the end: room for lines to come, or what a writer left
    /// that goes on behind it.
    pub(crate) room: Option<Room>,
    /// It was written over before where it was read: it has several writers, or is edited in place.
    pub(crate) contended: bool,
    /// What was lost of it, to be told.
    pub(crate) lost: Vec<Lost>,
    /// So often a part of what was read was compared.
    looks: u64,
}

/// Bytes that were written and are not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) monitors: Vec<String>,
    pub(crate) bytes: u64,
    pub(crate) example: String,
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

/// Where what is read goes.
pub(crate) struct Outlet<'a> {
    pub(crate) buffer: &'a mut Vec<u8>,
    /// What [`Sink`] calls a monitor.
    pub(crate) slots: &'a dyn Fn(&str) -> Option<usize>,
    pub(crate) sink: &'a mut dyn Sink,
}

impl Outlet<'_> {
    pub(super) fn monitors_of(&self, cursor: &Cursor) -> Vec<usize> {
        cursor.monitors.keys().filter_map(|name| (self.slots)(name)).collect()
    }

    /// Keeps the time of the last line that each monitor of `cursor` was given.
    pub(super) fn take_times(&mut self, cursor: &mut Cursor) {
        for (name, time) in &mut cursor.monitors {
            if let Some(slot) = (self.slots)(name) {
                *time = self.sink.take_last_time(slot).or(*time);
            }
        }
    }
}

impl TailFile {
    pub(crate) fn from_position(no: FileNo, position: &FilePosition, now: Timestamp) -> Self {
        Self {
            no,
            id: FileId { device: position.device, inode: position.inode },
            born: position.born,
            path: text_to_path(&position.path),
            origin: text_to_path(&position.origin),
            real: text_to_path(if position.real.is_empty() { &position.path } else { &position.real }),
            head: position.head,
            cursors: position.cursors.iter().map(|cursor| Cursor::from_position(cursor, now)).collect(),
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
            room: None,
            contended: false,
            lost: Vec::new(),
            looks: 0,
        }
    }

    /// A file just opened, that nobody reads yet.
    pub(crate) fn opened(no: FileNo, id: FileId, handle: File, path: &Path, origin: &Path, now: Timestamp) -> Self {
        Self {
            no,
            id,
            born: 0,
            path: path.to_path_buf(),
            origin: origin.to_path_buf(),
            real: real_path(&handle).unwrap_or_else(|| path.to_path_buf()),
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
            room: None,
            contended: false,
            lost: Vec::new(),
            looks: 0,
        }
    }

    /// Takes out the generation whose content is gone, for what is left of it to be looked for
    /// elsewhere. What remains is the inode, with nothing of it read.
    pub(crate) fn take_generation(&mut self) -> Self {
        Self {
            no: self.no,
            id: self.id,
            born: self.born,
            path: self.path.clone(),
            origin: self.origin.clone(),
            real: self.real.clone(),
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
            room: self.room.take(),
            contended: self.contended,
            lost: Vec::new(),
            looks: 0,
        }
    }

    pub(crate) fn position(&self) -> FilePosition {
        FilePosition {
            path: path_to_text(&self.path),
            origin: path_to_text(&self.origin),
            real: if self.real == self.path { String::new() } else { path_to_text(&self.real) },
            device: self.id.device,
            inode: self.id.inode,
            born: self.born,
            head: self.head,
            size: self.size,
            retired: self.place != Place::Watched,
            blank: self.was_blank || self.is_blank(),
            cursors: self.cursors.iter().map(Cursor::position).collect(),
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
        self.find_real();
        self.is_unturned(true)
    }

    /// Takes down where it is by now.
    pub(crate) fn find_real(&mut self) {
        if let Some(real) = self.handle.as_ref().and_then(real_path) {
            self.real = real;
        }
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
        // Up to where there is room for lines to come, no head is known.
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
        self.born = look.born;
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
    pub(crate) fn read(&mut self, outlet: &mut Outlet<'_>, budget: usize) -> io::Result<Progress> {
        let mut used = 0;
        self.room = self.room.take().filter(|room| room.until <= self.size);
        loop {
            let Some(file) = &self.handle else { return Ok(Progress::Turned) };
            merge_cursors(&mut self.cursors);
            // What may only be the content again that was read is left alone until that is known.
            let next = self.cursors.get(1).filter(|cursor| cursor.former.is_none()).map(|cursor| cursor.offset);
            let Some(cursor) = self.cursors.first_mut().filter(|cursor| cursor.former.is_none()) else {
                self.scanned = self.size;
                return Ok(Progress::CaughtUp);
            };
            let overlap = cursor.tail.length as usize;
            let got = read_full(file, outlet.buffer, cursor.offset - overlap as u64)?;
            if got < overlap || Mark::of(&outlet.buffer[..overlap]) != cursor.tail {
                return Ok(Progress::Turned);
            }
            // Near the start the bytes before the cursor say little; the head says it.
            if cursor.offset == overlap as u64 {
                let start = &outlet.buffer[..got.min(HEAD_BYTES as usize)];
                if start.get(..self.head.length as usize).map(Mark::of) != Some(self.head) {
                    return Ok(Progress::Turned);
                }
                // What was blank when it was last looked at is known again by what is read of it.
                let start = without_trailing_nuls(start);
                if start.len() > self.head.length as usize {
                    self.head = Mark::of(start);
                }
            }
            let window_end = cursor.offset + (got - overlap) as u64;
            let whole = &outlet.buffer[overlap..got];
            let data = without_trailing_nuls(whole);
            let (written, ends_in_nuls) = (data.len(), data.len() < whole.len());
            let at_end = got < outlet.buffer.len() || ends_in_nuls;
            let monitors = outlet.monitors_of(cursor);
            let path = &self.path;
            let mut hand_out = |line: &[u8], cut: bool| outlet.sink.line(&monitors, line, cut, path);
            // Up to the next cursor, where both become one; if a line reaches over it, past it.
            let joint = next.map_or(data.len(), |offset| data.len().min((offset - cursor.offset) as usize));
            let mut cutting = cut_lines(&data[..joint], cursor.skipping, LINE_LIMIT_BYTES, &mut hand_out);
            if cutting.consumed == 0 && joint < data.len() {
                cutting = cut_lines(data, cursor.skipping, LINE_LIMIT_BYTES, &mut hand_out);
            }
            if cutting.nul_run {
                for monitor in &monitors {
                    outlet.sink.fault(*monitor, FaultReason::NulBytes, 1, &path.to_string_lossy());
                }
            }
            let consumed = cutting.consumed;
            if consumed > 0 {
                self.moved = true;
                if cursor.skipping && cursor.early {
                    let rest = &data[..consumed];
                    let rest = &rest[..memchr::memchr(b'\n', rest).unwrap_or(consumed)];
                    self.lost.extend(Lost::rest_of_line(path, rest, cursor));
                }
                let end = overlap + consumed;
                cursor.offset += consumed as u64;
                cursor.skipping = cutting.skipping;
                cursor.early &= cutting.skipping;
                cursor.tail = Mark::of(&outlet.buffer[end.saturating_sub(TAIL_BYTES)..end]);
                cursor.trail.push(&data[..consumed]);
                outlet.take_times(cursor);
            }
            used += consumed;
            self.scanned = window_end;
            if ends_in_nuls && consumed == 0 {
                let from = cursor.offset + written as u64;
                let known = self.room.filter(|room| room.from == from).map_or(from, |room| room.until);
                let (until, found) = nuls_until(file, known.max(window_end), &mut used, budget)?;
                self.room = Some(Room { from, until });
                self.scanned = until;
                if found {
                    // Its writer went on behind them: what is before them has no end.
                    self.pass_over_room(until, &monitors, outlet.sink)?;
                    continue;
                }
                shrink(outlet.buffer);
                return Ok(if used < budget { Progress::CaughtUp } else { Progress::More });
            }
            self.room = None;
            if at_end && !ends_in_nuls && (consumed == 0 || self.cursors.len() == 1) {
                shrink(outlet.buffer);
                return Ok(Progress::CaughtUp);
            }
            if consumed == 0 && got == outlet.buffer.len() {
                // A line longer than the buffer: make room for the longest that is not cut.
                outlet.buffer.resize(LINE_LIMIT_BYTES + TAIL_BYTES + 1, 0);
            } else if used >= budget {
                shrink(outlet.buffer);
                return Ok(Progress::More);
            }
        }
    }

    /// Compares one part of what was read with what stands there now.
    pub(crate) fn spot_check(&mut self) -> io::Result<()> {
        let Some(file) = &self.handle else { return Ok(()) };
        self.looks += 1;
        for cursor in self.cursors.iter_mut().filter(|cursor| cursor.former.is_none()) {
            if let Some(bytes) = cursor.trail.spot_check(file, self.looks)? {
                self.contended = true;
                self.moved = true;
                self.lost.push(Lost::written_over(&self.path, bytes, cursor));
            }
        }
        Ok(())
    }
}

/// Where an open file is, by a path without links; `None` where it is nowhere any more.
fn real_path(file: &File) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;
    let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    (!path.as_os_str().as_bytes().ends_with(b" (deleted)")).then_some(path)
}

pub(super) fn shrink(buffer: &mut Vec<u8>) {
    buffer.truncate(READ_BYTES);
    buffer.shrink_to(READ_BYTES);
}
