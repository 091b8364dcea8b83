//! The figures that conditions compare, merged from partials, and what may be said of them.
//!
//! A minute without a line is a count or sum of 0, once it is complete, and of everything else no figure.
//! Over several minutes: `sum` and `avg` of a count or sum treat a minute without a line as 0, `avg` being
//! per minute; `avg` of an average is that of all lines; everything else is taken over the figures of the
//! minutes that have one. A minute that can never be complete counts as it is, but is no lowest count or sum. A rule that says what the absence of a key means is not told of zeros in its place.

use std::time::Duration;

use nightjar_model::Timestamp;
use nightjar_model::delta::{LINES_FIELD, Partial};
use nightjar_model::kinds::alert_rule::{Condition, NoData, Nothing, Op, Take};
use nightjar_model::kinds::monitor::{Stat, StatFn};
use nightjar_model::query::SeriesWindows;

use super::coverage::Coverage;
use super::{Check, Truth, Values, combine};
use crate::error::AlertingError;

/// A condition's figure for one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figure {
    pub(super) value: Option<f64>,
    pub(super) truth: Truth,
}

/// The windows of one check.
pub(super) struct Windows<'a> {
    check: &'a Check<'a>,
    width: Duration,
    lines: Option<usize>,
}

/// What is known of one key.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) series: Option<&'a SeriesWindows>,
    /// All keys together: these are never absent.
    pub(super) is_total: bool,
    pub(super) coverage: &'a Coverage,
    /// What is missing does not matter: the rule judges what there is.
    pub(super) as_it_is: bool,
}

impl<'a> Windows<'a> {
    pub(super) fn new(check: &'a Check<'a>) -> Result<Self, AlertingError> {
        for condition in check.rule.conditions.iter().chain(&check.rule.recover.conditions) {
            stat_of(check, condition).ok_or_else(|| AlertingError::UnknownStatistic {
                monitor: check.rule.monitor.clone(),
                field: condition.field.clone(),
            })?;
        }
        let lines = check.answer.fields.iter().position(|field| field == LINES_FIELD);
        Ok(Self { check, width: check.monitor.width(), lines })
    }

    /// Of each statistic that no condition takes, what it is in the minute that is judged.
    pub(super) fn others(&self, known: Known<'_>) -> Values {
        let taken = |name: &str| self.check.rule.conditions.iter().any(|condition| condition.field == name);
        let others = self.check.monitor.stats.iter().filter(|stat| !taken(&stat.name));
        let value = |stat: &Stat| self.value(stat, &Take::Now(Nothing {}), Some(known));
        others.map(|stat| (stat.name.clone(), value(stat))).collect()
    }

    pub(super) fn figure(&self, condition: &Condition, known: Known<'_>) -> Figure {
        let Some(stat) = stat_of(self.check, condition) else {
            return Figure { value: None, truth: Truth::NoData };
        };
        let value = self.value(stat, &condition.take, Some(known));
        let from = self.check.at.saturating_sub(self.span(&condition.take));
        Figure { value, truth: truth(condition, stat, from, value, known) }
    }

    /// Whether the key has a line in what the rule reads.
    pub(super) fn has_lines(&self, series: Option<&SeriesWindows>) -> bool {
        let from = self.check.at.saturating_sub(self.check.rule.reach().0);
        self.within(series, from).any(|(_, partials)| self.is_line(partials))
    }

    /// Whether the conditions hold of a key that has no line: then every key that was seen must be watched, for
    /// it may go without another one.
    pub(super) fn hold_of_nothing(&self) -> bool {
        let truths = self.check.rule.conditions.iter().map(|condition| {
            let stat = stat_of(self.check, condition);
            let value = stat.and_then(|stat| self.value(stat, &condition.take, None));
            match value.map(|value| condition.op.holds(value, condition.threshold)) {
                Some(true) => Truth::Yes,
                Some(false) => Truth::No,
                None => Truth::NoData,
            }
        });
        combine(self.check.rule.match_, truths) == Truth::Yes
    }

    /// Whether every condition is of a count or sum, which a minute without a line has, too.
    pub(super) fn are_of_counts(&self) -> bool {
        let mut stats = self.check.rule.conditions.iter().map(|condition| stat_of(self.check, condition));
        self.check.rule.no_data == NoData::Keep && stats.all(|stat| stat.is_some_and(adds_up))
    }

    fn span(&self, take: &Take) -> Duration {
        take.span().map_or(self.width, |span| span.0)
    }

    fn within<'w>(
        &self,
        series: Option<&'w SeriesWindows>,
        from: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, &'w Vec<Partial>)> + use<'w> {
        let until = self.check.at;
        let windows = series.map_or(&[][..], |series| &series.windows).iter().map(|(time, partials)| (*time, partials));
        windows.filter(move |(time, _)| *time >= from && *time < until)
    }

    fn is_line(&self, partials: &[Partial]) -> bool {
        self.lines.is_none_or(|at| partials.get(at).is_some_and(|partial| partial.count() > 0))
    }

    /// Of a key that has no line, where nothing is known.
    fn value(&self, stat: &Stat, how: &Take, known: Option<Known<'_>>) -> Option<f64> {
        let span = self.span(how);
        let from = self.check.at.saturating_sub(span);
        let mut windows: Vec<(Timestamp, &Vec<Partial>)> =
            self.within(known.and_then(|known| known.series), from).collect();
        let absence_is_data = known.is_some_and(|known| known.is_total) || self.check.rule.no_data == NoData::Keep;
        if !absence_is_data && !windows.iter().any(|(_, partials)| self.is_line(partials)) {
            return None;
        }
        let mut minutes = (span.as_millis() / self.width.as_millis().max(1)) as usize;
        // What was counted of them is too little, and may be the least for that alone.
        if let (Take::Min(_), true, Some(known)) = (how, adds_up(stat), known) {
            let holes = &known.coverage.holes;
            windows.retain(|(time, _)| !holes.contains(time));
            minutes -= holes.range(from..self.check.at).count();
        }
        let field = stat.field().unwrap_or(LINES_FIELD);
        let index = self.check.answer.fields.iter().position(|name| name == field);
        let partials: Vec<Partial> = windows
            .iter()
            .map(|(_, partials)| index.and_then(|i| partials.get(i)).cloned().unwrap_or(Partial::empty(stat.kind())))
            .collect();
        take(stat, how, &partials, minutes)
    }
}

fn truth(condition: &Condition, stat: &Stat, from: Timestamp, value: Option<f64>, known: Known<'_>) -> Truth {
    let holds = value.map(|value| condition.op.holds(value, condition.threshold));
    if from >= known.coverage.complete_from || known.as_it_is {
        return match holds {
            Some(true) => Truth::Yes,
            Some(false) => Truth::No,
            None => Truth::NoData,
        };
    }
    match holds {
        Some(true) if confirmed_by_less(stat, condition) && known.coverage.doubled.is_none_or(|last| last < from) => {
            Truth::Yes
        }
        _ => Truth::Unknown,
    }
}

/// Whether more data can only confirm the condition once it holds: the number of lines only grows, a
/// highest value only rises, a lowest only falls. A sum may shrink: values may be negative.
pub(crate) fn confirmed_by_less(stat: &Stat, condition: &Condition) -> bool {
    let rising = matches!(condition.op, Op::Above | Op::AtLeast);
    let falling = matches!(condition.op, Op::Below | Op::AtMost);
    match stat.function {
        StatFn::Lines | StatFn::Success | StatFn::Failure => rising,
        StatFn::Max => rising && matches!(condition.take, Take::Now(_) | Take::Max(_)),
        StatFn::Min => falling && matches!(condition.take, Take::Now(_) | Take::Min(_)),
        StatFn::Sum | StatFn::Avg | StatFn::SuccessRate => false,
    }
}

/// Whether a minute without a line has a figure of its own: 0.
fn adds_up(stat: &Stat) -> bool {
    matches!(stat.function, StatFn::Lines | StatFn::Sum | StatFn::Success | StatFn::Failure)
}

fn stat_of<'a>(check: &Check<'a>, condition: &Condition) -> Option<&'a Stat> {
    check.monitor.stats.iter().find(|stat| stat.name == condition.field)
}

/// The taken value; `partials` are those of the minutes that have data, `minutes` is how many there are in all.
fn take(stat: &Stat, take: &Take, partials: &[Partial], minutes: usize) -> Option<f64> {
    let mut merged = Partial::empty(stat.kind());
    for partial in partials {
        merged.merge(partial).ok()?;
    }
    let adds_up = adds_up(stat);
    let empty_minute = (adds_up && partials.len() < minutes).then_some(0.0);
    let each = || partials.iter().filter_map(|partial| stat.value(partial));
    match take {
        Take::Now(_) => stat.value(&merged),
        Take::Sum(_) if adds_up => stat.value(&merged),
        Take::Sum(_) => each().reduce(|a, b| a + b),
        Take::Avg(_) if adds_up => stat.value(&merged).map(|sum| sum / minutes.max(1) as f64),
        Take::Avg(_) if matches!(stat.function, StatFn::Avg | StatFn::SuccessRate) => stat.value(&merged),
        Take::Avg(_) => each().reduce(|a, b| a + b).map(|sum| sum / each().count() as f64),
        Take::Min(_) => each().chain(empty_minute).reduce(f64::min),
        Take::Max(_) => each().chain(empty_minute).reduce(f64::max),
    }
}

/// `cost_avg now = 132.5 > 100`; `not >` where it does not hold.
pub(super) fn describe(condition: &Condition, figure: &Figure) -> String {
    let take = match &condition.take {
        Take::Now(_) => "now".to_owned(),
        Take::Sum(span) => format!("sum {span}"),
        Take::Avg(span) => format!("avg {span}"),
        Take::Min(span) => format!("min {span}"),
        Take::Max(span) => format!("max {span}"),
    };
    let value = figure.value.map_or_else(|| "no data".to_owned(), number);
    let not = if figure.truth == Truth::Yes { "" } else { "not " };
    format!("{} {take} = {value} {not}{} {}", condition.field, condition.op.symbol(), number(condition.threshold))
}

/// At most six decimals.
fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use nightjar_model::delta::{Number, PartialKind};
    use nightjar_model::{Decimal, Span};

    use super::*;

    fn partial(kind: PartialKind, values: &[i64]) -> Partial {
        match kind {
            PartialKind::Lines => Partial::lines(values.len() as u64),
            _ => values.iter().map(|value| Decimal::from_int(*value)).collect::<Number>().into(),
        }
    }

    /// Three minutes, the second without a line.
    fn check(function: StatFn, how: fn(Span) -> Take, expected: f64) {
        let stat = Stat { name: "x".into(), function, column: Some("cost".into()) };
        let partials = [&[1, 2, 3][..], &[8]].map(|values| partial(stat.kind(), values));
        assert_eq!(take(&stat, &how(Span::from_secs(180)), &partials, 3), Some(expected), "{function:?}");
    }

    #[test]
    fn takes_over_minutes() {
        check(StatFn::Lines, Take::Sum, 4.0);
        check(StatFn::Lines, Take::Avg, 4.0 / 3.0);
        check(StatFn::Lines, Take::Min, 0.0);
        check(StatFn::Lines, Take::Max, 3.0);
        check(StatFn::Sum, Take::Sum, 14.0);
        check(StatFn::Sum, Take::Min, 0.0);
        check(StatFn::Sum, Take::Max, 8.0);
        check(StatFn::Avg, Take::Avg, 3.5);
        check(StatFn::Avg, Take::Min, 2.0);
        check(StatFn::Avg, Take::Max, 8.0);
        check(StatFn::Min, Take::Min, 1.0);
        check(StatFn::Max, Take::Avg, 5.5);
        check(StatFn::Max, Take::Sum, 11.0);
    }

    #[test]
    fn nothing_has_no_average_but_a_count() {
        let of = |function| Stat { name: "x".into(), function, column: Some("cost".into()) };
        let now = Take::Now(Nothing {});
        assert_eq!(take(&of(StatFn::Lines), &now, &[], 1), Some(0.0));
        assert_eq!(take(&of(StatFn::Sum), &now, &[], 1), Some(0.0));
        assert_eq!(take(&of(StatFn::Avg), &now, &[], 1), None);
        assert_eq!(take(&of(StatFn::Max), &Take::Max(Span::from_secs(300)), &[], 5), None);
    }
}
