//! Reads when a line happened.
//!
//! What a line says is made of the line alone (and, where it says no year, of the present): `auto` judges each
//! line by itself, so a source may change its format, and pieces of a file read apart mean what the whole does.
//! What is remembered of the last line only saves work. Lines of one minute share what stands before their
//! seconds, so what that means is worked out once a minute and compared after that.
//!
//! Local times are made UTC by the rules of the source's zone; a time that a clock change skips is read as if
//! the clock had not been changed yet, and one that occurs twice as told at [`TimeReader::read`]. A zone or
//! offset that the line names goes before. Where it cannot be said which minute is meant, there is no time.

mod cursor;
mod head;
mod pattern;
mod tail;

use chrono::{Datelike, NaiveDate};
use nightjar_model::Timestamp;
use nightjar_model::kinds::monitor::{Strftime, TimeFormat};

use self::cursor::Cursor;
pub(crate) use self::head::Forms;
use self::head::{Form, Found, Head, Place, Wanted};
use self::tail::Said;
use crate::zone::{Local, Zone};

/// A time begins within this many bytes.
const SEARCHED_BYTES: usize = 128;

/// `2016-12-13 10:00`
const MINUTE_BYTES: usize = 16;

/// The longest text before seconds that is remembered.
const HEAD_BYTES: usize = 48;

/// How far the present may lag behind a time that is taken as the second of two.
const SKEW_MS: i64 = 60_000;

const DAY_MS: i64 = 24 * 3_600_000;

/// A time without a year, or without a date, is the latest that is not further ahead of the present than this:
/// a year's allowance covers any zone's offset and a clock that is slow.
const YEAR_AHEAD_MS: i64 = 36 * 3_600_000;
const DAY_AHEAD_MS: i64 = 10 * 60_000;

/// So many years are looked through for a 29 February.
const YEARS_BACK: i32 = 8;

/// The present, by the agent's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) at: Timestamp,
    /// Lines are read as they are written.
    pub(crate) live: bool,
}

#[derive(Debug)]
pub(crate) struct TimeReader {
    wanted: Wanted,
    other: Option<Other>,
    /// Of times that name none; none where it is not known.
    zone: Option<Zone>,
    /// The zone was named for this source: abbreviations that several zones share are its own.
    zone_is_named: bool,
    minute: Minute,
    /// Of the time read last.
    form: Option<Form>,
    seen: Forms,
    unread: Unread,
}

/// Why a line has no time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Unread {
    /// There is none in it, or none of the format.
    #[default]
    Absent,
    /// Of its numbers either may be the month.
    TwoMeanings,
    /// It names no zone, and none is known for it: neither the source's nor the host's.
    NoZone,
    /// Several zones share the abbreviation it names, and the source's zone does not go by it.
    SharedZone,
    /// It names a zone that is none.
    UnknownZone,
}

impl Unread {
    /// How programs are told; none where there is no more to say than that there is no time.
    pub(crate) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Absent => None,
            Self::TwoMeanings => Some("two_meanings"),
            Self::NoZone => Some("no_zone"),
            Self::SharedZone => Some("shared_zone"),
            Self::UnknownZone => Some("unknown_zone"),
        }
    }

    /// What is wrong with the time, and what to do.
    pub(crate) const fn advice(self) -> Option<&'static str> {
        match self {
            Self::Absent => None,
            Self::TwoMeanings => Some("its date has two meanings: set time.format to revert or day_first"),
            Self::NoZone => Some("it names no zone, and the host's is not known: set time.timezone"),
            Self::SharedZone => Some(
                "several zones share its zone's abbreviation, as they do CST: set time.timezone to one that goes by it, \
                 such as Asia/Shanghai",
            ),
            Self::UnknownZone => Some("it names a zone that is not known: log an offset such as +08:00 instead"),
        }
    }
}

/// What is not looked for by its form.
#[derive(Debug)]
enum Other {
    Pattern(Strftime),
    Arrival,
}

/// The minute read last.
#[derive(Debug)]
struct Minute {
    /// What stands before its seconds.
    text: [u8; HEAD_BYTES],
    /// Of `text`; 0 where no minute is remembered.
    length: usize,
    /// The text is `start` and a colon, and says the year.
    is_usual: bool,
    start: [u8; MINUTE_BYTES],
    form: Form,
    /// The year, which the text does not say, holds while the present is within these.
    from_ms: i64,
    until_ms: i64,
    /// As if it were UTC, in milliseconds.
    naive_ms: i64,
    /// In UTC by the zone; `None` where it depends on more than the text.
    utc_ms: Option<i64>,
}

/// What came of looking at one place.
enum Tried {
    /// No time begins there.
    NotHere,
    /// One does, and which minute it is cannot be said.
    Unreadable,
    Read(Timestamp),
}

impl TimeReader {
    /// `zone` is that of times that name none, and `named` whether it was named for this source.
    pub(crate) fn new(format: &TimeFormat, zone: Option<Zone>, named: bool) -> Self {
        let other = match format {
            TimeFormat::Strftime(pattern) => Some(Other::Pattern(pattern.clone())),
            TimeFormat::Arrival => Some(Other::Arrival),
            _ => None,
        };
        let wanted = Wanted::of(format);
        Self {
            wanted,
            other,
            zone,
            zone_is_named: named,
            minute: Minute::none(),
            form: None,
            seen: Forms::default(),
            unread: Unread::Absent,
        }
    }

    /// Times that name no zone are in this one from now on, unless one was named for the source.
    pub(crate) fn host_zone_is(&mut self, zone: Option<Zone>) {
        if !self.zone_is_named {
            (self.zone, self.minute) = (zone, Minute::none());
        }
    }

    /// The forms of all times read so far.
    pub(crate) fn seen(&self) -> Forms {
        self.seen
    }

    /// Others were read elsewhere for the same source.
    pub(crate) fn saw(&mut self, forms: Forms) {
        self.seen = self.seen.join(forms);
    }

    /// The name of the format that the time read last was in.
    pub(crate) fn format_name(&self) -> &'static str {
        self.form.map_or("auto", Form::name)
    }

    /// Why the last text that was read has no time. Says nothing after one that has.
    pub(crate) fn unread(&self) -> Unread {
        self.unread
    }

    /// The first time in `text`. A local time that occurs twice, when clocks go back, is taken as the
    /// second if that is not ahead of a live present, else as the first.
    #[inline]
    pub(crate) fn read(&mut self, text: &[u8], now: Now) -> Option<Timestamp> {
        // What most lines have: the minute of the line before, in sixteen bytes.
        if self.minute.is_usual
            && let Some((start, rest)) = text.split_first_chunk::<MINUTE_BYTES>()
            && *start == self.minute.start
            && let Some((b':', rest)) = rest.split_first()
            && let Tried::Read(time) = self.within(rest, now)
        {
            return Some(time);
        }
        self.search(text, now)
    }

    #[inline]
    fn found(&mut self, form: Form, time: Timestamp) -> Tried {
        if self.form != Some(form) {
            self.form = Some(form);
            self.seen.put(form);
        }
        Tried::Read(time)
    }

    #[inline(never)]
    fn search(&mut self, text: &[u8], now: Now) -> Option<Timestamp> {
        self.unread = Unread::Absent;
        match &self.other {
            Some(Other::Arrival) => {
                self.found(Form::Arrival, now.at);
                return Some(now.at);
            }
            Some(Other::Pattern(_)) => return self.search_pattern(text, now),
            None => {}
        }
        let begin = text.iter().position(|b| !matches!(b, b' ' | b'\t' | b'[' | b'(' | b'{' | b'<' | b'"' | b'\''));
        let mut at = 0;
        while at <= SEARCHED_BYTES && at < text.len() {
            let rest = &text[at..];
            let run = match rest[0] {
                b'0'..=b'9' => rest.iter().take_while(|b| b.is_ascii_digit()).count(),
                b'A'..=b'Z' | b'a'..=b'z' => rest.iter().take_while(|b| b.is_ascii_alphabetic()).count(),
                // Where the Chinese numbers of months begin.
                0xe4 | 0xe5 => 1,
                _ => {
                    at += 1;
                    continue;
                }
            };
            let glued = at > 0 && (text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'_');
            let place = Place { text, at, first: begin == Some(at), glued };
            match self.read_at(place, now) {
                Tried::Read(time) => return Some(time),
                Tried::Unreadable => return None,
                Tried::NotHere => at += run,
            }
        }
        None
    }

    fn read_at(&mut self, place: Place<'_>, now: Now) -> Tried {
        let rest = &place.text[place.at..];
        if self.minute.begins(rest, place) && self.minute.holds(now.at) {
            match self.within(&rest[self.minute.length..], now) {
                Tried::NotHere => {}
                tried => return tried,
            }
        }
        match head::find(place, self.wanted) {
            Found::Nothing => Tried::NotHere,
            Found::Unclear => {
                self.unread = Unread::TwoMeanings;
                Tried::Unreadable
            }
            Found::Instant(form, ms) => self.found(form, Timestamp(ms)),
            Found::Head(head) if head.form == Form::TimeOfDay => self.time_of_day(place, head, now),
            Found::Head(head) => {
                let Some(minute) = self.minute_of(place, &head, now) else { return Tried::Unreadable };
                self.minute = minute;
                self.within(&place.text[head.end..], now)
            }
        }
    }

    /// What `head` means; none where there is no such minute.
    fn minute_of(&self, place: Place<'_>, head: &Head, now: Now) -> Option<Minute> {
        let (naive_ms, from_ms, until_ms) = match head.year {
            Some(year) => (naive_ms(year.cast_signed(), head)?, i64::MIN, i64::MAX),
            None => latest_year(head, now.at)?,
        };
        let offset = |at_ms: i64| match self.zone.as_ref()?.local(at_ms)? {
            Local::Once(offset) => Some(offset),
            _ => None,
        };
        let utc_ms = offset(naive_ms)
            .filter(|first| offset(naive_ms + 59_000) == Some(*first))
            .map(|offset| naive_ms - i64::from(offset) * 1000);
        let mut minute = Minute { form: head.form, from_ms, until_ms, naive_ms, utc_ms, ..Minute::none() };
        // Numbers without colons mean a time by how many digits follow, not by how they begin.
        if head.form != Form::Compact {
            minute.remember(&place.text[place.at..head.end]);
        }
        Some(minute)
    }

    /// The time within the remembered minute of which `text` holds the seconds and what follows them.
    #[inline]
    fn within(&mut self, text: &[u8], now: Now) -> Tried {
        let [tens, ones, rest @ ..] = text else { return self.within_with_odd_second(text, now) };
        let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
        if tens > 9 || ones > 9 {
            return self.within_with_odd_second(text, now);
        }
        self.with_seconds(u32::from(tens * 10 + ones), rest, now)
    }

    #[inline]
    fn with_seconds(&mut self, seconds: u32, rest: &[u8], now: Now) -> Tried {
        let Some((millis, rest)) = fraction(rest, self.minute.form) else { return Tried::NotHere };
        if seconds > 60 {
            return Tried::Unreadable;
        }
        // A leap second stays in its minute.
        let within_ms = i64::from(seconds.min(59)) * 1000 + millis;
        let form = self.minute.form;
        if tail::is_plain(rest, form == Form::MonthFirst)
            && let Some(utc_ms) = self.minute.utc_ms
        {
            return self.found(form, Timestamp(utc_ms + within_ms));
        }
        self.finish(self.minute.naive_ms + within_ms, rest, now)
    }

    /// Seconds of one digit, which only Chinese writes: `9时5分3秒`.
    #[cold]
    fn within_with_odd_second(&mut self, text: &[u8], now: Now) -> Tried {
        let mut c = Cursor::new(text, 0);
        // Behind 分 only: a colon is followed by two digits also there.
        let minute = self.minute.text.get(..self.minute.length).unwrap_or_default();
        match c.number(1, 2).filter(|_| minute.ends_with("分".as_bytes())) {
            Some(seconds) => self.with_seconds(seconds, c.rest(), now),
            None => Tried::NotHere,
        }
    }

    /// A time behind which more may stand that says which it is.
    #[inline(never)]
    fn finish(&mut self, mut naive_ms: i64, rest: &[u8], now: Now) -> Tried {
        let mut form = self.minute.form;
        let tail = tail::read(rest, form == Form::MonthFirst);
        if let Some(year) = tail.year {
            form = Form::Asctime;
            let Some(in_year) = with_year(naive_ms, year.cast_signed()) else { return Tried::Unreadable };
            naive_ms = in_year;
        }
        if let Some(half) = tail.half {
            let hour = naive_ms.rem_euclid(DAY_MS) / 3_600_000;
            let Some(meant) = half.hour(hour as u32) else { return Tried::Unreadable };
            naive_ms += (i64::from(meant) - hour) * 3_600_000;
        }
        match self.settle(naive_ms, tail.zone, now) {
            Ok(time) => self.found(form, time),
            Err(unread) => {
                self.unread = unread;
                Tried::Unreadable
            }
        }
    }

    /// A local time in UTC, by what the line says of its zone.
    fn settle(&self, naive_ms: i64, said: Said<'_>, now: Now) -> Result<Timestamp, Unread> {
        let offset = match said {
            Said::Offset(offset) => Some(offset),
            Said::Zone(zone) => offset_in(&zone.into(), naive_ms, now),
            Said::Nothing => offset_in(self.zone.as_ref().ok_or(Unread::NoZone)?, naive_ms, now),
            Said::Shared(name) => {
                let zone = self.zone.as_ref().filter(|_| self.zone_is_named);
                let offset = zone.and_then(|zone| zone.offset_called(std::str::from_utf8(name).ok()?, naive_ms));
                Some(offset.ok_or(Unread::SharedZone)?)
            }
            Said::Unknown => return Err(Unread::UnknownZone),
        };
        Ok(Timestamp(naive_ms - i64::from(offset.ok_or(Unread::Absent)?) * 1000))
    }

    /// A time without a date: of the latest day on which it is not ahead of the present.
    fn time_of_day(&mut self, place: Place<'_>, head: Head, now: Now) -> Tried {
        if head.hour > 23 || head.minute > 59 {
            return Tried::Unreadable;
        }
        let today_ms = now.at.0.div_euclid(DAY_MS) * DAY_MS;
        let minute_ms = i64::from(head.hour * 60 + head.minute) * 60_000;
        // A zone's day may be the next or the one before; behind it there is always one that is over.
        for day in [1, 0, -1, -2] {
            let naive_ms = today_ms + day * DAY_MS + minute_ms;
            self.minute = Minute { form: head.form, naive_ms, ..Minute::none() };
            match self.within(&place.text[head.end..], now) {
                Tried::Read(time) if time.0 > now.at.0.saturating_add(DAY_AHEAD_MS) => {}
                tried => return tried,
            }
        }
        Tried::Unreadable
    }

    fn search_pattern(&mut self, text: &[u8], now: Now) -> Option<Timestamp> {
        let Some(Other::Pattern(pattern)) = &self.other else { return None };
        match self.by_pattern(pattern, text, now) {
            Ok(time) => {
                self.found(Form::Pattern, time);
                Some(time)
            }
            Err(unread) => {
                self.unread = unread;
                None
            }
        }
    }

    fn by_pattern(&self, pattern: &Strftime, text: &[u8], now: Now) -> Result<Timestamp, Unread> {
        let found = (0..=SEARCHED_BYTES.min(text.len())).find_map(|at| pattern::find(pattern, text, at));
        let found = found.ok_or(Unread::Absent)?;
        if let Some(epoch_ms) = found.epoch_ms {
            return Ok(Timestamp(epoch_ms));
        }
        let head = &found.head;
        let start_ms = match (head.year, found.day_of_year) {
            (Some(year), Some(day)) => NaiveDate::from_yo_opt(year.cast_signed(), day)
                .and_then(|date| date.and_hms_opt(head.hour, head.minute, 0))
                .map(|start| start.and_utc().timestamp_millis()),
            (Some(year), None) => naive_ms(year.cast_signed(), head),
            (None, _) => latest_year(head, now.at).map(|(start_ms, ..)| start_ms),
        };
        self.settle(start_ms.ok_or(Unread::Absent)? + found.within_ms, found.zone, now)
    }
}

impl Minute {
    const fn none() -> Self {
        Self {
            text: [0; HEAD_BYTES],
            length: 0,
            is_usual: false,
            start: [0; MINUTE_BYTES],
            form: Form::Normal,
            from_ms: i64::MIN,
            until_ms: i64::MAX,
            naive_ms: 0,
            utc_ms: None,
        }
    }

    fn remember(&mut self, text: &[u8]) {
        if let Some(place) = self.text.get_mut(..text.len()) {
            place.copy_from_slice(text);
            self.length = text.len();
            if let Some((start, b":")) = text.split_first_chunk() {
                self.start = *start;
                self.is_usual = self.until_ms == i64::MAX;
            }
        }
    }

    /// Whether its text begins `rest`, at a place where a time of its form may begin.
    fn begins(&self, rest: &[u8], place: Place<'_>) -> bool {
        let year_first = matches!(self.form, Form::Normal | Form::Iso8601 | Form::Nginx | Form::Chinese);
        self.length > 0
            && (!place.glued || year_first)
            && self.text.get(..self.length).is_some_and(|text| rest.starts_with(text))
    }

    #[inline]
    fn holds(&self, now: Timestamp) -> bool {
        self.from_ms <= now.0 && now.0 < self.until_ms
    }
}

/// The offset of a local time in `zone`.
fn offset_in(zone: &Zone, naive_ms: i64, now: Now) -> Option<i32> {
    Some(match zone.local(naive_ms)? {
        Local::Once(offset) | Local::Skipped { before: offset } => offset,
        Local::Twice { first, second } => {
            let second_ms = naive_ms - i64::from(second) * 1000;
            if now.live && second_ms <= now.at.0.saturating_add(SKEW_MS) { second } else { first }
        }
    })
}

/// The minute of `head` in `year`, as if it were UTC.
fn naive_ms(year: i32, head: &Head) -> Option<i64> {
    let date = NaiveDate::from_ymd_opt(year, head.month, head.day)?;
    Some(date.and_hms_opt(head.hour, head.minute, 0)?.and_utc().timestamp_millis())
}

fn with_year(naive_ms: i64, year: i32) -> Option<i64> {
    let time = chrono::DateTime::from_timestamp_millis(naive_ms)?.naive_utc();
    Some(time.with_year(year)?.and_utc().timestamp_millis())
}

/// The minute of `head` in the latest year in which there is one that is not ahead, and the present times for
/// which that is the year.
fn latest_year(head: &Head, now: Timestamp) -> Option<(i64, i64, i64)> {
    let bound_ms = now.0.checked_add(YEAR_AHEAD_MS)?;
    let latest = chrono::DateTime::from_timestamp_millis(bound_ms)?.year();
    let found_ms =
        (latest - YEARS_BACK..=latest).rev().find_map(|year| naive_ms(year, head).filter(|ms| *ms <= bound_ms))?;
    let from_ms = found_ms - YEAR_AHEAD_MS;
    Some((found_ms, from_ms, from_ms + 365 * DAY_MS))
}

/// Milliseconds of the fraction that `text` starts with, and what follows it; none where the seconds have more
/// digits than seconds have. Behind a comma or colon, which may as well separate columns, a fraction is of
/// three, six or nine digits.
#[inline]
fn fraction(text: &[u8], form: Form) -> Option<(i64, &[u8])> {
    let (mark, digits) = match text.split_first() {
        Some((mark @ (b'.' | b',' | b':'), digits)) => (*mark, digits),
        Some((b'0'..=b'9', _)) if form == Form::Compact => (b'0', text),
        Some((b'0'..=b'9', _)) => return None,
        _ => return Some((0, text)),
    };
    let (mut millis, mut place, mut used) = (0, 100, 0);
    while let Some(digit) = digits.get(used).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
        millis += i64::from(digit) * place;
        place /= 10;
        used += 1;
    }
    let fits = match mark {
        b'.' => used > 0,
        b',' => matches!(used, 3 | 6 | 9),
        b':' => used == 3,
        _ if matches!(used, 3 | 6) => true,
        _ => return None,
    };
    Some(if fits { (millis, &digits[used..]) } else { (0, text) })
}

#[cfg(test)]
mod tests;
