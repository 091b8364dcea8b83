//! The agent's journal: what was counted and how far it was read, in one record, on disk before it
//! is sent. A crash therefore neither repeats nor loses a line.
//!
//! Records lie in segment files `<first ordinal>.seg`, one [`frame`] each. A frame has an *ordinal*
//! that counts on for ever; its sequence, which the server sees, is the ordinal less the base of the
//! present incarnation. The `checkpoint` holds whose it is, incarnation, base, what is acknowledged, and
//! the positions as of some ordinal; records up to there that are acknowledged are dropped, a segment
//! at a time.
//!
//! **Invariants**: `append` returns only after the frame is durable; what a crash left unfinished at the
//! end (a torn write) is cut off when the journal is opened, any other damage is told and nothing is
//! changed; at the limit nothing is appended.

mod frame;
mod owner;
mod segment;

#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nightjar_model::names::AgentId;
use serde::{Deserialize, Serialize};

use self::segment::{Segment, scan};
use crate::durable::{sync_directory, write_whole};
use crate::tail::{PositionChanges, Positions};

/// Records not acknowledged are indexed in memory, at most so many.
const MAX_RECORDS: usize = 100_000;
const CHECKPOINT: &str = "checkpoint";
/// Room that is given up where a checkpoint finds the disk full: without one nothing can be dropped.
const RESERVE: &str = "reserve";
const RESERVE_BYTES: usize = 256 << 10;

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Nothing can be appended until something is acknowledged.
    #[error("the journal has reached its limit of {limit} bytes")]
    Full { limit: u64 },
    #[error("the journal is damaged in {path} at byte {at}. Move the directory {directory} away to start anew; \
             what it holds and was not sent yet is then not counted", path = path.display(), directory = directory.display())]
    Damaged { path: PathBuf, at: u64, directory: PathBuf },
    #[error("the journal in {path} cannot be used", path = path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What the server must be told, or told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Send what comes after this sequence.
    After(u64),
    /// The server knows another past than this journal; a new incarnation has begun, to be announced.
    Anew,
}

/// A record to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub sequence: u64,
    /// A zstd-compressed `Gathered`.
    pub payload: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalStats {
    pub bytes: u64,
    pub limit_bytes: u64,
    pub unacked_records: u64,
}

pub struct Journal {
    directory: PathBuf,
    limit: u64,
    segment_limit: u64,
    segments: VecDeque<Segment>,
    /// The last segment, open for writing.
    writer: File,
    checkpoint: Checkpoint,
    positions: Positions,
    /// The last ordinal written.
    last: u64,
    unacked: VecDeque<Place>,
    /// The last append failed: what can be dropped is dropped at once.
    short: bool,
    /// What the checkpoint on disk says is acknowledged.
    acked_on_disk: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Checkpoint {
    /// Whose records these are. Another agent's session must not carry them: its server would count them
    /// again, or for another workspace. `None` until the first agent that uses the journal.
    #[serde(default)]
    agent: Option<AgentId>,
    incarnation: u64,
    /// Ordinal of the record before the incarnation's first.
    base: u64,
    /// Ordinal up to which all is acknowledged.
    acked: u64,
    /// Ordinal up to which `positions` holds.
    through: u64,
    positions: Positions,
}

/// Where a record's payload lies.
#[derive(Debug, Clone)]
struct Place {
    ordinal: u64,
    /// First ordinal of its segment.
    segment: u64,
    offset: u64,
    length: usize,
}

impl Journal {
    /// Opens or begins the journal in `directory`. `fresh` names a new incarnation: any number that is
    /// larger than those before, such as the time.
    ///
    /// # Errors
    /// `Damaged` for a fault that a torn write does not explain; `Io`.
    pub fn open(directory: &Path, limit: u64, fresh: u64) -> Result<Self, JournalError> {
        let fail = |source| JournalError::Io { path: directory.to_path_buf(), source };
        fs::create_dir_all(directory).map_err(fail)?;
        let path = directory.join(CHECKPOINT);
        let checkpoint = match fs::read(&path) {
            Ok(bytes) => frame::unpack::<Checkpoint>(&bytes).ok_or_else(|| JournalError::Damaged {
                path: path.clone(),
                at: 0,
                directory: directory.to_path_buf(),
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let checkpoint = Checkpoint { incarnation: fresh, ..Checkpoint::default() };
                write_whole(&path, &frame::pack(&checkpoint).map_err(fail)?).map_err(fail)?;
                checkpoint
            }
            Err(error) => return Err(fail(error)),
        };
        let recovered = scan(directory, &checkpoint)?;
        let last = recovered.last;
        let mut segments = recovered.segments;
        if segments.is_empty() {
            segments.push_back(Segment::create(directory, last + 1).map_err(fail)?);
        }
        Self::keep_reserve(directory);
        let tail = segments.back().map(|s| s.path.clone()).unwrap_or_default();
        let writer = File::options().read(true).write(true).open(&tail).map_err(fail)?;
        Ok(Self {
            directory: directory.to_path_buf(),
            limit,
            segment_limit: (limit / 16).clamp(4 << 10, 8 << 20),
            segments,
            writer,
            acked_on_disk: checkpoint.acked,
            checkpoint,
            positions: recovered.positions,
            last,
            unacked: recovered.unacked,
            short: false,
        })
    }

    /// How far everything was read, as of the last record.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }

    pub fn incarnation(&self) -> u64 {
        self.checkpoint.incarnation
    }

    /// The last sequence of this incarnation; 0 for none.
    pub fn last_sequence(&self) -> u64 {
        self.last.saturating_sub(self.checkpoint.base)
    }

    pub fn stats(&self) -> JournalStats {
        JournalStats {
            bytes: self.segments.iter().map(|segment| segment.length).sum(),
            limit_bytes: self.limit,
            unacked_records: self.unacked.len() as u64,
        }
    }

    /// Whether there is no room for more until the server has taken something.
    pub fn is_full(&self) -> bool {
        let stats = self.stats();
        stats.bytes >= self.limit || self.unacked.len() >= MAX_RECORDS
    }

    /// Appends what was gathered, and the positions it was gathered up to, as one: after a crash all of
    /// it is there or none. Durable when it returns.
    ///
    /// # Errors
    /// `Full`; `Io` (a full disk), after which the journal is as before and can be appended to again.
    pub fn append(&mut self, payloads: &[Vec<u8>], changes: &PositionChanges) -> Result<(), JournalError> {
        if self.is_full() {
            return Err(JournalError::Full { limit: self.limit });
        }
        let written = self.write(payloads, changes);
        self.short = written.is_err();
        written.map_err(|source| JournalError::Io { path: self.directory.clone(), source })?;
        self.positions.apply(changes);
        Ok(())
    }

    fn write(&mut self, payloads: &[Vec<u8>], changes: &PositionChanges) -> io::Result<()> {
        let ended = |segment: &Segment| {
            segment.length >= self.segment_limit || (self.short && segment.is_done(self.checkpoint.acked))
        };
        if self.segments.back().is_none_or(ended) {
            self.roll()?;
        }
        let Some(segment) = self.segments.back_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        let positions = if changes.is_empty() { Vec::new() } else { frame::pack(changes)? };
        let mut bytes = Vec::new();
        let mut places = Vec::new();
        let mut ordinal = self.last;
        for (index, payload) in payloads.iter().enumerate() {
            ordinal += 1;
            let (is_first, is_last) = (index == 0, index + 1 == payloads.len());
            let positions = if is_last { positions.as_slice() } else { &[] };
            frame::encode(&mut bytes, ordinal, (is_first, is_last), positions, payload);
            let offset = segment.length + (bytes.len() - payload.len()) as u64;
            places.push(Place { ordinal, segment: segment.first, offset, length: payload.len() });
        }
        // What an earlier, failed attempt left behind its end.
        self.writer.set_len(segment.length)?;
        let written = self.writer.write_all_at(&bytes, segment.length).and_then(|()| self.writer.sync_data());
        if let Err(error) = written {
            // If this fails too, the next attempt begins with it.
            if let Err(error) = self.writer.set_len(segment.length) {
                tracing::debug!(%error, "the end of the journal could not be cut");
            }
            return Err(error);
        }
        segment.length += bytes.len() as u64;
        segment.last = ordinal;
        self.last = ordinal;
        self.unacked.extend(places);
        Ok(())
    }

    /// Notes that the server has everything up to `sequence`.
    pub fn acknowledge(&mut self, sequence: u64) {
        let through = (self.checkpoint.base + sequence).min(self.last);
        self.checkpoint.acked = self.checkpoint.acked.max(through);
        while self.unacked.front().is_some_and(|place| place.ordinal <= self.checkpoint.acked) {
            self.unacked.pop_front();
        }
        if let Err(error) = self.drop_acknowledged() {
            tracing::warn!(%error, "acknowledged records stay in the journal for now");
        }
    }

    /// Writes down what is acknowledged, unless that is on disk. To be called now and then: one write for
    /// each acknowledgement would be too many, and until the next segment too few.
    pub fn keep_acknowledged(&mut self) {
        if self.checkpoint.acked > self.acked_on_disk
            && let Err(error) = self.replace_checkpoint(self.checkpoint.clone())
        {
            tracing::debug!(%error, "what is acknowledged is not written down for now");
        }
    }

    /// Compares with the highest sequence that the server has of this incarnation.
    ///
    /// # Errors
    /// `Io`, if a new incarnation could not be noted.
    pub fn resume(&mut self, taken: u64, fresh: u64) -> Result<Resume, JournalError> {
        let first_there = self.unacked.front().map_or(self.last + 1, |place| place.ordinal);
        let after = self.checkpoint.base + taken;
        if taken <= self.last_sequence() && after + 1 >= first_there {
            self.acknowledge(taken);
            return Ok(Resume::After(taken));
        }
        // Either the server has what this journal forgot, or the other way round.
        let acked = after.min(self.last).max(self.checkpoint.acked);
        let incarnation = fresh.max(self.checkpoint.incarnation + 1);
        let next = Checkpoint { incarnation, base: acked, acked, ..self.checkpoint.clone() };
        self.note(next)?;
        self.acknowledge(0);
        Ok(Resume::Anew)
    }

    /// The record after `sequence`, if there is one.
    ///
    /// # Errors
    /// `Io`.
    pub fn next_after(&self, sequence: u64) -> Result<Option<Record>, JournalError> {
        let wanted = self.checkpoint.base + sequence + 1;
        let Some(first) = self.unacked.front().map(|place| place.ordinal) else { return Ok(None) };
        let Some(index) = wanted.checked_sub(first) else { return Ok(None) };
        let Some(place) = self.unacked.get(index as usize) else { return Ok(None) };
        let path = Segment::path_of(&self.directory, place.segment);
        let mut payload = vec![0; place.length];
        File::open(&path)
            .and_then(|file| file.read_exact_at(&mut payload, place.offset))
            .map_err(|source| JournalError::Io { path, source })?;
        Ok(Some(Record { sequence: place.ordinal - self.checkpoint.base, payload }))
    }

    /// Begins a new segment, and drops what is no longer needed.
    fn roll(&mut self) -> io::Result<()> {
        self.write_checkpoint(self.checkpoint.clone())?;
        if self.segments.back().is_none_or(|segment| segment.last > 0) {
            let segment = Segment::create(&self.directory, self.last + 1)?;
            self.writer = File::options().read(true).write(true).open(&segment.path)?;
            self.segments.push_back(segment);
        }
        self.drop_segments()?;
        Self::keep_reserve(&self.directory);
        Ok(())
    }

    fn drop_acknowledged(&mut self) -> io::Result<()> {
        let acked = self.checkpoint.acked;
        let droppable = self.segments.iter().rev().skip(1).any(|segment| segment.is_done(acked));
        let ended = |s: &Segment| s.is_done(acked) && (s.length >= self.segment_limit || self.short);
        let all_done = self.segments.back().is_some_and(ended);
        if droppable || all_done { self.roll_or_drop(all_done) } else { Ok(()) }
    }

    fn roll_or_drop(&mut self, roll: bool) -> io::Result<()> {
        if roll {
            return self.roll();
        }
        self.write_checkpoint(self.checkpoint.clone())?;
        self.drop_segments()
    }

    /// Only what the checkpoint on disk makes superfluous.
    fn drop_segments(&mut self) -> io::Result<()> {
        let needed_after = self.checkpoint.acked.min(self.checkpoint.through);
        while self.segments.len() > 1 && self.segments.front().is_some_and(|s| s.is_done(needed_after)) {
            if let Some(segment) = self.segments.pop_front() {
                fs::remove_file(&segment.path)?;
            }
        }
        sync_directory(&self.directory)
    }

    /// For one that must be written: a full disk costs the reserve.
    fn write_checkpoint(&mut self, next: Checkpoint) -> io::Result<()> {
        let Err(error) = self.replace_checkpoint(next.clone()) else { return Ok(()) };
        let reserve = self.directory.join(RESERVE);
        if error.kind() != io::ErrorKind::StorageFull || !reserve.exists() {
            return Err(error);
        }
        fs::remove_file(&reserve)?;
        self.replace_checkpoint(next)
    }

    fn replace_checkpoint(&mut self, mut next: Checkpoint) -> io::Result<()> {
        next.through = self.last;
        next.positions = Positions::default();
        let whole = Checkpoint { positions: self.positions.clone(), ..next.clone() };
        write_whole(&self.directory.join(CHECKPOINT), &frame::pack(&whole)?)?;
        self.acked_on_disk = next.acked;
        self.checkpoint = next;
        Ok(())
    }

    /// Puts room aside. Where there is none now, there may be at the next segment.
    fn keep_reserve(directory: &Path) {
        let path = directory.join(RESERVE);
        if !path.exists()
            && let Err(error) = write_whole(&path, &[0; RESERVE_BYTES])
        {
            tracing::debug!(%error, "no room could be put aside for the journal");
        }
    }
}
