//! Rows of one table merged into longer windows.

use std::collections::BTreeMap;

use nightjar_model::delta::Partial;
use nightjar_model::{Error, Result};

use super::Row;

/// By series, then by the window's start and field.
#[derive(Debug)]
pub(crate) struct Roller {
    width: i64,
    series: BTreeMap<u32, BTreeMap<(i64, u32), Partial>>,
    bytes: usize,
}

/// What an entry takes, with its share of the maps around it.
const ENTRY_BYTES: usize = 32 + size_of::<Partial>();

impl Roller {
    /// Into windows of `width` milliseconds.
    pub(crate) fn new(width: i64) -> Self {
        Self { width, series: BTreeMap::new(), bytes: 0 }
    }

    /// Rows of one series after the other are the quickest.
    pub(crate) fn add(&mut self, rows: &[Row]) -> Result<()> {
        for run in rows.chunk_by(|a, b| a.series == b.series) {
            let Some(first) = run.first() else { continue };
            let windows = self.series.entry(first.series).or_default();
            for row in run {
                let start = row.time.div_euclid(self.width) * self.width;
                match windows.get_mut(&(start, row.field)) {
                    Some(merged) => {
                        let before = merged.heap_bytes();
                        merged.merge(&row.partial).map_err(|error| Error::internal(error.to_string()))?;
                        self.bytes = (self.bytes + merged.heap_bytes()).saturating_sub(before);
                    }
                    None => {
                        self.bytes += ENTRY_BYTES + row.partial.heap_bytes();
                        windows.insert((start, row.field), row.partial.clone());
                    }
                }
            }
        }
        Ok(())
    }

    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets half of the series, those with the higher ids, and answers the first of them; `None` where there
    /// is only one.
    pub(crate) fn halve(&mut self) -> Option<u32> {
        let first = *self.series.keys().nth(self.series.len().div_ceil(2))?;
        self.series.split_off(&first);
        let bytes = |partial: &Partial| ENTRY_BYTES + partial.heap_bytes();
        self.bytes = self.series.values().flat_map(BTreeMap::values).map(bytes).sum();
        Some(first)
    }

    /// Sorted, as long as all are in one stretch of their tier.
    pub(crate) fn rows(self, table: u32) -> impl Iterator<Item = Row> {
        self.series.into_iter().flat_map(move |(series, windows)| {
            let row = move |((time, field), partial)| Row { table, series, time, field, partial };
            windows.into_iter().map(row)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_become_longer_and_half_can_wait() {
        let row = |series, time, count| Row { table: 1, series, time, field: 0, partial: Partial::lines(count) };
        let rows = [row(1, -1, 1), row(1, 3, 2), row(1, 9, 4), row(2, 10, 8), row(5, 11, 16), row(1, 5, 32)];
        let mut roller = Roller::new(10);
        roller.add(&rows).expect("merged");
        let bytes = roller.bytes();
        assert_eq!(roller.halve(), Some(5));
        assert!(roller.bytes() < bytes);
        let expected = [row(1, -10, 1), row(1, 0, 38), row(2, 10, 8)];
        assert_eq!((roller.halve(), roller.halve()), (Some(2), None));
        assert_eq!(roller.rows(1).collect::<Vec<_>>(), expected[..2]);
    }
}
