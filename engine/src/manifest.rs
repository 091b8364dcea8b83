//! The manifest: which blocks there are, where the log goes on after them, and what was known then.
//!
//! One file, replaced whole: `nightjar-manifest <format> <crc32 of the rest>\n`, then JSON. The checkpoint it
//! names (sequences, completeness) is that of the log at `wal`: recovery loads it and replays from there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::block::BlockMeta;
use crate::completeness::{self, Tracker, checkpoint};
use crate::error::{EngineError, Result};
use crate::rollups::RollUps;
use crate::sequences::{self, Sequences};
use crate::series::file::{self, SeriesFile, Stored};
use crate::storage;
use crate::wal::WalPosition;

const FORMAT: u32 = 1;
pub(crate) const NAME: &str = "manifest";

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// One more with each change.
    pub(crate) version: u64,
    pub(crate) wal: WalPosition,
    pub(crate) next_block: u64,
    pub(crate) blocks: Vec<BlockMeta>,
    pub(crate) series_file: SeriesFile,
    pub(crate) series_stored: Stored,
    /// Where the sequences and the completeness are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checkpoint: Option<u64>,
    /// As manifests had them before there were checkpoints; gone with the first.
    #[serde(default, skip_serializing_if = "sequences::Stored::is_empty")]
    sequences: sequences::Stored,
    #[serde(default, skip_serializing_if = "completeness::Stored::is_empty")]
    completeness: completeness::Stored,
    /// Tables of monitors that were deleted, with when that was found.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) leaving_tables: BTreeMap<u32, i64>,
    #[serde(default, skip_serializing_if = "RollUps::is_empty")]
    pub(crate) rollups: RollUps,
}

impl Manifest {
    /// The sequences taken of each agent and the completeness of windows, as of the log at `wal`.
    pub(crate) fn marks(&self, dir: &Path) -> Result<(Sequences, Tracker)> {
        match self.checkpoint {
            Some(number) => checkpoint::load(dir, number),
            None => Ok((self.sequences.clone().into(), self.completeness.clone().into())),
        }
    }

    /// What it names of the directory, besides the log, with the length of what never changes.
    pub(crate) fn files(&self, dir: &Path) -> Vec<(PathBuf, Option<u64>)> {
        let path = |block: &BlockMeta| dir.join("blocks").join(storage::name(block.id).as_ref());
        let blocks = self.blocks.iter().map(|block| (path(block), Some(block.bytes)));
        let series = (self.series_file.bytes > 0).then(|| (file::path(dir, self.series_file.generation), None));
        let checkpoint = self.checkpoint.map(|number| (checkpoint::path(dir, number), None));
        blocks.chain(series).chain(checkpoint).collect()
    }

    pub(crate) fn set_checkpoint(&mut self, number: u64) {
        self.checkpoint = Some(number);
        (self.sequences, self.completeness) = Default::default();
    }

    /// An empty one if there is none yet.
    pub(crate) fn load(dir: &Path) -> Result<Self> {
        let path = path(dir);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(EngineError::Io { what: "read", path, source }),
        };
        Self::parse(&path, &text)
    }

    /// What was read from `path`.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self> {
        let path = path.to_owned();
        let corrupt = |reason: String| EngineError::Corrupt { path: path.clone(), reason };
        let (head, body) = text.split_once('\n').ok_or_else(|| corrupt("it has no first line".into()))?;
        let mut words = head.split(' ');
        let (magic, format, crc) = (words.next(), words.next(), words.next());
        let format: u32 = match (magic, format.map(str::parse)) {
            (Some("nightjar-manifest"), Some(Ok(format))) => format,
            _ => return Err(corrupt("it does not begin as a manifest does".into())),
        };
        if format != FORMAT {
            return Err(EngineError::Format { path, found: format, known: FORMAT });
        }
        if crc != Some(format!("{:08x}", crc32fast::hash(body.as_bytes())).as_str()) {
            return Err(corrupt("the checksum does not fit".into()));
        }
        serde_json::from_str(body).map_err(|error| corrupt(error.to_string()))
    }

    /// Replaces the stored one; after an error the old one is still there. [`sync`] makes it last.
    pub(crate) fn store(&self, dir: &Path) -> Result<()> {
        let body = serde_json::to_string(self)
            .map_err(|error| EngineError::Corrupt { path: path(dir), reason: error.to_string() })?;
        let temporary = dir.join(format!("{NAME}.new"));
        let write = || -> io::Result<()> {
            let mut file = File::create(&temporary)?;
            writeln!(file, "nightjar-manifest {FORMAT} {:08x}", crc32fast::hash(body.as_bytes()))?;
            file.write_all(body.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, path(dir))
        };
        write().map_err(|source| {
            // What was written of it takes space that is missing.
            if let Err(error) = fs::remove_file(&temporary)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "cannot delete an unfinished manifest");
            }
            EngineError::Io { what: "write", path: temporary.clone(), source }
        })
    }
}

/// After this the manifest that was stored last survives a power failure; before it, the one before may
/// come back, so what that one needs must still be there.
pub(crate) fn sync(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(EngineError::io("sync", dir))
}

fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_is_loaded_and_damage_is_found() {
        let dir = tempfile::tempdir().expect("tempdir");
        assert_eq!(Manifest::load(dir.path()).expect("none yet"), Manifest::default());
        let manifest = Manifest { version: 3, next_block: 7, ..Manifest::default() };
        manifest.store(dir.path()).expect("stored");
        assert_eq!(Manifest::load(dir.path()).expect("loaded"), manifest);
        let text = fs::read_to_string(path(dir.path())).expect("read");
        fs::write(path(dir.path()), text.replace("\"next_block\":7", "\"next_block\":8")).expect("write");
        assert!(matches!(Manifest::load(dir.path()), Err(EngineError::Corrupt { .. })));
        fs::write(path(dir.path()), text.replace("nightjar-manifest 1", "nightjar-manifest 2")).expect("write");
        assert!(matches!(Manifest::load(dir.path()), Err(EngineError::Format { found: 2, .. })));
    }
}
