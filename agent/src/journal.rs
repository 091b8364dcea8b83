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

use nightjar_model::Timestamp;
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

/// What the server remembers of this incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// The highest sequence that it has.
    pub sequence: u64,
    /// The CRC-32 of that record; 0 where it does not know.
    pub digest: u32,
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
    /// The last ordinal when it was opened: up to there it may be an earlier life's, put back.
    opened: u64,
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
    /// When that was, by this host's clock, and the digest of that record.
    #[serde(default)]
    acked_at: i64,
    #[serde(default)]
    acked_digest: u32,
    /// Lost between agent and server, and not told yet: from (0 for what the server knows) and until.
    #[serde(default)]
    gap: Option<(i64, i64)>,
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
    /// The CRC-32 of the payload.
    digest: u32,
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
                // Whatever this agent sent before is not known here.
                let gap = Some((0, fresh.cast_signed()));
                let checkpoint = Checkpoint { incarnation: fresh, gap, ..Checkpoint::default() };
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
            opened: last,
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
            let digest = crc32fast::hash(payload);
            places.push(Place { ordinal, segment: segment.first, offset, length: payload.len(), digest });
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

    /// Notes that the server has everything up to `sequence`, as it said at `at`.
    pub fn acknowledge(&mut self, sequence: u64, at: Timestamp) {
        let through = self.checkpoint.base.saturating_add(sequence).min(self.last);
        if through > self.checkpoint.acked {
            self.checkpoint.acked = through;
            self.checkpoint.acked_at = at.millis();
        }
        self.drop_unacked();
        if let Err(error) = self.drop_acknowledged() {
            tracing::warn!(%error, "acknowledged records stay in the journal for now");
        }
    }

    fn drop_unacked(&mut self) {
        while let Some(place) = self.unacked.front().filter(|place| place.ordinal <= self.checkpoint.acked) {
            self.checkpoint.acked_digest = place.digest;
            self.unacked.pop_front();
        }
    }

    /// What was lost between agent and server, and is to be told: from (0 for what the server knows) and until,
    /// both in milliseconds.
    pub fn gap(&self) -> Option<(i64, i64)> {
        self.checkpoint.gap
    }

    /// Notes that the server knows of `gap`. Written down when it happens to be: told again, it changes nothing.
    pub fn gap_told(&mut self, gap: (i64, i64)) {
        if self.checkpoint.gap == Some(gap) {
            self.checkpoint.gap = None;
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

    /// Compares with what the server has of this incarnation. Where it remembers another past, a new one
    /// begins, and what cannot be known any more is a [`Journal::gap`]:
    /// - the server has less than it acknowledged: it went back in time. What it acknowledged since is lost;
    /// - it has another record, or more than was ever written here: this journal went back in time, or was
    ///   copied. What was sent after it had been copied is not known here, and lines may have been read twice.
    ///
    /// # Errors
    /// `Io`, if a new incarnation could not be noted.
    pub fn resume(&mut self, server: Remembered, fresh: u64, now: Timestamp) -> Result<Resume, JournalError> {
        let after = self.checkpoint.base.saturating_add(server.sequence);
        let differs = match self.digest_of(after) {
            Some(own) => server.digest != 0 && server.digest != own,
            None => false,
        };
        let acked = self.checkpoint.acked;
        if (acked..=self.last).contains(&after) && !differs {
            self.acknowledge(server.sequence, now);
            return Ok(Resume::After(server.sequence));
        }
        let (keeps_after, lost) = if after < acked {
            let until = if self.checkpoint.acked_at > 0 { self.checkpoint.acked_at } else { now.millis() };
            (acked, (0, until))
        } else {
            // What was there when it was opened the server has too, unless that is where they differ.
            let common = if differs && after <= self.opened { acked } else { after.min(self.opened) };
            (common.max(acked), (self.checkpoint.acked_at, now.millis()))
        };
        let gap = match self.checkpoint.gap {
            Some((from, until)) => (from.min(lost.0), until.max(lost.1)),
            None => lost,
        };
        let incarnation = fresh.max(self.checkpoint.incarnation + 1);
        let next = Checkpoint {
            incarnation,
            base: keeps_after,
            acked: keeps_after,
            acked_digest: 0,
            gap: Some(gap),
            ..self.checkpoint.clone()
        };
        self.note(next)?;
        self.drop_unacked();
        self.checkpoint.acked_digest = 0;
        if let Err(error) = self.drop_acknowledged() {
            tracing::warn!(%error, "acknowledged records stay in the journal for now");
        }
        Ok(Resume::Anew)
    }

    /// Of the record with this ordinal, where it is known.
    fn digest_of(&self, ordinal: u64) -> Option<u32> {
        if ordinal == self.checkpoint.acked {
            return Some(self.checkpoint.acked_digest).filter(|digest| *digest != 0);
        }
        let first = self.unacked.front()?.ordinal;
        let place = self.unacked.get(usize::try_from(ordinal.checked_sub(first)?).ok()?)?;
        Some(place.digest)
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
