//! From a word selected in a sample line to the picks that yield it.
//!
//! Candidates come from what stands around the word; those that do not yield exactly the word on its
//! line are dropped, and the rest is ranked by what they yield on the other lines: a value on every
//! line, of the word's own kind, is what the user most likely means.

mod candidates;

use std::collections::BTreeSet;

use nightjar_model::agents::{PickSuggestion, Selection};
use nightjar_model::kinds::monitor::Pick;
use nightjar_model::{Error, Result};

use crate::pipeline::{has_time, pick_each};

/// More than this are not worth reading.
const MAX_SUGGESTIONS: usize = 8;

/// More sample lines than this are not looked at.
const MAX_LINES: usize = 2_000;

/// Picks that yield the selection on its line, the likeliest first, each with what it yields on every
/// line.
///
/// # Errors
/// `InvalidInput` where the selection is empty or not in the lines, or there are too many lines.
pub fn derive(lines: &[String], selection: &Selection) -> Result<Vec<PickSuggestion>> {
    if lines.len() > MAX_LINES {
        return Err(invalid(format!("deriving a pick takes at most {MAX_LINES} lines")));
    }
    let line = lines
        .get(selection.line)
        .ok_or_else(|| invalid(format!("there is no line {}; the first is 0", selection.line)))?;
    let word = Word::select(line, selection)?;
    let mut suggestions: Vec<(Score, PickSuggestion)> = Vec::new();
    let mut seen: Vec<Pick> = Vec::new();
    for (order, pick) in candidates::candidates(&word).into_iter().enumerate() {
        if seen.contains(&pick) {
            continue;
        }
        seen.push(pick.clone());
        let yields = pick_each(&pick, lines);
        if yields[selection.line].as_deref() == Some(word.text()) {
            // What a name in a document leads to is right whatever it looks like.
            let any_kind = matches!(pick, Pick::Json(_));
            let score = Score::of((!any_kind).then(|| Kind::of(word.text())), lines, &yields, order);
            let distinct = yields.iter().flatten().collect::<BTreeSet<_>>().len();
            suggestions.push((score, PickSuggestion { pick, yields, distinct }));
        }
    }
    suggestions.sort_by_key(|(score, _)| *score);
    suggestions.truncate(MAX_SUGGESTIONS);
    Ok(suggestions.into_iter().map(|(_, suggestion)| suggestion).collect())
}

/// The selected word in its line, in bytes.
#[derive(Debug, Clone, Copy)]
struct Word<'a> {
    line: &'a str,
    start: usize,
    end: usize,
}

impl<'a> Word<'a> {
    fn select(line: &'a str, selection: &Selection) -> Result<Self> {
        let at = |chars: usize| {
            let ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
            ends.into_iter().nth(chars)
        };
        match (at(selection.from), at(selection.to)) {
            (Some(start), Some(end)) if start < end => Ok(Self { line, start, end }),
            _ => Err(invalid(format!(
                "characters {} to {} are no part of line {}, which has {}",
                selection.from,
                selection.to,
                selection.line,
                line.chars().count()
            ))),
        }
    }

    fn text(&self) -> &'a str {
        &self.line[self.start..self.end]
    }

    fn before(&self) -> &'a str {
        &self.line[..self.start]
    }

    fn after(&self) -> &'a str {
        &self.line[self.end..]
    }
}

/// The less the better: lines without a value or with one of another kind, in parts per thousand of the
/// lines that have a time (of all, where few have); then the candidates' order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    missing_or_odd: usize,
    order: usize,
}

impl Score {
    fn of(kind: Option<Kind>, lines: &[String], yields: &[Option<String>], order: usize) -> Self {
        let timed: Vec<bool> = lines.iter().map(|line| has_time(line)).collect();
        // Continuation lines (stack traces) are not what a column is picked from.
        let all = timed.iter().filter(|timed| **timed).count() * 2 < lines.len();
        let counted: Vec<Option<&str>> =
            yields.iter().zip(&timed).filter(|(_, timed)| all || **timed).map(|(value, _)| value.as_deref()).collect();
        let is_odd = |value: &str| kind.is_some_and(|kind| Kind::of(value) != kind);
        let odd = counted.iter().filter(|value| value.is_none_or(is_odd)).count();
        Self { missing_or_odd: odd * 1000 / counted.len().max(1), order }
    }
}

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Word,
    /// Holds separators such as `/`, `.` and `:`, but no white space.
    Name,
    Text,
}

impl Kind {
    fn of(text: &str) -> Self {
        if nightjar_model::Decimal::parse(text.as_bytes()).is_some() {
            Self::Number
        } else if !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
            Self::Word
        } else if !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || matches!(c, '"' | ',' | '=')) {
            Self::Name
        } else {
            Self::Text
        }
    }
}

fn invalid(message: String) -> Error {
    Error::invalid(message, Vec::new())
}

#[cfg(test)]
mod tests;
