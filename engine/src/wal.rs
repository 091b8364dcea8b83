//! The write-ahead log: what was acknowledged and is not in a block yet.
//!
//! Invariant: [`Wal::append`] returns `Ok` only after its records are on disk, and after an `Err` the
//! log is as if it had never been called.

pub(crate) mod frame;
pub(crate) mod record;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use crate::directory;
use crate::error::{EngineError, Result};
use record::Record;

/// A segment that is longer is followed by another.
const SEGMENT_BYTES: u64 = 32 << 20;

/// Records that are decoded ahead of the one that is applied.
const AHEAD: usize = 2;

/// A place between two frames, at the beginning of a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct WalPosition {
    pub(crate) segment: u64,
    /// Number of the first frame there.
    pub(crate) frame: u64,
}

#[derive(Debug)]
pub(crate) struct Wal {
    dir: PathBuf,
    file: File,
    segment: u64,
    /// Where the whole frames of the segment end.
    good: u64,
    next_frame: u64,
    /// Bytes in segments before this one that are still there.
    behind: u64,
    /// Bytes beyond `good` may be in the file, and must go before anything is written.
    dirty: bool,
    buffer: Vec<u8>,
}

impl Wal {
    /// Begins a new segment at `position`.
    pub(crate) fn create(dir: &Path, position: WalPosition, behind: u64) -> Result<Self> {
        let (file, good) = create_segment(dir, position.segment)?;
        Ok(Self {
            dir: dir.to_owned(),
            file,
            segment: position.segment,
            good,
            next_frame: position.frame,
            behind,
            dirty: false,
            buffer: Vec::new(),
        })
    }

    /// Makes `records` durable, as one frame.
    pub(crate) fn append(&mut self, records: &[&[u8]]) -> Result<()> {
        self.repair()?;
        if self.good >= SEGMENT_BYTES {
            self.rotate()?;
        }
        self.buffer.clear();
        frame::encode(self.next_frame, records, &mut self.buffer);
        self.dirty = true;
        let written = self.file.write_all_at(&self.buffer, self.good).and_then(|()| {
            let started = std::time::Instant::now();
            let synced = self.file.sync_data();
            metrics::histogram!("nightjar_engine_wal_fsync_seconds").record(started.elapsed());
            synced
        });
        let length = self.buffer.len() as u64;
        if self.buffer.capacity() > 8 << 20 {
            self.buffer = Vec::new();
        }
        if let Err(source) = written {
            // Now if it can be done, else before the next append.
            if let Err(error) = self.repair() {
                tracing::warn!(%error, "the log's unfinished end cannot be cut off yet");
            }
            return Err(EngineError::Io { what: "write to", path: self.path(), source });
        }
        self.dirty = false;
        self.good += length;
        self.next_frame += 1;
        Ok(())
    }

    /// Ends the segment, so that those up to here can be dropped as a whole.
    pub(crate) fn rotate(&mut self) -> Result<WalPosition> {
        self.repair()?;
        if self.good > frame::SEGMENT_MAGIC.len() as u64 {
            let (file, good) = create_segment(&self.dir, self.segment + 1)?;
            self.behind += self.good;
            self.segment += 1;
            self.file = file;
            self.good = good;
        }
        Ok(WalPosition { segment: self.segment, frame: self.next_frame })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.behind + self.good
    }

    /// Deletes the segments before `segment`; what they hold is in blocks.
    pub(crate) fn drop_before(&mut self, segment: u64) -> Result<()> {
        let mut behind = 0;
        for (number, path) in segments(&self.dir)? {
            if number < segment {
                fs::remove_file(&path).map_err(EngineError::io("delete", path))?;
            } else if number < self.segment {
                behind += fs::metadata(&path).map_err(EngineError::io("look at", path))?.len();
            }
        }
        self.behind = behind;
        Ok(())
    }

    fn path(&self) -> PathBuf {
        segment_path(&self.dir, self.segment)
    }

    fn repair(&mut self) -> Result<()> {
        if self.dirty {
            let cut = self.file.set_len(self.good).and_then(|()| self.file.sync_all());
            cut.map_err(EngineError::io("cut off the unfinished end of", self.path()))?;
            self.dirty = false;
        }
        Ok(())
    }
}

/// Where the log goes on after [`recover`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Recovered {
    pub(crate) next: WalPosition,
    /// Bytes in the segments that hold what was replayed.
    pub(crate) bytes: u64,
    pub(crate) records: u64,
}

/// Reads the log from `from` on, cuts off a torn tail, and drops segments before `from`. Records are applied while
/// those that follow are decoded: a start waits for both.
///
/// # Errors
/// [`EngineError::CorruptLog`] for damage anywhere but at the end.
pub(crate) fn recover(dir: &Path, from: WalPosition, apply: impl FnMut(Record)) -> Result<Recovered> {
    std::thread::scope(|scope| {
        let (decoded, records) = mpsc::sync_channel(AHEAD);
        // Nobody is there to take them only when applying one has panicked.
        let reader = scope.spawn(move || read(dir, from, |record| drop(decoded.send(record))));
        records.into_iter().for_each(apply);
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn read(dir: &Path, from: WalPosition, mut apply: impl FnMut(Record)) -> Result<Recovered> {
    directory::make(dir)?;
    let mut found = Vec::new();
    for (number, path) in segments(dir)? {
        if number < from.segment {
            fs::remove_file(&path).map_err(EngineError::io("delete", path))?;
        } else {
            found.push((number, path));
        }
    }
    let mut recovered = Recovered { next: from, bytes: 0, records: 0 };
    let last = found.last().map(|(number, _)| *number);
    for (number, path) in found {
        let bytes = fs::read(&path).map_err(EngineError::io("read", &path))?;
        let damaged = |offset: usize, reason: String| EngineError::CorruptLog {
            path: path.clone(),
            offset: offset as u64,
            reason,
        };
        let scan = frame::scan(&bytes);
        for (frame, payload) in &scan.frames {
            let at = payload.start - frame::HEADER_BYTES;
            if *frame != recovered.next.frame {
                return Err(damaged(at, format!("frame {} is missing before frame {frame}", recovered.next.frame)));
            }
            let records = frame::records(&bytes[payload.clone()])
                .ok_or_else(|| damaged(at, "the frame's records do not fill it".into()))?;
            for record in records {
                apply(Record::decode(record).map_err(|reason| damaged(at, reason))?);
                recovered.records += 1;
            }
            recovered.next.frame += 1;
        }
        if let Some(bad) = scan.bad {
            if bad.whole_after || last != Some(number) {
                return Err(damaged(scan.good, bad.reason.to_owned()));
            }
            tracing::warn!(
                file = %path.display(), offset = scan.good, lost_bytes = bytes.len() - scan.good, reason = bad.reason,
                "the log's last write was cut short by a crash; it had not been acknowledged and is cut off"
            );
        }
        if scan.frames.is_empty() && last == Some(number) {
            fs::remove_file(&path).map_err(EngineError::io("delete", &path))?;
            recovered.next.segment = number;
            continue;
        }
        if scan.good < bytes.len() {
            let file = OpenOptions::new().write(true).open(&path).map_err(EngineError::io("open", &path))?;
            file.set_len(scan.good as u64)
                .and_then(|()| file.sync_all())
                .map_err(EngineError::io("cut off the torn end of", &path))?;
        }
        recovered.bytes += scan.good as u64;
        recovered.next.segment = number + 1;
    }
    Ok(recovered)
}

fn create_segment(dir: &Path, segment: u64) -> Result<(File, u64)> {
    let path = segment_path(dir, segment);
    let create = || -> io::Result<File> {
        // One may be left from an attempt that failed: nothing in it was acknowledged.
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
        file.write_all(&frame::SEGMENT_MAGIC)?;
        file.sync_all()?;
        File::open(dir)?.sync_all()?;
        Ok(file)
    };
    match create() {
        Ok(file) => Ok((file, frame::SEGMENT_MAGIC.len() as u64)),
        Err(source) => {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, file = %path.display(), "cannot delete an unfinished log segment");
            }
            Err(EngineError::Io { what: "make", path, source })
        }
    }
}

fn segment_path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:016}.wal"))
}

/// In order; none where there is no log yet.
pub(crate) fn segments(dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(EngineError::io("list", dir))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(EngineError::io("list", dir))?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".wal")?.parse().ok());
        found.extend(number.map(|number: u64| (number, path)));
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests;
