//! What a statement may say, decided before any of it is planned: planning computes constants, expands
//! subqueries and recurses by depth, with no limit of its own on memory or time.
//!
//! The limits here and [`BATCH_ROWS`] bound together what a query takes outside the memory pool: each
//! column or call holds at most `BATCH_ROWS` values of about [`MAX_TEXT_BYTES`] at a time.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    ObjectName, Query, Select, Statement, TableFactor, Value, ValueWithSpan, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use nightjar_model::{Error, ErrorKind, Result};

use super::{functions, near};

/// Rows that a step of a query works on at a time.
pub(super) const BATCH_ROWS: usize = 1024;

/// A text in a statement, and one that joining makes, is at most this long.
pub(super) const MAX_TEXT_BYTES: usize = 1024;

/// Columns of any step.
pub(super) const MAX_COLUMNS: usize = 256;

const MAX_SQL_BYTES: usize = 64 << 10;
const MAX_TOKENS: usize = 10_000;
const MAX_TABLES: usize = 16;
const MAX_OPERATORS: usize = 500;
const MAX_CALLS: usize = 200;
/// Specifiers make up to twelve times their length.
const MAX_FORMAT_BYTES: usize = 64;

/// Before parsing: the parser and the dropping of what it made recurse by the statement's depth.
pub(super) fn check_length(sql: &str, dialect: &dyn Dialect) -> Result<()> {
    let too_large = |text| Err(Error::new(ErrorKind::TooLarge, text));
    if sql.len() > MAX_SQL_BYTES {
        return too_large("the statement is longer than 64 KiB: shorten it, or ask in several");
    }
    // What is not a token the parser reports better.
    let Ok(tokens) = Tokenizer::new(dialect, sql).tokenize() else { return Ok(()) };
    let mut operators = 0;
    for token in tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))) {
        let quiet = matches!(token, Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::Comma);
        operators += usize::from(!quiet);
    }
    // Every open bracket, dot and comparison is among them.
    if tokens.len() > 2 * MAX_TOKENS || operators > MAX_TOKENS / 4 {
        return too_large("the statement has too many parts: shorten it, or ask in several");
    }
    Ok(())
}

/// # Errors
/// Names the first thing that cannot be asked.
pub(super) fn check(statement: &Statement) -> Result<()> {
    match statement.visit(&mut Admission::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(text) => Err(Error::invalid(text, Vec::new())),
    }
}

#[derive(Default)]
struct Admission {
    tables: usize,
    columns: usize,
    operators: usize,
    calls: usize,
}

type Verdict = ControlFlow<String>;

fn refuse(text: impl Into<String>) -> Verdict {
    ControlFlow::Break(text.into())
}

fn count(counted: &mut usize, limit: usize, what: &str) -> Verdict {
    *counted += 1;
    if *counted > limit {
        return refuse(format!("the statement has more than {limit} {what}: shorten it, or ask in several"));
    }
    Verdict::Continue(())
}

impl Visitor for Admission {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> Verdict {
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            return refuse("WITH RECURSIVE cannot be used here");
        }
        Verdict::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> Verdict {
        for _ in &select.projection {
            count(&mut self.columns, MAX_COLUMNS, "columns")?;
        }
        match &select.group_by {
            GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) if modifiers.is_empty() => {
                Verdict::Continue(())
            }
            _ => refuse("GROUP BY with ROLLUP, CUBE or TOTALS cannot be used here: UNION ALL the groupings"),
        }
    }

    // Counts those of common table expressions too: each is planned again where it is named.
    fn pre_visit_relation(&mut self, _: &ObjectName) -> Verdict {
        count(&mut self.tables, MAX_TABLES, "tables")
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> Verdict {
        match table {
            TableFactor::Table { args: None, .. }
            | TableFactor::Derived { lateral: false, .. }
            | TableFactor::NestedJoin { .. } => Verdict::Continue(()),
            _ => refuse("only tables, joins and subqueries can be selected from: monitor.\"name\""),
        }
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> Verdict {
        let bytes = match &value.value {
            Value::Boolean(_) | Value::Null => 0,
            Value::Number(digits, _) => digits.len(),
            Value::SingleQuotedString(text) => text.len(),
            _ => return refuse("a text is written in single quotes here: 'text'"),
        };
        if bytes > MAX_TEXT_BYTES {
            return refuse(format!("a text in the statement is longer than {MAX_TEXT_BYTES} bytes: shorten it"));
        }
        Verdict::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Verdict {
        match expr {
            Expr::Function(function) => {
                count(&mut self.calls, MAX_CALLS, "calls")?;
                call(function)
            }
            Expr::Cast { kind: CastKind::Cast | CastKind::TryCast | CastKind::DoubleColon, data_type, .. } => {
                count(&mut self.calls, MAX_CALLS, "calls")?;
                plain(data_type)
            }
            Expr::TypedString(text) => plain(&text.data_type),
            Expr::BinaryOp { op: BinaryOperator::StringConcat, .. }
            | Expr::Case { .. }
            | Expr::AtTimeZone { .. }
            | Expr::Extract { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Position { .. }
            | Expr::Substring { .. }
            | Expr::Trim { .. } => count(&mut self.calls, MAX_CALLS, "calls"),
            Expr::BinaryOp { .. }
            | Expr::UnaryOp { .. }
            | Expr::Between { .. }
            | Expr::InList { .. }
            | Expr::InSubquery { .. }
            | Expr::Exists { .. }
            | Expr::Subquery(_)
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::SimilarTo { .. }
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::Interval(_)
            | Expr::Nested(_) => count(&mut self.operators, MAX_OPERATORS, "operators"),
            Expr::Identifier(_)
            | Expr::CompoundIdentifier(_)
            | Expr::Value(_)
            | Expr::Wildcard(_)
            | Expr::QualifiedWildcard(..) => Verdict::Continue(()),
            Expr::Cube(_) | Expr::Rollup(_) | Expr::GroupingSets(_) => {
                refuse("CUBE, ROLLUP and GROUPING SETS cannot be used here: UNION ALL the groupings")
            }
            Expr::Overlay { .. } => unknown("overlay"),
            other => {
                let shown: String = other.to_string().chars().take(60).collect();
                refuse(format!("`{shown}` cannot be used here: the guide's page on queries lists what can"))
            }
        }
    }
}

fn call(function: &Function) -> Verdict {
    let name = function.name.to_string().to_ascii_lowercase();
    if !functions::all().any(|allowed| allowed == name) {
        return unknown(&name);
    }
    let arguments: &[FunctionArg] = match &function.args {
        FunctionArguments::List(list) => &list.args,
        _ => &[],
    };
    match name.as_str() {
        // A further argument says how much memory it takes.
        "approx_percentile_cont" if arguments.len() + function.within_group.len() > 2 => {
            refuse("`approx_percentile_cont` takes a figure and a percentile here, and no number of centroids")
        }
        "to_char" | "date_format" if !arguments.get(1).is_some_and(is_short) => {
            refuse(format!("`{name}` takes its format as a text of at most {MAX_FORMAT_BYTES} bytes here"))
        }
        _ => Verdict::Continue(()),
    }
}

fn is_short(argument: &FunctionArg) -> bool {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) = argument else { return false };
    matches!(&value.value, Value::SingleQuotedString(text) if text.len() <= MAX_FORMAT_BYTES)
}

fn unknown(name: &str) -> Verdict {
    let shown: String = name.chars().take(60).collect();
    let suggestion = near::suggestion(&shown, functions::all());
    refuse(format!(
        "the function `{shown}` cannot be used here{suggestion}; the guide's page on queries lists those that can"
    ))
}

/// An array's type says how much memory even nothing of it takes.
fn plain(data_type: &DataType) -> Verdict {
    match data_type {
        DataType::Array(_) | DataType::Struct(..) | DataType::Map(..) | DataType::Custom(..) => {
            refuse(format!("the type {data_type} cannot be used here: take a plain one, such as VARCHAR or DOUBLE"))
        }
        _ => Verdict::Continue(()),
    }
}
