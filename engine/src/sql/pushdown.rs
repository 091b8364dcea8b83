//! Which part of a `WHERE` the tables do themselves: times, and conditions on one group-by column.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// Windows that start in `[from, until)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeRange {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

impl TimeRange {
    pub(crate) const ALL: Self = Self { from: i64::MIN, until: i64::MAX };

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
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (is_time(left), is_time(right)) {
            (true, false) => bound(*op, instant(right)?),
            (false, true) => bound(op.swap()?, instant(left)?),
            _ => None,
        },
        Expr::Between(between) if !between.negated && is_time(&between.expr) => {
            let low = bound(Operator::GtEq, instant(&between.low)?)?;
            Some(low.and(bound(Operator::LtEq, instant(&between.high)?)?))
        }
        _ => None,
    }
}

/// The one group-by column that `filter` is about.
pub(crate) fn key_column<'a>(filter: &Expr, group_by: &'a [String]) -> Option<&'a str> {
    if filter.is_volatile() {
        return None;
    }
    let mut columns = filter.column_refs().into_iter();
    let column = columns.next()?;
    if columns.next().is_some() {
        return None;
    }
    group_by.iter().find(|name| **name == column.name).map(String::as_str)
}

fn is_time(expr: &Expr) -> bool {
    match expr {
        Expr::Column(column) => column.name == "time",
        // Comparing with a finer time casts the column, which changes nothing.
        Expr::Cast(cast) => is_time(&cast.expr),
        _ => false,
    }
}

/// Nanoseconds since 1970.
fn instant(expr: &Expr) -> Option<i128> {
    let Expr::Literal(value, _) = expr else { return None };
    match value {
        ScalarValue::TimestampSecond(Some(v), _) => Some(i128::from(*v) * 1_000_000_000),
        ScalarValue::TimestampMillisecond(Some(v), _) => Some(i128::from(*v) * 1_000_000),
        ScalarValue::TimestampMicrosecond(Some(v), _) => Some(i128::from(*v) * 1_000),
        ScalarValue::TimestampNanosecond(Some(v), _) => Some(i128::from(*v)),
        _ => None,
    }
}

fn bound(op: Operator, nanos: i128) -> Option<TimeRange> {
    let millis = |nanos: i128| i64::try_from(nanos.div_euclid(1_000_000)).ok();
    let (at_or_after, after) = (millis(nanos + 999_999)?, millis(nanos)? + 1);
    match op {
        Operator::Gt => Some(TimeRange { from: after, ..TimeRange::ALL }),
        Operator::GtEq => Some(TimeRange { from: at_or_after, ..TimeRange::ALL }),
        Operator::Lt => Some(TimeRange { until: at_or_after, ..TimeRange::ALL }),
        Operator::LtEq => Some(TimeRange { until: after, ..TimeRange::ALL }),
        Operator::Eq => Some(TimeRange { from: at_or_after, until: after }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn at(nanos: i64) -> Expr {
        lit(ScalarValue::TimestampNanosecond(Some(nanos), Some("UTC".into())))
    }

    #[test]
    fn times_between_milliseconds_round_to_what_they_mean() {
        let check = |filter: Expr, from: i64, until: i64| {
            assert_eq!(time_range(&filter), Some(TimeRange { from, until }), "{filter}");
        };
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
    fn conditions_on_one_key() {
        let group_by = ["goods".to_owned(), "$host".to_owned()];
        assert_eq!(key_column(&col("goods").eq(lit("x")), &group_by), Some("goods"));
        assert_eq!(key_column(&Expr::Column("$host".into()).is_null(), &group_by), Some("$host"));
        assert_eq!(key_column(&col("goods").eq(Expr::Column("$host".into())), &group_by), None);
        assert_eq!(key_column(&col("count").gt(lit(1)), &group_by), None);
        assert_eq!(key_column(&lit(true), &group_by), None);
    }
}
