//! By what a file is known again: device and inode, and hashes of parts of its content.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::positions::{FileNo, Mark};

/// A file's first bytes, by which a generation is known again.
pub(crate) const HEAD_BYTES: u64 = 1024;
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl FileId {
    /// Of a file whose inode is another's by now.
    pub(crate) fn nowhere(no: FileNo) -> Self {
        Self { device: u64::MAX, inode: no }
    }
}

/// What `stat` says; equal looks mean that nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) id: FileId,
    pub(crate) size: u64,
    pub(crate) modified: (i64, i64),
    changed: (i64, i64),
    /// When the inode was made, in nanoseconds since the epoch: with it an inode is never another file's. 0
    /// where the file system does not tell.
    pub(crate) born: i64,
}

/// Opens a regular file without ever blocking.
pub(crate) fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    regular(&path.metadata()?)?;
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path)?;
    let metadata = file.metadata()?;
    regular(&metadata)?;
    Ok((file, metadata))
}

/// An error that says what it is instead, unless it is a regular file.
pub(crate) fn regular(metadata: &Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    let other = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "it is a directory",
        () if kind.is_fifo() => "it is a FIFO",
        () if kind.is_socket() => "it is a socket",
        () => "it is a device",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, other))
}

impl Look {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let created = metadata.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self {
            id: FileId { device: metadata.dev(), inode: metadata.ino() },
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            born: created.map_or(0, |at| at.as_nanos() as i64),
        }
    }

    /// Whether nothing was written between the two; a rename or a link does not count as that.
    pub(crate) fn same_content(&self, other: &Self) -> bool {
        self.id == other.id && self.size == other.size && self.modified == other.modified
    }
}

impl Mark {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        let digest = Sha256::digest(bytes);
        let hash = u64::from_le_bytes(digest[..8].try_into().unwrap_or_default());
        Self { length: bytes.len() as u32, hash }
    }

    /// The mark of `length` bytes of `file` from `offset`.
    pub(crate) fn read(file: &File, offset: u64, length: u32) -> io::Result<Self> {
        let mut bytes = [0; HEAD_BYTES as usize];
        let got = read_full(file, &mut bytes[..length as usize], offset)?;
        Ok(Self::of(&bytes[..got]))
    }
}

impl Mark {
    /// The mark of more bytes from the start of `file`, if the first are still those of this one. What is
    /// NUL to its end is not written yet.
    pub(super) fn grown(&self, file: &File, length: u32) -> io::Result<Option<Self>> {
        let mut bytes = [0; HEAD_BYTES as usize];
        let got = read_full(file, &mut bytes[..length as usize], 0)?;
        let known = bytes[..got].get(..self.length as usize).map(Self::of);
        let written = without_trailing_nuls(&bytes[..got]);
        let same = known == Some(*self);
        Ok(same.then(|| if written.len() > self.length as usize { Self::of(written) } else { *self }))
    }
}

/// Without what may be room that was made for bytes to come.
pub(crate) fn without_trailing_nuls(bytes: &[u8]) -> &[u8] {
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    &bytes[..written]
}

/// Reads until `into` is full or the file ends.
pub(crate) fn read_full(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < into.len() {
        match file.read_at(&mut into[got..], offset + got as u64) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}
