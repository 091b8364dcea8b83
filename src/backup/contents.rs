//! What a backup holds, and whether all of it is as it was.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nightjar_model::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const NAME: &str = "backup.json";
const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contents {
    format: u32,
    /// Of the program that made it.
    version: String,
    at: Timestamp,
    files: Vec<Kept>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// Below the backup's directory.
    path: PathBuf,
    bytes: u64,
    sha256: String,
}

impl Contents {
    /// Of all that is in `directory` now.
    pub(super) fn of(directory: &Path, at: Timestamp) -> Result<Self> {
        let mut files = Vec::new();
        for path in files_below(directory)? {
            let (bytes, sha256) = digest(&path)?;
            let path = path.strip_prefix(directory).unwrap_or(&path).to_owned();
            files.push(Kept { path, bytes, sha256 });
        }
        Ok(Self { format: FORMAT, version: env!("CARGO_PKG_VERSION").to_owned(), at, files })
    }

    /// It is written last: a directory without it is no backup.
    pub(super) fn save(&self, directory: &Path) -> Result<()> {
        let path = directory.join(NAME);
        let write = || -> io::Result<()> {
            fs::write(&path, serde_json::to_vec_pretty(self)?)?;
            File::open(&path)?.sync_all()?;
            File::open(directory)?.sync_all()
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    pub(super) fn load(directory: &Path) -> Result<Self> {
        let path = directory.join(NAME);
        let text = fs::read(&path)
            .with_context(|| format!("{} is no backup, or an unfinished one: it has no {NAME}", directory.display()))?;
        let contents: Self =
            serde_json::from_slice(&text).with_context(|| format!("{} is not understood", path.display()))?;
        if contents.format != FORMAT {
            bail!("the backup has format {}, this program reads format {FORMAT}", contents.format);
        }
        Ok(contents)
    }

    pub(super) fn at(&self) -> Timestamp {
        self.at
    }

    /// # Errors
    /// The first file that is not as it was, or that nobody backed up.
    pub(super) fn verify(&self, directory: &Path) -> Result<()> {
        for path in files_below(directory)? {
            let name = path.strip_prefix(directory).unwrap_or(&path);
            if name != Path::new(NAME) && !self.files.iter().any(|kept| kept.path == name) {
                bail!("{} is not of this backup: remove it, or take another backup", path.display());
            }
        }
        for kept in &self.files {
            let path = directory.join(&kept.path);
            let (bytes, sha256) = digest(&path)?;
            if (bytes, &sha256) != (kept.bytes, &kept.sha256) {
                bail!("{} is not as it was when it was backed up: take another backup", path.display());
            }
        }
        Ok(())
    }
}

/// A file, or a directory with all that is in it; on disk when this returns.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        if let Some(folder) = to.parent() {
            super::make_private(folder)?;
        }
        let write = || -> io::Result<()> {
            fs::copy(from, to)?;
            File::open(to)?.sync_all()
        };
        return write().with_context(|| format!("cannot write {}", to.display()));
    }
    super::make_private(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let path = entry?.path();
        copy(&path, &to.join(path.file_name().unwrap_or_default()))?;
    }
    File::open(to)?.sync_all().with_context(|| format!("cannot write {}", to.display()))
}

fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn digest(path: &Path) -> Result<(u64, String)> {
    let read = || -> io::Result<(u64, String)> {
        let (mut file, mut hash, mut bytes) = (File::open(path)?, Sha256::new(), 0);
        let mut buffer = vec![0; 256 << 10];
        loop {
            let length = file.read(&mut buffer)?;
            if length == 0 {
                break;
            }
            hash.update(&buffer[..length]);
            bytes += length as u64;
        }
        Ok((bytes, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_as_it_was_is_found() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("engine")).unwrap();
        fs::write(dir.path().join("engine/manifest"), "m").unwrap();
        assert!(Contents::load(dir.path()).unwrap_err().to_string().contains("unfinished"));
        Contents::of(dir.path(), Timestamp(7)).unwrap().save(dir.path()).unwrap();
        let contents = Contents::load(dir.path()).unwrap();
        assert_eq!((contents.at(), contents.files.len()), (Timestamp(7), 1));
        contents.verify(dir.path()).unwrap();
        fs::write(dir.path().join("engine/manifest"), "n").unwrap();
        assert!(contents.verify(dir.path()).unwrap_err().to_string().contains("engine/manifest"));
        fs::remove_file(dir.path().join("engine/manifest")).unwrap();
        assert!(contents.verify(dir.path()).is_err());
    }
}
