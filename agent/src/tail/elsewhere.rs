//! Files that are no longer where they were last seen: found again by another name, in a copy, or told
//! as lost.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nightjar_model::Timestamp;

use super::Tailer;
use super::cursor::Cursor;
use super::discover::Pass;
use super::file::{Lost, Place, TailFile};
use super::glob::is_backup;
use super::known::FileId;
use super::positions::FileNo;
use super::siblings::{Sibling, open_siblings};

/// A file that cannot be found is forgotten, and what was unread of it counted as lost, after this.
const MISSING_FOR: Duration = Duration::from_secs(60);

/// A link above its path may have turned since: it is looked for where it was by a path without links, and
/// beside that. With where it is, and whether its content is what was read.
fn find_by_real_path(file: &mut TailFile) -> Option<(PathBuf, bool)> {
    let real = file.real.clone();
    if let Ok(Some(same)) = file.verify(&real) {
        return Some((real, same));
    }
    if real == file.path {
        return None;
    }
    let listing = open_siblings(&real).ok()?;
    let sibling = listing.iter().find(|sibling| sibling.id == file.id)?;
    let (handle, _) = sibling.open().ok()?;
    Some((sibling.path.clone(), file.reopen(handle).ok()?))
}

impl Tailer {
    /// An inode that was made at another time is another file's: what had it is gone, or has another by now.
    pub(super) fn part_from_reused(&mut self, id: FileId, born: i64) {
        let Some(no) = self.by_id.get(&id).copied() else { return };
        let Some(file) = self.files.get_mut(&no).filter(|file| file.born != 0 && born != 0 && file.born != born) else {
            return;
        };
        file.id = FileId::nowhere(no);
        file.handle = None;
        self.by_id.remove(&id);
        self.by_id.insert(file.id, no);
        self.changed.files.insert(no);
    }

    /// Opens the files that are not open among the siblings, as they were listed. An inode may be another
    /// file's by now, since what had it was deleted while no agent was running: returns what those were.
    pub(super) fn recognise(&mut self, listing: &[Sibling], pass: &Pass, now: Timestamp) -> Vec<TailFile> {
        let mut ghosts = Vec::new();
        for sibling in listing.iter().filter(|sibling| !pass.at.contains_key(&sibling.id)) {
            self.part_from_reused(sibling.id, sibling.born);
            let Some(no) = self.by_id.get(&sibling.id).copied() else { continue };
            let Some(file) = self.files.get_mut(&no).filter(|file| file.handle.is_none()) else { continue };
            match sibling.open().and_then(|(handle, _)| file.reopen(handle)) {
                Ok(true) => {
                    file.path.clone_from(&sibling.path);
                    file.place = Place::Retired;
                    file.changed_at = now;
                    self.changed.files.insert(no);
                }
                Ok(false) => ghosts.extend(self.settle_turned(no, listing, pass, now)),
                Err(error) => tracing::debug!(path = %sibling.path.display(), %error, "cannot look at a rotated file"),
            }
        }
        ghosts
    }

    /// Of a file that was not seen again after a start: nobody knows how much was written to it meanwhile.
    fn tell_unfound(&mut self, ghost: &TailFile, since: Timestamp) {
        for cursor in &ghost.cursors {
            let count = ghost.size.saturating_sub(cursor.offset).max(1);
            let example = format!(
                "{}: it went while the agent was not running; what came after its first {} bytes is not counted",
                ghost.path.display(),
                cursor.offset
            );
            let lost = Lost { monitors: cursor.monitors.keys().cloned().collect(), bytes: count, example };
            self.tell_lost([lost], since);
        }
    }

    pub(super) fn count_lost(&mut self, ghost: &TailFile, since: Timestamp) {
        let unread = |cursor: &Cursor| Lost::unread(&ghost.path, ghost.size.saturating_sub(cursor.offset), cursor);
        let lost: Vec<Lost> = ghost.cursors.iter().filter_map(unread).collect();
        self.tell_lost(lost, since);
    }

    /// Looks for a file without a handle that is not at a watched path: under its last name, under
    /// another name beside its origin, or in a copy. Returns what it was if a copy has it now.
    pub(super) fn find_elsewhere(
        &mut self,
        no: FileNo,
        listing: &[Sibling],
        pass: &Pass,
        now: Timestamp,
    ) -> Option<TailFile> {
        let file = self.files.get_mut(&no)?;
        let elsewhere = listing.iter().find(|sibling| sibling.id == file.id);
        let found = match file.verify(&file.path.clone()) {
            Ok(Some(same)) => Some((file.path.clone(), same)),
            // Opened as they were listed, whatever their names are by now.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(path = %file.path.display(), %error, "cannot look at a file that was read");
                file.place = Place::Missing(now);
                return None;
            }
            Ok(None) | Err(_) => elsewhere
                .and_then(|sibling| {
                    let (handle, _) = sibling.open().ok()?;
                    Some((sibling.path.clone(), file.reopen(handle).ok()?))
                })
                .or_else(|| find_by_real_path(file)),
        };
        match found {
            Some((name, true)) => {
                file.path = name;
                file.place = Place::Retired;
                file.changed_at = now;
                self.changed.files.insert(no);
                return None;
            }
            Some((_, false)) => return self.settle_turned(no, listing, pass, now),
            None => {}
        }
        // What an editor keeps of it says nothing where something stands in its place.
        let replaced = pass.found.get(&file.origin).is_some_and(|found| found.look.is_some());
        let in_copy = listing
            .iter()
            .filter(|sibling| sibling.id != file.id && !(replaced && is_backup(&file.origin, &sibling.path)))
            .any(|sibling| sibling.open().and_then(|(copy, size)| file.continues_in(&copy, size)).unwrap_or(false));
        if in_copy {
            return self.settle_turned(no, listing, pass, now);
        }
        match file.place {
            Place::Missing(since) if now.since(since) >= MISSING_FOR => {
                let unseen = file.look.is_none();
                let ghost = file.take_generation();
                self.forget(no);
                if unseen { self.tell_unfound(&ghost, since) } else { self.count_lost(&ghost, since) }
            }
            Place::Missing(_) => {}
            Place::Watched | Place::Retired => file.place = Place::Missing(now),
        }
        None
    }
}
