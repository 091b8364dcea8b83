//! The windows that are not in a block yet, merged as they come.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use nightjar_model::delta::Partial;

use crate::block::Row;

/// One window of one table: its series, each with a partial for every field it has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    series: HashMap<u32, Vec<(u32, Partial)>>,
}

/// Readers hold the windows they read; a window that is held is copied when it is written to, and only then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memtable {
    windows: BTreeMap<(u32, i64), Arc<Window>>,
    bytes: usize,
}

// What an entry takes, with its share of the maps around it.
const WINDOW_BYTES: usize = 160;
const SERIES_BYTES: usize = 56;
const FIELD_BYTES: usize = size_of::<(u32, Partial)>();

impl Memtable {
    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn add(&mut self, table: u32, start: i64, series: u32, fields: &[u32], partials: &[Partial]) {
        let bytes = &mut self.bytes;
        let window = self.windows.entry((table, start)).or_insert_with(|| {
            *bytes += WINDOW_BYTES;
            Arc::default()
        });
        let entry = Arc::make_mut(window).series.entry(series).or_insert_with(|| {
            *bytes += SERIES_BYTES;
            Vec::with_capacity(fields.len())
        });
        for (field, partial) in fields.iter().zip(partials) {
            match entry.iter_mut().find(|(known, _)| known == field) {
                Some((_, merged)) => {
                    let before = merged.heap_bytes();
                    // A field has one kind, so its partials always merge.
                    if let Err(error) = merged.merge(partial) {
                        tracing::error!(%error, field, "a partial is left out");
                    }
                    *bytes = (*bytes + merged.heap_bytes()).saturating_sub(before);
                }
                None => {
                    *bytes += FIELD_BYTES + partial.heap_bytes();
                    entry.push((*field, partial.clone()));
                }
            }
        }
    }

    /// Windows of `table` that start in `[from, until)`, with their starts.
    pub(crate) fn range(&self, table: u32, from: i64, until: i64) -> impl Iterator<Item = (i64, Arc<Window>)> + '_ {
        let range = (table, from)..(table, until.max(from));
        self.windows.range(range).map(|((_, start), window)| (*start, Arc::clone(window)))
    }

    /// Everything, in no order.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for ((table, start), window) in &self.windows {
            window.rows(*table, *start, |_| true, &mut rows);
        }
        rows
    }

    /// Table and start of each window.
    pub(crate) fn starts(&self) -> impl Iterator<Item = (u32, i64)> + '_ {
        self.windows.keys().copied()
    }

    pub(crate) fn has(&self, table: u32) -> bool {
        self.windows.range((table, i64::MIN)..=(table, i64::MAX)).next().is_some()
    }

    pub(crate) fn series(&self) -> impl Iterator<Item = u32> + '_ {
        self.windows.values().flat_map(|window| window.series.keys().copied())
    }
}

impl Window {
    /// Appends the rows of the series that `wanted` accepts, in no order.
    pub(crate) fn rows(&self, table: u32, time: i64, wanted: impl Fn(u32) -> bool, rows: &mut Vec<Row>) {
        for (series, fields) in self.series.iter().filter(|(series, _)| wanted(**series)) {
            let row = |(field, partial): &(u32, Partial)| Row {
                table,
                series: *series,
                time,
                field: *field,
                partial: partial.clone(),
            };
            rows.extend(fields.iter().map(row));
        }
    }
}

#[cfg(test)]
mod tests {
    use nightjar_model::Decimal;
    use nightjar_model::delta::Number;
    use nightjar_model::partial::{TopRank, TopState};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn merging_is_the_sum_of_all(adds in proptest::collection::vec((0u32..2, 0i64..3, 0u32..3, -50i64..50), 0..100)) {
            let mut memtable = Memtable::default();
            let mut expected: BTreeMap<(u32, u32, i64, u32), Partial> = BTreeMap::new();
            for (table, start, series, value) in adds {
                let number: Number = [Decimal::from_int(value)].into_iter().collect();
                let key = value.to_string();
                let top = TopState::of_exact(100, TopRank::Sum, [([key.as_str()].as_slice(), 1, Decimal(1))]);
                let partials = [Partial::lines(1), number.into(), top.into()];
                memtable.add(table, start, series, &[0, 1, 2], &partials);
                for (field, partial) in (0..).zip(&partials) {
                    let of = expected.entry((table, series, start, field));
                    of.or_insert_with(|| Partial::empty(partial.kind())).merge(partial).expect("of one kind");
                }
            }
            let heap: usize = expected.values().map(Partial::heap_bytes).sum();
            prop_assert!(memtable.bytes() >= heap);
            let rows = memtable.rows().into_iter().map(|row| ((row.table, row.series, row.time, row.field), row.partial));
            prop_assert_eq!(rows.collect::<BTreeMap<_, _>>(), expected);
        }
    }

    #[test]
    fn a_held_window_does_not_change() {
        let mut memtable = Memtable::default();
        memtable.add(1, 0, 1, &[0], &[Partial::lines(1)]);
        let held: Vec<_> = memtable.range(1, 0, 1).collect();
        memtable.add(1, 0, 1, &[0], &[Partial::lines(5)]);
        let mut rows = Vec::new();
        held[0].1.rows(1, 0, |_| true, &mut rows);
        assert_eq!(rows[0].partial.count(), 1);
        assert_eq!(memtable.rows()[0].partial.count(), 6);
        assert_eq!(memtable.range(1, 1, 0).count(), 0);
    }
}
