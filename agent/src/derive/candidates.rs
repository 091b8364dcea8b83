//! Picks that might yield a selected word, in the order in which they would be preferred if all
//! yielded the same.

use nightjar_model::kinds::monitor::{BetweenPick, JsonPick, Pick, RegexGroup, RegexPick, SplitPick};

use super::Word;
use crate::pipeline::json_leaves;

/// Leaves of a JSON line that are looked at.
const MAX_LEAVES: usize = 1_000;

/// What may stand left of a word for `between`, in characters.
const MAX_LEFT: usize = 24;

/// Separators worth trying even where they do not touch the word's neighbours first.
const SEPARATORS: [&str; 12] = [",", "|", "\t", ";", " ", "||", "^", ", ", " | ", "\u{1}", "，", "#"];

pub(super) fn candidates(word: &Word<'_>) -> Vec<Pick> {
    let mut picks = Vec::new();
    picks.extend(json(word));
    picks.extend(key_value(word));
    picks.extend(splits(word));
    picks.extend(betweens(word));
    picks
}

/// The leaf of a JSON document that is exactly the word.
fn json(word: &Word<'_>) -> Option<Pick> {
    use crate::pipeline::JsonPlace as Place;
    let leaves = json_leaves(word.line.as_bytes(), MAX_LEAVES);
    let (pointer, _) = leaves.into_iter().find(|(_, place)| match *place {
        Place::Text { start, end, .. } | Place::Plain { start, end } => (start, end) == (word.start, word.end),
    })?;
    Some(Pick::Json(JsonPick { pointer }))
}

/// `name=word`, `name: word`, `"name":"word"`: by the name, wherever it stands in other lines.
fn key_value(word: &Word<'_>) -> Vec<Pick> {
    let opened = word.before().trim_end_matches(['"', '\'']);
    let quotes = &word.before()[opened.len()..];
    let trimmed = opened.trim_end_matches(' ');
    let Some(pair) = trimmed.chars().next_back().filter(|c| matches!(c, '=' | ':')) else { return Vec::new() };
    let named = &trimmed[..trimmed.len() - 1];
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let name = &named[named.trim_end_matches(is_name).len()..];
    // `12:00:14` is no pair of a name and a value.
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Vec::new();
    }
    let space = &opened[trimmed.len()..];
    let left = format!("{name}{pair}{space}{quotes}");
    let value = match (quotes.chars().next(), word.after().chars().next()) {
        (Some(quote), _) => format!("([^{quote}]*)"),
        (None, Some(stop)) if !is_name(stop) && !stop.is_whitespace() => {
            format!(r"([^\s{}]+)", regex::escape(&stop.to_string()))
        }
        (None, Some(unit)) if is_name(unit) && is_number(word.text()) => r"(-?[0-9]+(?:\.[0-9]+)?)".to_owned(),
        _ => r"([^\s,;&]+)".to_owned(),
    };
    let pattern = format!(r"\b{}{value}", regex::escape(&left));
    vec![Pick::Regex(RegexPick { pattern, group: RegexGroup::Index(1) })]
}

fn is_number(text: &str) -> bool {
    nightjar_model::Decimal::parse(text.as_bytes()).is_some()
}

/// Parts of the line between separators, where the word is exactly one.
fn splits(word: &Word<'_>) -> Vec<Pick> {
    let is_edge = |c: &char| !c.is_alphanumeric();
    let before = word.before().chars().next_back().filter(is_edge);
    let after = word.after().chars().next().filter(is_edge);
    // Both neighbours the same is the surest sign of a separator.
    let mut separators: Vec<String> = Vec::new();
    if let (Some(one), Some(other)) = (before, after) {
        let run = |text: &mut dyn Iterator<Item = char>| text.take_while(is_edge).take(3).collect::<String>();
        let left: String = run(&mut word.before().chars().rev()).chars().rev().collect();
        let right = run(&mut word.after().chars());
        if one == other {
            separators.push(one.to_string());
        }
        if left == right && left.chars().count() > 1 {
            separators.insert(0, left);
        }
    }
    let ends = [word.start == 0, word.end == word.line.len()];
    let singles = [before, after].into_iter().flatten().map(String::from);
    let rest: Vec<String> = singles.chain(SEPARATORS.map(str::to_owned)).filter(|s| !separators.contains(s)).collect();
    separators.extend(rest);
    let mut picks = Vec::new();
    for by in separators {
        let starts = ends[0] || word.before().ends_with(&by);
        let stops = ends[1] || word.after().starts_with(&by);
        let index = word.before().matches(&by).count();
        // The word has to be a part of its own: the cuts must fall where it begins and ends.
        let part = word.line.split(&by).nth(index);
        if starts && stops && !by.contains(['"', '\'']) && part == Some(word.text()) && index <= 1_000 {
            picks.push(Pick::Split(SplitPick { by, index: index as u32 }));
        }
    }
    picks
}

/// What stands left and right of the word, from the nearest name or mark on.
fn betweens(word: &Word<'_>) -> Vec<Pick> {
    let rights: Vec<String> = match word.after().chars().next() {
        None => vec![String::new()],
        Some(next) => {
            let run: String = word.after().chars().take_while(|c| c.is_alphabetic()).take(4).collect();
            let stop = word.after()[run.len()..].chars().next().filter(|_| !run.is_empty());
            // A unit behind a number (`2340ms,`) with what ends it.
            let unit = stop.map(|stop| format!("{run}{stop}"));
            unit.into_iter().chain([if run.is_empty() { next.to_string() } else { run }]).collect()
        }
    };
    let mut picks = Vec::new();
    for left in lefts(word.before()) {
        let nth = if left.is_empty() { 1 } else { occurrence(word.before(), &left) };
        for right in &rights {
            if let Some(nth) =
                Some(nth).filter(|nth| (1..=1_000).contains(nth) && !(left.is_empty() && right.is_empty()))
            {
                picks.push(Pick::Between(BetweenPick { left: left.clone(), right: right.clone(), nth }));
            }
        }
    }
    picks
}

/// The marks that end `before`, with the name before them where they bind it to the word (`cost=`): then
/// that comes first, for there are fewer of them in a line.
fn lefts(before: &str) -> Vec<String> {
    if before.is_empty() {
        return vec![String::new()];
    }
    let last = |text: &str, take: fn(char) -> bool| {
        let length: usize = text.chars().rev().take_while(|c| take(*c)).take(MAX_LEFT).map(char::len_utf8).sum();
        text[text.len() - length..].to_owned()
    };
    let marks = last(before, |c| !c.is_alphanumeric());
    let name = last(&before[..before.len() - marks.len()], |c| c.is_alphanumeric() || c == '_');
    let mut lefts = Vec::new();
    if !marks.is_empty() {
        lefts.push(marks.clone());
        lefts.extend(marks.chars().next_back().map(String::from));
    }
    if !name.is_empty() && !name.contains(|c: char| c.is_ascii_digit()) {
        let at = if marks.contains(['=', ':']) { 0 } else { lefts.len() };
        lefts.insert(at, format!("{name}{marks}"));
    }
    lefts
}

/// Which occurrence of `left`, counted without overlaps as the pick does, ends `before`; 0 if none.
fn occurrence(before: &str, left: &str) -> u32 {
    match before.match_indices(left).last() {
        Some((at, _)) if at + left.len() == before.len() => before.matches(left).count() as u32,
        _ => 0,
    }
}
