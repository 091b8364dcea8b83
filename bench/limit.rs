//! How fast the job of `bench/scan.sh` could be at most: one thread, the file mapped into memory, nothing
//! checked, this one format. Prints `minute,key,lines,sum`, as the others do.
//!
//! It assumes what no agent may: that every line is whole and of UTF-8, that the time is well formed and in
//! order of minutes or nearly so, that the cost is a whole number, that no line is cut off.

use std::collections::HashMap;
use std::ffi::{c_int, c_long, c_void};
use std::hash::{BuildHasherDefault, Hasher};
use std::io::Write;
use std::os::fd::AsRawFd;

unsafe extern "C" {
    fn mmap(
        at: *mut c_void,
        length: usize,
        protection: c_int,
        flags: c_int,
        file: c_int,
        offset: c_long,
    ) -> *mut c_void;
    fn memchr(from: *const c_void, byte: c_int, length: usize) -> *const c_void;
}

const READ: c_int = 1;
const PRIVATE: c_int = 2;
const POPULATE: c_int = 0x8000;
const MINUTE: usize = 16;

/// FNV over words: the keys are short.
#[derive(Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

type Counts = HashMap<&'static [u8], (u64, u64), BuildHasherDefault<Fold>>;

fn find(byte: u8, text: &'static [u8]) -> Option<usize> {
    // SAFETY: reads within `text` alone.
    let found = unsafe { memchr(text.as_ptr().cast(), c_int::from(byte), text.len()) };
    (!found.is_null()).then(|| found as usize - text.as_ptr() as usize)
}

/// What stands before the next comma, and what comes after it.
fn field(text: &'static [u8]) -> (&'static [u8], &'static [u8]) {
    let end = text.iter().position(|byte| *byte == b',').unwrap_or(text.len());
    (&text[..end], text.get(end + 1..).unwrap_or_default())
}

fn main() {
    let path = std::env::args_os().nth(1).expect("limit FILE");
    let file = std::fs::File::open(path).expect("the file");
    let length = file.metadata().expect("its length").len() as usize;
    // SAFETY: a mapping for reading that is never undone; nobody writes to the file meanwhile.
    let mut rest: &'static [u8] = unsafe {
        let at = mmap(std::ptr::null_mut(), length, READ, PRIVATE | POPULATE, file.as_raw_fd(), 0);
        assert!(at as isize != -1, "cannot map the file");
        std::slice::from_raw_parts(at.cast(), length)
    };
    let mut minutes: Vec<(&[u8], Counts)> = Vec::new();
    let mut current = 0;
    while let Some(end) = find(b'\n', rest) {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        let minute = &line[..MINUTE];
        if minutes.get(current).is_none_or(|(known, _)| *known != minute) {
            current = minutes.iter().position(|(known, _)| *known == minute).unwrap_or_else(|| {
                minutes.push((minute, Counts::default()));
                minutes.len() - 1
            });
        }
        let (_, after) = field(&line[MINUTE..]);
        let (_, after) = field(after);
        let (key, after) = field(after);
        let (_, after) = field(after);
        let (_, after) = field(after);
        let (cost, _) = field(after);
        let cost = cost.iter().fold(0u64, |cost, digit| cost * 10 + u64::from(digit - b'0'));
        let entry = minutes[current].1.entry(key).or_default();
        entry.0 += 1;
        entry.1 += cost;
    }
    let mut out = std::io::stdout().lock();
    for (minute, counts) in &minutes {
        for (key, (lines, sum)) in counts {
            out.write_all(minute).expect("written");
            out.write_all(b",").expect("written");
            out.write_all(key).expect("written");
            writeln!(out, ",{lines},{sum}").expect("written");
        }
    }
}
