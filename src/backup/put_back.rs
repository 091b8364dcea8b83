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
const WORD: &str = "what is put aside ends in: ";

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
    targets.iter().try_for_each(|target| refuse_mount(&target.to))?;
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
    let mut mark = Mark::resume(data_dir)?;
    let exchanged = exchange(targets, &mut mark);
    if exchanged.is_err() && !mark.changed {
        for target in targets {
            drop(remove(&target.copied()));
        }
        mark.done()?;
        return exchanged.context("nothing was changed");
    }
    let aside = exchanged?;
    mark.done()?;
    Ok(aside)
}

/// Puts aside what is there, and what was copied in its place.
fn exchange(targets: &[Target], mark: &mut Mark) -> Result<Vec<PathBuf>> {
    let mut aside = Vec::new();
    for target in targets {
        for end in [""].iter().chain(&OF_A_DATABASE) {
            let path = PathBuf::from(format!("{}{end}", target.to.display()));
            let to = PathBuf::from(format!("{}{end}", beside(&target.to, &mark.word).display()));
            // Of one that did not finish: what it put aside is what was there, and stays that.
            if to.exists() {
                aside.push(to);
                remove(&path)?;
            } else if mark.has_put_back(&target.to) {
                remove(&path)?;
            } else if path.exists() {
                mark.note(&format!("{} is put aside as {}, if that is there", path.display(), to.display()))?;
                fs::rename(&path, &to).with_context(|| format!("cannot put {} aside", path.display()))?;
                mark.changed = true;
                aside.push(to);
            }
        }
        mark.note(&line_of(&target.to))?;
        fs::rename(target.copied(), &target.to).with_context(|| format!("cannot put {} there", target.to.display()))?;
        mark.changed = true;
        if let Some(folder) = target.to.parent() {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.with_context(|| format!("cannot sync {}", folder.display()))?;
        }
    }
    Ok(aside)
}

/// What is mounted cannot be renamed.
fn refuse_mount(path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev()).ok();
    if let (Some(of_path), Some(of_parent)) = (device(path), path.parent().and_then(device))
        && of_path != of_parent
    {
        bail!(
            "{0} is a mount point, and cannot be put aside: mount its disk one level higher, or set `engine.data_dir` to \
             a directory within {0}; nothing was changed",
            path.display()
        );
    }
    Ok(())
}

fn line_of(target: &Path) -> String {
    format!("{} is from the backup", target.display())
}

/// What was done so far; in the data directory, until all is.
struct Mark {
    path: PathBuf,
    text: String,
    /// Ends the names of what is put aside.
    word: String,
    /// Whether anything was, by this restore or by one before that did not finish.
    changed: bool,
}

impl Mark {
    fn resume(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(MARK);
        let changed = path.exists();
        let text = if changed {
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?
        } else {
            format!("{WORD}before-{}\n", SystemClock.now().millis())
        };
        let word = text.lines().find_map(|line| line.strip_prefix(WORD)).unwrap_or("before").to_owned();
        Ok(Self { path, text, word, changed })
    }

    fn has_put_back(&self, target: &Path) -> bool {
        let line = line_of(target);
        self.text.lines().any(|known| known == line)
    }

    /// On disk before it is done.
    fn note(&mut self, line: &str) -> Result<()> {
        if self.text.lines().any(|known| known == line) {
            return Ok(());
        }
        self.text.push_str(line);
        self.text.push('\n');
        let write = || {
            let next = self.path.with_extension("new");
            fs::write(&next, &self.text)?;
            File::open(&next)?.sync_all()?;
            fs::rename(&next, &self.path)?;
            self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn done(self) -> Result<()> {
        remove(&self.path)
    }
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
    }

    #[test]
    fn where_nothing_was_put_aside_nothing_is_unfinished() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        // With what is put aside gets it is too long for a name, with what it is copied to not yet.
        let name = "a".repeat(240);
        fs::write(data.join(&name), "old").unwrap();
        let failed = put_back(&[target(dir.path(), &name, "new")], &data).unwrap_err();
        assert!(failed.to_string().contains("nothing was changed"), "{failed:#}");
        check_finished(&data).unwrap();
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
    }

    #[test]
    fn one_that_was_interrupted_is_taken_up_and_what_was_there_stays_aside() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        for name in ["a", "b.db", "b.db-wal"] {
            fs::write(data.join(name), format!("old {name}")).unwrap();
        }
        let targets = || [target(dir.path(), "a", "new a"), target(dir.path(), "b.db", "new b")];
        // Killed after the first is done, and while the second is put aside.
        let mut mark = Mark::resume(&data).unwrap();
        mark.note("a is put aside").unwrap();
        fs::rename(data.join("a"), beside(&data.join("a"), &mark.word)).unwrap();
        mark.note(&line_of(&data.join("a"))).unwrap();
        fs::write(data.join("a"), "new a").unwrap();
        fs::rename(data.join("b.db"), beside(&data.join("b.db"), &mark.word)).unwrap();
        let refused = check_finished(&data).unwrap_err().to_string();
        assert!(refused.contains("--replace") && refused.contains("is from the backup"), "{refused}");
        let aside = put_back(&targets(), &data).unwrap();
        let read = |path: &PathBuf| fs::read_to_string(path).unwrap();
        assert_eq!(aside.iter().map(read).collect::<Vec<_>>(), ["old a", "old b.db", "old b.db-wal"]);
        assert_eq!((read(&data.join("a")), read(&data.join("b.db"))), ("new a".into(), "new b".into()));
        assert!(!data.join("b.db-wal").exists());
        check_finished(&data).unwrap();
    }
}
