//! What may follow a time: the half of the day, the zone or offset, and in some forms the year.
//!
//! What can be a zone and is not understood is said to be so; what cannot be one is passed over.

use chrono_tz::Tz;

use super::cursor::{Cursor, Half};
use crate::zone::{Abbreviation, MAX_ABBREVIATION_LETTERS, abbreviation, written_out};

/// What a line says of the zone of its time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Said<'a> {
    #[default]
    Nothing,
    /// Seconds east of UTC.
    Offset(i32),
    Zone(Tz),
    /// An abbreviation that stands for several offsets.
    Shared(&'a [u8]),
    /// A zone, and not one that is known.
    Unknown,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tail<'a> {
    pub(super) half: Option<Half>,
    pub(super) zone: Said<'a>,
    pub(super) year: Option<u32>,
}

/// An offset that is in use, or was: no more than this, in hours, and of quarters of an hour.
const MAX_HOURS: u32 = 15;
/// What is written as only an offset can be may be as far as Java lets it.
const MAX_CLEAR_HOURS: u32 = 18;

/// The longest name between brackets.
const MAX_BRACKETED: usize = 48;

/// Where the names of zones begin that have a place in them.
const AREAS: [&str; 17] = [
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Brazil",
    "Canada",
    "Chile",
    "Etc",
    "Europe",
    "Indian",
    "Mexico",
    "Pacific",
    "SystemV",
    "US",
];

/// Whether there is nothing to be read behind a time: a quick look at what is most often there.
#[inline]
pub(super) fn is_plain(rest: &[u8], year_may_follow: bool) -> bool {
    match rest {
        [] => true,
        [b' ', b' ', rest @ ..] | [b' ', rest @ ..] => match rest {
            [b'I', b'N', b'F', b'O', ..]
            | [b'W', b'A', b'R', b'N', ..]
            | [b'E', b'R', b'R', b'O', ..]
            | [b'D', b'E', b'B', b'U', ..] => true,
            [b'0'..=b'9', ..] => !year_may_follow,
            [byte, ..] => is_quiet(*byte),
            [] => true,
        },
        [byte, ..] => is_quiet(*byte),
    }
}

/// Whether nothing that says more of a time begins so.
#[inline]
fn is_quiet(byte: u8) -> bool {
    matches!(byte, b',' | b'|' | b']' | b';' | b'"' | b'\'' | b'}' | b'=' | b':' | b'#' | b'*' | b'<' | b'>' | b'/')
}

/// Reads what follows a time.
#[inline(never)]
pub(super) fn read(rest: &[u8], year_may_follow: bool) -> Tail<'_> {
    let mut c = Cursor::new(rest, 0);
    c.eat("秒".as_bytes());
    let mut tail = Tail::default();
    let mut after = c;
    after.blanks();
    if let Some(half) = after.half() {
        (tail.half, c) = (Some(half), after);
    }
    for _ in 0..4 {
        if year_may_follow && tail.year.is_none() {
            tail.year = year(&mut c);
            if tail.year.is_some() {
                continue;
            }
        }
        match zone(&mut c) {
            Said::Nothing => break,
            said => {
                let better = matches!(tail.zone, Said::Shared(_)) && matches!(said, Said::Offset(_) | Said::Zone(_));
                if tail.zone == Said::Nothing || better {
                    tail.zone = said;
                }
            }
        }
    }
    tail
}

/// Reads what follows a time whose pattern did not ask for a zone: only what can be nothing else.
pub(super) fn clear_zone(rest: &[u8]) -> Said<'_> {
    let mut c = Cursor::new(rest, 0);
    c.blanks();
    let clear = match c.rest() {
        [b'+' | b'-', ..] => {
            let digits = Cursor::new(rest, c.at + 1);
            digits.run() == 4 || has_colon(digits)
        }
        [b'Z', ..] | [b'[', ..] => true,
        other => {
            let letters = other.iter().take_while(|b| b.is_ascii_alphabetic()).count();
            other.starts_with(b"UTC") || other.starts_with(b"GMT") || other.get(letters) == Some(&b'/')
        }
    };
    if clear { zone(&mut Cursor::new(rest, 0)) } else { Said::Nothing }
}

/// ` 2026`
fn year(c: &mut Cursor<'_>) -> Option<u32> {
    let mut after = *c;
    (after.blanks() > 0).then_some(())?;
    let year = after.number(4, 4).filter(|year| (1970..2200).contains(year))?;
    let ends = !matches!(after.peek(), b'-' | b'/' | b'.' | b'_') && !after.peek().is_ascii_alphabetic();
    ends.then(|| *c = after)?;
    Some(year)
}

/// A zone, with blanks before it or none.
pub(super) fn zone<'a>(c: &mut Cursor<'a>) -> Said<'a> {
    let mut after = *c;
    let spaced = after.blanks() > 0;
    let said = match after.peek() {
        b'+' | b'-' => signed(&mut after, spaced),
        b'[' => bracketed(&mut after, b']'),
        b'(' => bracketed(&mut after, b')'),
        b'Z' | b'z' if ends_word(&after, 1) && (!spaced || after.peek() == b'Z') => {
            after.at += 1;
            // `Z+01:00`: universal time, and not.
            let contradicted = matches!(after.peek(), b'+' | b'-') && signed(&mut after, false) != Said::Nothing;
            if contradicted { Said::Unknown } else { Said::Offset(0) }
        }
        byte if byte.is_ascii_alphabetic() || byte >= 0x80 => word(&mut after),
        _ => Said::Nothing,
    };
    if said != Said::Nothing {
        *c = after;
    }
    said
}

fn ends_word(c: &Cursor<'_>, by: usize) -> bool {
    let next = c.ahead(by);
    !next.is_ascii_alphanumeric() && next != b'_'
}

/// Whether hours and minutes stand here, with a colon between them.
fn has_colon(c: Cursor<'_>) -> bool {
    let run = c.run();
    matches!(run, 1 | 2) && c.ahead(run) == b':' && Cursor::new(c.text, c.at + run + 1).run() == 2
}

/// `+08:00`, `+5:30`, `-0700`, `-07`
fn signed(c: &mut Cursor<'_>, spaced: bool) -> Said<'static> {
    let sign = if c.peek() == b'-' { -1 } else { 1 };
    c.at += 1;
    let run = c.run();
    let offset = |hours: u32, minutes: u32, seconds: u32| {
        Said::Offset(sign * (hours * 3600 + minutes * 60 + seconds).cast_signed())
    };
    if has_colon(*c) {
        let (Some(hours), true, Some(minutes)) = (c.digits(run), c.eat(b":"), c.digits(2)) else {
            return Said::Unknown;
        };
        let more = c.peek() == b':' && Cursor::new(c.text, c.at + 1).run() == 2;
        // As Python writes the local mean times of long ago.
        let seconds = if more && c.eat(b":") { c.digits(2) } else { Some(0) };
        return match seconds {
            Some(seconds) if hours <= MAX_CLEAR_HOURS && minutes < 60 && seconds < 60 => {
                offset(hours, minutes, seconds)
            }
            _ => Said::Unknown,
        };
    }
    let next = c.ahead(run);
    let alone = !next.is_ascii_alphabetic() && !matches!(next, b'_' | b'%' | b'/');
    let alone = alone && !(matches!(next, b'.' | b',' | b'-') && c.ahead(run + 1).is_ascii_digit());
    match (run, c.digits(run)) {
        (4, Some(value)) if alone && value / 100 <= MAX_HOURS && matches!(value % 100, 0 | 15 | 30 | 45) => {
            offset(value / 100, value % 100, 0)
        }
        (2, Some(hours)) if alone && hours <= MAX_HOURS => offset(hours, 0, 0),
        (1, Some(hours)) if alone && !spaced => offset(hours, 0, 0),
        // .NET writes hours so, and others a number that is none.
        (1, Some(_)) if alone => Said::Unknown,
        // Minutes, as DB2 writes them, or anything else.
        (3, Some(_)) if alone && !spaced => Said::Unknown,
        _ => Said::Nothing,
    }
}

/// `[Asia/Shanghai]`, `(UTC)`, `(China Standard Time)`
fn bracketed<'a>(c: &mut Cursor<'a>, close: u8) -> Said<'a> {
    let inner = &c.rest()[1..];
    let Some(length) = inner.iter().take(MAX_BRACKETED).position(|byte| *byte == close) else { return Said::Nothing };
    let inner = &inner[..length];
    let name = inner.strip_prefix(b"!").unwrap_or(inner);
    let mut within = Cursor::new(name, 0);
    let digits = name.iter().filter(|b| b.is_ascii_digit()).count();
    let said = match name.first() {
        // `[-1]` and `[+10]` are numbers.
        Some(b'+' | b'-') if digits < 4 => Said::Nothing,
        Some(b' ' | b'\t') | None => Said::Nothing,
        Some(_) => zone(&mut within),
    };
    if within.at != name.len() {
        return Said::Nothing;
    }
    c.at += length + 2;
    said
}

fn word<'a>(c: &mut Cursor<'a>) -> Said<'a> {
    let rest = c.rest();
    let letters = rest.iter().take(32).take_while(|b| b.is_ascii_alphabetic()).count();
    if rest.get(letters) == Some(&b'/') {
        return place(c, letters);
    }
    let mut capitals = [0; MAX_ABBREVIATION_LETTERS];
    if (2..=MAX_ABBREVIATION_LETTERS).contains(&letters) {
        let upper = &mut capitals[..letters];
        upper.copy_from_slice(&rest[..letters]);
        upper.make_ascii_uppercase();
        let upper = &*upper;
        let universal = matches!(upper, b"UTC" | b"GMT" | b"UT" | b"UCT");
        let written_so = universal || upper == &rest[..letters] || &rest[..letters] == b"ChST" || upper == b"ZULU";
        if written_so && (ends_word(c, letters) || (universal && rest.len() > letters && !ends_word(c, letters))) {
            if universal {
                return from_universal(c, letters);
            }
            match abbreviation(upper) {
                Some(Abbreviation::Offset(minutes)) => {
                    c.at += letters;
                    return Said::Offset(minutes * 60);
                }
                Some(Abbreviation::Ambiguous) => {
                    c.at += letters;
                    return Said::Shared(&rest[..letters]);
                }
                None => {}
            }
        }
    }
    match written_out(rest) {
        Some((said, length)) => {
            c.at += length;
            match said {
                Abbreviation::Offset(minutes) => Said::Offset(minutes * 60),
                Abbreviation::Ambiguous => Said::Unknown,
            }
        }
        None => Said::Nothing,
    }
}

/// `UTC`, `GMT+8`, `UTC+08:00`: east of Greenwich, unlike in `TZ`.
fn from_universal(c: &mut Cursor<'_>, letters: usize) -> Said<'static> {
    if c.ahead(letters).is_ascii_alphanumeric() || c.ahead(letters) == b'_' {
        return Said::Nothing;
    }
    c.at += letters;
    let sign = match c.peek() {
        b'+' => 1,
        b'-' => -1,
        _ => return Said::Offset(0),
    };
    let mut after = *c;
    after.at += 1;
    let run = after.run();
    let (hours, minutes) = match (run, after.digits(run)) {
        (4, Some(value)) => (value / 100, value % 100),
        (1 | 2, Some(hours)) => {
            let minutes = after.peek() == b':' && Cursor::new(after.text, after.at + 1).run() == 2;
            (hours, if minutes && after.eat(b":") { after.digits(2).unwrap_or(99) } else { 0 })
        }
        // `UTC - hello`, `UTC-hello`
        (0, _) => return Said::Offset(0),
        _ => return Said::Unknown,
    };
    *c = after;
    if hours > MAX_CLEAR_HOURS || minutes > 59 {
        return Said::Unknown;
    }
    Said::Offset(sign * (hours * 3600 + minutes * 60).cast_signed())
}

/// `Asia/Shanghai`
fn place<'a>(c: &mut Cursor<'a>, area: usize) -> Said<'a> {
    let rest = c.rest();
    let part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+');
    let length = rest.iter().take(MAX_BRACKETED).take_while(part).count();
    let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).unwrap_or_default();
    if !AREAS.contains(&text(&rest[..area])) {
        return Said::Nothing;
    }
    c.at += length;
    text(&rest[..length]).parse().map_or(Said::Unknown, Said::Zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rest: &str, zone: Said<'_>) {
        assert_eq!(read(rest.as_bytes(), false).zone, zone, "{rest:?}");
        if is_plain(rest.as_bytes(), false) {
            assert_eq!(zone, Said::Nothing, "{rest:?} is taken for plain");
        }
    }

    const fn hours(hours: i32) -> Said<'static> {
        Said::Offset(hours * 3600)
    }

    #[test]
    fn offsets() {
        for (rest, minutes) in [
            (" +0000 [info]: worker ready", 0),
            (" -0700 INFO", -420),
            ("Z-INFO", 0),
            ("Z - x", 0),
            ("-07 x", -420),
            ("+0000 x", 0),
            ("+08:00", 480),
            (" +08", 480),
            (" -03 x", -180),
            ("+0545]", 345),
            ("+05:30", 330),
            ("-00:44", -44),
            ("+8", 480),
            ("+5:30 x", 330),
            (" -3:30", -210),
            ("Z", 0),
            ("z,", 0),
            (" Z", 0),
            ("-07: x", -420),
        ] {
            check(rest, Said::Offset(minutes * 60));
        }
        check("+08:05:43", Said::Offset(8 * 3600 + 5 * 60 + 43));
        check("+25:00", Said::Unknown);
        check("+99:99", Said::Unknown);
        check(" +8 x", Said::Unknown);
        check("+480", Said::Unknown);
        check("Z+01:00 x", Said::Unknown);
        check("Z-0700", Said::Unknown);
        for rest in
            ["-1234", " -55 dBm", " -10.5", " -12ms", " +20%", " - x", " -", "-", "+", " -1234567", "-0007", "-2026"]
        {
            check(rest, Said::Nothing);
        }
    }

    #[test]
    fn names() {
        check(" UTC [713] LOG:", hours(0));
        check(" utc", hours(0));
        check("UTC", hours(0));
        check(" GMT+8", hours(8));
        check(" GMT+0800 (中国标准时间)", hours(8));
        check(" UTC-07:00", hours(-7));
        check(" UTC+8:30", Said::Offset(8 * 3600 + 1800));
        check(" UTC - x", hours(0));
        check("[Asia/Shanghai]", Said::Zone(chrono_tz::Asia::Shanghai));
        check("+08:00[Asia/Shanghai]", hours(8));
        check(" Asia/Shanghai] PHP Notice", Said::Zone(chrono_tz::Asia::Shanghai));
        check(" Etc/GMT+8", Said::Zone(chrono_tz::Etc::GMTPlus8));
        check(" (UTC)", hours(0));
        check(" [UTC] x", hours(0));
        check(" JST", hours(9));
        check(" CST", Said::Shared(b"CST"));
        check(" (IST)", Said::Shared(b"IST"));
        check(" +0800 CST m=+0.1", hours(8));
        check(" CST +0800", hours(8));
        check(" China Standard Time", hours(8));
        check(" 北京时间", hours(8));
        check(" Asia/Nowhere", Said::Unknown);
        check(" Imaginary Standard Time", Said::Unknown);
        for rest in [
            " INFO x",
            " [main] INFO",
            " GET /x",
            " (x)",
            " UTCx",
            " Foo/Bar",
            " [-1]",
            " [+10]",
            "[]",
            " []",
            " 衣服",
            "JSTx",
        ] {
            check(rest, Said::Nothing);
        }
    }

    #[test]
    fn halves_and_years() {
        let check = |rest: &str, half, zone, year| {
            assert_eq!(read(rest.as_bytes(), true), Tail { half, zone, year }, "{rest:?}");
        };
        let afternoon = Some(Half::Afternoon);
        check(" PM", afternoon, Said::Nothing, None);
        check("pm,", afternoon, Said::Nothing, None);
        check("\u{202f}p.m. x", afternoon, Said::Nothing, None);
        check(" 下午", afternoon, Said::Nothing, None);
        check(" PM2 is up", None, Said::Nothing, None);
        check(" PM UTC 2026", afternoon, hours(0), Some(2026));
        check(" 2026 +0800", None, hours(8), Some(2026));
        check(" +0800 2026", None, hours(8), Some(2026));
        check(" CST 2026", None, Said::Shared(b"CST"), Some(2026));
        check(" 2026]", None, Said::Nothing, Some(2026));
        check(" 2026-11", None, Said::Nothing, None);
        check(" host prog", None, Said::Nothing, None);
    }
}
