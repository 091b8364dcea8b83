//! Any chunks as a series index: an error, or an index that is written and read as an equal one.

use std::fs;
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::series::file::{SeriesFile, Stored, encode_all, load, path, rewrite};

static DIR: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory"));
const MAX_SERIES: u32 = 1000;

/// Chunks get their length and checksum; `raw` stands behind them as it is.
pub fn check(chunks: &[Vec<u8>], raw: &[u8]) {
    let mut bytes = Vec::new();
    for chunk in chunks {
        bytes.extend_from_slice(&(chunk.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(chunk).to_le_bytes());
        bytes.extend_from_slice(chunk);
    }
    bytes.extend_from_slice(raw);
    let file = SeriesFile { generation: 0, bytes: bytes.len() as u64 };
    fs::write(path(DIR.path(), 0), &bytes).expect("written");
    let Ok(index) = load(DIR.path(), file, Stored::default(), MAX_SERIES) else { return };
    let encoded = encode_all(|look| look(&index)).0;
    let again = rewrite(DIR.path(), file, &encoded).expect("written");
    let again = load(DIR.path(), again, index.extent(), MAX_SERIES).expect("own encoding");
    assert_eq!(encode_all(|look| look(&again)).0, encoded);
    assert_eq!(again.extent(), index.extent());
}
