//! The rotated files beside a log.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::glob::{is_rotated_name, name_of};
use super::known::{FileId, Look};

/// Of more than these only the youngest are looked at.
const MAX_SIBLINGS: usize = 256;

#[derive(Debug, Clone)]
pub(crate) struct Sibling {
    pub(crate) path: PathBuf,
    pub(crate) id: FileId,
    pub(crate) size: u64,
    /// Nanoseconds since the epoch; 0 where the file system does not tell.
    pub(crate) born: i64,
}

impl Sibling {
    /// Unlike the inode alone, never another file's.
    fn birth(&self) -> (u64, i64) {
        (self.id.inode, self.born)
    }
}

/// The regular files with rotated names beside `path` (beside its target, if it is a link), oldest first.
pub(crate) fn siblings(path: &Path) -> io::Result<Vec<Sibling>> {
    let base = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let (Some(parent), Some(name)) = (base.parent(), name_of(&base)) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(|other| is_rotated_name(name, other)) {
            continue;
        }
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() {
            let created = metadata.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let look = Look::of(&metadata);
            let born = created.map_or(0, |at| at.as_nanos() as i64);
            found.push(Sibling { path: entry.path(), id: look.id, size: look.size, born });
        }
    }
    found.sort_by(|a, b| (a.born, &a.path).cmp(&(b.born, &b.path)));
    let surplus = found.len().saturating_sub(MAX_SIBLINGS);
    found.drain(..surplus);
    Ok(found)
}

/// By what these are known as seen. An empty one is not yet: it may become the copy of a generation that
/// nobody saw.
pub(crate) fn births(listing: &[Sibling]) -> BTreeSet<(u64, i64)> {
    listing.iter().filter(|sibling| sibling.size > 0).map(Sibling::birth).collect()
}

/// Whether a sibling came after those that were seen: not one of them, nor older than the oldest of
/// so many that older ones may have been left out.
pub(crate) fn is_news(seen: &BTreeSet<(u64, i64)>, sibling: &Sibling) -> bool {
    let oldest = seen.iter().map(|(_, born)| *born).min();
    let may_be_left_out = seen.len() >= MAX_SIBLINGS && oldest.is_some_and(|oldest| sibling.born < oldest);
    !seen.contains(&sibling.birth()) && !may_be_left_out
}
