//! What the content of a file is to what was read before it stood there: its continuation, a part of it,
//! an edited form of it, or something new. Whether an inode is another says nothing about that: editors
//! and `rsync` put a new file in the place of one that only grew, and a log that begins anew may keep its
//! inode.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use super::cursor::Cursor;
use super::known::read_full;
use super::positions::Mark;

/// Lines are looked for in so much of a file at most.
const SEARCHED_BYTES: u64 = 64 << 20;
/// Of lines that were not read yet in a file that was replaced, so many bytes are looked for in another.
const COMPARED_BYTES: u64 = 1 << 20;
/// Of this much it is judged whether lines differ from each other and bear a time.
const EVIDENCE_BYTES: u64 = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kin {
    /// It begins with all that was read. `sure`: by lines that nobody writes twice.
    Whole { sure: bool },
    /// As far as it goes, the beginning of what was read; all of it up to `upto`. Unless `sure`, it may as
    /// well be the beginning of something new.
    Part { upto: u64, sure: bool },
    /// The last lines that were read end at `at`; `changed` bytes before are not as they were.
    Shifted { at: u64, changed: u64 },
    /// What was read, changed up to its end or cut: what may be new is behind `at`, and `lost` bytes before
    /// it are not as they were.
    Edited { at: u64, lost: u64 },
    /// Something else.
    Stranger,
}

/// What `size` bytes in `file` are to what was read before `cursor` of a file with this `head`.
pub(super) fn judge(cursor: &Cursor, head: Mark, file: &File, size: u64) -> io::Result<Kin> {
    let (read, trail) = (cursor.offset, &cursor.trail);
    if read == 0 {
        return Ok(Kin::Stranger);
    }
    let standing = trail.standing(file, size)?;
    let length = u64::from(head.length);
    // What was not read is known by its beginning alone.
    let head_stands = trail.base == 0 || (length > 0 && size >= length && Mark::read(file, 0, head.length)? == head);
    let unbroken = if head_stands { trail.base + standing.unbroken } else { 0 };
    if unbroken == read && size >= read && cursor.stands_in(file)? {
        let evidence = Evidence::of(file, read)?;
        return Ok(Kin::Whole { sure: evidence.timed && evidence.varied });
    }
    let is_part = size < read
        && standing.changed == 0
        && match trail.base {
            _ if size == 0 => true,
            0 => unbroken > 0 || !trail.denies(file, size)?,
            _ => head_stands || size < length,
        };
    if is_part {
        let evidence = Evidence::of(file, unbroken.min(size))?;
        let sure = head_stands && unbroken > 0 && evidence.timed && evidence.varied;
        return Ok(Kin::Part { upto: if sure { Evidence::of(file, size)?.last_end } else { 0 }, sure });
    }
    let varied = trail.last.iter().collect::<BTreeSet<_>>().len() > 1;
    if let Some((at, lines)) = last_lines_in(&trail.last, read, file, size)?
        && varied
        && is_timed(file, at, &trail.last[trail.last.len() - lines..])?
    {
        return Ok(Kin::Shifted { at, changed: standing.changed });
    }
    let upto = if unbroken > 0 { unbroken.min(size) } else { size.min(read) };
    if standing.later || (unbroken > 0 && Evidence::of(file, upto)?.timed) {
        return Ok(if size >= read {
            Kin::Edited { at: read, lost: standing.changed.max(1) }
        } else {
            let at = Evidence::of(file, size)?.last_end.max(upto);
            Kin::Edited { at, lost: at - unbroken.min(at) }
        });
    }
    // The very last may be what was cut out or changed: who knows the one before it does not know which.
    for known in (1..trail.last.len()).rev().filter(|_| varied) {
        if let Some((at, _)) = last_lines_in(&trail.last[..known], read, file, size)?
            && is_timed(file, at, &trail.last[known - 1..known])?
        {
            let end = Evidence::of(file, size)?.last_end.max(at);
            return Ok(Kin::Edited { at: end, lost: end - at });
        }
    }
    Ok(Kin::Stranger)
}

/// What lines say about whether they could have been written twice.
struct Evidence {
    /// There is a line that bears a time.
    timed: bool,
    /// There are lines that differ.
    varied: bool,
    /// Where the last of them ends.
    last_end: u64,
}

impl Evidence {
    /// Of the last lines before `end`.
    fn of(file: &File, end: u64) -> io::Result<Self> {
        let from = end.saturating_sub(EVIDENCE_BYTES);
        let mut block = vec![0; (end - from) as usize];
        let got = read_full(file, &mut block, from)?;
        let whole = memchr::memrchr(b'\n', &block[..got]).map_or(0, |at| at + 1);
        let mut lines = block[..whole].split_inclusive(|byte| *byte == b'\n');
        let first = lines.clone().next();
        let varied = lines.clone().any(|line| Some(line) != first);
        Ok(Self { timed: lines.any(bears_a_time), varied, last_end: from + whole as u64 })
    }
}

/// Whether something in a line, or in one of several, looks like a time of day, or like seconds since 1970.
pub(super) fn bears_a_time(line: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_digit();
    line.windows(5).any(|w| w[2] == b':' && [0, 1, 3, 4].iter().all(|at| digit(&w[*at])))
        || line.windows(10).any(|w| w.iter().all(digit))
}

/// Whether one of these lines, which stand before `end`, bears a time.
fn is_timed(file: &File, end: u64, lines: &[(u32, u32)]) -> io::Result<bool> {
    let mut block = vec![0; lines.iter().map(|(length, _)| *length as usize).sum()];
    let start = end - block.len() as u64;
    let got = read_full(file, &mut block, start)?;
    Ok(bears_a_time(&block[..got]))
}

/// Where in `file` these lines end, the last before `read` of another, and how many of them stand there
/// together.
fn last_lines_in(last: &[(u32, u32)], read: u64, file: &File, size: u64) -> io::Result<Option<(u64, usize)>> {
    let Some((wanted, _)) = last.last() else { return Ok(None) };
    let start = size.min(read + SEARCHED_BYTES / 4).saturating_sub(SEARCHED_BYTES);
    let mut reader = BufReader::with_capacity(256 << 10, file.try_clone()?);
    reader.seek(SeekFrom::Start(start))?;
    let mut reader = reader.take(size.min(start + SEARCHED_BYTES) - start);
    let mut best = None;
    let (mut at, mut line) = (start, 0_u64);
    loop {
        let block = reader.fill_buf()?;
        if block.is_empty() {
            return Ok(best);
        }
        let (used, ended) = memchr::memchr(b'\n', block).map_or((block.len(), false), |end| (end + 1, true));
        reader.consume(used);
        at += used as u64;
        line += used as u64;
        if !ended {
            continue;
        }
        if line == u64::from(*wanted) {
            let lines = lines_before(last, file, at)?;
            if lines > 0 && best.is_none_or(|(_, most)| lines >= most) {
                best = Some((at, lines));
            }
        }
        line = 0;
    }
}

/// How many of the `last` lines stand before `end`, from the last one on.
fn lines_before(last: &[(u32, u32)], file: &File, end: u64) -> io::Result<usize> {
    let mut end = end;
    let mut lines = 0;
    for (length, crc) in last.iter().rev() {
        let mut line = vec![0; *length as usize];
        let Some(start) = end.checked_sub(u64::from(*length)) else { break };
        let got = read_full(file, &mut line, start)?;
        if got < line.len() || crc32fast::hash(&line) != *crc {
            break;
        }
        lines += 1;
        end = start;
    }
    Ok(lines)
}

/// How many bytes of `one` from `at` on are those of `other` from `there` on, up to a line end.
pub(super) fn common(one: (&File, u64), other: (&File, u64)) -> io::Result<u64> {
    let (mut a, mut b) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let (mut done, mut whole) = (0, 0);
    loop {
        let got = read_full(one.0, &mut a, one.1 + done)?;
        let there = read_full(other.0, &mut b, other.1 + done)?;
        let both = got.min(there);
        let same = a[..both].iter().zip(&b[..both]).take_while(|(a, b)| a == b).count();
        if let Some(end) = memchr::memrchr(b'\n', &a[..same]) {
            whole = done + end as u64 + 1;
        }
        done += same as u64;
        if same < a.len() {
            return Ok(whole);
        }
    }
}

/// How many bytes at the start of `new` are the end of `old`, of which nothing before `from` counts: a log
/// of which the first lines were cut away before all was read. Lines that are all alike prove nothing.
pub(super) fn overlap(old: &File, from: u64, new: &File) -> io::Result<u64> {
    let size = old.metadata()?.len().min(from + SEARCHED_BYTES);
    let mut first = Vec::new();
    let mut reader = BufReader::new(new.try_clone()?);
    reader.seek(SeekFrom::Start(0))?;
    reader.take(EVIDENCE_BYTES).read_until(b'\n', &mut first)?;
    let mut reader = BufReader::with_capacity(256 << 10, old.try_clone()?);
    reader.seek(SeekFrom::Start(from))?;
    let mut reader = reader.take(size.saturating_sub(from));
    let (mut at, mut compared) = (from, 0);
    let mut line = Vec::new();
    // Of lines that are all alike each may be the first: then what they share is not looked for to the end.
    while first.ends_with(b"\n") && compared < SEARCHED_BYTES && reader.read_until(b'\n', &mut line)? > 0 {
        let shared = if line == first { common((old, at), (new, 0))? } else { 0 };
        compared += shared;
        if shared > 0 && at + shared == size {
            let evidence = Evidence::of(new, shared)?;
            let is_one_line = shared == first.len() as u64;
            return Ok(if evidence.timed && (evidence.varied || is_one_line) { shared } else { 0 });
        }
        at += line.len() as u64;
        line.clear();
    }
    Ok(0)
}

/// Where in `old` its last line ends, if a line behind `from` that bears a time stands in `new` behind `at`
/// too: then `new` was made of what was in `old`.
pub(super) fn made_of(old: (&File, u64), new: (&File, u64)) -> io::Result<Option<u64>> {
    let size = old.0.metadata()?.len();
    let start = old.1.max(size.saturating_sub(COMPARED_BYTES));
    let mut block = vec![0; size.saturating_sub(start) as usize];
    let got = read_full(old.0, &mut block, start)?;
    let whole = memchr::memrchr(b'\n', &block[..got]).map_or(0, |at| at + 1);
    let lines = block[..whole].split_inclusive(|byte| *byte == b'\n').filter(|line| bears_a_time(line));
    let lines: HashSet<&[u8]> = lines.collect();
    let mut reader = BufReader::with_capacity(256 << 10, new.0.try_clone()?);
    reader.seek(SeekFrom::Start(new.1))?;
    let mut reader = reader.take(SEARCHED_BYTES);
    let mut line = Vec::new();
    while !lines.is_empty() && reader.read_until(b'\n', &mut line)? > 0 {
        if lines.contains(line.as_slice()) {
            return Ok(Some(start + whole as u64));
        }
        line.clear();
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const STAMPED: &str = "2026-11-20 12:00:00 ";

    fn file_of(text: &str) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn numbered(numbers: impl IntoIterator<Item = u32>) -> String {
        numbers.into_iter().map(|no| format!("{STAMPED}line {no}\n")).collect()
    }

    #[track_caller]
    fn check(before: &str, now: &str, expected: Kin) {
        let (file, read) = (file_of(before), before.len() as u64);
        let cursor = Cursor::default().moved_to(&file, read).unwrap();
        let head = Mark::read(&file, 0, read.min(1024) as u32).unwrap();
        let kin = judge(&cursor, head, &file_of(now), now.len() as u64).unwrap();
        assert_eq!(kin, expected, "{before:?} → {now:?}");
    }

    #[test]
    fn what_content_is_to_what_was_read() {
        let ten = numbered(1..=10);
        let length = numbered([1]).len() as u64;
        let all = ten.len() as u64;
        check(&ten, &numbered(1..=11), Kin::Whole { sure: true });
        check(&ten, &numbered(1..=5), Kin::Part { upto: 5 * length, sure: true });
        check(&ten, &(numbered(1..=5) + "2026-11"), Kin::Part { upto: 5 * length, sure: true });
        check(&ten, "", Kin::Part { upto: 0, sure: false });
        check(&ten, "2026-11", Kin::Part { upto: 0, sure: false });
        // The first lines cut away, one of them deleted, one of them changed.
        check(&ten, &numbered(8..=12), Kin::Shifted { at: 3 * length + 1, changed: 5 * length });
        let without = numbered((1..=12).filter(|no| *no != 5));
        check(&ten, &without, Kin::Shifted { at: all - length, changed: all - 4 * length });
        let edited = ten.replace("line 3\n", "LINE 3\n");
        check(&ten, &edited, Kin::Shifted { at: all, changed: length });
        // Changed to the end: what is new cannot be told.
        let masked = ten.replace("line 3", "****").replace("line 10", "****");
        check(&ten, &masked, Kin::Edited { at: masked.len() as u64, lost: masked.len() as u64 - 2 * length });
        // Cut away in front, and the last that was read too.
        check(&ten, &numbered([9, 11, 12]), Kin::Edited { at: 3 * length + 2, lost: 2 * length + 2 });
        check(&ten, &numbered(21..=40), Kin::Stranger);
        check(&ten, &numbered(21..=22), Kin::Stranger);
        check("", &ten, Kin::Stranger);
    }

    #[test]
    fn lines_without_a_time_and_lines_that_are_all_alike_prove_nothing() {
        let banner = "=== starting ===\nversion 7\n";
        check(&(banner.to_owned() + &numbered(1..=5)), &(banner.to_owned() + &numbered(21..=23)), Kin::Stranger);
        // At the same place, or at the end of what was read.
        let started = |hour: u32| format!("2026-11-20 {hour}:00:00 starting\nversion 7\nlistening\n");
        let (before, now) = (started(12) + &numbered(1..=5), started(13) + &numbered(21..=23));
        check(&before, &now, Kin::Stranger);
        check(&before, &(now.clone() + &numbered(24..=40)), Kin::Stranger);
        let trace = "java.io.IOException\n  at a.B.c(B.java:7)\n  at java.lang.Thread.run(Thread.java:748)\n";
        check(&(numbered(1..=5) + trace), &(numbered(21..=22) + trace + &numbered(23..=40)), Kin::Stranger);
        check(&(numbered(1..=5) + trace), &(numbered(21..=22) + trace), Kin::Stranger);
        check(&started(12), "2026-11-20 13:00:00 starting, again\nversion 7\nlistening\n", Kin::Stranger);
        // What differs is shorter than the line that it stands for.
        let banner_before = banner.to_owned() + STAMPED + "started in 1234 ms\n" + &numbered(1..=5);
        let shorter = banner.to_owned() + "2026-11-20 13:00:00 started in 9 ms\n";
        check(&banner_before, &shorter, Kin::Part { upto: 0, sure: false });
        let alike = numbered([1; 10]);
        check(&alike, &numbered([1; 3]), Kin::Part { upto: 0, sure: false });
        check(&alike, &numbered([1; 12]), Kin::Whole { sure: false });
    }

    #[test]
    fn the_end_of_one_file_may_be_the_beginning_of_another() {
        let old = file_of(&numbered(1..=9));
        let three = numbered(1..=3).len() as u64;
        assert_eq!(overlap(&old, three, &file_of(&numbered(7..=12))).unwrap(), three);
        assert_eq!(overlap(&old, three, &file_of(&numbered(9..=9))).unwrap(), three / 3);
        // Read before, in the middle, or alike.
        assert_eq!(overlap(&old, three, &file_of(&numbered(2..=3))).unwrap(), 0);
        assert_eq!(overlap(&old, three, &file_of(&numbered([7, 11]))).unwrap(), 0);
        assert_eq!(overlap(&file_of(&numbered([1; 5])), three, &file_of(&numbered([1; 5]))).unwrap(), 0);
    }

    #[test]
    fn lines_that_are_all_alike_are_not_compared_each_with_each() {
        let alike = numbered([1; 50_000]);
        let old = file_of(&(numbered([7]) + &alike.repeat(2)));
        assert_eq!(overlap(&old, 0, &file_of(&(alike + &numbered([8])))).unwrap(), 0);
    }

    #[test]
    fn what_two_files_share_ends_with_a_line() {
        let (a, b) = (file_of("xxone\ntwo\nthree\n"), file_of("one\ntwo\nthr"));
        assert_eq!(common((&a, 2), (&b, 0)).unwrap(), 8);
        assert_eq!(common((&a, 0), (&b, 0)).unwrap(), 0);
    }
}
