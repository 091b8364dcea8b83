//! What was read before a cursor, as checksums of runs of whole lines: by them a file that was replaced,
//! edited, cut or written over is known again, part by part.
//!
//! There are at most [`MAX_RUNS`] of them whatever was read: when there are more, each two neighbours
//! become one (CRC-32 of two pieces gives that of both). Of the first lines each is a run of its own; of
//! a long file a run is about a fiftieth.

use std::fs::File;
use std::io;

use serde::{Deserialize, Serialize};

use super::kin::bears_a_time;
use super::known::read_full;

const MAX_RUNS: usize = 64;
/// Of so many last lines each is known by itself.
const LAST_LINES: usize = 4;
/// Read at once when a file is compared.
const BLOCK_BYTES: usize = 256 << 10;
/// Of a longer file not every run is compared, but some from everywhere.
const COMPARED_BYTES: u64 = 256 << 20;
/// Longer runs are not compared at every look: of a thousand growing files that would be felt.
const SPOT_BYTES: u64 = 64 << 10;

/// The trail of a cursor, as it is kept in the journal too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trail {
    /// Where it begins, in bytes of the file. What is before was never read.
    pub base: u64,
    /// A run ends at the first line end from so many bytes on.
    pub least: u64,
    /// Length in bytes and CRC-32 of each run, from `base` on without gaps.
    pub runs: Vec<(u64, u32)>,
    /// Whether the last run goes on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
    /// Whether the last that was read is no line end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub torn: bool,
    /// Length in bytes, with its end, and CRC-32 of each of the last lines, oldest first.
    pub last: Vec<(u32, u32)>,
}

/// What of a trail stands in a file where it was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Bytes from the base on up to the first run that is not as it was, or not there.
    pub(super) unbroken: u64,
    /// Whether a run that bears a time stands behind one that does not: others may well stand at their place in
    /// any log of the same program.
    pub(super) later: bool,
    /// Bytes of runs that are there and not as they were.
    pub(super) changed: u64,
}

impl Trail {
    pub(super) fn from(base: u64) -> Self {
        Self { base, ..Self::default() }
    }

    /// Of what stands in `file` from `base` to `end`.
    pub(super) fn of_file(file: &File, base: u64, end: u64) -> io::Result<Self> {
        let mut trail = Self::from(base);
        let mut block = vec![0; BLOCK_BYTES.min(end.saturating_sub(base) as usize)];
        let mut at = base;
        while at < end {
            let wanted = block.len().min((end - at) as usize);
            let got = read_full(file, &mut block[..wanted], at)?;
            if got == 0 {
                break;
            }
            trail.push(&block[..got]);
            at += got as u64;
        }
        Ok(trail)
    }

    /// Where it ends, in bytes of the file.
    pub(super) fn end(&self) -> u64 {
        self.base + self.runs.iter().map(|(length, _)| length).sum::<u64>()
    }

    /// Goes on over `bytes`.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.push_last(bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (length, crc) = if self.open { self.runs.pop().unwrap_or_default() } else { (0, 0) };
            let missing = self.least.saturating_sub(length).clamp(1, rest.len() as u64) as usize;
            let end = memchr::memchr(b'\n', &rest[missing - 1..]).map(|at| missing + at);
            let (run, after) = rest.split_at(end.unwrap_or(rest.len()));
            let mut hasher = crc32fast::Hasher::new_with_initial_len(crc, length);
            hasher.update(run);
            let length = length + run.len() as u64;
            self.runs.push((length, hasher.finalize()));
            self.open = end.is_none() || length < self.least;
            rest = after;
            if self.runs.len() > MAX_RUNS {
                self.halve();
            }
        }
    }

    fn halve(&mut self) {
        let both = |pair: &[(u64, u32)]| match pair {
            [(a, crc_a), (b, crc_b)] => {
                let mut hasher = crc32fast::Hasher::new_with_initial_len(*crc_a, *a);
                hasher.combine(&crc32fast::Hasher::new_with_initial_len(*crc_b, *b));
                (a + b, hasher.finalize())
            }
            _ => pair.first().copied().unwrap_or_default(),
        };
        self.runs = self.runs.chunks(2).map(both).collect();
        self.least = (self.end() - self.base) / (MAX_RUNS as u64 / 2);
    }

    fn push_last(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        // A line that began in an earlier piece is not known by itself.
        let begins_here = !std::mem::replace(&mut self.torn, *last != b'\n');
        if self.torn {
            self.last.clear();
            return;
        }
        let mut lines = Vec::new();
        let mut end = bytes.len();
        let inner = memchr::memrchr_iter(b'\n', &bytes[..end - 1]).map(|at| at + 1);
        for at in inner.chain(begins_here.then_some(0)).take(LAST_LINES) {
            lines.push(((end - at) as u32, crc32fast::hash(&bytes[at..end])));
            end = at;
        }
        if end > 0 {
            self.last.clear();
        }
        self.last.extend(lines.into_iter().rev());
        let surplus = self.last.len().saturating_sub(LAST_LINES);
        self.last.drain(..surplus);
    }

    /// What of it stands in the first `size` bytes of `file`.
    pub(super) fn standing(&self, file: &File, size: u64) -> io::Result<Standing> {
        let read = self.end() - self.base;
        let step = (read / COMPARED_BYTES + 1) as usize;
        let mut standing = Standing::default();
        let mut at = self.base;
        let mut broken = false;
        for (index, (length, crc)) in self.runs.iter().enumerate() {
            let is_there = at + length <= size;
            let compared = index.is_multiple_of(step) || index + 1 == self.runs.len();
            let stands = is_there && (!compared || checksum(file, at, *length)? == Some(*crc));
            match (stands, broken) {
                (true, false) => standing.unbroken += length,
                (true, true) => {
                    standing.later = standing.later || (compared && begins_with_a_time(file, at, *length)?);
                }
                (false, _) => {
                    broken = true;
                    standing.changed += if is_there { *length } else { 0 };
                }
            }
            at += length;
        }
        Ok(standing)
    }

    /// Whether the lines in the first `size` bytes of `file`, shorter than its first run, cannot be those
    /// of the run.
    pub(super) fn denies(&self, file: &File, size: u64) -> io::Result<bool> {
        let Some((first, _)) = self.runs.first() else { return Ok(false) };
        let mut block = vec![0; BLOCK_BYTES.min(size as usize)];
        let got = read_full(file, &mut block, 0)?;
        // As long as each run is one line, there is none within.
        Ok(self.least <= 1 && memchr::memchr(b'\n', &block[..got]).is_some_and(|end| (end as u64) + 1 < *first))
    }

    /// Looks whether one run, another each time, is as it was; the bytes of one that is not, which is then
    /// known as it is. Only of runs that are read in no time.
    pub(super) fn spot_check(&mut self, file: &File, turn: u64) -> io::Result<Option<u64>> {
        let closed = self.runs.len().saturating_sub(usize::from(self.open));
        if closed == 0 {
            return Ok(None);
        }
        let index = (turn % closed as u64) as usize;
        let at = self.base + self.runs[..index].iter().map(|(length, _)| length).sum::<u64>();
        let (length, crc) = self.runs[index];
        if length > SPOT_BYTES {
            return Ok(None);
        }
        let Some(now) = checksum(file, at, length)? else { return Ok(None) };
        self.runs[index].1 = now;
        Ok((now != crc).then_some(length))
    }
}

/// Whether a time is in these bytes, the first of them if they are many.
fn begins_with_a_time(file: &File, at: u64, length: u64) -> io::Result<bool> {
    let mut block = vec![0; SPOT_BYTES.min(length) as usize];
    let got = read_full(file, &mut block, at)?;
    Ok(bears_a_time(&block[..got]))
}

/// Of `length` bytes from `at`; `None` where there are fewer.
fn checksum(file: &File, at: u64, length: u64) -> io::Result<Option<u32>> {
    let mut hasher = crc32fast::Hasher::new();
    let mut block = vec![0; BLOCK_BYTES.min(length as usize)];
    let mut done = 0;
    while done < length {
        let wanted = block.len().min((length - done) as usize);
        let got = read_full(file, &mut block[..wanted], at + done)?;
        hasher.update(&block[..got]);
        done += got as u64;
        if got < wanted {
            return Ok(None);
        }
    }
    Ok(Some(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file_of(bytes: &[u8]) -> File {
        use std::io::Write;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn lines(range: std::ops::Range<u32>) -> String {
        range.map(|no| format!("2026-11-20 12:00:00 line {no}\n")).collect()
    }

    fn trail_of(text: &str) -> Trail {
        let mut trail = Trail::default();
        trail.push(text.as_bytes());
        trail
    }

    #[test]
    fn tells_what_stands_and_what_does_not() {
        let text = lines(0..40);
        let trail = trail_of(&text);
        assert_eq!(trail.runs.len(), 40);
        let standing = |text: &str| trail.standing(&file_of(text.as_bytes()), text.len() as u64).unwrap();
        let all = text.len() as u64;
        assert_eq!(standing(&text), Standing { unbroken: all, ..Standing::default() });
        assert_eq!(standing(&(text.clone() + "more\n")).unbroken, all);
        let first = lines(0..1).len();
        assert_eq!(standing(&lines(0..10)).unbroken, lines(0..10).len() as u64);
        let edited = text.replace("line 5\n", "LINE 5\n");
        let length = first as u64;
        assert_eq!(standing(&edited), Standing { unbroken: 5 * length, later: true, changed: length }, "{edited}");
        assert_eq!(standing(&lines(100..140)).unbroken, 0);
        assert_eq!(standing(""), Standing::default());
    }

    #[test]
    fn a_long_file_has_no_longer_a_trail() {
        let text = lines(0..100_000);
        let trail = trail_of(&text);
        assert!((32..=MAX_RUNS).contains(&trail.runs.len()), "{}", trail.runs.len());
        let mut changed = text.clone().into_bytes();
        changed[text.len() / 2] ^= 1;
        let standing = trail.standing(&file_of(&changed), text.len() as u64).unwrap();
        assert!(standing.changed > 0 && standing.changed < text.len() as u64 / 16, "{standing:?}");
        assert!(standing.later, "{standing:?}");
    }

    #[test]
    fn each_look_checks_another_run_and_tells_a_change_once() {
        let mut trail = trail_of(&lines(0..10));
        let file = file_of(lines(0..10).replace("line 3", "LINE 3").as_bytes());
        let mut told = |turns: std::ops::Range<u64>| -> Vec<u64> {
            turns.filter_map(|turn| trail.spot_check(&file, turn).unwrap()).collect()
        };
        assert_eq!(told(0..10), [lines(0..1).len() as u64]);
        assert_eq!(told(10..30), [] as [u64; 0]);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            words in proptest::collection::vec("[a-z]{0,9}\n", 0..200),
            cuts in proptest::collection::vec(1usize..60, 1..8),
        ) {
            let bytes = words.concat().into_bytes();
            let mut pieces = Trail::default();
            let (mut at, mut turn) = (0, 0);
            while at < bytes.len() {
                let end = (at + cuts[turn % cuts.len()]).min(bytes.len());
                pieces.push(&bytes[at..end]);
                (at, turn) = (end, turn + 1);
            }
            prop_assert_eq!(pieces.end(), bytes.len() as u64);
            let file = file_of(&bytes);
            prop_assert_eq!(pieces.standing(&file, bytes.len() as u64).unwrap().unbroken, bytes.len() as u64);
            prop_assert_eq!(Trail::of_file(&file, 0, bytes.len() as u64).unwrap().end(), bytes.len() as u64);
            let mut end = bytes.len();
            for (length, crc) in pieces.last.iter().rev() {
                let start = end - *length as usize;
                prop_assert_eq!(crc32fast::hash(&bytes[start..end]), *crc);
                prop_assert_eq!(bytes[start..end].iter().filter(|b| **b == b'\n').count(), 1);
                end = start;
            }
        }
    }
}
