//! Copying an engine's directory while an engine uses it.
//!
//! Nothing that a manifest names is changed before another manifest took its place, nor deleted before that. So a copy
//! of everything that one manifest names belongs together, whatever came after it. Where something was deleted before it
//! was copied, the copy is begun again with the manifest of then, and takes over what it has of files that never change.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nightjar_model::{Error, Result};

use crate::error::EngineError;
use crate::manifest::{self, Manifest};
use crate::wal;

/// With what is copied already taken over, each attempt is shorter than the one before.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);
const BLOCKS: &str = "blocks";
const LOG: &str = "wal";

/// Copies the engine's directory `from` into `into`, which is made. The copy is as after a crash at some moment
/// while this ran: what was acknowledged before is in it.
///
/// # Errors
/// What cannot be read or written; `Unavailable` if files were deleted faster than they can be copied.
pub fn copy(from: &Path, into: &Path) -> Result<()> {
    copy_dir(from, into).map_err(|error| match error {
        // The server's own words are of a server, which tries again.
        EngineError::Io { path, source, .. } if source.kind() == io::ErrorKind::StorageFull => {
            Error::unavailable(format!("no space is left for {}", path.display()))
        }
        other => other.into(),
    })
}

fn copy_dir(from: &Path, into: &Path) -> Result<(), EngineError> {
    for folder in [into.to_owned(), into.join(BLOCKS), into.join(LOG)] {
        fs::create_dir_all(&folder).map_err(EngineError::io("make", folder))?;
    }
    for attempt in 0..ATTEMPTS {
        // What deletes files is at work: it is let get on.
        std::thread::sleep(PAUSE * attempt);
        let (text, named) = read_manifest(from)?;
        copy_all(from, into, named.wal.segment)?;
        // An engine that was open once has a log.
        let has_log = !wal::segments(&from.join(LOG))?.is_empty();
        let (_, after) = read_manifest(from)?;
        // What is in the log since an index forgot was written with what it knows now.
        let is_of_one_index = named.series_file.generation == after.series_file.generation;
        if !(is_of_one_index && is_whole(into, &named, has_log)?) {
            continue;
        }
        let path = into.join(manifest::NAME);
        match text {
            Some(text) => write(&path, text.as_bytes())?,
            // Nothing was ever flushed: everything is in the log.
            None => drop(fs::remove_file(&path)),
        }
        for folder in [into.join(BLOCKS), into.join(LOG), into.to_owned()] {
            File::open(&folder).and_then(|dir| dir.sync_all()).map_err(EngineError::io("sync", folder))?;
        }
        return Ok(());
    }
    Err(Error::unavailable(format!("{} changes faster than it can be copied", from.display())).into())
}

/// Whether all that a manifest names was copied, and the log from there on, if there is one.
fn is_whole(into: &Path, named: &Manifest, has_log: bool) -> Result<bool, EngineError> {
    let log = wal::segments(&into.join(LOG))?;
    let follows_on = log.iter().zip(named.wal.segment..).all(|((segment, _), expected)| *segment == expected);
    let is_there = |(path, bytes): &(PathBuf, Option<u64>)| {
        fs::metadata(path).is_ok_and(|meta| bytes.is_none_or(|bytes| meta.len() == bytes))
    };
    Ok(follows_on && log.is_empty() != has_log && named.files(into).iter().all(is_there))
}

/// As it stands there, and what it says; an empty one where there is none.
fn read_manifest(dir: &Path) -> Result<(Option<String>, Manifest), EngineError> {
    let path = dir.join(manifest::NAME);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let manifest = Manifest::parse(&path, &text)?;
            Ok((Some(text), manifest))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((None, Manifest::default())),
        Err(source) => Err(EngineError::Io { what: "read", path, source }),
    }
}

/// `first` is the segment of the log that is needed first: after a crash those before may be there still.
fn copy_all(from: &Path, into: &Path, first: u64) -> Result<(), EngineError> {
    // Blocks never change: one of the same length is the same.
    let blocks = list(&from.join(BLOCKS))?;
    remove_others(&into.join(BLOCKS), &blocks)?;
    for path in &blocks {
        let copied = into.join(BLOCKS).join(name(path));
        let length = |path: &Path| fs::metadata(path).ok().map(|meta| meta.len());
        if length(&copied).is_none() || length(&copied) != length(path) {
            copy_file(path, &copied)?;
        }
    }
    // The newest segment of the log first: when an older one is copied, it is not written to any more.
    let log = wal::segments(&from.join(LOG))?.into_iter().filter(|(segment, _)| *segment >= first);
    let log: Vec<PathBuf> = log.map(|(_, path)| path).collect();
    remove_others(&into.join(LOG), &log)?;
    for path in log.iter().rev() {
        copy_file(path, &into.join(LOG).join(name(path)))?;
    }
    let others: Vec<PathBuf> = list(from)?.into_iter().filter(|path| is_kept(&name(path))).collect();
    for path in &others {
        copy_file(path, &into.join(name(path)))?;
    }
    let copied = list(into)?.into_iter().filter(|path| is_kept(&name(path)));
    for stale in copied.filter(|path| !others.iter().any(|other| name(other) == name(path))) {
        fs::remove_file(&stale).map_err(EngineError::io("delete", stale))?;
    }
    Ok(())
}

/// The manifest comes last, a lock is of a process, and what ends so is not finished.
fn is_kept(name: &str) -> bool {
    name != manifest::NAME && name != "lock" && !name.ends_with(".new")
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Its files, by name; none if it is not there.
fn list(dir: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(EngineError::Io { what: "list", path: dir.to_owned(), source }),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(EngineError::io("list", dir))?.path();
        // One that is gone by now is in no manifest.
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn remove_others(dir: &Path, kept: &[PathBuf]) -> Result<(), EngineError> {
    for path in list(dir)?.into_iter().filter(|path| !kept.iter().any(|other| name(other) == name(path))) {
        fs::remove_file(&path).map_err(EngineError::io("delete", path))?;
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), EngineError> {
    match fs::copy(from, to) {
        Ok(_) => File::open(to).and_then(|file| file.sync_all()).map_err(EngineError::io("sync", to)),
        // Deleted since it was listed: whether it is needed is asked once all are copied.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(EngineError::Io { what: "copy", path: from.to_owned(), source }),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    fs::write(path, bytes).and_then(|()| File::open(path)?.sync_all()).map_err(EngineError::io("write", path))
}
