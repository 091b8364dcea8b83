//! From rows, one for each field, to windows with a column for each statistic.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array};
use arrow::buffer::NullBuffer;
use nightjar_model::delta::{Partial, PartialError, PartialKind};
use nightjar_model::kinds::monitor::{Stat, StatFn};
use nightjar_model::{Error, Result};

use crate::block::Row;
use crate::block::columns::{Columns, Decimals, Need, RowFields};

/// Windows on their way into a batch.
#[derive(Default)]
pub(super) struct Builder {
    need: Need,
    pub(super) series: Vec<u32>,
    pub(super) time: Vec<i64>,
    stats: Vec<StatColumn>,
    /// Of a Top the id of its field; `None` where nothing was ever stored of it.
    top: Option<u32>,
    /// Its partials by window; those of the last ones may be missing.
    tops: Vec<Option<Partial>>,
    /// Windows that were begun, and whether the last may have more rows to come.
    begun: usize,
    open: bool,
    last: Option<(u32, i64)>,
}

/// Windows that have all their rows, with a column for each statistic.
pub(super) struct Windows {
    pub(super) series: Vec<u32>,
    pub(super) time: Vec<i64>,
    pub(super) stats: Vec<ArrayRef>,
    /// Partials of a Top; the last windows may be without.
    pub(super) tops: Vec<Option<Partial>>,
}

/// The figures of a statistic; in windows that are still open they may be missing.
struct StatColumn {
    stat: Stat,
    /// `None` where nothing was ever stored of it.
    field: Option<u32>,
    values: Vec<f64>,
    valid: Vec<bool>,
}

/// What has to be read for these.
pub(super) fn need(stats: &[Stat], series: bool, time: bool) -> Need {
    let any = |functions: &[StatFn]| stats.iter().any(|stat| functions.contains(&stat.function));
    Need {
        series,
        time,
        count: any(&[StatFn::Lines, StatFn::Avg, StatFn::Failure, StatFn::SuccessRate]),
        sum: any(&[StatFn::Sum, StatFn::Avg, StatFn::Success, StatFn::Failure, StatFn::SuccessRate]),
        min: any(&[StatFn::Min]),
        max: any(&[StatFn::Max]),
    }
}

impl Builder {
    /// Statistics with the id of the field of each, and that of the field of a Top.
    pub(super) fn new(need: Need, stats: Vec<(Stat, Option<u32>)>, top: Option<u32>) -> Self {
        let column = |(stat, field)| StatColumn { stat, field, values: Vec::new(), valid: Vec::new() };
        Self { need, stats: stats.into_iter().map(column).collect(), top, ..Self::default() }
    }

    pub(super) fn push(&mut self, columns: &Columns) -> Result<()> {
        match &columns.fields {
            RowFields::Cycle(cycle, place) => self.push_regular(columns, cycle, *place),
            RowFields::Each(fields) => self.push_any(columns, fields),
        }
        .map_err(|error| Error::internal(error.to_string()))
    }

    /// Every window has the same fields: which window a row is of follows from its place.
    fn push_regular(&mut self, columns: &Columns, cycle: &[u32], place: usize) -> Result<(), PartialError> {
        let (length, rows) = (cycle.len(), columns.rows);
        let rows_of = |field: usize| ((field + length - place) % length..rows).step_by(length);
        if let (true, Some(series)) = (self.need.series, &columns.series) {
            self.series.extend(rows_of(0).map(|row| series[row]));
        }
        if let (true, Some(time)) = (self.need.time, &columns.time) {
            self.time.extend(rows_of(0).map(|row| time[row]));
        }
        self.begun += rows_of(0).len();
        self.open = !(place + rows).is_multiple_of(length);
        for column in &mut self.stats {
            if let Some(field) = cycle.iter().position(|field| column.field == Some(*field)) {
                column.append(columns, rows_of(field))?;
            }
        }
        Ok(())
    }

    fn push_any(&mut self, columns: &Columns, fields: &[u32]) -> Result<(), PartialError> {
        let (Some(series), Some(time)) = (&columns.series, &columns.time) else { return Ok(()) };
        let mut windows = Vec::with_capacity(columns.rows);
        for row in 0..columns.rows {
            let key = (series[row], time[row]);
            if self.last != Some(key) {
                self.last = Some(key);
                self.begun += 1;
                self.series.push(key.0);
                self.time.push(key.1);
            }
            windows.push(self.begun - 1);
        }
        self.open = true;
        for column in &mut self.stats {
            column.values.resize(self.begun, 0.0);
            column.valid.resize(self.begun, false);
            let rows = (0..columns.rows).filter(|row| column.field == Some(fields[*row]));
            for row in rows {
                let value = column.stat_value(columns, row)?;
                (column.values[windows[row]], column.valid[windows[row]]) = (value.unwrap_or(0.0), value.is_some());
            }
        }
        Ok(())
    }

    /// A row that is merged.
    pub(super) fn push_row(&mut self, row: Row) {
        let key = (row.series, row.time);
        if self.last != Some(key) {
            self.last = Some(key);
            self.begun += 1;
            self.series.push(key.0);
            self.time.push(key.1);
        }
        self.open = true;
        for column in self.stats.iter_mut().filter(|column| column.field == Some(row.field)) {
            let value = column.stat.value(&row.partial);
            column.values.resize(self.begun - 1, 0.0);
            column.valid.resize(self.begun - 1, false);
            column.values.push(value.unwrap_or(0.0));
            column.valid.push(value.is_some());
        }
        if self.top == Some(row.field) {
            self.tops.resize(self.begun - 1, None);
            self.tops.push(Some(row.partial));
        }
    }

    /// Of what was pushed nothing more comes.
    pub(super) fn end(&mut self) {
        self.open = false;
        self.last = None;
    }

    /// How many windows have all their rows.
    pub(super) fn whole(&self) -> usize {
        self.begun - usize::from(self.open && self.begun > 0)
    }

    /// Takes the first `whole` windows.
    pub(super) fn take(&mut self, whole: usize) -> Windows {
        self.begun -= whole;
        Windows {
            series: first(&mut self.series, whole),
            time: first(&mut self.time, whole),
            stats: self.stats.iter_mut().map(|column| column.take(whole)).collect(),
            tops: first(&mut self.tops, whole),
        }
    }
}

/// Takes the first `count`, or all there are.
fn first<T>(values: &mut Vec<T>, count: usize) -> Vec<T> {
    let rest = values.split_off(count.min(values.len()));
    std::mem::replace(values, rest)
}

impl StatColumn {
    /// A value for each of these rows.
    fn append(&mut self, columns: &Columns, rows: impl Iterator<Item = usize>) -> Result<(), PartialError> {
        match (self.stat.function, &columns.count, &columns.sum, &columns.decimals, &columns.state) {
            (StatFn::Lines, Some(count), ..) => {
                self.values.extend(rows.map(|row| count[row] as f64));
                self.valid.resize(self.values.len(), true);
            }
            (StatFn::Sum, _, Some(sum), Decimals::All(0), None) => {
                // An empty one is 0, and so is what stands in the place of its sum.
                self.values.extend(rows.map(|row| if sum.is_null(row) { 0.0 } else { sum.value(row) as f64 }));
                self.valid.resize(self.values.len(), true);
            }
            _ => {
                for row in rows {
                    let value = self.stat_value(columns, row)?;
                    self.values.push(value.unwrap_or(0.0));
                    self.valid.push(value.is_some());
                }
            }
        }
        Ok(())
    }

    /// [`Stat::value`] of the partial that stands in a row.
    #[inline]
    fn stat_value(&self, columns: &Columns, row: usize) -> Result<Option<f64>, PartialError> {
        if let Some(state) = columns.state.as_ref().filter(|state| state.is_valid(row)) {
            let partial = Partial::decode(PartialKind::Number, state.value(row))?;
            return Ok(self.stat.value(&partial));
        }
        let count = columns.count.as_ref().map_or(0, |count| count[row]);
        let figure = |of: &Option<Int64Array>| {
            let figure = of.as_ref().filter(|figures| figures.is_valid(row))?;
            Some(to_f64(figure.value(row), columns.decimals.at(row)))
        };
        let sum = || figure(&columns.sum).unwrap_or(0.0);
        Ok(match self.stat.function {
            StatFn::Lines => Some(count as f64),
            StatFn::Sum | StatFn::Success => Some(sum()),
            StatFn::Failure => Some(count as f64 - sum()),
            StatFn::Avg => (count > 0).then(|| sum() / count as f64),
            StatFn::SuccessRate => (count > 0).then(|| sum() * 100.0 / count as f64),
            StatFn::Min => figure(&columns.min),
            StatFn::Max => figure(&columns.max),
        })
    }

    fn take(&mut self, count: usize) -> ArrayRef {
        let (mut values, mut valid) = (first(&mut self.values, count), first(&mut self.valid, count));
        values.resize(count, 0.0);
        valid.resize(count, false);
        let nulls = valid.contains(&false).then(|| NullBuffer::from(valid));
        if self.stat.function.is_count() {
            let values: Vec<i64> = values.into_iter().map(|value| value as i64).collect();
            Arc::new(Int64Array::new(values.into(), nulls))
        } else {
            Arc::new(Float64Array::new(values.into(), nulls))
        }
    }
}

/// As [`Decimal::to_f64`](nightjar_model::Decimal::to_f64) has it.
#[inline]
fn to_f64(value: i64, decimals: u8) -> f64 {
    if decimals == 0 { value as f64 } else { nightjar_model::decimal::nearest_f64(i128::from(value), decimals) }
}
