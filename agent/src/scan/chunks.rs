//! Cuts files into pieces at line ends.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use memchr::{memchr, memrchr};

use crate::pipeline::MAX_LINE_BYTES;

/// Fits the cache of a core with what it is counted into.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

/// Pieces of the logs, in their order. Nothing is ever cut but a line over the limit, whose rest is
/// then skipped.
pub(super) struct ChunkReader {
    logs: VecDeque<PathBuf>,
    open: Option<Box<dyn Read + Send>>,
    /// Of the file opened last.
    path: Arc<Path>,
    chunk_bytes: usize,
    /// The start of a line whose end is yet to be read.
    carry: Vec<u8>,
    /// Within a line of which the limit has been handed out.
    skipping: bool,
    sequence: u64,
    pub(super) bytes: u64,
}

/// Whole lines of one file.
pub(super) struct Chunk {
    /// From 0, without gaps.
    pub(super) sequence: u64,
    pub(super) path: Arc<Path>,
    /// How much of the buffer it fills.
    pub(super) length: usize,
}

impl ChunkReader {
    pub(super) fn new(logs: Vec<PathBuf>, chunk_bytes: usize) -> Self {
        Self {
            logs: logs.into(),
            open: None,
            path: Path::new("").into(),
            chunk_bytes,
            carry: Vec::new(),
            skipping: false,
            sequence: 0,
            bytes: 0,
        }
    }

    /// Reads the next piece into `buffer`, which is made as long as needed and kept so.
    ///
    /// # Errors
    /// A log cannot be opened or read.
    pub(super) fn next(&mut self, buffer: &mut Vec<u8>) -> anyhow::Result<Option<Chunk>> {
        loop {
            if !self.open_next()? {
                return Ok(None);
            }
            if self.skipping {
                self.skip(buffer)?;
                continue;
            }
            let mut length = self.carry.len();
            buffer.resize(buffer.len().max(self.chunk_bytes + length), 0);
            buffer[..length].copy_from_slice(&self.carry);
            self.carry.clear();
            let mut searched = 0;
            let end = loop {
                while length < buffer.len() && self.open.is_some() {
                    length += self.read(&mut buffer[length..])?;
                }
                if self.open.is_none() {
                    break length;
                }
                if let Some(at) = memrchr(b'\n', &buffer[searched..length]) {
                    break searched + at + 1;
                }
                if length > MAX_LINE_BYTES {
                    self.skipping = true;
                    break length;
                }
                searched = length;
                buffer.resize(length + self.chunk_bytes, 0);
            };
            self.carry.extend_from_slice(&buffer[end..length]);
            if end > 0 {
                self.sequence += 1;
                return Ok(Some(Chunk { sequence: self.sequence - 1, path: self.path.clone(), length: end }));
            }
        }
    }

    /// Reads on to the line's end.
    fn skip(&mut self, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
        buffer.resize(buffer.len().max(self.chunk_bytes), 0);
        while self.skipping {
            let length = self.read(buffer)?;
            if let Some(at) = memchr(b'\n', &buffer[..length]) {
                self.carry.extend_from_slice(&buffer[at + 1..length]);
                self.skipping = false;
            }
            self.skipping &= self.open.is_some();
        }
        Ok(())
    }

    /// Reads some bytes, or none and closes the file at its end.
    fn read(&mut self, buffer: &mut [u8]) -> anyhow::Result<usize> {
        let Some(file) = &mut self.open else { return Ok(0) };
        loop {
            match file.read(buffer) {
                Ok(0) => self.open = None,
                Ok(length) => {
                    self.bytes += length as u64;
                    return Ok(length);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.path.display())),
            }
            return Ok(0);
        }
    }

    /// Whether there is a file to read from.
    fn open_next(&mut self) -> anyhow::Result<bool> {
        if self.open.is_some() {
            return Ok(true);
        }
        let Some(path) = self.logs.pop_front() else { return Ok(false) };
        self.open = Some(if super::is_standard_input(&path) {
            Box::new(std::io::stdin())
        } else {
            let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
            if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
                bail!("{} is a directory; name the files in it", path.display());
            }
            Box::new(file)
        });
        self.path = path.into();
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(content: &[u8], chunk_bytes: usize) -> Vec<Vec<u8>> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.log");
        std::fs::write(&path, content).expect("a file");
        let mut reader = ChunkReader::new(vec![path.clone(), path], chunk_bytes);
        let mut buffer = Vec::new();
        let mut pieces = Vec::new();
        while let Some(chunk) = reader.next(&mut buffer).expect("readable") {
            assert_eq!(chunk.sequence, pieces.len() as u64);
            pieces.push(buffer[..chunk.length].to_vec());
        }
        assert_eq!(reader.bytes, 2 * content.len() as u64);
        pieces
    }

    #[test]
    fn a_line_over_the_limit_is_cut_and_its_rest_skipped() {
        let long = vec![b'x'; MAX_LINE_BYTES * 3];
        let content = [b"first\n", long.as_slice(), b"\nlast\n"].concat();
        for chunk_bytes in [1000, 100_000, 1 << 20] {
            let pieces = pieces(&content, chunk_bytes);
            let lines = pieces.iter().flat_map(|piece| piece.split_inclusive(|b| *b == b'\n'));
            let shown: Vec<&[u8]> = lines.map(|line| if line.len() > MAX_LINE_BYTES { b"cut" } else { line }).collect();
            let expected: [&[u8]; 6] = [b"first\n", b"cut", b"last\n", b"first\n", b"cut", b"last\n"];
            assert_eq!(shown, expected, "with pieces of {chunk_bytes}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pieces_are_whole_lines_and_nothing_is_lost(
            content in prop::collection::vec(prop::sample::select(b"ab\n".to_vec()), 0..200),
            chunk_bytes in 1usize..50,
        ) {
            let pieces = pieces(&content, chunk_bytes);
            prop_assert_eq!(pieces.concat(), [content.as_slice(), &content].concat());
            let mut end = 0;
            for piece in &pieces {
                end += piece.len();
                prop_assert!(piece.ends_with(b"\n") || end == content.len() || end == 2 * content.len());
            }
        }
    }
}
