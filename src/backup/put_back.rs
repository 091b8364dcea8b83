//! Putting a backup in place: all of it, or none.
//!
//! Everything is copied beside where it belongs, which may take long and may fail, and changes nothing. Then what is
//! there is put aside and what was copied takes its place, by renaming. As long as that goes on a mark is in the data
//! directory: a server does not start on half of a restore, which would look like a new one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nightjar_model::{Clock, SystemClock};

use super::{beside, contents};

const MARK: &str = "restore-unfinished";

/// What SQLite has beside a database that nobody closed. It belongs to that database.
const OF_A_DATABASE: [&str; 2] = ["-wal", "-shm"];

/// A part of a backup, and where it belongs.
pub(super) struct Target {
    pub(super) from: PathBuf,
    pub(super) to: PathBuf,
}

impl Target {
    fn copied(&self) -> PathBuf {
        beside(&self.to, "restoring")
    }
}

/// # Errors
/// If a restore was begun in this directory and did not end.
pub(crate) fn check_finished(data_dir: &Path) -> Result<()> {
    let mark = data_dir.join(MARK);
    if !mark.exists() {
        return Ok(());
    }
    let done = fs::read_to_string(&mark).unwrap_or_default();
    bail!(
        "a restore into {} did not finish: run `nightjar restore --replace` again; or, to go back to what was there, \
         rename what is put aside back and delete {}. What was done:\n{done}",
        data_dir.display(),
        mark.display()
    );
}

/// Answers what was put aside.
///
/// # Errors
/// Until the first file is put aside nothing has changed; then the mark is there.
pub(super) fn put_back(targets: &[Target], data_dir: &Path) -> Result<Vec<PathBuf>> {
    let copied = targets.iter().try_for_each(|target| {
        remove(&target.copied())?;
        contents::copy(&target.from, &target.copied())
    });
    if let Err(error) = copied {
        for target in targets {
            drop(remove(&target.copied()));
        }
        return Err(error.context("nothing was changed"));
    }
    let mark = data_dir.join(MARK);
    let (mut done, mut aside) = (String::new(), Vec::new());
    let word = format!("before-{}", SystemClock.now().millis());
    for target in targets {
        for end in [""].iter().chain(&OF_A_DATABASE) {
            let path = PathBuf::from(format!("{}{end}", target.to.display()));
            if !path.exists() {
                continue;
            }
            let to = PathBuf::from(format!("{}{end}", beside(&target.to, &word).display()));
            done.push_str(&format!("{} is put aside as {}\n", path.display(), to.display()));
            note(&mark, &done)?;
            fs::rename(&path, &to).with_context(|| format!("cannot put {} aside", path.display()))?;
            aside.push(to);
        }
        done.push_str(&format!("{} is from the backup\n", target.to.display()));
        note(&mark, &done)?;
        fs::rename(target.copied(), &target.to).with_context(|| format!("cannot put {} there", target.to.display()))?;
        if let Some(folder) = target.to.parent() {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .with_context(|| format!("cannot sync {}", folder.display()))?;
        }
    }
    fs::remove_file(&mark).with_context(|| format!("cannot delete {}", mark.display()))?;
    Ok(aside)
}

/// On disk before what it says is done.
fn note(mark: &Path, done: &str) -> Result<()> {
    let write = || {
        fs::write(mark, done)?;
        File::open(mark)?.sync_all()?;
        mark.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().with_context(|| format!("cannot write {}", mark.display()))
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot delete {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(dir: &Path, name: &str, content: &str) -> Target {
        fs::write(dir.join(format!("backup-{name}")), content).unwrap();
        Target { from: dir.join(format!("backup-{name}")), to: dir.join("data").join(name) }
    }

    #[test]
    fn what_sqlite_had_beside_its_database_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        for (name, content) in [("n.db", "old"), ("n.db-wal", "newest")] {
            fs::write(data.join(name), content).unwrap();
        }
        let aside = put_back(&[target(dir.path(), "n.db", "restored")], &data).unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!(read(&data.join("n.db")), "restored");
        assert!(!data.join("n.db-wal").exists(), "it would be taken for the restored one's");
        assert_eq!(aside.iter().map(|path| read(path)).collect::<Vec<_>>(), ["old", "newest"]);
        // Under the name that SQLite looks for.
        assert_eq!(aside[1].display().to_string(), format!("{}-wal", aside[0].display()));
        check_finished(&data).unwrap();
    }

    #[test]
    fn what_cannot_be_copied_changes_nothing_and_what_is_half_done_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("a"), "old").unwrap();
        let there = target(dir.path(), "a", "new");
        let missing = Target { from: dir.path().join("nothing"), to: data.join("b") };
        let failed = put_back(&[there, missing], &data).unwrap_err();
        assert!(failed.to_string().contains("nothing was changed"), "{failed:#}");
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(data.join("a")).unwrap(), "old");
        check_finished(&data).unwrap();
        // As after a kill between two renames.
        note(&data.join(MARK), "a is put aside as a.before-1\n").unwrap();
        let refused = check_finished(&data).unwrap_err().to_string();
        assert!(refused.contains("--replace") && refused.contains("a.before-1"), "{refused}");
        put_back(&[target(dir.path(), "a", "new")], &data).unwrap();
        check_finished(&data).unwrap();
    }
}
