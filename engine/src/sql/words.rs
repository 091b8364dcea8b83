//! What kind of statement is asked, and words of SQL that are names of columns too.
//!
//! What a statement does is not looked at here: its process is limited in time, memory and rows.

use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParser, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArguments, GroupByExpr, Ident, ObjectNamePart, Query, Select, Statement, TableFactor,
    VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use nightjar_model::{Error, Result};

use super::wire::MonitorShape;

/// Functions without brackets of other databases. Here nobody is logged in, and logs have such columns.
const NAMES: [&str; 7] =
    ["user", "current_user", "session_user", "current_role", "current_catalog", "current_schema", "system_user"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Rows,
    /// What a plan looks like, or a table.
    Explanation,
    /// Which tables there are.
    Tables,
}

/// # Errors
/// For everything that is no question.
pub(super) fn admit(parsed: &mut Parsed) -> Result<Asked> {
    let asked = match parsed {
        Parsed::Statement(statement) => match &**statement {
            Statement::Query(_) => Asked::Rows,
            Statement::ExplainTable { .. } => Asked::Explanation,
            Statement::ShowTables { .. } => Asked::Tables,
            _ => return Err(refused()),
        },
        Parsed::Explain(explain) => match admit(&mut explain.statement)? {
            Asked::Rows => Asked::Explanation,
            _ => return Err(refused()),
        },
        _ => return Err(refused()),
    };
    if let Parsed::Statement(statement) = parsed
        && let ControlFlow::Break(error) = statement.visit(&mut Words)
    {
        return Err(error);
    }
    Ok(asked)
}

fn refused() -> Error {
    let text = "only queries can be run here: SELECT … FROM monitor.\"name\", EXPLAIN SELECT …, DESCRIBE monitor.\"name\", SHOW TABLES";
    Error::invalid(text, Vec::new())
}

/// Takes calls without brackets for the columns they are, and refuses what would be passed over in silence.
struct Words;

impl VisitorMut for Words {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        passed_over(&[
            ("FOR", query.for_clause.is_some() || !query.locks.is_empty()),
            ("SETTINGS", query.settings.is_some()),
            ("FORMAT", query.format_clause.is_some()),
            ("|>", !query.pipe_operators.is_empty()),
        ])
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        let modifiers = match &select.group_by {
            GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) => modifiers,
        };
        passed_over(&[
            ("PREWHERE", select.prewhere.is_some()),
            ("CONNECT BY", !select.connect_by.is_empty()),
            ("CLUSTER BY", !select.cluster_by.is_empty()),
            ("DISTRIBUTE BY", !select.distribute_by.is_empty()),
            ("SORT BY", !select.sort_by.is_empty()),
            ("LATERAL VIEW", !select.lateral_views.is_empty()),
            ("TOP", select.top.is_some()),
            ("SELECT AS", select.value_table_mode.is_some()),
            ("WITH behind GROUP BY", !modifiers.is_empty()),
        ])
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<Error> {
        match table {
            TableFactor::Table { sample, with_hints, with_ordinality, partitions, version, index_hints, .. } => {
                passed_over(&[
                    ("TABLESAMPLE", sample.is_some()),
                    ("WITH behind a table", !with_hints.is_empty() || *with_ordinality),
                    ("PARTITION", !partitions.is_empty()),
                    ("FOR behind a table", version.is_some()),
                    ("an index hint", !index_hints.is_empty()),
                ])
            }
            TableFactor::Derived { sample, .. } => passed_over(&[("TABLESAMPLE", sample.is_some())]),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Expr::Function(Function { name, args: FunctionArguments::None, .. }) = expr
            && let [ObjectNamePart::Identifier(Ident { value, .. })] = name.0.as_slice()
            && NAMES.iter().any(|known| known.eq_ignore_ascii_case(value))
        {
            *expr = Expr::Identifier(Ident::with_quote('"', value.to_ascii_lowercase()));
        }
        ControlFlow::Continue(())
    }
}

/// Refuses what stands there and would not be heeded.
fn passed_over(words: &[(&str, bool)]) -> ControlFlow<Error> {
    match words.iter().find(|(_, stands_there)| *stands_there) {
        Some((word, _)) => ControlFlow::Break(Error::invalid(format!("{word} is not known here"), Vec::new())),
        None => ControlFlow::Continue(()),
    }
}

/// For a statement that cannot be parsed: which of its words are also columns, and need quotes.
pub(super) fn hint(sql: &str, monitors: &[MonitorShape]) -> Option<String> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().ok()?;
    let is_column = |word: &str| {
        let named = |name: &String| name.eq_ignore_ascii_case(word);
        monitors
            .iter()
            .any(|monitor| monitor.group_by.iter().any(named) || monitor.stats.iter().any(|stat| named(&stat.name)))
    };
    let mut words: Vec<&str> = Vec::new();
    for token in &tokens {
        if let Token::Word(word) = token
            && word.quote_style.is_none()
            && word.keyword != Keyword::NoKeyword
            && is_column(&word.value)
            && !words.contains(&word.value.as_str())
            && !is_name(&word.value)
        {
            words.push(&word.value);
        }
    }
    let first = words.first()?;
    let list: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    Some(format!("; {} is also a word of SQL: the column is written \"{first}\"", list.join(", ")))
}

/// Whether this word of SQL is also taken for a column where one can stand, as `count` is.
fn is_name(word: &str) -> bool {
    DFParser::parse_sql_with_dialect(&format!("SELECT {word}, {word} FROM t"), &GenericDialect {}).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(sql: &str) -> Parsed {
        DFParser::parse_sql_with_dialect(sql, &GenericDialect {}).expect(sql).pop_front().expect(sql)
    }

    #[test]
    fn only_questions_are_admitted() {
        for (sql, expected) in [
            ("SELECT 1", Some(Asked::Rows)),
            ("WITH t AS (SELECT 1) SELECT * FROM t", Some(Asked::Rows)),
            ("EXPLAIN ANALYZE SELECT 1", Some(Asked::Explanation)),
            ("DESCRIBE monitor.m", Some(Asked::Explanation)),
            ("SHOW TABLES", Some(Asked::Tables)),
            ("EXPLAIN EXPLAIN SELECT 1", None),
            ("EXPLAIN DROP TABLE m", None),
            ("EXPLAIN COPY m TO 'x'", None),
            ("SET x = 1", None),
            ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'x'", None),
            ("COPY m TO 'x'", None),
            ("SHOW ALL", None),
            ("RESET x", None),
        ] {
            assert_eq!(admit(&mut parsed(sql)).ok(), expected, "{sql}");
        }
    }

    #[test]
    fn columns_named_as_functions_without_brackets_are_columns() {
        for (sql, expected) in [
            ("SELECT user, count(*) FROM m GROUP BY USER", "SELECT \"user\", count(*) FROM m GROUP BY \"user\""),
            ("SELECT upper(session_user) AS u FROM m", "SELECT upper(\"session_user\") AS u FROM m"),
            ("SELECT 1 FROM m WHERE current_user IN ('a')", "SELECT 1 FROM m WHERE \"current_user\" IN ('a')"),
            ("SELECT now(), current_date FROM m", "SELECT now(), current_date FROM m"),
        ] {
            let mut statement = parsed(sql);
            admit(&mut statement).expect(sql);
            assert_eq!(statement.to_string(), expected);
        }
    }

    #[test]
    fn words_that_are_columns_are_pointed_out() {
        let group_by = vec!["order".into(), "count".into(), "goods".into()];
        let shape = MonitorShape { name: "m".into(), uid: None, group_by, stats: vec![], top: None };
        let hint = |sql: &str| hint(sql, std::slice::from_ref(&shape));
        let expected = "; `order` is also a word of SQL: the column is written \"order\"";
        assert_eq!(hint("SELECT goods, count, order FROM m").as_deref(), Some(expected));
        assert_eq!(hint("SELECT goods \"order\" FRM m"), None);
    }
}
