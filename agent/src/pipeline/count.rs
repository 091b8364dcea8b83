//! The way of one readable line to its window: the only code that decides what a line counts as.

use std::time::Duration;

use nightjar_model::delta::FaultReason;
use nightjar_model::{Decimal, Timestamp};

use super::key::{kept, write_key};
use super::pick::{Columns, Fetch};
use super::when::{Now, TimeReader, Unread};
use super::windows::Windows;

/// A line this far ahead of the agent's clock does not count.
pub(crate) const FUTURE: Duration = Duration::from_secs(10 * 60);

/// A line this far behind the agent's clock does not count.
pub(crate) const PAST: Duration = Duration::from_secs(24 * 60 * 60);

/// What became of one line.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    pub(crate) time: Option<Timestamp>,
    /// False without a fault: the filter dropped it.
    pub(crate) counted: bool,
    pub(crate) fault: Option<FaultReason>,
    /// Where its time is the fault: why it has none.
    pub(crate) unread: Unread,
    pub(crate) over_limit: bool,
}

/// Everything between a readable line and its window.
#[derive(Debug)]
pub(super) struct Counter {
    pub(super) columns: Columns,
    pub(super) for_time: Fetch,
    pub(super) for_filter: Fetch,
    pub(super) for_figures: Fetch,
    /// Of all columns; only where lines are examined.
    pub(super) the_rest: Fetch,
    pub(super) time: TimeReader,
    pub(super) time_column: Option<usize>,
    /// Lines are judged by the agent's clock as they come.
    pub(super) live: bool,
    pub(super) include: Vec<Condition>,
    pub(super) exclude: Vec<Condition>,
    pub(super) key_columns: Vec<usize>,
    pub(super) key: Vec<u8>,
    /// The column that tells success, where it must be in a line for it to count.
    pub(super) result_column: Option<usize>,
    pub(super) numbers: Vec<Number>,
    pub(super) windows: Windows,
    pub(super) last_event_time: Option<Timestamp>,
}

/// A number of each line.
#[derive(Debug)]
pub(super) enum Number {
    /// What stands in a column.
    Column(usize),
    /// 1 if the condition holds, else 0.
    Holds(Condition),
}

/// Holds when the column is one of the values.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) column: usize,
    /// Sorted.
    pub(super) values: Vec<Vec<u8>>,
}

impl Counter {
    #[inline]
    pub(super) fn take(&mut self, line: &[u8], now: Timestamp) -> Outcome {
        self.columns.forget();
        let clock = Now { at: now, live: self.live };
        let time = match self.time_column {
            None => self.time.read(line, clock),
            Some(column) => {
                self.columns.fetch(&self.for_time, line);
                self.columns.value(column, line).and_then(|value| self.time.read(value, clock))
            }
        };
        let fault = |reason| Outcome { time, fault: Some(reason), ..Outcome::default() };
        if !self.include.is_empty() || !self.exclude.is_empty() {
            self.columns.fetch(&self.for_filter, line);
            match self.passes(line) {
                Some(true) => {}
                Some(false) => {
                    self.last_event_time =
                        time.filter(|time| !self.live || untimely(*time, now).is_none()).or(self.last_event_time);
                    return Outcome { time, ..Outcome::default() };
                }
                None if time.is_some() => return fault(FaultReason::ColumnMissing),
                None => {}
            }
        }
        let Some(event_time) = time else {
            let picked = self.time_column.is_none_or(|column| self.columns.value(column, line).is_some());
            let unread = if picked { self.time.unread() } else { Unread::Absent };
            return Outcome { unread, ..fault(FaultReason::TimeUnreadable) };
        };
        if self.live
            && let Some(reason) = untimely(event_time, now)
        {
            return fault(reason);
        }
        self.last_event_time = time;
        self.columns.fetch(&self.for_figures, line);
        if let Some(column) = self.result_column
            && self.columns.value(column, line).is_none()
        {
            return fault(FaultReason::ColumnMissing);
        }
        let at = match self.key_columns.as_slice() {
            [column] => match self.columns.value(*column, line) {
                Some(value) => self.windows.count_line(event_time, &kept(value)),
                None => return fault(FaultReason::ColumnMissing),
            },
            [] => self.windows.count_line(event_time, b""),
            columns => {
                let mut values = columns.iter().map_while(|column| self.columns.value(*column, line));
                if !write_key(&mut self.key, values.by_ref(), columns.len()) {
                    return fault(FaultReason::ColumnMissing);
                }
                self.windows.count_line(event_time, &self.key)
            }
        };
        let mut outcome = Outcome { time, counted: true, over_limit: at.over_limit, ..Outcome::default() };
        for (at_number, number) in self.numbers.iter().enumerate() {
            let value = match number {
                Number::Column(column) => self.columns.value(*column, line).and_then(parse_number),
                Number::Holds(condition) => {
                    let value = self.columns.value(condition.column, line);
                    value.map(|value| Decimal::from_int(i64::from(condition.holds(value))))
                }
            };
            match value {
                Some(value) => self.windows.add(at, at_number, value),
                None => outcome.fault = Some(FaultReason::NotANumber),
            }
        }
        outcome
    }

    /// Whether the filter lets the line pass; `None` where a column it asks for is missing.
    fn passes(&self, line: &[u8]) -> Option<bool> {
        for (conditions, wanted) in [(&self.include, true), (&self.exclude, false)] {
            for condition in conditions {
                let value = self.columns.value(condition.column, line)?;
                if condition.holds(value) != wanted {
                    return Some(false);
                }
            }
        }
        Some(true)
    }

    pub(super) fn picked(&mut self, line: &[u8]) -> Vec<Option<String>> {
        self.columns.forget();
        for fetch in [&self.for_time, &self.for_filter, &self.for_figures, &self.the_rest] {
            self.columns.fetch(fetch, line);
        }
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        (0..self.columns.count()).map(|column| self.columns.value(column, line).map(text)).collect()
    }
}

impl Condition {
    pub(super) fn new(column: usize, values: &[String]) -> Self {
        let mut values: Vec<Vec<u8>> = values.iter().map(|value| value.clone().into_bytes()).collect();
        values.sort_unstable();
        Self { column, values }
    }

    fn holds(&self, value: &[u8]) -> bool {
        self.values.binary_search_by(|known| known.as_slice().cmp(value)).is_ok()
    }
}

/// What is wrong with an event time given the agent's clock.
#[inline]
fn untimely(time: Timestamp, now: Timestamp) -> Option<FaultReason> {
    if time > now.saturating_add(FUTURE) {
        Some(FaultReason::TimeInFuture)
    } else if time < now.saturating_sub(PAST) {
        Some(FaultReason::TimeTooOld)
    } else {
        None
    }
}

/// As [`Decimal::parse`], with a short way for the few digits that most figures have.
#[inline]
fn parse_number(text: &[u8]) -> Option<Decimal> {
    if !(1..=9).contains(&text.len()) {
        return Decimal::parse(text);
    }
    let mut value = 0u32;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Decimal::parse(text);
        }
        value = value * 10 + u32::from(digit);
    }
    Some(Decimal::from_int(i64::from(value)))
}
