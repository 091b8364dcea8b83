//! Top of the minute: which keys have the greatest figure, out of any number of keys.
//!
//! The keys are not series: a window has one summary ([`TopState`]), of bounded size, with the error of each
//! figure. So what it takes on an agent, on the wire and in storage does not grow with the keys.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Limits, MonitorSpec, MonitorType, Stat, StatFn};
use crate::partial::{TopEntry, TopRank, TopState};
use crate::problem::Problems;

/// The greatest `n`.
const MAX_N: u32 = 1000;

/// Keys that a summary keeps at least, however few are shown: up to so many, everything is exact.
const LEAST_CAPACITY: u32 = 1024;

/// So many times `n` are kept: where keys are beyond what is kept, what is shown is still far above the error.
const KEPT_PER_SHOWN: u32 = 8;

/// How many keys of a minute are shown, and by what they are ranked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopSpec {
    /// From 1 to 1000.
    #[serde(default = "ten")]
    pub n: u32,
    /// The statistic: one of `lines` or of a `sum`.
    pub by: String,
}

/// A statistic of one key: the truth is in `value - error ..= value`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopFigure {
    pub value: f64,
    pub error: f64,
}

fn ten() -> u32 {
    10
}

impl TopSpec {
    /// How many keys a summary keeps; as many keys in a minute are exact.
    pub fn capacity(&self) -> u32 {
        self.n.saturating_mul(KEPT_PER_SHOWN).clamp(LEAST_CAPACITY, TopState::MAX_CAPACITY)
    }

    /// The keys to show, the greatest first.
    pub fn items<'a>(&self, state: &'a TopState) -> Vec<&'a TopEntry> {
        let mut items = state.highest();
        items.truncate(self.n as usize);
        items
    }
}

impl MonitorSpec {
    /// By what keys are kept: of a Top.
    pub fn top_rank(&self) -> Option<TopRank> {
        let by = &self.top.as_ref()?.by;
        let stat = self.stats.iter().find(|stat| stat.name == *by)?;
        (self.kind == MonitorType::MinuteTop).then_some(if stat.function == StatFn::Lines {
            TopRank::Count
        } else {
            TopRank::Sum
        })
    }

    /// The column whose sum each key has: of a Top that has one.
    pub fn top_column(&self) -> Option<&str> {
        self.top_rank().and_then(|_| self.stats.iter().find_map(|stat| stat.column.as_deref()))
    }

    /// The stored field of a Top. It names all that makes two summaries the same thing: after a change of the
    /// keys, the column or the ranking they must not merge. No column can have this name.
    pub fn top_field(&self) -> Option<String> {
        let rank = match self.top_rank()? {
            TopRank::Count => "lines",
            TopRank::Sum => "sum",
        };
        Some(format!("*top {rank}({}) by {}", self.top_column().unwrap_or_default(), self.group_by.join(",")))
    }

    pub(super) fn validate_top(&self, problems: &mut Problems) {
        let top = match (&self.top, self.kind) {
            (None, MonitorType::MinuteTop) => {
                return problems.absent("top", "is required by type `minute_top`: { n: 10, by: STATISTIC }");
            }
            (Some(_), kind) if kind != MonitorType::MinuteTop => {
                return problems.add("top", "is of monitors of type `minute_top` alone");
            }
            (Some(top), _) => top,
            (None, _) => return,
        };
        if !(1..=MAX_N).contains(&top.n) {
            problems.add("top.n", format!("must be from 1 to {MAX_N}"));
        }
        match self.stats.iter().find(|stat| stat.name == top.by) {
            None => {
                let known: Vec<&str> = self.stats.iter().map(|stat| stat.name.as_str()).collect();
                problems.add("top.by", format!("there is no statistic `{}`; there are: {}", top.by, known.join(", ")));
            }
            Some(stat) if !matches!(stat.function, StatFn::Lines | StatFn::Sum) => {
                let text = "must be a statistic of `lines` or of a `sum`: which of very many keys are the greatest by \
                            another one cannot be known without keeping them all";
                problems.add("top.by", text);
            }
            Some(_) => {}
        }
        if self.group_by.is_empty() {
            problems.absent("group_by", "a Top needs at least one column: whose values are ranked");
        }
        if self.limits != Limits::default() {
            problems.add("limits.max_keys", "a Top takes any number of keys: leave it out");
        }
        self.validate_top_stats(problems);
    }

    fn validate_top_stats(&self, problems: &mut Problems) {
        let first = self.stats.iter().find_map(|stat| stat.column.as_deref());
        for (index, stat) in self.stats.iter().enumerate() {
            let path = format!("stats[{index}]");
            if !matches!(stat.function, StatFn::Lines | StatFn::Sum | StatFn::Avg) {
                problems.add(format!("{path}.fn"), "a Top has `lines`, `sum` and `avg`");
            } else if let (Some(column), Some(first)) = (stat.column.as_deref(), first)
                && column != first
            {
                let text = format!("the statistics of a Top are of one column, and there is `{first}` already");
                problems.add(format!("{path}.column"), text);
            }
            let error = stat.error_name();
            if self.group_by.contains(&error) || self.stats.iter().any(|other| other.name == error) {
                problems.add(format!("{path}.name"), format!("a Top has a column `{error}` of its own"));
            }
        }
    }
}

impl Stat {
    /// The column of a Top that holds the error of this statistic.
    pub fn error_name(&self) -> String {
        format!("{}_error", self.name)
    }

    /// Of all keys of a Top together, kept or not: exact.
    pub(super) fn of_all_keys(&self, state: &TopState) -> Option<f64> {
        match self.function {
            StatFn::Lines => Some(state.count() as f64),
            StatFn::Sum => Some(state.sum().to_f64()),
            StatFn::Avg if state.count() > 0 => Some(state.sum().to_f64() / state.count() as f64),
            _ => None,
        }
    }

    /// Of one key of a Top; `None` where nothing can be said, as of the average of a key that may have no line.
    pub fn of_key(&self, entry: &TopEntry) -> Option<TopFigure> {
        let (most, least) = (entry.count as f64, entry.count.saturating_sub(entry.count_error) as f64);
        let (high, width) = (entry.sum.to_f64(), entry.sum_error.to_f64());
        match self.function {
            StatFn::Lines => Some(TopFigure { value: most, error: entry.count_error as f64 }),
            StatFn::Sum => Some(TopFigure { value: high, error: width }),
            StatFn::Avg if least > 0.0 => {
                let low = high - width;
                let greatest = if high < 0.0 { high / most } else { high / least };
                let smallest = if low < 0.0 { low / least } else { low / most };
                Some(TopFigure { value: greatest, error: greatest - smallest })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decimal::Decimal;

    fn stat(function: StatFn) -> Stat {
        Stat { name: "x".into(), function, column: None }
    }

    #[test]
    fn an_average_has_the_range_of_its_parts() {
        let units = Decimal::from_int;
        let entry = |count, count_error, sum: i64, sum_error: i64| TopEntry {
            key: Box::default(),
            count,
            count_error,
            sum: units(sum),
            sum_error: units(sum_error),
        };
        let range = |entry: TopEntry| stat(StatFn::Avg).of_key(&entry).map(|f| (f.value - f.error, f.value));
        assert_eq!(range(entry(4, 0, 20, 0)), Some((5.0, 5.0)));
        // 2 to 4 lines, 12 to 20 in all.
        assert_eq!(range(entry(4, 2, 20, 8)), Some((3.0, 10.0)));
        assert_eq!(range(entry(4, 2, -20, 8)), Some((-14.0, -5.0)));
        assert_eq!(range(entry(4, 4, 20, 8)), None);
    }

    #[test]
    fn more_is_kept_than_is_shown() {
        let capacity = |n| TopSpec { n, by: "x".into() }.capacity();
        assert_eq!([1, 100, 200, 1000].map(capacity), [1024, 1024, 1600, 4096]);
    }
}
