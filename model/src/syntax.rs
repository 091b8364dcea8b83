//! Documents as text: YAML and JSON in, YAML out.
//!
//! What is read has no key twice in one mapping: one of the two would vanish without a word, and with
//! it perhaps an `exclude`. What is written means the same to tools of YAML 1.1 (PyYAML, Ansible) and
//! of YAML 1.2: whatever either takes for something else than a string is quoted.

mod scalar;
mod tree;
mod write;

use serde::de::DeserializeSeed;
use serde_json::Value;

use crate::problem::Problem;
pub(crate) use scalar::number_in_yaml_1_2_only;
use tree::{Build, Reading};
pub use write::to_yaml;

const BOM: &str = "\u{feff}";

/// The text of a file or body: UTF-8, with or without a byte order mark.
///
/// # Errors
/// Another encoding, with what to do about it.
pub fn text_of(bytes: &[u8]) -> Result<&str, Problem> {
    let problem = |message: String| Problem { path: String::new(), message };
    let start = &bytes[..bytes.len().min(4)];
    if matches!(start, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) || (start.len() > 1 && start.contains(&0)) {
        return Err(problem(
            "is UTF-16 or UTF-32; save it as UTF-8 (in PowerShell: `Out-File -Encoding utf8`, elsewhere: `iconv -t utf-8`)"
                .into(),
        ));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix(BOM).unwrap_or(text)),
        Err(error) => {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
            Err(problem(format!("line {line} is not UTF-8; save the file as UTF-8")))
        }
    }
}

/// Reads what is JSON or YAML: one JSON value, or one or more YAML documents.
///
/// # Errors
/// As [`parse_yaml`].
pub fn parse_documents(text: &str) -> Result<Vec<Value>, Vec<Problem>> {
    // JSON is nearly a subset of YAML: its `\ud83d\ude00` is none.
    if text.trim_start_matches(BOM).trim_start().starts_with(['{', '['])
        && let Ok((value, reading)) = read_json(text.as_bytes(), Reading::default())
    {
        return known_once(reading, |reading| read_json(text.as_bytes(), reading).err()).map(|()| vec![value]);
    }
    parse_yaml(text)
}

/// Reads one or more YAML documents. `<<` merges mappings as YAML 1.1 has it; aliases stand for what
/// they name.
///
/// # Errors
/// The first syntax error, with its line and column in the message; or every key that is there twice,
/// with both lines.
pub fn parse_yaml(text: &str) -> Result<Vec<Value>, Vec<Problem>> {
    let text = without_marks(text);
    let (_, first) = read_yaml(&text, Reading::yaml()).map_err(|failure| vec![failure.problem()])?;
    let numbers = first.numbers.clone();
    known_once(first, |reading| read_yaml(&text, reading).err())?;
    // Once more, now that it is known which scalars are numbers: their text decides how they are taken.
    let reading = if numbers.is_empty() { Reading::yaml() } else { Reading::with_numbers(numbers) };
    let (documents, _) = read_yaml(&text, reading).map_err(|failure| vec![failure.problem()])?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// Reads a file of settings: one mapping; an empty file is an empty one.
///
/// # Errors
/// As [`text_of`] and [`parse_yaml`], or something else than one mapping.
pub fn parse_settings(bytes: &[u8]) -> Result<Value, Vec<Problem>> {
    let text = text_of(bytes).map_err(|problem| vec![problem])?;
    let mut documents = parse_documents(text)?;
    match (documents.len(), documents.pop()) {
        (_, None) => Ok(Value::Object(serde_json::Map::new())),
        (1, Some(tree)) if tree.is_object() => Ok(tree),
        _ => Err(vec![Problem { path: String::new(), message: "must be one mapping of settings".into() }]),
    }
}

/// Problems as lines, each below the one before, for errors that are plain text.
pub fn problem_lines(problems: &[Problem]) -> String {
    let line = |problem: &Problem| match problem.path.as_str() {
        "" => format!("\n  {}", problem.message),
        path => format!("\n  {path}: {}", problem.message),
    };
    problems.iter().map(line).collect()
}

/// Reads one JSON value.
///
/// # Errors
/// As [`parse_yaml`], a syntax error's path being `line 2 column 11`.
pub fn parse_json(bytes: &[u8]) -> Result<Value, Vec<Problem>> {
    text_of(bytes).map_err(|problem| vec![problem])?;
    let (value, reading) = read_json(bytes, Reading::default()).map_err(|failure| vec![failure.problem()])?;
    known_once(reading, |reading| read_json(bytes, reading).err())?;
    Ok(value)
}

/// Why text could not be read, and where.
struct Failure {
    line: usize,
    place: String,
    message: String,
}

impl Failure {
    fn problem(self) -> Problem {
        Problem { path: self.place, message: self.message }
    }
}

/// Files with a mark that were put together have one at the start of each.
fn without_marks(text: &str) -> String {
    let text = text.strip_prefix(BOM).unwrap_or(text);
    text.replace("\n\u{feff}", "\n")
}

fn read_yaml(text: &str, mut reading: Reading) -> Result<(Vec<Value>, Reading), Failure> {
    let mut documents = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        reading.begin(documents.iter().filter(|document| !Value::is_null(document)).count());
        let value = Build(&mut reading).deserialize(document).map_err(|error| Failure {
            line: error.location().map_or(0, |location| location.line()),
            place: format!("document {}", documents.len() + 1),
            message: error.to_string(),
        })?;
        documents.push(value);
    }
    reading.documents = documents.iter().filter(|document| !document.is_null()).count();
    Ok((documents, reading))
}

fn read_json(bytes: &[u8], mut reading: Reading) -> Result<(Value, Reading), Failure> {
    let bytes = bytes.strip_prefix(BOM.as_bytes()).unwrap_or(bytes);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    reading.begin(0);
    reading.documents = 1;
    let value = Build(&mut reading).deserialize(&mut deserializer);
    value.and_then(|value| deserializer.end().map(|()| value)).map(|value| (value, reading)).map_err(|error| {
        let text = error.to_string();
        let message = text.rfind(" at line ").map_or(text.as_str(), |at| &text[..at]).to_owned();
        let place = format!("line {} column {}", error.line(), error.column());
        Failure { line: error.line(), place, message }
    })
}

/// `again` reads the same text once more, and fails where it is told to: that is how the place of a
/// key is found.
fn known_once(reading: Reading, again: impl Fn(Reading) -> Option<Failure>) -> Result<(), Vec<Problem>> {
    let line_of = |key: usize| again(Reading::stop_at(key, &reading)).map_or(0, |failure| failure.line);
    let several = reading.documents > 1;
    let mut problems: Vec<Problem> = Vec::new();
    for twice in &reading.twice {
        let document = if several { format!("documents[{}].", twice.document) } else { String::new() };
        let problem = Problem {
            path: format!("{document}{}", twice.path),
            message: format!(
                "`{}` is there twice, in line {} and in line {}: take one of them out",
                twice.key,
                line_of(twice.first),
                line_of(twice.second)
            ),
        };
        // What an anchor names is read once for each alias.
        if !problems.iter().any(|known| known.message == problem.message) {
            problems.push(problem);
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

#[cfg(test)]
mod tests;
