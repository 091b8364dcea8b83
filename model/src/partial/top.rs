//! The keys with the highest figures out of any number of keys, in memory that does not grow with them.
//!
//! A mergeable Misra–Gries summary (Agarwal et al., *Mergeable Summaries*, PODS 2012), kept the way Space-Saving
//! keeps it: of each kept key an upper bound and how far it may be too high, and bounds for every key that is
//! *not* kept. A key that only one side of a merge keeps gets the other side's bounds for absent keys; then
//! the lowest are dropped until no more than `capacity` are left, and raise the bounds for absent keys to
//! theirs. With non-negative weights no error exceeds *total weight ÷ (capacity + 1)*, in whatever order and
//! however often it was merged; until more than `capacity` keys have been seen every error is 0.
//!
//! **For the agent**: a state is made once for each window and flush, not for each line. Count exactly by
//! key as long as there are at most a few times `capacity` of them; make a state of those with
//! [`TopState::of_exact`] and merge it into the window's: that costs a sort, and keeps the bound. At the
//! drain the window's state is the partial.
//!
//! **For who shows it**: [`TopState::highest`] is the ranking. A figure is `value - error ..= value`; write
//! it as exact only where the error is 0. Ranks are certain as far as those ranges do not overlap. Averages
//! are `sum ÷ count` of the kept keys: a key can only be kept for its rank, so a ranking by average is one of
//! the keys that are high by lines or by sum.

use std::cmp::{Ordering, Reverse};

use prost::Message;

use crate::decimal::Decimal;
use crate::protocol::MAX_KEY_BYTES;

/// Columns of a key.
const MAX_PARTS: usize = 16;

/// By what keys are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum TopRank {
    /// Those with the most lines.
    #[default]
    Count = 0,
    /// Those with the highest sum. The error is bounded by the total where no value is negative; where some
    /// are, each error still is what it says, but may be large.
    Sum = 1,
}

/// A key and its figures: the true count is in `count - count_error ..= count`, the true sum in
/// `sum - sum_error ..= sum`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopEntry {
    /// Values of the group-by columns, in their order.
    pub key: Box<[Box<str>]>,
    pub count: u64,
    pub count_error: u64,
    pub sum: Decimal,
    /// Never negative.
    pub sum_error: Decimal,
}

/// The summary. Two of them merge whatever their capacities and ranks, though all of one field have the same
/// but for the minute in which a monitor was changed: the larger capacity and the later rank stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopState {
    capacity: u32,
    rank: TopRank,
    /// Of all keys, kept or not.
    total_count: u64,
    total_sum: Decimal,
    /// A key that is not kept has at most so many lines,
    absent_count: u64,
    /// and a sum from `-absent_low` to `absent_high`; neither is negative.
    absent_high: Decimal,
    absent_low: Decimal,
    /// By key.
    entries: Vec<TopEntry>,
}

impl TopState {
    /// More keys than this are not kept: a state of so many takes a few hundred KiB.
    pub const MAX_CAPACITY: u32 = 4096;

    /// An empty one.
    pub fn new(capacity: u32, rank: TopRank) -> Self {
        Self { capacity: capacity.min(Self::MAX_CAPACITY), rank, ..Self::default() }
    }

    /// Of keys with their exact lines and sums, in any order; the same key may come more than once.
    pub fn of_exact<'a>(
        capacity: u32,
        rank: TopRank,
        keys: impl IntoIterator<Item = (&'a [&'a str], u64, Decimal)>,
    ) -> Self {
        let mut state = Self::new(capacity, rank);
        for (key, count, sum) in keys {
            let key = key.iter().map(|part| Box::from(*part)).collect();
            state.entries.push(TopEntry { key, count, count_error: 0, sum, sum_error: Decimal::ZERO });
            state.total_count = state.total_count.saturating_add(count);
            state.total_sum = state.total_sum.saturating_add(sum);
        }
        state.entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        state.entries.dedup_by(|again, first| {
            let same = again.key == first.key;
            if same {
                first.count = first.count.saturating_add(again.count);
                first.sum = first.sum.saturating_add(again.sum);
            }
            same
        });
        state.prune();
        state
    }

    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    pub fn rank(&self) -> TopRank {
        self.rank
    }

    /// Lines of all keys, kept or not.
    pub fn count(&self) -> u64 {
        self.total_count
    }

    /// Sum of all keys, kept or not.
    pub fn sum(&self) -> Decimal {
        self.total_sum
    }

    /// Whether every key ever seen is kept, and every figure exact.
    pub fn is_exact(&self) -> bool {
        (self.absent_count, self.absent_high, self.absent_low) == (0, Decimal::ZERO, Decimal::ZERO)
    }

    /// What a key that is not among the kept ones may have at most: lines, and the ends of its sum.
    pub fn absent(&self) -> (u64, std::ops::RangeInclusive<Decimal>) {
        (self.absent_count, Decimal(-self.absent_low.0)..=self.absent_high)
    }

    /// The kept keys, by key.
    pub fn entries(&self) -> &[TopEntry] {
        &self.entries
    }

    /// The kept keys, the highest first.
    pub fn highest(&self) -> Vec<&TopEntry> {
        let mut entries: Vec<&TopEntry> = self.entries.iter().collect();
        entries.sort_by(|a, b| self.order(a, b));
        entries
    }

    pub fn merge(&mut self, other: &Self) {
        let (mine, theirs) = (std::mem::take(&mut self.entries), other.entries.as_slice());
        let mut entries = Vec::with_capacity(mine.len() + theirs.len());
        let (mut mine, mut theirs) = (mine.into_iter().peekable(), theirs.iter().peekable());
        loop {
            let order = match (mine.peek(), theirs.peek()) {
                (Some(a), Some(b)) => a.key.cmp(&b.key),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            let a = if order.is_le() { mine.next() } else { None };
            let b = if order.is_ge() { theirs.next() } else { None };
            let merged = match (a, b) {
                (Some(mut a), Some(b)) => {
                    a.count = a.count.saturating_add(b.count);
                    a.count_error = a.count_error.saturating_add(b.count_error);
                    a.sum = a.sum.saturating_add(b.sum);
                    a.sum_error = a.sum_error.saturating_add(b.sum_error);
                    a
                }
                (Some(mut a), None) => {
                    other.as_absent(&mut a);
                    a
                }
                (None, Some(b)) => {
                    let mut b = b.clone();
                    self.as_absent(&mut b);
                    b
                }
                (None, None) => continue,
            };
            entries.push(merged);
        }
        self.entries = entries;
        self.capacity = self.capacity.max(other.capacity);
        self.rank = self.rank.max(other.rank);
        self.total_count = self.total_count.saturating_add(other.total_count);
        self.total_sum = self.total_sum.saturating_add(other.total_sum);
        self.absent_count = self.absent_count.saturating_add(other.absent_count);
        self.absent_high = self.absent_high.saturating_add(other.absent_high);
        self.absent_low = self.absent_low.saturating_add(other.absent_low);
        self.prune();
    }

    /// Adds what a key may have here that is not kept here.
    fn as_absent(&self, entry: &mut TopEntry) {
        entry.count = entry.count.saturating_add(self.absent_count);
        entry.count_error = entry.count_error.saturating_add(self.absent_count);
        entry.sum = entry.sum.saturating_add(self.absent_high);
        let width = self.absent_high.saturating_add(self.absent_low);
        entry.sum_error = entry.sum_error.saturating_add(width);
    }

    /// Drops the lowest until no more than `capacity` are left.
    fn prune(&mut self) {
        let capacity = self.capacity as usize;
        if self.entries.len() <= capacity {
            return;
        }
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_unstable_by(|a, b| self.order(a, b));
        for dropped in entries.drain(capacity..) {
            self.absent_count = self.absent_count.max(dropped.count);
            self.absent_high = self.absent_high.max(dropped.sum);
            let low = dropped.sum.0.saturating_sub(dropped.sum_error.0);
            self.absent_low = self.absent_low.max(Decimal(low.saturating_neg()));
        }
        entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        entries.shrink_to_fit();
        self.entries = entries;
    }

    /// The highest first; of equals the first by key, so that every order of merging keeps the same.
    fn order(&self, a: &TopEntry, b: &TopEntry) -> Ordering {
        let (by_count, by_sum) = (Reverse(a.count).cmp(&Reverse(b.count)), Reverse(a.sum).cmp(&Reverse(b.sum)));
        let by_rank = match self.rank {
            TopRank::Count => by_count.then(by_sum),
            TopRank::Sum => by_sum.then(by_count),
        };
        by_rank.then_with(|| a.key.cmp(&b.key))
    }

    /// Memory that the kept keys take, in bytes.
    pub fn heap_bytes(&self) -> usize {
        let key = |key: &[Box<str>]| key.iter().map(|part| size_of::<Box<str>>() + part.len()).sum::<usize>();
        self.entries.capacity() * size_of::<TopEntry>() + self.entries.iter().map(|e| key(&e.key)).sum::<usize>()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let bytes = |value: Decimal| value.to_bytes();
        let entry = |entry: &TopEntry| EntryMessage {
            key: entry.key.iter().map(|part| part.to_string()).collect(),
            count: entry.count,
            count_error: entry.count_error,
            sum: bytes(entry.sum),
            sum_error: bytes(entry.sum_error),
        };
        let message = TopMessage {
            capacity: self.capacity,
            rank: self.rank as u32,
            total_count: self.total_count,
            total_sum: bytes(self.total_sum),
            absent_count: self.absent_count,
            absent_high: bytes(self.absent_high),
            absent_low: bytes(self.absent_low),
            entries: self.entries.iter().map(entry).collect(),
        };
        message.encode_to_vec()
    }

    pub(super) fn decode(state: &[u8]) -> Result<Self, &'static str> {
        let message = TopMessage::decode(state).map_err(|_| "it is no protobuf of a top")?;
        let decimal = |bytes: &[u8]| Decimal::from_bytes(bytes).ok_or("a figure is too long");
        let mut entries = Vec::with_capacity(message.entries.len());
        for entry in message.entries {
            if entry.key.len() > MAX_PARTS || entry.key.iter().any(|part| part.len() > MAX_KEY_BYTES) {
                return Err("a key is too long");
            }
            entries.push(TopEntry {
                key: entry.key.into_iter().map(String::into_boxed_str).collect(),
                count: entry.count,
                count_error: entry.count_error,
                sum: decimal(&entry.sum)?,
                sum_error: decimal(&entry.sum_error)?,
            });
        }
        let state = Self {
            capacity: message.capacity,
            rank: match message.rank {
                0 => TopRank::Count,
                1 => TopRank::Sum,
                _ => return Err("it is ranked by something unknown"),
            },
            total_count: message.total_count,
            total_sum: decimal(&message.total_sum)?,
            absent_count: message.absent_count,
            absent_high: decimal(&message.absent_high)?,
            absent_low: decimal(&message.absent_low)?,
            entries,
        };
        if state.capacity > Self::MAX_CAPACITY || state.entries.len() > state.capacity as usize {
            return Err("it keeps more keys than it may");
        }
        if !state.entries.is_sorted_by(|a, b| a.key < b.key) {
            return Err("its keys are not in order");
        }
        let negative = |value: Decimal| value < Decimal::ZERO;
        if negative(state.absent_high)
            || negative(state.absent_low)
            || state.entries.iter().any(|entry| negative(entry.sum_error) || entry.count_error > entry.count)
        {
            return Err("an error is out of its range");
        }
        Ok(state)
    }
}

#[derive(Clone, PartialEq, Message)]
struct TopMessage {
    #[prost(uint32, tag = "1")]
    capacity: u32,
    #[prost(uint32, tag = "2")]
    rank: u32,
    #[prost(uint64, tag = "3")]
    total_count: u64,
    #[prost(bytes = "vec", tag = "4")]
    total_sum: Vec<u8>,
    #[prost(uint64, tag = "5")]
    absent_count: u64,
    #[prost(bytes = "vec", tag = "6")]
    absent_high: Vec<u8>,
    #[prost(bytes = "vec", tag = "7")]
    absent_low: Vec<u8>,
    #[prost(message, repeated, tag = "8")]
    entries: Vec<EntryMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct EntryMessage {
    #[prost(string, repeated, tag = "1")]
    key: Vec<String>,
    #[prost(uint64, tag = "2")]
    count: u64,
    #[prost(uint64, tag = "3")]
    count_error: u64,
    #[prost(bytes = "vec", tag = "4")]
    sum: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    sum_error: Vec<u8>,
}

#[cfg(test)]
mod tests;
