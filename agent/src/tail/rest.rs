//! What stands after the last line end of a file: a line that is being written, or one whose writer is
//! done with it and put no end to it.
//!
//! It is waited for as long as its writer may come back, and then counted as it is. What its writer then
//! adds to it is no line of its own; that it is not counted is told.

use std::io;
use std::path::Path;
use std::time::Duration;

use nightjar_model::Timestamp;

use super::LINE_LIMIT_BYTES;
use super::cursor::{Cursor, TAIL_BYTES};
use super::file::{Lost, Outlet, TailFile, shrink};
use super::known::read_full;
use super::positions::Mark;

/// A line without an end is waited for so long after the last byte was written.
pub(super) const LINE_ENDS_WITHIN: Duration = Duration::from_secs(30);
/// And so long where it looks like the end of a writer's buffer, which is written when it is full.
const BUFFER_FILLS_WITHIN: Duration = Duration::from_secs(300);
/// The buffers of C, Python and Java are multiples of it.
const BUFFER_BYTES: u64 = 4096;

impl TailFile {
    /// There is nothing more to read but, perhaps, the beginning of a line.
    pub(crate) fn catch_up(&mut self, now: Timestamp) {
        self.caught_up_at = Some(now);
        let begin = self.furthest();
        let known = self.unended.filter(|(known, _)| *known == begin);
        let end = self.room.map_or(self.scanned, |room| room.from);
        self.unended = (end > begin).then(|| known.unwrap_or((begin, now)));
    }

    /// Since when a minute cannot be complete for the sake of a line without an end.
    pub(crate) fn waits_since(&self, now: Timestamp) -> Option<Timestamp> {
        let (_, since) = self.unended?;
        let is_handed_out = self.cursors.iter().any(|cursor| self.rest_counts(cursor));
        (is_handed_out || now.since(since) < LINE_ENDS_WITHIN).then_some(since)
    }

    /// Whether a line without an end will be a line of the monitors of `cursor` after a while.
    fn rest_counts(&self, cursor: &Cursor) -> bool {
        let is_new = self.size > cursor.inherited;
        let is_whole = self.room.is_none();
        is_new && is_whole && !cursor.skipping && cursor.former.is_none() && cursor.offset < self.size
    }

    /// Whether it has waited long enough for the end of its last line.
    pub(crate) fn is_rest_due(&self, now: Timestamp) -> bool {
        let Some((_, since)) = self.unended else { return false };
        let silent = now.since(since.max(self.changed_at));
        let fills = self.size > 0 && self.size.is_multiple_of(BUFFER_BYTES);
        silent >= if fills { BUFFER_FILLS_WITHIN } else { LINE_ENDS_WITHIN }
    }

    /// Hands out what stands after the last line end, and goes on behind it.
    pub(crate) fn hand_out_rest(&mut self, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let Some(file) = &self.handle else { return Ok(()) };
        for index in 0..self.cursors.len() {
            if !self.cursors.get(index).is_some_and(|cursor| self.rest_counts(cursor)) {
                continue;
            }
            let Some(cursor) = self.cursors.get_mut(index) else { continue };
            outlet.buffer.resize(LINE_LIMIT_BYTES + TAIL_BYTES + 1, 0);
            let overlap = u64::from(cursor.tail.length);
            let got = read_full(file, outlet.buffer, cursor.offset - overlap)?;
            let Some((before, rest)) = outlet.buffer[..got].split_at_checked(overlap as usize) else { continue };
            // Ended, or no longer what it was: the next look finds out.
            if Mark::of(before) != cursor.tail || rest.is_empty() || rest.contains(&b'\n') {
                continue;
            }
            let line = rest.strip_suffix(b"\r").unwrap_or(rest);
            outlet.sink.line(&outlet.monitors_of(cursor), line, false, &self.path);
            cursor.offset += rest.len() as u64;
            (cursor.skipping, cursor.early) = (true, true);
            cursor.trail.push(rest);
            cursor.tail = Mark::of(&outlet.buffer[got.saturating_sub(TAIL_BYTES)..got]);
            outlet.take_times(cursor);
            self.moved = true;
        }
        self.unended = None;
        shrink(outlet.buffer);
        Ok(())
    }

    /// Hands out what stands after the last line end: nothing will follow it.
    pub(crate) fn finish(&mut self, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let Some(file) = &self.handle else { return Ok(()) };
        // What is left of what was read before is none.
        let begins_a_line =
            |cursor: &&mut Cursor| !cursor.skipping && cursor.former.is_none() && self.size > cursor.inherited;
        for cursor in self.cursors.iter_mut().filter(begins_a_line) {
            outlet.buffer.resize(LINE_LIMIT_BYTES, 0);
            let got = read_full(file, outlet.buffer, cursor.offset)?;
            if outlet.buffer[..got].iter().any(|b| *b != 0) {
                outlet.sink.line(&outlet.monitors_of(cursor), &outlet.buffer[..got], false, &self.path);
                // It says nothing about the file that is read next.
                outlet.take_times(cursor);
            }
        }
        shrink(outlet.buffer);
        Ok(())
    }
}

impl Lost {
    fn of(cursor: &Cursor, bytes: u64, example: String) -> Self {
        Self { monitors: cursor.monitors.keys().cloned().collect(), bytes, example }
    }

    /// What came to a line that was counted already, if it is more than its end.
    pub(super) fn rest_of_line(path: &Path, rest: &[u8], cursor: &Cursor) -> Option<Self> {
        let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
        let why = "came to a line that had been counted, since it had no end for long";
        let example = format!("{}: {} bytes {why}", path.display(), rest.len());
        (!rest.is_empty()).then(|| Self::of(cursor, rest.len() as u64, example))
    }

    /// What was cut away before it was read, if anything was.
    pub(super) fn unread(path: &Path, bytes: u64, cursor: &Cursor) -> Option<Self> {
        let example = format!("{}: {bytes} bytes were gone before they were read", path.display());
        (bytes > 0).then(|| Self::of(cursor, bytes, example))
    }

    /// What stood between lines that an edited file still has.
    pub(super) fn cut_out(path: &Path, bytes: u64, cursor: &Cursor) -> Option<Self> {
        let example =
            format!("{}: it was edited, and up to {bytes} bytes were gone before they were read", path.display());
        (bytes > 0).then(|| Self::of(cursor, bytes, example))
    }

    /// What was written where something had been read.
    pub(super) fn written_over(path: &Path, bytes: u64, cursor: &Cursor) -> Self {
        let why = "that were read have been written over, and what stands there now is not counted; \
                   do several programs write to it that do not append, or is it edited in place?";
        Self::of(cursor, bytes, format!("{}: {bytes} bytes {why}", path.display()))
    }
}
