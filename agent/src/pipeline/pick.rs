//! Picks columns out of a line: each is a range of the line's bytes, or of a scratch buffer where it
//! had to be decoded. Only what is asked for is looked for, and all columns that are split at the
//! same byte are found in one pass.

use memchr::memmem::Finder;
use nightjar_model::Problems;
use nightjar_model::kinds::monitor::{Column, Pick, RegexGroup};
use regex::bytes::{CaptureLocations, Regex};

use super::json::{self, Place, Pointer};

/// The columns of one monitor, and what they picked from the line at hand.
#[derive(Debug)]
pub(crate) struct Columns {
    pickers: Vec<Picker>,
    cuts: Vec<Cut>,
    found: Vec<Found>,
    scratch: Vec<u8>,
}

/// Columns to be looked for together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fetch {
    cuts: Vec<usize>,
    columns: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Missing,
    Line(u32, u32),
    Scratch(u32, u32),
}

#[derive(Debug)]
enum Picker {
    /// Found by one of the cuts.
    Cut,
    Split {
        by: Box<Finder<'static>>,
        index: usize,
    },
    Between {
        left: Box<Finder<'static>>,
        right: Box<Finder<'static>>,
        nth: u32,
    },
    Regex {
        regex: Regex,
        group: usize,
        locations: CaptureLocations,
    },
    Json(Pointer),
}

/// The columns that are split at one byte: (index, column), by index.
#[derive(Debug)]
struct Cut {
    by: u8,
    wanted: Vec<(usize, usize)>,
}

impl Columns {
    /// `order`: columns by when they are needed, each in the first group that needs it. Columns in no
    /// group are never looked for.
    pub(crate) fn compile(columns: &[Column], order: &[Vec<usize>], problems: &mut Problems) -> (Self, Vec<Fetch>) {
        let mut pickers = Vec::with_capacity(columns.len());
        for (at, column) in columns.iter().enumerate() {
            problems.within(format!("columns[{at}].pick"), |p| pickers.push(Picker::compile(&column.pick, p)));
        }
        let mut cuts: Vec<Cut> = Vec::new();
        let mut fetched = vec![false; columns.len()];
        let mut fetches = Vec::with_capacity(order.len());
        for group in order {
            let mut fetch = Fetch::default();
            for &column in group {
                if std::mem::replace(&mut fetched[column], true) {
                    continue;
                }
                let Some((by, index)) = single_byte_split(&columns[column].pick) else {
                    fetch.columns.push(column);
                    continue;
                };
                // A cut of an earlier group takes later columns with it: one pass is cheaper than two.
                let cut = cuts.iter().position(|cut| cut.by == by).unwrap_or_else(|| {
                    cuts.push(Cut { by, wanted: Vec::new() });
                    fetch.cuts.push(cuts.len() - 1);
                    cuts.len() - 1
                });
                cuts[cut].wanted.push((index, column));
            }
            fetches.push(fetch);
        }
        cuts.iter_mut().for_each(|cut| cut.wanted.sort_unstable());
        let found = vec![Found::Missing; columns.len()];
        (Self { pickers, cuts, found, scratch: Vec::new() }, fetches)
    }

    /// Looks for the columns of `fetch`. What was found before in another line is forgotten with
    /// [`forget`](Self::forget).
    #[inline]
    pub(crate) fn fetch(&mut self, fetch: &Fetch, line: &[u8]) {
        for &cut in &fetch.cuts {
            self.cuts[cut].run(line, &mut self.found);
        }
        for &column in &fetch.columns {
            self.found[column] = self.pickers[column].pick(line, &mut self.scratch);
        }
    }

    #[inline]
    pub(crate) fn forget(&mut self) {
        self.scratch.clear();
    }

    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    /// What a fetched column picked; `None` where it is not in the line.
    #[inline]
    pub(crate) fn value<'a>(&'a self, column: usize, line: &'a [u8]) -> Option<&'a [u8]> {
        match self.found[column] {
            Found::Missing => None,
            Found::Line(start, end) => line.get(start as usize..end as usize),
            Found::Scratch(start, end) => self.scratch.get(start as usize..end as usize),
        }
    }
}

fn single_byte_split(pick: &Pick) -> Option<(u8, usize)> {
    match pick {
        Pick::Split(split) => match split.by.as_bytes() {
            [by] => Some((*by, split.index as usize)),
            _ => None,
        },
        _ => None,
    }
}

impl Picker {
    fn compile(pick: &Pick, problems: &mut Problems) -> Self {
        match pick {
            Pick::Split(_) if single_byte_split(pick).is_some() => Self::Cut,
            Pick::Split(split) => Self::Split { by: finder(&split.by), index: split.index as usize },
            Pick::Between(between) => {
                Self::Between { left: finder(&between.left), right: finder(&between.right), nth: between.nth }
            }
            Pick::Json(json) => Self::Json(Pointer::parse(&json.pointer)),
            Pick::Regex(pick) => {
                let compiled = Regex::new(&pick.pattern);
                let compiled = compiled.map_err(|error| error.to_string()).and_then(|regex| {
                    let group = match &pick.group {
                        RegexGroup::Index(index) => Some(*index as usize).filter(|at| *at < regex.captures_len()),
                        RegexGroup::Name(name) => regex.capture_names().position(|known| known == Some(name)),
                    };
                    group.map(|group| (regex, group)).ok_or_else(|| "there is no such group".to_owned())
                });
                match compiled {
                    Ok((regex, group)) => Self::Regex { locations: regex.capture_locations(), regex, group },
                    Err(error) => {
                        problems.add("regex", error);
                        Self::Cut
                    }
                }
            }
        }
    }

    fn pick(&mut self, line: &[u8], scratch: &mut Vec<u8>) -> Found {
        match self {
            Self::Cut => None,
            Self::Split { by, index } => nth_part(line, by, *index),
            Self::Between { left, right, nth } => between(line, left, right, *nth),
            Self::Regex { regex, group: 0, .. } => regex.find(line).map(|found| (found.start(), found.end())),
            Self::Regex { regex, group, locations } => {
                regex.captures_read(locations, line).and_then(|_| locations.get(*group))
            }
            Self::Json(pointer) => match pointer.find(line) {
                Some(Place::Text { start, end, escaped: true }) => {
                    let from = scratch.len();
                    json::unescape(&line[start..end], scratch);
                    return Found::Scratch(from as u32, scratch.len() as u32);
                }
                Some(Place::Text { start, end, .. } | Place::Plain { start, end }) => Some((start, end)),
                None => None,
            },
        }
        .map_or(Found::Missing, |(start, end)| Found::Line(start as u32, end as u32))
    }
}

fn finder(text: &str) -> Box<Finder<'static>> {
    Box::new(Finder::new(text.as_bytes()).into_owned())
}

fn nth_part(line: &[u8], by: &Finder<'_>, index: usize) -> Option<(usize, usize)> {
    let mut start = 0;
    for _ in 0..index {
        start += by.find(&line[start..])? + by.needle().len();
    }
    let end = by.find(&line[start..]).map_or(line.len(), |at| start + at);
    Some((start, end))
}

fn between(line: &[u8], left: &Finder<'_>, right: &Finder<'_>, nth: u32) -> Option<(usize, usize)> {
    let mut start = 0;
    if !left.needle().is_empty() {
        for _ in 0..nth {
            start += left.find(&line[start..])? + left.needle().len();
        }
    }
    let end = match right.needle() {
        [] => line.len(),
        _ => start + right.find(&line[start..])?,
    };
    Some((start, end))
}

impl Cut {
    #[inline]
    fn run(&self, line: &[u8], found: &mut [Found]) {
        let mut wanted = self.wanted.iter();
        let Some(&(mut next, mut column)) = wanted.next() else { return };
        let (mut index, mut start) = (0usize, 0usize);
        let mut done = false;
        each_position(self.by, line, |at| {
            while index == next && !done {
                found[column] = Found::Line(start as u32, at as u32);
                match wanted.next() {
                    Some(&following) => (next, column) = following,
                    None => done = true,
                }
            }
            index += 1;
            start = at + 1;
            !done
        });
        while !done {
            found[column] = if index == next { Found::Line(start as u32, line.len() as u32) } else { Found::Missing };
            match wanted.next() {
                Some(&following) => (next, column) = following,
                None => done = true,
            }
        }
    }
}

/// Calls `each` with the position of every `byte` in `line`, until it answers false. Eight bytes at a
/// time: fields of a log line are too short for a search from each to the next to pay.
#[inline]
fn each_position(byte: u8, line: &[u8], mut each: impl FnMut(usize) -> bool) {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let pattern = u64::from_ne_bytes([byte; 8]);
    let (words, tail) = line.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let differs = u64::from_le_bytes(*word) ^ pattern;
        // The high bit of each byte that is zero, exactly (no carry runs from byte to byte).
        let mut hits = !(((differs & LOW) + LOW) | differs | LOW);
        while hits != 0 {
            if !each(at * 8 + hits.trailing_zeros() as usize / 8) {
                return;
            }
            hits &= hits - 1;
        }
    }
    for (at, other) in tail.iter().enumerate() {
        if *other == byte && !each(words.len() * 8 + at) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use nightjar_model::kinds::monitor::{BetweenPick, JsonPick, RegexPick, SplitPick};
    use proptest::prelude::*;

    use super::*;

    fn pick_all(picks: &[Pick], line: &[u8]) -> Vec<Option<String>> {
        let columns: Vec<Column> = picks
            .iter()
            .enumerate()
            .map(|(at, pick)| Column { name: format!("c{at}"), pick: pick.clone(), number: false })
            .collect();
        let mut problems = Problems::new();
        let (mut columns, fetches) = Columns::compile(&columns, &[(0..picks.len()).collect()], &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        columns.fetch(&fetches[0], line);
        (0..picks.len()).map(|at| columns.value(at, line).map(|v| String::from_utf8_lossy(v).into_owned())).collect()
    }

    fn check(pick: Pick, line: &str, found: Option<&str>) {
        assert_eq!(pick_all(std::slice::from_ref(&pick), line.as_bytes())[0].as_deref(), found, "{pick:?} in {line:?}");
    }

    fn split(by: &str, index: u32) -> Pick {
        Pick::Split(SplitPick { by: by.into(), index })
    }

    fn between(left: &str, right: &str, nth: u32) -> Pick {
        Pick::Between(BetweenPick { left: left.into(), right: right.into(), nth })
    }

    fn regex(pattern: &str, group: RegexGroup) -> Pick {
        Pick::Regex(RegexPick { pattern: pattern.into(), group })
    }

    #[test]
    fn splits() {
        let line = "2026-11-20 12:00:00.123,2950211004,衣服,交易,创建,7,Y,";
        check(split(",", 0), line, Some("2026-11-20 12:00:00.123"));
        check(split(",", 2), line, Some("衣服"));
        check(split(",", 6), line, Some("Y"));
        check(split(",", 7), line, Some(""));
        check(split(",", 8), line, None);
        check(split(",", 0), "", Some(""));
        check(split("||", 1), "a||b||c", Some("b"));
        check(split("||", 2), "a||b||c", Some("c"));
        check(split("||", 3), "a||b||c", None);
        check(split("，", 1), "甲，乙", Some("乙"));
    }

    #[test]
    fn takes_what_is_between() {
        let line = r#"10.0.0.1 - - [08/May] "GET /a HTTP/1.1" 200 cost=12ms, cost=13ms"#;
        check(between("\"", " ", 1), line, Some("GET"));
        check(between("cost=", "ms", 2), line, Some("13"));
        check(between("cost=", "ms", 3), line, None);
        check(between("", " ", 1), line, Some("10.0.0.1"));
        check(between("cost=13", "", 1), line, Some("ms"));
        check(between("200", "]", 1), line, None);
    }

    #[test]
    fn matches_regular_expressions() {
        check(regex(r"cost=(\d+)", RegexGroup::Index(1)), "x cost=12 cost=13", Some("12"));
        check(regex(r"\d+", RegexGroup::Index(0)), "x cost=12", Some("12"));
        check(regex(r"(?P<g>[^ ]+)服", RegexGroup::Name("g".into())), "买 衣服", Some("衣"));
        check(regex(r"(a)|(b)", RegexGroup::Index(1)), "b", None);
        check(regex(r"z", RegexGroup::Index(0)), "b", None);
    }

    #[test]
    fn reads_json() {
        let line = r#"{"r":{"code":"4\u0030"},"ms":1.50}"#;
        let picks = ["/r/code", "/ms", "/r/x"].map(|pointer| Pick::Json(JsonPick { pointer: pointer.into() }));
        assert_eq!(pick_all(&picks, line.as_bytes()), [Some("40".to_owned()), Some("1.50".into()), None]);
    }

    proptest! {
        #[test]
        fn cuts_as_the_standard_library_splits(line in "[,;ab衣]{0,40}", indexes in prop::collection::vec((0u32..20, prop::bool::ANY), 1..6)) {
            let picks: Vec<Pick> =
                indexes.iter().map(|(index, comma)| split(if *comma { "," } else { ";" }, *index)).collect();
            let expected: Vec<Option<String>> = indexes
                .iter()
                .map(|(index, comma)| line.split(if *comma { ',' } else { ';' }).nth(*index as usize).map(str::to_owned))
                .collect();
            prop_assert_eq!(pick_all(&picks, line.as_bytes()), expected);
        }
    }
}
