//! The open windows of one monitor: what each key gathered since the last drain.
//!
//! A key is looked up by its borrowed bytes; in the steady state nothing is allocated. A window
//! remembers its keys when it is drained, so that the limit on keys holds for the window, not for
//! the time between two drains; only the latest few do, which bounds what an idle monitor keeps. Keys that
//! are remembered alone have no room for figures: of a hundred thousand that would be megabytes.

use hashbrown::{DefaultHashBuilder, HashTable};
use nightjar_model::delta::Number;
use nightjar_model::{Decimal, Timestamp};
use std::hash::{BuildHasher, Hasher};

/// Windows that keep their keys after a drain.
const REMEMBERED: usize = 3;

/// What is gathered for each window and key, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Windows {
    width_ms: i64,
    /// Number columns.
    numbers: usize,
    max_keys: usize,
    /// The key that takes the lines of those over the limit.
    other: Vec<u8>,
    hasher: DefaultHashBuilder,
    /// By start.
    open: Vec<Window>,
    /// Emptied windows, kept for their memory.
    spare: Vec<Window>,
    /// The window that the last line was in.
    current: usize,
    /// Rows that gathered something since the last drain.
    pending: usize,
}

#[derive(Debug, Default)]
struct Window {
    start_ms: i64,
    index: HashTable<u32>,
    /// Every key that came, in the order in which they did.
    rows: Vec<Row>,
    keys: Vec<u8>,
    /// By place: the lines of a key that came since the last drain.
    lines: Vec<u64>,
    /// Those of place n are at n × numbers.
    partials: Vec<Number>,
}

#[derive(Debug)]
struct Row {
    /// Half of it, to tell most other keys without a look at them.
    hash: u32,
    /// Where its key ends, and that of the next row begins.
    key_end: u32,
    /// Of what it gathered; [`NOWHERE`] where there is nothing to send.
    place: u32,
}

const NOWHERE: u32 = u32::MAX;

/// A row, for as long as no other is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    window: usize,
    place: usize,
    /// The key was over the limit; this is the row of the others.
    pub(crate) over_limit: bool,
}

impl Windows {
    pub(crate) fn new(width_ms: i64, numbers: usize, max_keys: usize, other: Vec<u8>) -> Self {
        Self {
            width_ms,
            numbers,
            max_keys,
            other,
            hasher: DefaultHashBuilder::default(),
            open: Vec::new(),
            spare: Vec::new(),
            current: 0,
            pending: 0,
        }
    }

    /// An empty one for the same monitor with another limit. The two can be merged.
    pub(crate) fn sibling(&self, max_keys: usize) -> Self {
        let other = self.other.clone();
        Self { hasher: self.hasher.clone(), ..Self::new(self.width_ms, self.numbers, max_keys, other) }
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    /// What the keys of all open windows take.
    pub(crate) fn key_bytes(&self) -> usize {
        self.open.iter().map(|window| window.keys.len()).sum()
    }

    /// How many keys each open window has.
    pub(crate) fn keys_of_windows(&self) -> impl Iterator<Item = usize> + '_ {
        self.open.iter().map(|window| window.rows.len())
    }

    /// Counts one line of `key` and answers where its numbers go.
    #[inline]
    pub(crate) fn count_line(&mut self, time: Timestamp, key: &[u8]) -> At {
        let hash = self.hash(key);
        let window = match self.open.get(self.current) {
            Some(window) if (0..self.width_ms).contains(&(time.0 - window.start_ms)) => self.current,
            _ => self.window(time.0.div_euclid(self.width_ms) * self.width_ms),
        };
        self.row(window, hash, key, 1)
    }

    #[inline]
    pub(crate) fn add(&mut self, at: At, number: usize, value: Decimal) {
        self.open[at.window].partials[at.place * self.numbers + number].add(value);
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        hash(&self.hasher, key)
    }

    /// The window with this start, opened if it is not there.
    #[cold]
    fn window(&mut self, start_ms: i64) -> usize {
        self.current = match self.open.binary_search_by_key(&start_ms, |window| window.start_ms) {
            Ok(at) => at,
            Err(at) => {
                let window = self.spare.pop().unwrap_or_default();
                self.open.insert(at, Window { start_ms, ..window });
                at
            }
        };
        self.current
    }

    #[inline]
    fn row(&mut self, window: usize, hash: u64, key: &[u8], lines: u64) -> At {
        let open = &mut self.open[window];
        let found = open.find(hash, key);
        let (row, over_limit) = match found {
            Some(row) => (row, false),
            None => self.new_row(window, hash, key),
        };
        let open = &mut self.open[window];
        if open.rows[row].place == NOWHERE {
            self.pending += 1;
            open.make_place(row, self.numbers);
        }
        let place = open.rows[row].place as usize;
        open.lines[place] += lines;
        At { window, place, over_limit }
    }

    #[cold]
    fn new_row(&mut self, window: usize, hash: u64, key: &[u8]) -> (usize, bool) {
        let other_hash = self.hash(&self.other);
        let open = &mut self.open[window];
        let other = open.find(other_hash, &self.other);
        let keys = open.rows.len() - usize::from(other.is_some());
        if keys < self.max_keys || key == self.other.as_slice() {
            (open.push(&self.hasher, hash, key), false)
        } else {
            (other.unwrap_or_else(|| open.push(&self.hasher, other_hash, &self.other)), true)
        }
    }

    /// Hands each row that gathered something to `each` (window start, key, lines, partials), windows
    /// by start, and forgets its figures.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(Timestamp, &[u8], u64, &[Number])) {
        for window in &mut self.open {
            for row in window.gathered() {
                let place = window.rows[row].place as usize;
                let partials = &window.partials[place * self.numbers..(place + 1) * self.numbers];
                each(Timestamp(window.start_ms), window.key(row), window.lines[place], partials);
            }
            window.forget_figures();
        }
        self.open.drain(..self.open.len().saturating_sub(REMEMBERED));
        // More lines of the latest will come; of the others few.
        if let Some((_latest, others)) = self.open.split_last_mut() {
            others.iter_mut().for_each(Window::shrink);
        }
        self.current = 0;
        self.pending = 0;
    }

    /// Adds what `from` gathered after what this one has: as if its lines had come here. Answers how
    /// many lines were of keys over the limit.
    pub(crate) fn merge(&mut self, from: &Self) -> u64 {
        let mut over_limit = 0;
        for window in &from.open {
            let into = self.window(window.start_ms);
            for row in window.gathered() {
                let place = window.rows[row].place as usize;
                let (key, lines) = (window.key(row), window.lines[place]);
                let to = self.row(into, self.hash(key), key, lines);
                over_limit += if to.over_limit { lines } else { 0 };
                let partials = &mut self.open[into].partials[to.place * self.numbers..(to.place + 1) * self.numbers];
                let added = &window.partials[place * self.numbers..(place + 1) * self.numbers];
                partials.iter_mut().zip(added).for_each(|(partial, more)| partial.merge(more));
            }
        }
        over_limit
    }

    /// Forgets everything, keys too.
    pub(crate) fn clear(&mut self) {
        for mut window in self.open.drain(..) {
            if self.spare.len() < REMEMBERED {
                window.clear();
                self.spare.push(window);
            }
        }
        self.current = 0;
        self.pending = 0;
    }

    /// As [`clear`](Self::clear), and keeps the memory of one window only.
    pub(crate) fn forget(&mut self) {
        self.clear();
        self.spare.truncate(1);
    }
}

#[inline]
fn hash(hasher: &DefaultHashBuilder, key: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(key);
    hasher.finish()
}

impl Window {
    fn clear(&mut self) {
        self.index.clear();
        self.rows.clear();
        self.keys.clear();
        self.lines.clear();
        self.partials.clear();
    }

    /// Rows with something to send.
    fn gathered(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.rows.len()).filter(|row| self.rows[*row].place != NOWHERE)
    }

    #[inline]
    fn key(&self, row: usize) -> &[u8] {
        let start = row.checked_sub(1).map_or(0, |before| self.rows[before].key_end);
        &self.keys[start as usize..self.rows[row].key_end as usize]
    }

    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let same = |row: &u32| self.rows[*row as usize].hash == hash as u32 && self.key(*row as usize) == key;
        self.index.find(hash, same).map(|row| *row as usize)
    }

    fn push(&mut self, hasher: &DefaultHashBuilder, hash: u64, key: &[u8]) -> usize {
        let row = self.rows.len();
        self.keys.extend_from_slice(key);
        self.rows.push(Row { hash: hash as u32, key_end: self.keys.len() as u32, place: NOWHERE });
        let mut index = std::mem::take(&mut self.index);
        index.insert_unique(hash, row as u32, |row| self::hash(hasher, self.key(*row as usize)));
        self.index = index;
        row
    }

    fn make_place(&mut self, row: usize, numbers: usize) {
        self.rows[row].place = self.lines.len() as u32;
        self.lines.push(0);
        self.partials.resize(self.lines.len() * numbers, Number::EMPTY);
    }

    fn forget_figures(&mut self) {
        if !self.lines.is_empty() {
            self.rows.iter_mut().for_each(|row| row.place = NOWHERE);
            self.lines.clear();
            self.partials.clear();
        }
    }

    /// Gives back what it takes beyond its keys.
    fn shrink(&mut self) {
        (self.lines, self.partials) = (Vec::new(), Vec::new());
        self.rows.shrink_to_fit();
        self.keys.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Rows = Vec<(i64, String, u64, String)>;

    fn rows(windows: &mut Windows) -> Rows {
        let mut rows = Vec::new();
        windows.drain(|start, key, lines, partials| {
            rows.push((
                start.0 / 60_000,
                String::from_utf8_lossy(key).into_owned(),
                lines,
                partials[0].sum.to_string(),
            ));
        });
        rows
    }

    fn feed(windows: &mut Windows, lines: &[(i64, u8, i64)]) -> u64 {
        let mut over_limit = 0;
        for (minute, key, value) in lines {
            let at = windows.count_line(Timestamp(minute * 60_000 + 59_999), &[b'a' + key]);
            windows.add(at, 0, Decimal::from_int(*value));
            over_limit += u64::from(at.over_limit);
        }
        over_limit
    }

    fn windows(max_keys: usize) -> Windows {
        Windows::new(60_000, 1, max_keys, b"(other)".to_vec())
    }

    fn row(minute: i64, key: &str, lines: u64, sum: &str) -> (i64, String, u64, String) {
        (minute, key.into(), lines, sum.into())
    }

    #[test]
    fn gathers_by_window_and_key() {
        let mut windows = windows(10);
        feed(&mut windows, &[(5, 0, 1), (4, 0, 2), (5, 1, 3), (5, 0, 4), (-1, 0, 9)]);
        assert_eq!(windows.pending(), 4);
        let expected = [row(-1, "a", 1, "9"), row(4, "a", 1, "2"), row(5, "a", 2, "5"), row(5, "b", 1, "3")];
        assert_eq!(rows(&mut windows), expected);
        assert_eq!((windows.pending(), rows(&mut windows)), (0, Vec::new()));
    }

    #[test]
    fn keys_over_the_limit_are_folded_also_after_a_drain() {
        let mut windows = windows(2);
        assert_eq!(feed(&mut windows, &[(1, 0, 1), (1, 1, 1), (1, 2, 5), (1, 3, 7), (1, 0, 1)]), 2);
        assert_eq!(rows(&mut windows), [row(1, "a", 2, "2"), row(1, "b", 1, "1"), row(1, "(other)", 2, "12")]);
        assert_eq!(feed(&mut windows, &[(1, 4, 3), (1, 1, 1), (2, 4, 1)]), 1);
        assert_eq!(rows(&mut windows), [row(1, "b", 1, "1"), row(1, "(other)", 1, "3"), row(2, "e", 1, "1")]);
    }

    #[test]
    fn only_the_latest_windows_are_remembered() {
        let mut windows = windows(2);
        feed(&mut windows, &[(1, 0, 1), (2, 0, 1), (3, 0, 1), (4, 0, 1), (5, 0, 1)]);
        assert_eq!(rows(&mut windows).len(), 5);
        assert_eq!(windows.open.iter().map(|w| w.start_ms / 60_000).collect::<Vec<_>>(), [3, 4, 5]);
    }

    proptest! {
        #[test]
        fn merging_pieces_equals_feeding_all(
            lines in prop::collection::vec((0i64..3, 0u8..8, -9i64..9), 0..60),
            max_keys in 1usize..9,
            piece in 1usize..20,
        ) {
            let mut whole = windows(max_keys);
            let over_limit = feed(&mut whole, &lines);
            let mut merged = windows(max_keys);
            let mut merged_over_limit = 0;
            for piece in lines.chunks(piece) {
                let mut part = merged.sibling(usize::MAX);
                feed(&mut part, piece);
                merged_over_limit += merged.merge(&part);
            }
            prop_assert_eq!(rows(&mut merged), rows(&mut whole));
            prop_assert_eq!(merged_over_limit, over_limit);
        }
    }
}
