//! Printing.

use std::io::{ErrorKind, Write};

use nightjar_model::syntax::to_yaml;
use serde_json::Value;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    #[default]
    Table,
    Yaml,
    Json,
}

/// Writes to the standard output; a reader that has had enough (`| head`) is no error.
pub(super) fn emit(text: &str) -> anyhow::Result<()> {
    emit_bytes(text.as_bytes())?;
    Ok(())
}

/// The same with anything; whether the reader wants more.
pub(super) fn emit_bytes(bytes: &[u8]) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(true),
    }
}

pub(super) fn json(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Documents one after another.
pub(super) fn yaml(values: &[Value]) -> String {
    values.iter().map(to_yaml).collect::<Vec<_>>().join("---\n")
}

/// Columns under their titles, as wide as they need to be.
pub(super) fn table(titles: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let width = |text: &str| text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum::<usize>();
    let mut widths: Vec<usize> = titles.iter().map(|title| width(title)).collect();
    for row in &rows {
        for (at, cell) in row.iter().enumerate() {
            widths[at] = widths[at].max(width(cell));
        }
    }
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut written = String::new();
        for (cell, wanted) in cells.zip(&widths) {
            written.push_str(cell);
            written.push_str(&" ".repeat(wanted - width(cell) + 2));
        }
        text.push_str(written.trim_end());
        text.push('\n');
    };
    line(&mut titles.iter().copied());
    for row in &rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

/// What stands in cells may come out of log lines: it must neither break the table nor speak to the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A value in a cell.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a terminal gives the character two columns.
fn is_wide(c: char) -> bool {
    matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_cell_speaks_to_the_terminal() {
        let rows = vec![vec!["a\u{1b}]0;x\u{7}".into()], vec!["b\nc".into()]];
        assert_eq!(table(&["NAME"], &rows), "NAME\na\u{fffd}]0;x\u{fffd}\nb\u{fffd}c\n");
    }

    #[test]
    fn wide_characters_keep_columns_straight() {
        let rows = vec![vec!["交易".into(), "1".into()], vec!["a".into(), "22".into()]];
        assert_eq!(table(&["NAME", "N"], &rows), "NAME  N\n交易  1\na     22\n");
    }
}
