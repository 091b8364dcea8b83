//! One pass over what is watched: which files are there, what became of the known ones, who begins where.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nightjar_model::Timestamp;
use nightjar_model::delta::FaultReason;
use nightjar_model::kinds::monitor::{PathPattern, StartAt};

use super::cursor::Cursor;
use super::file::{Place, TailFile};
use super::glob::{is_backup_name, is_rotated_name, name_of};
use super::known::{FileId, Look, open_regular, regular};
use super::positions::{CopyPosition, FileNo};
use super::siblings::{births, siblings};
use super::turnover::{Likeness, likeness};
use super::{MAX_FILES_PER_PATTERN, MAX_OPEN, TailFault, Tailer, Track, Unreadable, glob};

/// A file that cannot be read is counted this often while it lasts.
const RECOUNT_EVERY: Duration = Duration::from_secs(60);

/// What a pass found.
#[derive(Default)]
pub(super) struct Pass {
    pub(super) found: BTreeMap<PathBuf, Found>,
    pub(super) at: HashMap<FileId, PathBuf>,
    /// Files whose content is no longer the generation that was read.
    pub(super) turned: BTreeSet<FileNo>,
    unreadable: BTreeSet<PathBuf>,
}

/// A watched path.
#[derive(Default)]
pub(super) struct Found {
    /// `None`: nothing is there.
    pub(super) look: Option<Look>,
    /// Who wants it; with where to begin if it was there before the monitor was.
    pub(super) wanted: BTreeMap<String, Option<StartAt>>,
    named_by: BTreeSet<String>,
}

impl Found {
    /// The monitors that were there before this pass.
    pub(super) fn settled(&self) -> impl Iterator<Item = String> {
        self.wanted.iter().filter(|(_, start)| start.is_none()).map(|(monitor, _)| monitor.clone())
    }
}

impl Tailer {
    /// Looks at everything once. Reads nothing but what is needed to know files again.
    pub fn discover(&mut self, now: Timestamp) {
        let mut pass = self.expand(now);
        self.look_at_files(&mut pass, now);
        self.follow_tracks(&mut pass, now);
        self.attach_found(&mut pass, now);
        self.refresh_siblings(&pass, now);
        self.tend_unplaced(&mut pass, now);
        self.settle_held(now);
        self.tell_noted(now);
        self.close_idle();
        for file in self.files.values_mut() {
            let blank = file.is_blank() || std::mem::take(&mut file.captured_late);
            if blank != file.was_blank {
                file.was_blank = blank;
                self.changed.files.insert(file.no);
            }
        }
        // Taken down for monitors that then had no use for it, as for a copy.
        let unused: Vec<FileNo> = self.files.values().filter(|f| f.cursors.is_empty()).map(|f| f.no).collect();
        unused.into_iter().for_each(|no| self.forget(no));
        self.mark_primed(&pass);
        let (files, found) = (&self.files, &pass.found);
        self.tracks.retain(|path, track| {
            let kept = found.contains_key(path) || track.current.is_some_and(|no| files.contains_key(&no));
            if !kept {
                self.changed.tracks.insert(path.clone());
            }
            kept
        });
        self.unreadable.retain(|path, _| pass.unreadable.contains(path));
        let at: BTreeSet<u64> = pass.at.keys().map(|id| id.inode).collect();
        self.copies.retain(|inode, _| {
            let kept = at.contains(inode);
            if !kept {
                self.changed.copies.insert(*inode);
            }
            kept
        });
        self.discovered_at = Some(now);
    }

    /// Whether anything has been looked at since the last [`configure`](Self::configure).
    pub fn is_primed(&self) -> bool {
        self.discovered_at.is_some()
    }

    fn expand(&mut self, now: Timestamp) -> Pass {
        let mut pass = Pass::default();
        let mut walked: HashMap<String, glob::Found> = HashMap::new();
        let mut surplus = Vec::new();
        for watch in self.watches.values() {
            let primed = self.primed.get(&watch.monitor);
            let is_back = primed.is_none() && self.begun.contains(&watch.uid);
            let begin = if is_back { StartAt::End } else { watch.start };
            for pattern in &watch.patterns {
                let first = !primed.is_some_and(|patterns| patterns.contains(pattern.as_str()));
                let start = first.then_some(begin);
                let mut want = |path: &Path, named: bool| {
                    let found = pass.found.entry(path.to_path_buf()).or_default();
                    // Wanted by two patterns, it begins where the older one says.
                    let earlier = found.wanted.entry(watch.monitor.clone()).or_insert(start);
                    *earlier = earlier.and(start);
                    if named {
                        found.named_by.insert(watch.monitor.clone());
                    }
                };
                match pattern {
                    PathPattern::Path(path) => want(Path::new(path), true),
                    PathPattern::Glob(glob) => {
                        let found =
                            walked.entry(glob.clone()).or_insert_with(|| glob::expand(glob, MAX_FILES_PER_PATTERN));
                        found.paths.iter().for_each(|path| want(path, false));
                        if found.cut {
                            let why = format!("finds more than {MAX_FILES_PER_PATTERN} files; the rest is not read");
                            surplus.push((PathBuf::from(glob), why, watch.monitor.clone()));
                        }
                        if let Some(directory) = &found.denied {
                            let why = "may not be listed by the agent's user".to_owned();
                            surplus.push((directory.clone(), why, watch.monitor.clone()));
                        }
                    }
                }
            }
        }
        for (path, why, monitor) in surplus {
            self.note_unreadable(&mut pass, &path, &why, &BTreeSet::from([monitor]), BTreeSet::new(), now);
        }
        for path in pass.found.keys().cloned().collect::<Vec<_>>() {
            match path.metadata().and_then(|metadata| regular(&metadata).map(|()| Look::of(&metadata))) {
                Ok(look) => {
                    self.part_from_reused(look.id, look.born);
                    if let Some(found) = pass.found.get_mut(&path) {
                        found.look = Some(look);
                        for monitor in self.unreadable.get(&path).into_iter().flat_map(|u| &u.found_by) {
                            let start = self.watches.get(monitor).map(|watch| watch.start);
                            found.wanted.entry(monitor.clone()).and_modify(|wanted| *wanted = wanted.or(start));
                        }
                    }
                    pass.at.insert(look.id, path);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.unreadable_path(&mut pass, &path, &error, now),
            }
        }
        pass
    }

    /// Takes a path that is there but cannot be read out of the pass.
    pub(super) fn unreadable_path(&mut self, pass: &mut Pass, path: &Path, error: &io::Error, now: Timestamp) {
        let Some(found) = pass.found.get_mut(path) else { return };
        found.look = None;
        let (monitors, named) = (found.wanted.keys().cloned().collect(), found.named_by.clone());
        let new: BTreeSet<String> = found.wanted.iter().filter(|(_, s)| s.is_some()).map(|(m, _)| m.clone()).collect();
        let why = match error.kind() {
            io::ErrorKind::PermissionDenied if error.raw_os_error().is_some() => {
                "the agent's user has no permission to read it".to_owned()
            }
            _ => error.to_string(),
        };
        self.note_unreadable(pass, path, &why, &monitors, named, now);
        if let Some(unreadable) = self.unreadable.get_mut(path) {
            unreadable.found_by.extend(new);
        }
    }

    fn note_unreadable(
        &mut self,
        pass: &mut Pass,
        path: &Path,
        why: &str,
        monitors: &BTreeSet<String>,
        needed_by: BTreeSet<String>,
        now: Timestamp,
    ) {
        pass.unreadable.insert(path.to_path_buf());
        let known = self.unreadable.get_mut(path);
        let due = known.as_ref().is_none_or(|known| now.since(known.counted_at) >= RECOUNT_EVERY);
        match known {
            Some(known) => {
                known.needed_by.extend(needed_by);
                if due {
                    known.counted_at = now;
                }
            }
            None => {
                self.unreadable
                    .insert(path.to_path_buf(), Unreadable { needed_by, found_by: BTreeSet::new(), counted_at: now });
            }
        }
        if due {
            let example = format!("{}: {why}", path.display());
            self.faults.extend(monitors.iter().map(|monitor| TailFault {
                monitor: monitor.clone(),
                reason: FaultReason::FileUnreadable,
                count: 1,
                example: example.clone(),
                gap: None,
            }));
        }
    }

    fn look_at_files(&mut self, pass: &mut Pass, now: Timestamp) {
        let mut failed = Vec::new();
        for (no, file) in &mut self.files {
            let Some(path) = pass.at.get(&file.id) else {
                if file.place == Place::Watched {
                    file.place = Place::Retired;
                    file.changed_at = now;
                    self.changed.files.insert(*no);
                }
                continue;
            };
            if file.path != *path || file.place != Place::Watched {
                file.path.clone_from(path);
                file.find_real();
                file.place = Place::Watched;
                file.closing = false;
                self.changed.files.insert(*no);
            }
            let look = pass.found.get(path).and_then(|found| found.look);
            let unchanged = file.look.zip(look).is_some_and(|(before, now)| before.same_content(&now));
            if !unchanged {
                match file.verify(path) {
                    Ok(Some(true)) => {
                        file.changed_at = now;
                        if let Err(error) = file.spot_check() {
                            tracing::debug!(path = %path.display(), %error, "cannot look at what was read");
                        }
                    }
                    Ok(Some(false)) => {
                        pass.turned.insert(*no);
                    }
                    // Something else stands there since; the next pass sees it.
                    Ok(None) => {}
                    Err(error) => failed.push((path.clone(), error)),
                }
            }
            if file.look.is_some() && file.size == file.scanned {
                file.caught_up_at = Some(now);
            }
            if file.is_filled().unwrap_or(false) {
                file.caught_up_at = None;
                file.changed_at = now;
            }
        }
        for (path, error) in failed {
            if error.kind() != io::ErrorKind::NotFound {
                self.unreadable_path(pass, &path, &error, now);
            }
        }
    }

    fn attach_found(&mut self, pass: &mut Pass, now: Timestamp) {
        for path in pass.found.keys().cloned().collect::<Vec<_>>() {
            if let Err(error) = self.attach_path(&path, pass, now)
                && error.kind() != io::ErrorKind::NotFound
            {
                self.unreadable_path(pass, &path, &error, now);
            }
        }
    }

    fn attach_path(&mut self, path: &Path, pass: &Pass, now: Timestamp) -> io::Result<()> {
        let Some(found) = pass.found.get(path) else { return Ok(()) };
        if !self.tracks.contains_key(path) {
            // What stands beside it must be taken down while this very file, or none, is there.
            let seen = births(&siblings(path).unwrap_or_default());
            let look = path.metadata().ok().map(|metadata| Look::of(&metadata).id);
            if look != found.look.map(|look| look.id) {
                return Ok(());
            }
            self.tracks.insert(path.to_path_buf(), Track { seen, ..Track::default() });
            self.changed.tracks.insert(path.to_path_buf());
        }
        let Some(look) = found.look else { return Ok(()) };
        let known = self.by_id.get(&look.id).copied();
        let lacks = |monitor: &&String| {
            !known.and_then(|no| self.files.get(&no)).is_some_and(|file: &TailFile| file.has(monitor))
        };
        let mut lacking: Vec<String> = found.wanted.keys().filter(lacks).cloned().collect();
        if let Some(copy) =
            self.copies.get(&look.id.inode).filter(|c| (c.size, c.modified) == (look.size, look.modified))
        {
            lacking.retain(|monitor| !copy.monitors.contains(monitor));
        }
        if !lacking.is_empty() {
            let (file, metadata) = open_regular(path)?;
            if Look::of(&metadata).id != look.id {
                return Ok(());
            }
            self.guard.check_open(&file, path)?;
            let at_end: Vec<String> =
                lacking.iter().filter(|m| found.wanted.get(*m) == Some(&Some(StartAt::End))).cloned().collect();
            if !at_end.is_empty() {
                let mut cursor = Cursor::at_end(&file, metadata.len())?;
                cursor.monitors = at_end.iter().map(|monitor| (monitor.clone(), None)).collect();
                self.attach(look.id, file.try_clone()?, path, path, cursor, now)?;
            }
            let mut from_start: Vec<String> = lacking.into_iter().filter(|m| !at_end.contains(m)).collect();
            self.leave_out_copied(path, &Look::of(&metadata), &file, &mut from_start)?;
            if !from_start.is_empty() {
                self.attach(look.id, file, path, path, Cursor::at_start(from_start), now)?;
            }
        }
        let standing = self.by_id.get(&look.id).copied();
        if let Some(track) = self.tracks.get_mut(path) {
            track.held = standing.is_none().then_some(look.id);
            if track.current != standing {
                track.current = standing;
                self.changed.tracks.insert(path.to_path_buf());
            }
        }
        Ok(())
    }

    /// Takes out the monitors that read the file of which the one at `path` is a copy.
    fn leave_out_copied(
        &mut self,
        path: &Path,
        look: &Look,
        copy: &File,
        monitors: &mut Vec<String>,
    ) -> io::Result<()> {
        let Some(name) = name_of(path) else { return Ok(()) };
        let originals: Vec<(FileNo, bool)> = self
            .tracks
            .iter()
            .filter(|(base, _)| base.parent() == path.parent())
            .filter_map(|(base, track)| Some((name_of(base)?, track.current?)))
            .filter(|(base, _)| is_rotated_name(base, &name))
            .map(|(base, no)| (no, is_backup_name(&base, &name)))
            .collect();
        for (no, is_backup) in originals {
            let Some(original) = self.files.get_mut(&no).filter(|file| file.id != look.id) else { continue };
            // What an editor keeps of a log is never news to who reads that.
            if is_backup {
                let (out, rest) = std::mem::take(monitors).into_iter().partition(|monitor| original.has(monitor));
                *monitors = rest;
                self.leave_alone(look, out);
                continue;
            }
            let likeness = likeness(original, copy, look.size)?;
            if likeness == Likeness::Other {
                continue;
            }
            let (out, rest) = std::mem::take(monitors).into_iter().partition(|monitor| original.has(monitor));
            *monitors = rest;
            if likeness == Likeness::Copy {
                self.leave_alone(look, out);
            }
        }
        Ok(())
    }

    /// Remembers for these monitors that a file, as it is, is a copy.
    fn leave_alone(&mut self, look: &Look, monitors: Vec<String>) {
        let inode = look.id.inode;
        let (size, modified) = (look.size, look.modified);
        let same = self.copies.remove(&inode).filter(|copy| (copy.size, copy.modified) == (size, modified));
        let mut copy = same.unwrap_or(CopyPosition { size, modified, monitors: BTreeSet::new() });
        copy.monitors.extend(monitors);
        self.copies.insert(inode, copy);
        self.changed.copies.insert(inode);
    }

    /// Lets the monitors of `cursor` read the file `id`, opened at `path`.
    pub(super) fn attach(
        &mut self,
        id: FileId,
        handle: File,
        path: &Path,
        origin: &Path,
        cursor: Cursor,
        now: Timestamp,
    ) -> io::Result<FileNo> {
        let no = match self.by_id.get(&id) {
            Some(no) => *no,
            None => {
                self.guard.check_open(&handle, path)?;
                self.next += 1;
                let no = self.next;
                self.files.insert(no, TailFile::opened(no, id, handle, path, origin, now));
                self.by_id.insert(id, no);
                no
            }
        };
        if let Some(file) = self.files.get_mut(&no) {
            file.captured_late |= file.is_blank();
            file.attach(cursor);
            file.changed_at = now;
            file.verify(path)?;
            self.changed.files.insert(no);
        }
        Ok(no)
    }

    fn close_idle(&mut self) {
        let open = self.files.values().filter(|file| file.handle.is_some()).count();
        let mut idle: Vec<(Timestamp, FileNo)> = self
            .files
            .values()
            .filter(|f| f.handle.is_some() && f.place == Place::Watched && f.caught_up_at.is_some())
            .map(|f| (f.changed_at, f.no))
            .collect();
        idle.sort_unstable();
        for (_, no) in idle.into_iter().take(open.saturating_sub(MAX_OPEN)) {
            if let Some(file) = self.files.get_mut(&no) {
                file.handle = None;
            }
        }
    }

    fn mark_primed(&mut self, pass: &Pass) {
        for watch in self.watches.values() {
            for pattern in &watch.patterns {
                // What could not be read yet is still "already there" once it can be.
                let waits = matches!(pattern, PathPattern::Path(path) if pass.unreadable.contains(Path::new(path)));
                let primed = self.primed.entry(watch.monitor.clone()).or_default();
                if !waits && primed.insert(pattern.as_str().to_owned()) {
                    self.changed.primed.insert(watch.monitor.clone());
                    if !watch.uid.is_empty() && self.begun.insert(watch.uid.clone()) {
                        self.changed.begun.insert(watch.uid.clone());
                    }
                }
            }
        }
    }
}
