//! Which part of a `WHERE` the tables do themselves: times, and conditions on one group-by column.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

const DAY_MILLIS: i64 = 86_400_000;

/// Windows that start in `[from, until)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeRange {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

impl TimeRange {
    pub(crate) const ALL: Self = Self { from: i64::MIN, until: i64::MAX };
    pub(crate) const NONE: Self = Self { from: i64::MAX, until: i64::MIN };

    /// Of windows of `width`, the same ones: they start at multiples of it.
    pub(crate) fn of_width(self, width: i64) -> Self {
        let up = |at: i64| at.checked_add(width - 1).map_or(at, |at| at.div_euclid(width).saturating_mul(width));
        Self { from: up(self.from), until: up(self.until) }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }
}

/// The range that is exactly what `filter` says, if it is about `time` alone.
pub(crate) fn time_range(filter: &Expr) -> Option<TimeRange> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Some(time_range(left)?.and(time_range(right)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (Side::of(left), Side::of(right)) {
            (Some(side), None) => side.bound(*op, right),
            (None, Some(side)) => side.bound(op.swap()?, left),
            _ => None,
        },
        Expr::Between(between) if !between.negated => {
            let side = Side::of(&between.expr)?;
            Some(side.bound(Operator::GtEq, &between.low)?.and(side.bound(Operator::LtEq, &between.high)?))
        }
        _ => None,
    }
}

/// The one group-by column that `filter` is about, where it can be asked of any value: of values whose windows
/// other conditions leave out, too.
pub(crate) fn key_column<'a>(filter: &Expr, group_by: &'a [String]) -> Option<&'a str> {
    if filter.is_volatile() || !never_fails(filter) {
        return None;
    }
    let mut columns = filter.column_refs().into_iter();
    let column = columns.next()?;
    if columns.next().is_some() {
        return None;
    }
    group_by.iter().find(|name| **name == column.name).map(String::as_str)
}

/// Functions that have an answer for every text.
const TOTAL: [&str; 18] = [
    "btrim",
    "character_length",
    "coalesce",
    "concat",
    "contains",
    "ends_with",
    "initcap",
    "left",
    "lower",
    "ltrim",
    "nullif",
    "octet_length",
    "reverse",
    "right",
    "rtrim",
    "starts_with",
    "strpos",
    "upper",
];

fn never_fails(filter: &Expr) -> bool {
    use Operator::{ILikeMatch, LikeMatch, NotILikeMatch, NotLikeMatch, StringConcat};
    let fails = |expr: &Expr| {
        Ok(match expr {
            Expr::Column(_)
            | Expr::Literal(..)
            | Expr::Alias(_)
            | Expr::Like(_)
            | Expr::Not(_)
            | Expr::IsNotNull(_)
            | Expr::IsNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Between(_)
            | Expr::Case(_)
            | Expr::InList(_) => false,
            Expr::BinaryExpr(BinaryExpr { op, .. }) => {
                let compares = op.supports_propagation() || op.is_logic_operator();
                !(compares || matches!(op, LikeMatch | NotLikeMatch | ILikeMatch | NotILikeMatch | StringConcat))
            }
            Expr::Cast(cast) => !cast.field.data_type().is_string(),
            Expr::ScalarFunction(call) => !TOTAL.contains(&call.name()),
            _ => true,
        })
    };
    !filter.exists(fails).unwrap_or(true)
}

/// The values that a condition on one group-by column leaves, where it says so: `=`, `IN`, and `OR` of them.
pub(crate) fn key_values(filter: &Expr) -> Option<Vec<String>> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let mut values = key_values(left)?;
            values.extend(key_values(right)?);
            Some(values)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match (&**left, &**right) {
            (Expr::Column(_), value) | (value, Expr::Column(_)) => Some(vec![text(value)?]),
            _ => None,
        },
        Expr::InList(InList { expr, list, negated: false }) if matches!(**expr, Expr::Column(_)) => {
            list.iter().map(text).collect()
        }
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<String> {
    fn of(value: &ScalarValue) -> Option<String> {
        match value {
            ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => text.clone(),
            ScalarValue::Dictionary(_, value) => of(value),
            _ => None,
        }
    }
    let Expr::Literal(value, _) = expr else { return None };
    of(value)
}

/// What `time` is compared as.
#[derive(Debug, PartialEq)]
enum Side {
    /// An instant; with a zone, or as UTC shows it.
    Instant { zoned: bool },
    /// The day in UTC.
    Day,
}

impl Side {
    fn of(expr: &Expr) -> Option<Self> {
        match time_type(expr)? {
            DataType::Timestamp(_, zone) => Some(Self::Instant { zoned: zone.is_some() }),
            DataType::Date32 => Some(Self::Day),
            _ => None,
        }
    }

    fn bound(&self, op: Operator, literal: &Expr) -> Option<TimeRange> {
        let Expr::Literal(value, _) = literal else { return None };
        match self {
            Self::Instant { zoned } => {
                let (nanos, zone) = instant(value)?;
                if zone == *zoned { instants(op, nanos) } else { None }
            }
            Self::Day => {
                let ScalarValue::Date32(Some(day)) = value else { return None };
                Some(days(op, i64::from(*day)))?
            }
        }
    }
}

/// The type that casts give `time`, where nothing is lost on the way but the time of day at the end.
///
/// Times of windows are whole milliseconds near the present: finer ones hold them.
fn time_type(expr: &Expr) -> Option<DataType> {
    match expr {
        Expr::Column(column) if column.name == "time" => {
            Some(DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())))
        }
        Expr::Cast(cast) => {
            let DataType::Timestamp(_, from) = time_type(&cast.expr)? else { return None };
            let is_utc = |zone: &Option<std::sync::Arc<str>>| {
                zone.as_ref().is_none_or(|zone| matches!(&**zone, "UTC" | "Z" | "+00:00"))
            };
            let to = cast.field.data_type();
            match to {
                DataType::Timestamp(TimeUnit::Second, _) => None,
                // Another zone shows the same instant; without one the clock of the zone is what is left.
                DataType::Timestamp(_, zone) if zone.is_some() == from.is_some() || (is_utc(zone) && is_utc(&from)) => {
                    Some(to.clone())
                }
                DataType::Date32 if is_utc(&from) => Some(DataType::Date32),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Nanoseconds since 1970, and whether there is a zone.
fn instant(value: &ScalarValue) -> Option<(i128, bool)> {
    let (value, unit, zone) = match value {
        ScalarValue::TimestampSecond(Some(v), zone) => (*v, 1_000_000_000, zone),
        ScalarValue::TimestampMillisecond(Some(v), zone) => (*v, 1_000_000, zone),
        ScalarValue::TimestampMicrosecond(Some(v), zone) => (*v, 1_000, zone),
        ScalarValue::TimestampNanosecond(Some(v), zone) => (*v, 1, zone),
        _ => return None,
    };
    Some((i128::from(value) * unit, zone.is_some()))
}

fn instants(op: Operator, nanos: i128) -> Option<TimeRange> {
    let millis = |nanos: i128| i64::try_from(nanos.div_euclid(1_000_000)).ok();
    let (at_or_after, after) = (millis(nanos + 999_999)?, millis(nanos)?.checked_add(1)?);
    range(op, at_or_after, after)
}

fn days(op: Operator, day: i64) -> Option<TimeRange> {
    range(op, day * DAY_MILLIS, (day + 1) * DAY_MILLIS)
}

/// `first` is the first time that is not before what is compared with, `next` the first that is after it.
fn range(op: Operator, first: i64, next: i64) -> Option<TimeRange> {
    match op {
        Operator::Gt => Some(TimeRange { from: next, ..TimeRange::ALL }),
        Operator::GtEq => Some(TimeRange { from: first, ..TimeRange::ALL }),
        Operator::Lt => Some(TimeRange { until: first, ..TimeRange::ALL }),
        Operator::LtEq => Some(TimeRange { until: next, ..TimeRange::ALL }),
        Operator::Eq => Some(TimeRange { from: first, until: next }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{cast, col, lit};

    use super::*;

    fn at(nanos: i64) -> Expr {
        lit(ScalarValue::TimestampNanosecond(Some(nanos), Some("UTC".into())))
    }

    fn check(filter: Expr, from: i64, until: i64) {
        assert_eq!(time_range(&filter), Some(TimeRange { from, until }), "{filter}");
    }

    #[test]
    fn times_between_milliseconds_round_to_what_they_mean() {
        check(col("time").gt_eq(at(5_000_000)), 5, i64::MAX);
        check(col("time").gt_eq(at(5_000_001)), 6, i64::MAX);
        check(col("time").gt(at(5_000_000)), 6, i64::MAX);
        check(col("time").gt(at(5_000_001)), 6, i64::MAX);
        check(col("time").lt(at(5_000_000)), i64::MIN, 5);
        check(col("time").lt(at(5_000_001)), i64::MIN, 6);
        check(at(5_000_000).gt_eq(col("time")), i64::MIN, 6);
        check(col("time").eq(at(5_000_000)), 5, 6);
        check(col("time").eq(at(5_000_001)), 6, 6);
        check(col("time").between(at(2_000_000), at(4_000_000)), 2, 5);
        check(col("time").gt(at(0)).and(col("time").lt_eq(at(9_000_000))), 1, 10);
        for other in
            [col("goods").eq(lit("x")), col("time").gt(at(0)).or(col("time").lt(at(0))), col("time").not_eq(at(1))]
        {
            assert_eq!(time_range(&other), None, "{other}");
        }
    }

    #[test]
    fn only_casts_that_lose_nothing_are_seen_through() {
        let nanos = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Nanosecond, zone.map(Into::into));
        let naive = lit(ScalarValue::TimestampNanosecond(Some(5_000_000), None));
        check(cast(col("time"), nanos(Some("UTC"))).gt_eq(at(5_000_000)), 5, i64::MAX);
        check(cast(col("time"), nanos(Some("Asia/Shanghai"))).gt_eq(at(5_000_000)), 5, i64::MAX);
        check(cast(col("time"), nanos(None)).gt_eq(naive.clone()), 5, i64::MAX);
        let day = |day: i32| lit(ScalarValue::Date32(Some(day)));
        let date = || cast(col("time"), DataType::Date32);
        check(date().eq(day(2)), 2 * DAY_MILLIS, 3 * DAY_MILLIS);
        check(date().gt(day(2)), 3 * DAY_MILLIS, i64::MAX);
        check(date().lt_eq(day(-1)), i64::MIN, 0);
        let shanghai = || cast(col("time"), nanos(Some("Asia/Shanghai")));
        for other in [
            cast(shanghai(), nanos(None)).gt_eq(naive.clone()),
            cast(shanghai(), DataType::Date32).eq(day(2)),
            cast(cast(col("time"), nanos(None)), nanos(Some("Asia/Shanghai"))).gt_eq(at(5_000_000)),
            cast(col("time"), DataType::Timestamp(TimeUnit::Second, Some("UTC".into()))).eq(at(0)),
            cast(date(), nanos(None)).gt_eq(naive.clone()),
            cast(col("time"), DataType::Int64).gt(lit(5_i64)),
            cast(col("time"), DataType::Utf8).gt(lit("2026")),
            col("time").gt(naive),
        ] {
            assert_eq!(time_range(&other), None, "{other}");
        }
    }

    #[test]
    fn conditions_on_one_key() {
        let group_by = ["goods".to_owned(), "$host".to_owned()];
        assert_eq!(key_column(&col("goods").eq(lit("x")), &group_by), Some("goods"));
        assert_eq!(key_column(&Expr::Column("$host".into()).is_null(), &group_by), Some("$host"));
        assert_eq!(key_column(&col("goods").eq(Expr::Column("$host".into())), &group_by), None);
        assert_eq!(key_column(&col("count").gt(lit(1)), &group_by), None);
        assert_eq!(key_column(&lit(true), &group_by), None);
        // `goods = 5` where a value is no number.
        assert_eq!(key_column(&cast(col("goods"), DataType::Int64).eq(lit(5_i64)), &group_by), None);
    }

    #[test]
    fn values_that_a_condition_names() {
        let check = |filter: Expr, values: Option<&[&str]>| {
            let values = values.map(|values| values.iter().map(|value| (*value).to_owned()).collect());
            assert_eq!(key_values(&filter), values, "{filter}");
        };
        check(col("k").eq(lit("x")), Some(&["x"]));
        check(lit("x").eq(col("k")), Some(&["x"]));
        check(col("k").eq(lit("x")).or(col("k").eq(lit("y"))), Some(&["x", "y"]));
        check(col("k").in_list(vec![lit("x"), lit("y")], false), Some(&["x", "y"]));
        check(col("k").in_list(vec![lit("x")], true), None);
        check(col("k").in_list(vec![lit("x"), lit(ScalarValue::Utf8(None))], false), None);
        check(col("k").not_eq(lit("x")), None);
        check(col("k").eq(lit("x")).or(col("k").is_null()), None);
    }
}
