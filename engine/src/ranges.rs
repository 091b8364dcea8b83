//! Sets of window starts, kept as ranges: a month of complete minutes is one entry.

use serde::{Deserialize, Serialize};

/// Sorted, disjoint, half-open ranges of milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ranges(Vec<(i64, i64)>);

impl Ranges {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Start and end of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.0.iter().copied()
    }

    /// Where the last range ends.
    pub(crate) fn end(&self) -> Option<i64> {
        self.0.last().map(|(_, end)| *end)
    }

    /// Those that overlap or touch `[from, until]`.
    pub(crate) fn within(&self, from: i64, until: i64) -> impl Iterator<Item = (i64, i64)> + '_ {
        let first = self.0.partition_point(|(_, end)| *end < from);
        self.0[first..].iter().copied().take_while(move |(start, _)| *start <= until)
    }

    pub(crate) fn contains(&self, at: i64) -> bool {
        let after = self.0.partition_point(|(from, _)| *from <= at);
        after > 0 && at < self.0[after - 1].1
    }

    pub(crate) fn insert(&mut self, from: i64, until: i64) {
        if from >= until {
            return;
        }
        // Those that overlap or touch become one.
        let first = self.0.partition_point(|(_, end)| *end < from);
        let last = self.0.partition_point(|(start, _)| *start <= until);
        let merged = match self.0.get(first..last) {
            Some([only]) => (from.min(only.0), until.max(only.1)),
            Some([head, .., tail]) => (from.min(head.0), until.max(tail.1)),
            _ => (from, until),
        };
        self.0.splice(first..last, [merged]);
    }

    pub(crate) fn remove(&mut self, from: i64, until: i64) {
        if from >= until {
            return;
        }
        let cut = |(start, end): (i64, i64)| {
            [(start, end.min(from)), (start.max(until), end)].into_iter().filter(|(start, end)| start < end)
        };
        let first = self.0.partition_point(|(_, end)| *end <= from);
        let last = self.0.partition_point(|(start, _)| *start < until);
        if first < last {
            let left: Vec<(i64, i64)> = self.0[first..last].iter().copied().flat_map(cut).collect();
            self.0.splice(first..last, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_set(steps in proptest::collection::vec((any::<bool>(), 0i64..60, 0i64..12), 0..40)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (insert, from, length) in steps {
                if insert {
                    ranges.insert(from, from + length);
                    set.extend(from..from + length);
                } else {
                    ranges.remove(from, from + length);
                    set.retain(|at| !(from..from + length).contains(at));
                }
            }
            for at in -1..80 {
                prop_assert_eq!(ranges.contains(at), set.contains(&at));
            }
            prop_assert!(ranges.0.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?}", ranges);
        }
    }
}
