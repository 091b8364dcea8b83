//! The greatest keys of each window, out of any number, in memory that does not grow with them.
//!
//! Keys are counted exactly as for any monitor ([`Windows`]) until there are many of them; then each window's
//! go into a summary of its own ([`TopState`]), which keeps the greatest and how far off they may be. That is
//! done between two lines and for thousands of keys at once: it costs little, and each time only as much
//! error as the greatest key that is dropped has.

use std::collections::BTreeMap;

use nightjar_model::delta::{MonitorDelta, Partial, WindowDelta};
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::partial::{TopRank, TopState};
use nightjar_model::{Decimal, Timestamp};

use super::key::{KeyPart, key_texts};
use super::windows::Windows;

/// Keys counted exactly, and the bytes they have, of all open windows.
const EXACT_KEYS: usize = 32 << 10;
const EXACT_BYTES: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct Top {
    capacity: u32,
    rank: TopRank,
    /// By the start of their windows.
    states: BTreeMap<Timestamp, TopState>,
}

impl Top {
    /// `None` for a monitor of another type.
    pub(super) fn of(spec: &MonitorSpec) -> Option<Self> {
        let capacity = spec.top.as_ref()?.capacity();
        Some(Self { capacity, rank: spec.top_rank()?, states: BTreeMap::new() })
    }

    /// Summarises what was counted, if that is much. To be asked before it can have grown by much more.
    #[inline]
    pub(super) fn look_at(&mut self, exact: &mut Windows, parts: &[KeyPart]) {
        if exact.pending() >= EXACT_KEYS || exact.key_bytes() >= EXACT_BYTES {
            self.take(exact, parts);
        }
    }

    /// Keys that a drain would yield, of all windows.
    pub(super) fn pending(&self, exact: &Windows) -> usize {
        let counted: usize = exact.keys_of_windows().map(|keys| keys.min(self.capacity as usize)).sum();
        counted + self.states.values().map(|state| state.entries().len()).sum::<usize>()
    }

    pub(super) fn drain(&mut self, exact: &mut Windows, parts: &[KeyPart], delta: &mut MonitorDelta) {
        self.take(exact, parts);
        let window = |(start, state): (Timestamp, TopState)| WindowDelta {
            start,
            keys: Vec::new(),
            partials: vec![Partial::lines(state.count()), state.into()],
        };
        delta.windows.extend(std::mem::take(&mut self.states).into_iter().map(window));
    }

    #[cold]
    fn take(&mut self, exact: &mut Windows, parts: &[KeyPart]) {
        let mut keys: Vec<(Timestamp, Vec<String>, u64, Decimal)> = Vec::with_capacity(exact.pending());
        exact.drain(|start, key, lines, numbers| {
            let sum = numbers.first().map_or(Decimal::ZERO, |number| number.sum);
            keys.push((start, key_texts(parts, key), lines, sum));
        });
        // Which keys there were is not to be remembered: there may be ever more.
        exact.forget();
        for window in keys.chunk_by(|a, b| a.0 == b.0) {
            let texts: Vec<Vec<&str>> =
                window.iter().map(|(_, key, ..)| key.iter().map(String::as_str).collect()).collect();
            let counted = texts.iter().zip(window).map(|(key, (_, _, lines, sum))| (key.as_slice(), *lines, *sum));
            let fresh = TopState::of_exact(self.capacity, self.rank, counted);
            let Some((start, ..)) = window.first() else { continue };
            match self.states.get_mut(start) {
                Some(state) => state.merge(&fresh),
                None => drop(self.states.insert(*start, fresh)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
