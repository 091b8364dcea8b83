//! What to do when a watched path no longer shows the file that stood there: the one routine for
//! rotation just now, rotation several times over, and rotation while the agent was not running.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nightjar_model::Timestamp;
use nightjar_model::delta::FaultReason;

use super::cursor::Cursor;
use super::discover::Pass;
use super::file::{Place, TailFile};
use super::glob::{is_backup, is_plainly_rotated, name_of};
use super::known::{Look, open_regular};
use super::positions::{FileNo, Mark};
use super::siblings::{Birth, Sibling, births, is_news, open_siblings, siblings};
use super::{TailFault, Tailer};

/// A file that left its path is read on until its writer has been silent for so long.
const LINGER: Duration = Duration::from_secs(300);
/// How much older than the last pass a generation may seem that came since: clocks of file systems differ.
const WRITTEN_LATE: Duration = Duration::from_secs(60);
/// After so long without a change, a directory's time of change tells it from its later states.
const DIRECTORY_SETTLES: Duration = Duration::from_secs(3);

/// What a file with a rotated name is to one that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    Other,
    /// It may be a copy that is being made, or one of what has taken the original's place. The next
    /// pass asks again.
    Unclear,
    /// As far as it goes, the same as what stands in the original.
    Copy,
}

pub(super) fn likeness(original: &mut TailFile, copy: &File, size: u64) -> io::Result<Likeness> {
    if !may_be_copy(original, copy, size)? {
        return Ok(Likeness::Other);
    }
    let path = original.path.clone();
    let same = original.begins_like(copy, size)? && original.verify(&path)? == Some(true);
    Ok(if same { Likeness::Copy } else { Likeness::Unclear })
}

fn may_be_copy(original: &mut TailFile, copy: &File, size: u64) -> io::Result<bool> {
    if size == 0 {
        return Ok(true);
    }
    let path = original.path.clone();
    if original.is_blank() && (original.verify(&path)? != Some(true) || original.is_blank()) {
        return Ok(false);
    }
    let head = original.head;
    if size >= u64::from(head.length) && Mark::read(copy, 0, head.length)? != head {
        // Of another generation, unless that is in the original by now and is about to be truncated.
        return original.begins_like(copy, size);
    }
    if original.continues_in(copy, size)? {
        return Ok(true);
    }
    if size >= original.furthest().max(u64::from(head.length)) {
        return Ok(false);
    }
    if original.begins_like(copy, size)? {
        return Ok(true);
    }
    // It differs from what is in the file now; that says nothing if that is another generation.
    Ok(original.verify(&path)? != Some(true))
}

/// A change at a path, for finding what came and went meanwhile.
#[derive(Clone, Copy)]
struct Between<'a> {
    path: &'a Path,
    old: Option<FileNo>,
    /// Generations that are no longer where they were read.
    ghosts: &'a [TailFile],
    listing: &'a [Sibling],
    /// Nothing says that there was a rotation but the sibling itself.
    unannounced: bool,
}

/// When a file last came or went beside `path` (beside its target, if it is a link).
fn folder_changed(path: &Path) -> Option<(i64, i64)> {
    let linked = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    let target = linked.then(|| path.canonicalize().ok()).flatten();
    let folder = target.as_deref().unwrap_or(path).parent()?.metadata().ok()?;
    Some((folder.mtime(), folder.mtime_nsec()))
}

/// What stands at `path`, with as much of its head as there is.
fn look_at_present(path: &Path) -> Option<TailFile> {
    let (handle, metadata) = open_regular(path).ok()?;
    let mut present = TailFile::opened(0, Look::of(&metadata).id, handle, path, path, Timestamp(0));
    present.verify(path).ok()?;
    Some(present)
}

/// What a file beside a path that changed is.
enum Origin {
    /// A generation of its own.
    Generation,
    /// A copy of one that is known.
    Copy,
    /// What was found at the path has given way to something of which this is a copy: who reads that,
    /// the next pass finds out.
    Unclear,
}

/// What `sibling` is to `originals`, and to what stands at the path at present, perhaps being copied
/// this moment.
fn origin_of<'a>(
    originals: impl Iterator<Item = &'a TailFile>,
    present: Option<&mut TailFile>,
    sibling: &Sibling,
) -> io::Result<Origin> {
    let (copy, size) = sibling.open()?;
    for original in originals.filter(|original| original.id != sibling.id) {
        let alike = original.has_head_of(&copy, size)?;
        if alike && (size < original.furthest() || original.continues_in(&copy, size)?) {
            return Ok(Origin::Copy);
        }
    }
    let Some(present) = present.filter(|present| present.id != sibling.id) else { return Ok(Origin::Generation) };
    let same_now = present.begins_like(&copy, size)?;
    if present.has_head_of(&copy, size)? {
        let path = present.path.clone();
        let stands = present.verify(&path)? == Some(true);
        return Ok(if same_now || !stands { Origin::Copy } else { Origin::Generation });
    }
    Ok(if same_now { Origin::Unclear } else { Origin::Generation })
}

/// The largest of the siblings that `may` be one which holds what `ghost` was.
fn copy_of<'a>(ghost: &TailFile, listing: &'a [Sibling], may: impl Fn(&Sibling) -> bool) -> Option<&'a Sibling> {
    let holds = |sibling: &&Sibling| {
        sibling.id != ghost.id
            && may(sibling)
            && sibling.open().and_then(|(copy, size)| ghost.continues_in(&copy, size)).unwrap_or(false)
    };
    listing.iter().filter(holds).max_by_key(|sibling| sibling.size)
}

impl Tailer {
    pub(super) fn follow_tracks(&mut self, pass: &mut Pass, now: Timestamp) {
        let paths: Vec<_> = pass.found.iter().filter_map(|(path, f)| f.look.map(|look| (path.clone(), look))).collect();
        for (path, look) in paths {
            let standing = self.by_id.get(&look.id).copied();
            let Some(track) = self.tracks.get(&path) else { continue };
            let stays = standing == track.current && !standing.is_some_and(|no| pass.turned.contains(&no));
            if (stays && standing.is_some()) || track.held == Some(look.id) {
                continue;
            }
            self.turn_over(&path, track.current, standing, pass, now);
        }
        // A file that changed its content where no track expected it.
        for no in std::mem::take(&mut pass.turned) {
            let origin = self.files.get(&no).map(|file| file.origin.clone());
            let listing = origin.and_then(|origin| open_siblings(&origin).ok()).unwrap_or_default();
            self.settle_turned(no, &listing, pass, now);
        }
    }

    /// `old` stood at `path`, and now something else does, or the same inode with another content.
    fn turn_over(
        &mut self,
        path: &Path,
        old: Option<FileNo>,
        standing: Option<FileNo>,
        pass: &mut Pass,
        now: Timestamp,
    ) {
        // First what stands there, then what lies beside it: what is rotated away in between is found
        // either in the listing or, its head being known, by its absence from the path.
        let mut present = look_at_present(path);
        let listing = open_siblings(path).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "cannot list the rotated files beside it");
            Vec::new()
        });
        let mut ghosts = Vec::new();
        for no in BTreeSet::from_iter([old, standing].into_iter().flatten()) {
            if pass.turned.remove(&no) {
                ghosts.extend(self.settle_turned(no, &listing, pass, now));
            }
        }
        ghosts.extend(self.recognise(&listing, pass, now));
        if let Some(old) = old.filter(|old| standing != Some(*old) && !pass.turned.contains(old)) {
            ghosts.extend(self.follow_away(old, &listing, pass, now));
        }
        // Unless what is left of it is in a copy.
        let is_read = |no: &FileNo| self.files.get(no).is_some_and(|file| !file.cursors.is_empty());
        if let Some(old) = old.filter(|old| standing != Some(*old) && is_read(old)) {
            self.go_on_in_successor(path, old, &listing, pass, now);
        }
        let between = Between { path, old, ghosts: &ghosts, listing: &listing, unannounced: false };
        let seen = self.take_generations_between(&between, present.as_mut(), pass, now);
        let expected = pass.found.get(path).and_then(|found| found.look).map(|look| look.id);
        if let Some(present) = present.filter(|present| Some(present.id) == expected) {
            self.keep_head(present);
        }
        if let Some(track) = self.tracks.get_mut(path) {
            track.seen = seen;
            track.listed = None;
            track.current = None;
            track.held = None;
            self.changed.tracks.insert(path.to_path_buf());
        }
    }

    /// `no` was renamed or deleted. Its new name serves a restart; through its handle it is read to its
    /// end. Returns what it was if that is no longer where it was read.
    fn follow_away(&mut self, no: FileNo, listing: &[Sibling], pass: &Pass, now: Timestamp) -> Option<TailFile> {
        let file = self.files.get_mut(&no).filter(|file| file.place != Place::Watched)?;
        if let Some(sibling) = listing.iter().find(|sibling| sibling.id == file.id)
            && file.path != sibling.path
        {
            file.path.clone_from(&sibling.path);
            self.changed.files.insert(no);
        }
        if file.handle.is_none() {
            return self.find_elsewhere(no, listing, pass, now);
        }
        let path = file.path.clone();
        match file.verify(&path) {
            // Copied and truncated first, then renamed: its name now bears a later generation.
            Ok(Some(false)) => self.settle_turned(no, listing, pass, now),
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "cannot look at a rotated file");
                None
            }
        }
    }

    /// Siblings that came since the path was last seen as it was, and are neither the old file, nor a
    /// copy of it or of the present one, were written and rotated away unseen: all of them is news.
    /// Returns which of the siblings are dealt with.
    fn take_generations_between(
        &mut self,
        between: &Between<'_>,
        mut present: Option<&mut TailFile>,
        pass: &Pass,
        now: Timestamp,
    ) -> BTreeSet<Birth> {
        let Between { path, old, ghosts, listing, unannounced } = *between;
        let mut seen = births(listing);
        let settled: Vec<String> = pass.found.get(path).map(|found| found.settled().collect()).unwrap_or_default();
        let Some(track) = self.tracks.get(path) else { return seen };
        let since = self.discovered_at;
        let present_stands = present.is_some();
        let is_new = |sibling: &&Sibling| {
            sibling.size > 0
                && is_news(&track.seen, sibling)
                // What an editor keeps of a log was read.
                && !(present_stands && is_backup(path, &sibling.path))
                // Unpacked again, or copied with its times: it was written before the last pass.
                && since.is_none_or(|since| sibling.modified_at() >= since.0 - WRITTEN_LATE.as_millis() as i64)
                && (!unannounced || name_of(path).is_none_or(|base| is_plainly_rotated(&base, &sibling.path)))
        };
        let news: Vec<&Sibling> = listing.iter().filter(is_new).collect();
        for sibling in news {
            // A pattern of another monitor may have found it in its own right.
            let known = self.by_id.get(&sibling.id).filter(|no| !pass.turned.contains(no));
            let known = known.and_then(|no| self.files.get(no));
            let monitors: Vec<String> =
                settled.iter().filter(|m| !known.is_some_and(|file| file.has(m))).cloned().collect();
            let is_old = old.is_some_and(|old| known.is_some_and(|file| file.no == old));
            let gone = ghosts.iter().any(|ghost| Some(ghost.no) == old);
            if monitors.is_empty() || (is_old && !gone) {
                continue;
            }
            let originals = ghosts.iter().chain(old.and_then(|no| self.files.get(&no)));
            let outcome = origin_of(originals, present.as_deref_mut(), sibling).and_then(|origin| {
                match origin {
                    Origin::Copy => {}
                    Origin::Unclear => drop(seen.remove(&sibling.birth())),
                    Origin::Generation => {
                        let (handle, cursor) = (sibling.open()?.0, Cursor::at_start(monitors.clone()));
                        let no = self.attach(sibling.id, handle, &sibling.path, path, cursor, now)?;
                        if let Some(file) = self.files.get_mut(&no).filter(|file| !pass.at.contains_key(&file.id)) {
                            file.place = Place::Retired;
                        }
                    }
                }
                Ok(())
            });
            if let Err(error) = outcome {
                seen.remove(&sibling.birth());
                let example = format!("{}: {error}", sibling.path.display());
                tracing::warn!(path = %sibling.path.display(), %error, "a rotated file cannot be read");
                self.faults.extend(monitors.iter().map(|monitor| TailFault {
                    monitor: monitor.clone(),
                    reason: FaultReason::FileUnreadable,
                    count: 1,
                    example: example.clone(),
                    gap: None,
                }));
            }
        }
        seen
    }

    /// Keeps the file with the head it had when it was looked at, for the monitors to be attached to:
    /// should another generation be in it by then, that is noticed.
    fn keep_head(&mut self, mut present: TailFile) {
        match self.by_id.get(&present.id).and_then(|no| self.files.get_mut(no)) {
            Some(file) if file.cursors.is_empty() => {
                file.head = present.head;
                file.captured_late = present.head.length == 0;
            }
            Some(_) => {}
            None => {
                self.next += 1;
                present.no = self.next;
                present.captured_late = present.head.length == 0;
                self.by_id.insert(present.id, present.no);
                self.files.insert(present.no, present);
            }
        }
    }

    /// Moves the cursors of a generation whose content is gone from its inode to the copy that was
    /// made of it; what no copy holds is lost, and counted. Returns what it was.
    pub(super) fn settle_turned(
        &mut self,
        no: FileNo,
        listing: &[Sibling],
        pass: &Pass,
        now: Timestamp,
    ) -> Option<TailFile> {
        let file = self.files.get_mut(&no)?;
        let ghost = file.take_generation();
        self.changed.files.insert(no);
        let watched = pass.at.contains_key(&ghost.id);
        // A copy with a rotated name says that it begins anew, unless all that was read is still there.
        let copy = copy_of(&ghost, listing, |sibling| !is_backup(&ghost.real, &sibling.path));
        let went_on = self.go_on_in_place(no, &ghost, copy.is_some(), watched, now).unwrap_or_else(|error| {
            tracing::debug!(path = %ghost.path.display(), %error, "cannot compare what stands in a file that changed");
            false
        });
        if went_on {
            return Some(ghost);
        }
        if !watched {
            self.forget(no);
        }
        self.give_to_copy(&ghost, copy.or_else(|| copy_of(&ghost, listing, |_| true)), pass, now);
        Some(ghost)
    }

    fn give_to_copy(&mut self, ghost: &TailFile, copy: Option<&Sibling>, pass: &Pass, now: Timestamp) {
        let given = copy.map(|sibling| {
            for cursor in &ghost.cursors {
                let (copy, path) = (sibling.open()?.0, &sibling.path);
                let no = self.attach(sibling.id, copy, path, &ghost.origin, cursor.clone(), now)?;
                if let Some(file) = self.files.get_mut(&no).filter(|file| !pass.at.contains_key(&file.id)) {
                    file.place = Place::Retired;
                }
            }
            io::Result::Ok(())
        });
        match given {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::warn!(path = %ghost.path.display(), %error, "the copy of a truncated file cannot be read");
                self.count_lost(ghost, now);
            }
            None => self.count_lost(ghost, now),
        }
    }

    /// Looks after the files that are at no watched path.
    pub(super) fn tend_unplaced(&mut self, pass: &mut Pass, now: Timestamp) {
        let unplaced: Vec<FileNo> =
            self.files.values().filter(|file| !pass.at.contains_key(&file.id)).map(|file| file.no).collect();
        for no in unplaced {
            let Some(file) = self.files.get_mut(&no) else { continue };
            let Some(metadata) = file.handle.as_ref().map(File::metadata) else {
                let listing = open_siblings(&file.origin).unwrap_or_default();
                self.find_elsewhere(no, &listing, pass, now);
                continue;
            };
            let deleted = metadata.as_ref().is_ok_and(|metadata| metadata.nlink() == 0);
            let look = metadata.ok().map(|metadata| Look::of(&metadata));
            let unchanged = file.look.zip(look).is_some_and(|(before, now)| before.same_content(&now));
            if unchanged {
                if file.size == file.scanned {
                    file.caught_up_at = Some(now);
                }
                // Its writer may come back to it for as long as nothing took its place.
                let replaced = pass.found.get(&file.origin).is_none_or(|found| found.look.is_some());
                let done = file.caught_up_at.is_some() && now.since(file.changed_at) >= LINGER;
                file.closing = done && (replaced || deleted);
                continue;
            }
            let path = file.path.clone();
            match file.verify(&path) {
                Ok(Some(true)) => file.changed_at = now,
                Ok(Some(false)) => {
                    let listing = open_siblings(&file.origin).unwrap_or_default();
                    self.settle_turned(no, &listing, pass, now);
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(path = %path.display(), %error, "cannot look at a rotated file"),
            }
        }
    }

    /// Notes what stands beside each path while the file there is still the known one: a later
    /// turn-over then tells the generations in between from what was always there.
    pub(super) fn refresh_siblings(&mut self, pass: &Pass, now: Timestamp) {
        for path in pass.found.keys() {
            let Some(track) = self.tracks.get(path) else { continue };
            let Some(changed) = folder_changed(path) else { continue };
            if track.listed == Some(changed) || track.held.is_some() {
                continue;
            }
            let current = track.current;
            // Blank, or nothing there, when the siblings are listed: what comes after is still to be looked at.
            let known = current.and_then(|no| self.files.get_mut(&no));
            let passable = known.is_none_or(|file| {
                file.captured_late |= file.is_blank();
                file.was_blank || file.captured_late
            });
            let Ok(listing) = (if passable { open_siblings(path) } else { siblings(path) }) else { continue };
            let there = path.metadata().ok().map(|metadata| Look::of(&metadata).id);
            let stays = match current.and_then(|no| self.files.get_mut(&no)) {
                None => current.is_none() && there.is_none(),
                Some(file) => there == Some(file.id) && matches!(file.verify(path), Ok(Some(true))),
            };
            if !stays {
                continue;
            }
            let seen = if passable {
                // Written, rotated away and empty or absent again since the last look: it only seems unchanged.
                let ghosts = self.recognise(&listing, pass, now);
                let between = Between { path, old: current, ghosts: &ghosts, listing: &listing, unannounced: true };
                self.take_generations_between(&between, look_at_present(path).as_mut(), pass, now)
            } else {
                births(&listing)
            };
            if let Some(track) = self.tracks.get_mut(path) {
                // A directory's time is coarse: so shortly after a change another could bear the same.
                let settled = now.0 - changed.0.saturating_mul(1000) >= DIRECTORY_SETTLES.as_millis() as i64;
                track.listed = settled.then_some(changed);
                if track.seen != seen {
                    track.seen = seen;
                    self.changed.tracks.insert(path.clone());
                }
            }
        }
    }
}
