//! NULs in a file: room that was made for lines to come, which are written in place or through a memory
//! map, or the hole that a writer leaves which goes on at its old place after a truncation.
//!
//! Up to the end of a file they are waited at; where something follows, they are passed over.

use std::fs::File;
use std::io;

use nightjar_model::delta::FaultReason;

use super::Sink;
use super::cursor::TAIL_BYTES;
use super::file::TailFile;
use super::known::read_full;
use super::positions::Mark;
use super::trail::Trail;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) from: u64,
    /// Up to where there is nothing else.
    pub(super) until: u64,
}

impl TailFile {
    /// Moves the first cursor behind NULs that end at `until`.
    pub(super) fn pass_over_room(&mut self, until: u64, monitors: &[usize], sink: &mut dyn Sink) -> io::Result<()> {
        let (Some(file), Some(cursor)) = (&self.handle, self.cursors.first_mut()) else { return Ok(()) };
        let before = until.min(TAIL_BYTES as u64);
        cursor.tail = Mark::read(file, until - before, before as u32)?;
        cursor.trail = Trail::from(until);
        cursor.offset = until;
        cursor.skipping = false;
        self.moved = true;
        self.room = None;
        for monitor in monitors {
            sink.fault(*monitor, FaultReason::NulBytes, 1, &self.path.to_string_lossy());
        }
        Ok(())
    }

    /// Whether there is something now where there were NULs. What is written through a memory map need not
    /// change a file's size or time.
    pub(crate) fn is_filled(&self) -> io::Result<bool> {
        let (Some(file), Some(room)) = (&self.handle, self.room) else { return Ok(false) };
        let mut start = [0; 64];
        let got = read_full(file, &mut start, room.from)?;
        Ok(start[..got].iter().any(|byte| *byte != 0))
    }
}

/// How far there are only NULs from `from` on, and whether anything follows them.
pub(super) fn nuls_until(file: &File, from: u64, used: &mut usize, budget: usize) -> io::Result<(u64, bool)> {
    let size = file.metadata()?.len();
    let mut at = from;
    let mut block = vec![0; 64 << 10];
    while at < size && *used < budget {
        // Over what was never written.
        at = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
            Ok(data) => data.max(at),
            Err(rustix::io::Errno::NXIO) => return Ok((size, false)),
            Err(_) => at,
        };
        let got = read_full(file, &mut block, at)?;
        if got == 0 {
            break;
        }
        *used += got;
        if let Some(found) = block[..got].iter().position(|byte| *byte != 0) {
            return Ok((at + found as u64, true));
        }
        at += got as u64;
    }
    Ok((at.min(size).max(from), false))
}
