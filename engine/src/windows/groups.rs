//! Partials added up by group and time.

use std::collections::HashMap;

use datafusion::execution::memory_pool::MemoryReservation;
use nightjar_model::delta::{Partial, PartialKind};
use nightjar_model::{Error, Result, Timestamp};

use super::no_memory;
use crate::block::Row;
use crate::block::columns::{Columns, RowFields};

/// Which rows are added to what.
#[derive(Debug)]
pub(super) struct Places {
    /// Series that the filter keeps, with their group.
    pub(super) groups: HashMap<u32, usize>,
    /// Place of each field's id in the answer.
    pub(super) fields: HashMap<u32, usize>,
    pub(super) from: i64,
    pub(super) step: i64,
    pub(super) kinds: Vec<PartialKind>,
    pub(super) max_series: usize,
}

impl Places {
    fn time(&self, time: i64) -> i64 {
        self.from + (time - self.from).div_euclid(self.step) * self.step
    }
}

/// Windows of the answer, by group.
#[derive(Debug)]
pub(super) struct Groups {
    groups: HashMap<usize, Windows>,
    entry_bytes: usize,
    /// Bytes that are not reserved yet.
    fresh: usize,
}

/// Those of one group, in the order of time.
#[derive(Debug, Default)]
struct Windows {
    times: Vec<i64>,
    /// Of each time as many as there are fields.
    partials: Vec<Partial>,
    /// Where the last one was: rows come nearly in the order of time.
    at: usize,
}

impl Windows {
    fn at(&mut self, time: i64, kinds: &[PartialKind], fresh: &mut usize, bytes: usize) -> &mut [Partial] {
        let next = self.at + 1;
        if self.times.get(self.at) == Some(&time) {
            // The same as before.
        } else if self.times.get(next) == Some(&time) {
            self.at = next;
        } else {
            self.at = match self.times.binary_search(&time) {
                Ok(at) => at,
                Err(at) => {
                    self.times.insert(at, time);
                    let place = at * kinds.len();
                    self.partials.splice(place..place, kinds.iter().map(|kind| Partial::empty(*kind)));
                    *fresh += bytes;
                    at
                }
            };
        }
        let place = self.at * kinds.len();
        &mut self.partials[place..place + kinds.len()]
    }
}

fn broken(error: impl ToString) -> Error {
    Error::internal(error.to_string())
}

impl Groups {
    pub(super) fn new(places: &Places) -> Self {
        let entry_bytes = 64 + places.kinds.len() * size_of::<Partial>();
        Self { groups: HashMap::new(), entry_bytes, fresh: 0 }
    }

    pub(super) fn add_rows(&mut self, places: &Places, rows: &[Row]) -> Result<()> {
        for row in rows {
            let (Some(group), Some(field)) = (places.groups.get(&row.series), places.fields.get(&row.field)) else {
                continue;
            };
            let windows = self.groups.entry(*group).or_default();
            let partials = windows.at(places.time(row.time), &places.kinds, &mut self.fresh, self.entry_bytes);
            merge(&mut partials[*field], &row.partial, &mut self.fresh)?;
        }
        Ok(())
    }

    /// Rows with their series, times and all figures.
    pub(super) fn add_columns(&mut self, places: &Places, columns: &Columns) -> Result<()> {
        let (Some(series), Some(time)) = (&columns.series, &columns.time) else {
            return Err(Error::internal("rows are without series or time"));
        };
        let place_of = |field: &u32| places.fields.get(field).copied();
        let cycle: Vec<Option<usize>> = match &columns.fields {
            RowFields::Cycle(cycle, _) => cycle.iter().map(place_of).collect(),
            RowFields::Each(_) => Vec::new(),
        };
        let field = |row: usize| match &columns.fields {
            RowFields::Cycle(_, first) => cycle[(first + row) % cycle.len()],
            RowFields::Each(fields) => place_of(&fields[row]),
        };
        let mut row = 0;
        while row < columns.rows {
            // Rows of a series stand together.
            let id = series[row];
            let end = row + series[row..].iter().take_while(|other| **other == id).count();
            let Some(group) = places.groups.get(&id) else {
                row = end;
                continue;
            };
            let windows = self.groups.entry(*group).or_default();
            while row < end {
                let shown = places.time(time[row]);
                let partials = windows.at(shown, &places.kinds, &mut self.fresh, self.entry_bytes);
                let until = shown + places.step;
                while row < end && (shown..until).contains(&time[row]) {
                    if let Some(field) = field(row) {
                        add(columns, row, &mut partials[field], places.kinds[field], &mut self.fresh)?;
                    }
                    row += 1;
                }
            }
        }
        Ok(())
    }

    /// What another part of the rows gave.
    pub(super) fn add_groups(&mut self, places: &Places, others: Self) -> Result<()> {
        for (group, other) in others.groups {
            let Some(windows) = self.groups.get_mut(&group) else {
                self.groups.insert(group, other);
                continue;
            };
            for (time, partials) in other.times.iter().zip(other.partials.chunks(places.kinds.len().max(1))) {
                let own = windows.at(*time, &places.kinds, &mut self.fresh, self.entry_bytes);
                for (own, partial) in own.iter_mut().zip(partials) {
                    merge(own, partial, &mut self.fresh)?;
                }
            }
        }
        Ok(())
    }

    /// Takes the memory that came to be used.
    pub(super) fn reserve(&mut self, places: &Places, reservation: &MemoryReservation) -> Result<()> {
        let max = places.max_series;
        if self.groups.len() > max {
            let text = format!("more than {max} series: filter them, or keep fewer columns apart");
            return Err(Error::invalid(text, Vec::new()));
        }
        reservation.try_grow(std::mem::take(&mut self.fresh)).map_err(no_memory)
    }

    /// By group: times, each with its partials.
    pub(super) fn finish(self, fields: usize) -> impl Iterator<Item = (usize, Vec<(Timestamp, Vec<Partial>)>)> {
        self.groups.into_iter().map(move |(group, windows)| {
            let mut partials = windows.partials.into_iter();
            let times = windows.times.into_iter();
            (group, times.map(|time| (Timestamp(time), partials.by_ref().take(fields).collect())).collect())
        })
    }
}

fn merge(into: &mut Partial, partial: &Partial, fresh: &mut usize) -> Result<()> {
    let before = into.heap_bytes();
    into.merge(partial).map_err(broken)?;
    *fresh += into.heap_bytes().saturating_sub(before);
    Ok(())
}

/// Adds the partial that stands in a row.
#[inline]
fn add(columns: &Columns, row: usize, into: &mut Partial, kind: PartialKind, fresh: &mut usize) -> Result<()> {
    match into {
        Partial::Lines(lines) if !columns.has_state(row) => *lines = lines.saturating_add(columns.count(row)),
        Partial::Number(number) if !columns.has_state(row) => number.merge(&columns.number(row)),
        other => merge(other, &columns.partial(row, kind).map_err(broken)?, fresh)?,
    }
    Ok(())
}
