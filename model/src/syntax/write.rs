//! A tree to YAML, in block style.

use serde_json::{Map, Number, Value};

use super::scalar::is_no_string;

/// One document, with a line end behind it.
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(fields) if !fields.is_empty() => mapping(fields, 0, &mut out),
        Value::Array(items) if !items.is_empty() => sequence(items, 0, &mut out),
        other => {
            out.push_str(&inline(other));
            out.push('\n');
        }
    }
    out
}

/// The first line is written where `out` stands, the others with this indentation.
fn mapping(fields: &Map<String, Value>, indent: usize, out: &mut String) {
    for (at, (key, value)) in fields.iter().enumerate() {
        if at > 0 {
            out.extend(std::iter::repeat_n(' ', indent));
        }
        out.push_str(&string(key));
        out.push(':');
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', indent + 2));
                mapping(fields, indent + 2, out);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', indent));
                sequence(items, indent, out);
            }
            other => scalar(other, indent + 2, out),
        }
    }
}

fn sequence(items: &[Value], indent: usize, out: &mut String) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.extend(std::iter::repeat_n(' ', indent));
        }
        out.push('-');
        match item {
            Value::Object(fields) if !fields.is_empty() => {
                out.push(' ');
                mapping(fields, indent + 2, out);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push(' ');
                sequence(items, indent + 2, out);
            }
            other => scalar(other, indent + 2, out),
        }
    }
}

/// Behind a `:` or `-`, to the end of the line; text of several lines goes below, indented.
fn scalar(value: &Value, indent: usize, out: &mut String) {
    out.push(' ');
    match value {
        Value::String(text) if fits_literal(text) => literal(text, indent, out),
        other => {
            out.push_str(&inline(other));
            out.push('\n');
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::Object(_) => "{}".into(),
        Value::Array(_) => "[]".into(),
        Value::String(text) => string(text),
        Value::Number(written) => number(written),
        other => other.to_string(),
    }
}

/// To YAML 1.1 a float has a point, and its exponent a sign.
fn number(number: &Number) -> String {
    let text = number.to_string();
    match text.split_once('e') {
        None => text,
        Some((mantissa, exponent)) => {
            let point = if mantissa.contains('.') { "" } else { ".0" };
            let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
            format!("{mantissa}{point}e{sign}{exponent}")
        }
    }
}

/// Text on one line: as it is where nobody can take it for something else, in quotes otherwise.
fn string(text: &str) -> String {
    if !text.chars().all(is_printable) {
        return double_quoted(text);
    }
    let starts_plain = |first: char| first.is_alphanumeric() || matches!(first, '/' | '_' | '$' | '(' | '^' | '\\');
    let is_plain = text.chars().next().is_some_and(starts_plain)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !is_no_string(text);
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

/// What both versions let stand in a plain or single-quoted scalar, on one line.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}'
        | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if is_printable(c) => quoted.push(c),
            c if u32::from(c) < 0x100 => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if u32::from(c) < 0x10000 => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether text of several lines reads best as it is, below a `|`.
fn fits_literal(text: &str) -> bool {
    text.contains('\n')
        && text.starts_with(|c: char| !c.is_whitespace())
        && text.chars().all(|c| c == '\n' || is_printable(c))
}

fn literal(text: &str, indent: usize, out: &mut String) {
    let body = text.trim_end_matches('\n');
    out.push_str(match text.len() - body.len() {
        0 => "|-\n",
        1 => "|\n",
        _ => "|+\n",
    });
    for line in body.split('\n') {
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
            out.push_str(line);
        }
        out.push('\n');
    }
    // The line end of the last line stands already.
    out.extend(text[body.len()..].chars().skip(1));
}
