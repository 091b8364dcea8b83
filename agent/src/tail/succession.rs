//! Going on in content that was put in the place of what was read: by an editor, by `rsync`, by
//! `cp`, `sed -i` or `tail -n 1000 > new && mv new old`. What of it is new is judged by [`kin`](super::kin).

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nightjar_model::Timestamp;
use nightjar_model::delta::FaultReason;

use super::cursor::{Cursor, Former};
use super::discover::Pass;
use super::file::{Lost, Place, TailFile};
use super::glob::{is_backup, is_backup_name, is_rotated_name, name_of};
use super::kin::{Kin, common, judge, made_of, overlap};
use super::known::{FileId, Look, open_regular};
use super::positions::FileNo;
use super::siblings::{Sibling, is_news};
use super::{TailFault, Tailer};

/// Content that was cut and filled again is there again after this long, or it is another.
pub(super) const FILLS_WITHIN: Duration = Duration::from_secs(3);

/// What became of a file that no longer stands at its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Departure {
    /// It has the name of a rotated log: what stands in its place is a new log.
    Rotated,
    /// It is gone, or has the name that editors give to what was there before.
    Replaced,
    /// It is somewhere else.
    Elsewhere,
}

/// Where reading goes on in other content, and what that costs.
struct Continued {
    cursor: Cursor,
    lost: Option<Lost>,
}

/// A file that may continue another.
struct Successor<'a> {
    id: FileId,
    file: File,
    path: &'a Path,
    origin: &'a Path,
    /// Whether it may yet become what it continues.
    waits: bool,
}

/// `None` where nothing of what was read before `cursor` is in `file`.
fn continue_in(
    cursor: &Cursor,
    head: super::Mark,
    file: &File,
    path: &Path,
    now: Timestamp,
) -> io::Result<Option<Continued>> {
    let size = file.metadata()?.len();
    let known = cursor.known();
    let monitors = cursor.monitors.clone();
    let with = |next: Cursor| Cursor { monitors: monitors.clone(), ..next };
    let over = |bytes: u64| (bytes > 0).then(|| Lost::written_over(path, bytes, cursor));
    let (next, lost) = match judge(known, cursor.known_head(head), file, size)? {
        Kin::Whole { .. } => (known.clone(), None),
        Kin::Part { upto, .. } => (cursor.held(file, upto, head, now)?, None),
        Kin::Shifted { at, changed } if at == known.offset => (known.moved_to(file, at)?, over(changed)),
        Kin::Shifted { at, .. } => (known.moved_to(file, at)?, None),
        Kin::Edited { at, lost } => (known.moved_to(file, at)?, over(lost)),
        Kin::Stranger => return Ok(None),
    };
    Ok(Some(Continued { cursor: with(next), lost }))
}

impl Tailer {
    /// The content of `no` is no longer what `ghost` read of it. Goes on in it if it continues that all the
    /// same. `only_sure`: only where all of it stands there, by lines that nobody writes twice. `waits`: also
    /// where it may yet become what it was.
    pub(super) fn go_on_in_place(
        &mut self,
        no: FileNo,
        ghost: &TailFile,
        only_sure: bool,
        waits: bool,
        now: Timestamp,
    ) -> io::Result<bool> {
        let Some(file) = self.files.get_mut(&no) else { return Ok(false) };
        let Some(handle) = &file.handle else { return Ok(false) };
        let size = handle.metadata()?.len();
        let mut cursors = Vec::new();
        let mut lost = Vec::new();
        let mut any = false;
        for cursor in &ghost.cursors {
            let known = cursor.known();
            if only_sure && judge(known, cursor.known_head(ghost.head), handle, size)? != (Kin::Whole { sure: true }) {
                return Ok(false);
            }
            let unread = ghost.size.saturating_sub(cursor.offset);
            let continued = continue_in(cursor, ghost.head, handle, &ghost.path, now)?;
            match continued.filter(|continued| waits || continued.cursor.former.is_none()) {
                Some(continued) => {
                    any = true;
                    // Before it was cut; of what was replaced whole, all is there.
                    if continued.cursor.former.is_some() && cursor.former.is_none() && unread > 0 {
                        lost.extend(Lost::unread(&ghost.path, unread, cursor));
                    }
                    lost.extend(continued.lost);
                    cursors.push(continued.cursor);
                }
                // Several writers leave nothing as it was; each line still counts once at most.
                None if ghost.contended && size >= known.offset => {
                    any = true;
                    lost.push(Lost::written_over(&ghost.path, known.offset, cursor));
                    let moved = known.moved_to(handle, known.offset)?;
                    cursors.push(Cursor { monitors: cursor.monitors.clone(), ..moved });
                }
                None => {
                    lost.extend(Lost::unread(&ghost.path, unread, cursor));
                    cursors.push(Cursor::at_start(cursor.monitors.keys().cloned()));
                }
            }
        }
        if any {
            file.contended |= lost.iter().any(|lost| lost.bytes > 0 && size >= ghost.furthest());
            file.cursors = cursors;
            file.lost.extend(lost);
            let path = file.path.clone();
            file.verify(&path)?;
        }
        Ok(any)
    }

    /// `old` stood at `path`, and now another file does: goes on in that if it continues what was read, or in
    /// one that did so and was rotated away since.
    pub(super) fn go_on_in_successor(
        &mut self,
        path: &Path,
        old: FileNo,
        listing: &[Sibling],
        pass: &Pass,
        now: Timestamp,
    ) {
        if let Err(error) = self.succeed(path, old, listing, pass, now) {
            tracing::debug!(path = %path.display(), %error, "cannot compare what took the place of a file");
        }
    }

    fn succeed(
        &mut self,
        path: &Path,
        old: FileNo,
        listing: &[Sibling],
        pass: &Pass,
        now: Timestamp,
    ) -> io::Result<()> {
        let Some(former) = self.files.get(&old) else { return Ok(()) };
        let departure = departure(path, former, listing);
        if departure == Departure::Rotated {
            return Ok(());
        }
        if departure == Departure::Replaced {
            let seen = self.tracks.get(path).map(|track| track.seen.clone()).unwrap_or_default();
            let news = |sibling: &&Sibling| is_news(&seen, sibling) && !is_backup(path, &sibling.path);
            for sibling in listing.iter().filter(news) {
                let (file, _) = sibling.open()?;
                let successor = Successor { id: sibling.id, file, path: &sibling.path, origin: path, waits: false };
                if self.pass_on(old, &successor, departure, pass, now)? {
                    if let Some(file) = self.by_id.get(&sibling.id).and_then(|no| self.files.get_mut(no))
                        && !pass.at.contains_key(&sibling.id)
                    {
                        file.place = Place::Retired;
                    }
                    return Ok(());
                }
            }
        }
        let expected = pass.found.get(path).and_then(|found| found.look).map(|look| look.id);
        let (file, metadata) = open_regular(path)?;
        let id = Look::of(&metadata).id;
        if Some(id) == expected {
            self.pass_on(old, &Successor { id, file, path, origin: path, waits: true }, departure, pass, now)?;
        }
        Ok(())
    }

    /// Lets the monitors of `old` go on in `successor`, if that continues what was read.
    fn pass_on(
        &mut self,
        old: FileNo,
        successor: &Successor<'_>,
        departure: Departure,
        pass: &Pass,
        now: Timestamp,
    ) -> io::Result<bool> {
        let Successor { id, file, path, origin, .. } = successor;
        let Some(former) = self.files.get(&old).filter(|former| former.id != *id) else { return Ok(false) };
        if self.by_id.get(id).and_then(|no| self.files.get(no)).is_some_and(|file| !file.cursors.is_empty()) {
            return Ok(false);
        }
        self.guard.check_open(file, path)?;
        let size = file.metadata()?.len();
        let (head, is_open) = (former.head, former.handle.is_some());
        let mut replaced = false;
        let wanted = |monitor: &String| pass.found.get(*origin).is_some_and(|found| found.wanted.contains_key(monitor));
        for (index, mut cursor) in former.cursors.clone().into_iter().enumerate() {
            cursor.monitors.retain(|monitor, _| wanted(monitor));
            if cursor.monitors.is_empty() {
                continue;
            }
            let sure = Kin::Whole { sure: true };
            if departure == Departure::Elsewhere && judge(cursor.known(), cursor.known_head(head), file, size)? != sure
            {
                continue;
            }
            let continued = match continue_in(&cursor, head, file, path, now)? {
                Some(continued) => continued,
                // What both have of what was not read yet is read in the new one or, cut away in front, in the old.
                None if departure == Departure::Replaced => match self.unread_in(old, &cursor, file)? {
                    Some(cursor) => Continued { cursor, lost: None },
                    None => continue,
                },
                None => continue,
            };
            let waits = continued.cursor.former.is_some();
            if waits && !successor.waits {
                continue;
            }
            // As long as that is not sure, it may yet be found.
            replaced |= !waits;
            let at = continued.cursor.offset;
            let no = self.attach(*id, file.try_clone()?, path, origin, continued.cursor, now)?;
            if let Some(file) = self.files.get_mut(&no) {
                file.lost.extend(continued.lost);
            }
            // What both have is read in the new one; what is in the old one alone, there.
            if !waits {
                let lost = self.leave_to_successor(old, index, file, at)?;
                self.tell_lost(lost, now);
            }
        }
        // Where it is nobody knows, and what it was stands in another.
        if replaced && !is_open && departure == Departure::Replaced {
            self.forget(old);
        }
        Ok(replaced)
    }

    /// Where the monitors of `cursor` begin in `file`, if there is something in it that is in `old` behind
    /// `cursor`.
    fn unread_in(&self, old: FileNo, cursor: &Cursor, file: &File) -> io::Result<Option<Cursor>> {
        let Some(handle) = self.files.get(&old).and_then(|old| old.handle.as_ref()) else { return Ok(None) };
        if common((handle, cursor.offset), (file, 0))? > 0 {
            return Ok(Some(Cursor::at_start(cursor.monitors.keys().cloned())));
        }
        let shared = overlap(handle, cursor.offset, file)?;
        if shared > 0 {
            return cursor.moved_to(file, shared).map(Some);
        }
        let all = made_of((handle, cursor.offset), (file, 0))?;
        Ok(all.map(|_| Cursor::at_start(cursor.monitors.keys().cloned())))
    }

    /// Moves a cursor of `old`, if that can still be read, behind what its successor has from `at` on; where
    /// that was made of all that is in `old`, behind its end. Returns what was cut out of it, unread.
    fn leave_to_successor(&mut self, old: FileNo, index: usize, successor: &File, at: u64) -> io::Result<Option<Lost>> {
        let Some(file) = self.files.get_mut(&old) else { return Ok(None) };
        let (Some(handle), Some(cursor)) = (&file.handle, file.cursors.get_mut(index)) else { return Ok(None) };
        // What it might have become stands in another: what it has is new.
        cursor.former = None;
        let shared = cursor.offset + common((handle, cursor.offset), (successor, at))?;
        let end = made_of((handle, shared), (successor, at + shared - cursor.offset))?;
        let lost = end.and_then(|end| Lost::cut_out(&file.path, end - shared, cursor));
        let next = end.unwrap_or(shared);
        if next > cursor.offset {
            *cursor = cursor.moved_to(handle, next)?;
            file.scanned = file.scanned.max(next);
            self.changed.files.insert(old);
        }
        Ok(lost)
    }

    /// Looks again at content that may become what it was: it is that, or goes on from where it was the
    /// same, or is something new.
    pub(super) fn settle_held(&mut self, now: Timestamp) {
        for (no, file) in &mut self.files {
            if file.cursors.iter().all(|cursor| cursor.former.is_none()) {
                continue;
            }
            let Some(handle) = file.handle.as_ref().and_then(|handle| handle.try_clone().ok()) else { continue };
            let Ok(look) = handle.metadata().map(|metadata| Look::of(&metadata)) else { continue };
            let size = look.size;
            for cursor in &mut file.cursors {
                let Some(former) = &cursor.former else { continue };
                if former.settled.is_some_and(|settled| settled.same_content(&look)) {
                    continue;
                }
                let waited = now.since(former.since) >= FILLS_WITHIN;
                let monitors = &cursor.monitors;
                let with = |next: Cursor| Cursor { monitors: monitors.clone(), ..next };
                let settled = match judge(&former.cursor, former.head, &handle, size) {
                    Ok(Kin::Whole { .. }) => with((*former.cursor).clone()),
                    Ok(Kin::Part { sure: false, .. } | Kin::Stranger) if waited => with(Cursor::default()),
                    Ok(Kin::Part { upto, .. }) if upto > cursor.offset => {
                        match cursor.held(&handle, upto, former.head, now) {
                            Ok(held) => held,
                            Err(_) => continue,
                        }
                    }
                    Ok(Kin::Part { .. }) => {
                        cursor.former = Some(Former { settled: waited.then_some(look), ..former.clone() });
                        continue;
                    }
                    Err(_) => continue,
                    Ok(Kin::Shifted { .. } | Kin::Edited { .. }) if cursor.offset > 0 => {
                        let Ok(standing) = former.cursor.trail.standing(&handle, size) else { continue };
                        // The end of it was taken for what had been read, and may have been new.
                        let unsure = cursor.offset.saturating_sub(former.cursor.trail.base + standing.unbroken);
                        file.lost.extend((unsure > 0).then(|| Lost::written_over(&file.path, unsure, cursor)));
                        Cursor { former: None, ..cursor.clone() }
                    }
                    Ok(Kin::Shifted { at, .. } | Kin::Edited { at, .. }) => match cursor.moved_to(&handle, at) {
                        Ok(moved) => moved,
                        Err(_) => continue,
                    },
                    Ok(Kin::Stranger) => with(Cursor::default()),
                };
                *cursor = settled;
                file.caught_up_at = None;
                self.changed.files.insert(*no);
            }
        }
    }

    /// Tells what files noted as lost.
    pub(super) fn tell_noted(&mut self, now: Timestamp) {
        let noted: Vec<Lost> = self.files.values_mut().flat_map(|file| std::mem::take(&mut file.lost)).collect();
        self.tell_lost(noted, now);
    }

    pub(super) fn tell_lost(&mut self, lost: impl IntoIterator<Item = Lost>, now: Timestamp) {
        for Lost { monitors, bytes, example } in lost {
            self.faults.extend(monitors.into_iter().map(|monitor| TailFault {
                monitor,
                reason: FaultReason::BytesLost,
                count: bytes,
                example: example.clone(),
                gap: Some(now),
            }));
        }
    }
}

fn departure(path: &Path, old: &TailFile, listing: &[Sibling]) -> Departure {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let Some(base) = name_of(&real) else { return Departure::Elsewhere };
    let deleted = old.handle.as_ref().and_then(|handle| handle.metadata().ok()).is_some_and(|now| now.nlink() == 0);
    if deleted || matches!(old.place, Place::Missing(_)) {
        return Departure::Replaced;
    }
    let sibling = listing.iter().find(|sibling| sibling.id == old.id).map(|sibling| sibling.path.as_path());
    let name = sibling.or((old.place == Place::Watched).then_some(old.path.as_path())).and_then(name_of);
    match name {
        Some(name) if is_backup_name(&base, &name) => Departure::Replaced,
        Some(name) if is_rotated_name(&base, &name) => Departure::Rotated,
        _ => Departure::Elsewhere,
    }
}
