//! The rotated files beside a log.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::glob::{is_rotated_name, name_of};
use super::known::{FileId, Look, open_regular};

/// Of more than these only the youngest are looked at.
const MAX_SIBLINGS: usize = 256;

/// Listings in which an entry that is renamed meanwhile may be missing, until two agree.
const MAX_LISTINGS: usize = 8;

/// An inode and when it was made: unlike the inode alone, never another file's.
pub(crate) type Birth = (u64, i64);

#[derive(Debug)]
pub(crate) struct Sibling {
    pub(crate) path: PathBuf,
    pub(crate) id: FileId,
    pub(crate) size: u64,
    /// Nanoseconds since the epoch; 0 where the file system does not tell.
    pub(super) born: i64,
    modified: (i64, i64),
    handle: Option<File>,
}

impl Sibling {
    fn new(path: PathBuf, metadata: &Metadata, handle: Option<File>) -> Self {
        let look = Look::of(metadata);
        Self { path, id: look.id, size: look.size, born: look.born, modified: look.modified, handle }
    }

    /// Milliseconds since the epoch, by the file system's clock.
    pub(crate) fn modified_at(&self) -> i64 {
        self.modified.0.saturating_mul(1000) + self.modified.1 / 1_000_000
    }

    pub(crate) fn birth(&self) -> Birth {
        (self.id.inode, self.born)
    }

    /// This very file and its size now; "not found" where another has its name by then.
    pub(crate) fn open(&self) -> io::Result<(File, u64)> {
        let (file, metadata) = match &self.handle {
            Some(handle) => (handle.try_clone()?, handle.metadata()?),
            None => open_regular(&self.path)?,
        };
        if Look::of(&metadata).id == self.id { Ok((file, metadata.len())) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

/// The regular files with rotated names beside `path` (beside its target, if it is a link), oldest first.
pub(crate) fn siblings(path: &Path) -> io::Result<Vec<Sibling>> {
    let base = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let (Some(parent), Some(name)) = (base.parent(), name_of(&base)) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if !is_rotated_name(&name, &entry.file_name().to_string_lossy()) {
            continue;
        }
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() {
            found.push(Sibling::new(entry.path(), &metadata, None));
        }
    }
    Ok(youngest(found))
}

/// The same, each opened as it is found: whatever name it has from then on, it can be read. What is being
/// renamed while they are listed is not missed either.
pub(crate) fn open_siblings(path: &Path) -> io::Result<Vec<Sibling>> {
    let mut found: HashMap<FileId, Sibling> = HashMap::new();
    let mut before = None;
    for _ in 0..MAX_LISTINGS {
        let mut moved = false;
        for sibling in siblings(path)? {
            let opened = match open_regular(&sibling.path) {
                Ok((file, metadata)) => Sibling::new(sibling.path, &metadata, Some(file)),
                // Who is to read it finds out why that cannot be.
                Err(error) if error.kind() != io::ErrorKind::NotFound => sibling,
                Err(_) => {
                    moved = true;
                    continue;
                }
            };
            found.insert(opened.id, opened);
        }
        if !moved && before == Some(found.len()) {
            break;
        }
        before = Some(found.len());
    }
    Ok(youngest(found.into_values().collect()))
}

fn youngest(mut found: Vec<Sibling>) -> Vec<Sibling> {
    found.sort_by(|a, b| (a.born, &a.path).cmp(&(b.born, &b.path)));
    let surplus = found.len().saturating_sub(MAX_SIBLINGS);
    found.drain(..surplus);
    found
}

/// By what these are known as seen. An empty one is not yet: it may become the copy of a generation that
/// nobody saw.
pub(crate) fn births(listing: &[Sibling]) -> BTreeSet<Birth> {
    listing.iter().filter(|sibling| sibling.size > 0).map(Sibling::birth).collect()
}

/// Whether a sibling came after those that were seen: not one of them, nor older than the oldest of
/// so many that older ones may have been left out.
pub(crate) fn is_news(seen: &BTreeSet<Birth>, sibling: &Sibling) -> bool {
    let oldest = seen.iter().map(|(_, born)| *born).min();
    let may_be_left_out = seen.len() >= MAX_SIBLINGS && oldest.is_some_and(|oldest| sibling.born < oldest);
    !seen.contains(&sibling.birth()) && !may_be_left_out
}
