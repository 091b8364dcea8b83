//! Times by a pattern of strftime.

use nightjar_model::kinds::monitor::{Strftime, StrftimeField as Field, StrftimeItem as Item};

use super::cursor::{Cursor, Half};
use super::fraction;
use super::head::{Form, Head};
use super::tail::{self, Said};

/// What a pattern found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) head: Head,
    pub(super) day_of_year: Option<u32>,
    /// Behind the minute.
    pub(super) within_ms: i64,
    pub(super) zone: Said<'a>,
    pub(super) epoch_ms: Option<i64>,
}

/// What `pattern` reads at `at`, and only there.
pub(super) fn find<'a>(pattern: &Strftime, text: &'a [u8], at: usize) -> Option<Found<'a>> {
    let mut c = Cursor::new(text, at);
    let before = at.checked_sub(1).and_then(|before| text.get(before)).copied().unwrap_or(0);
    let begins = match pattern.items().first()? {
        Item::Field(Field::MonthName | Field::WeekDay | Field::HalfDay | Field::Zone) => !before.is_ascii_alphabetic(),
        Item::Field(Field::Offset) => !before.is_ascii_alphanumeric(),
        Item::Field(_) => c.peek().is_ascii_digit() && !before.is_ascii_digit(),
        Item::Literal(_) | Item::Space => true,
    };
    if !begins {
        return None;
    }
    let head = Head { form: Form::Pattern, year: None, month: 0, day: 0, hour: 0, minute: 0, end: 0 };
    let mut found = Found { head, day_of_year: None, within_ms: 0, zone: Said::Nothing, epoch_ms: None };
    let (mut half, mut asks_zone): (Option<Half>, bool) = (None, false);
    for item in pattern.items() {
        match item {
            Item::Space => while c.blanks() > 0 {},
            Item::Literal(text) => c.eat(text.as_bytes()).then_some(())?,
            Item::Field(field) => {
                asks_zone |= matches!(field, Field::Offset | Field::Zone | Field::Epoch);
                found.field(*field, &mut c, &mut half)?;
            }
        }
    }
    let ends_in_field = matches!(pattern.items().last(), Some(Item::Field(_)));
    if ends_in_field && c.peek().is_ascii_digit() {
        return None;
    }
    if ends_in_field && !asks_zone {
        found.zone = tail::clear_zone(behind_seconds(c.rest()));
    }
    if let Some(half) = half {
        // An hour that contradicts it is none.
        found.head.hour = half.hour(found.head.hour).unwrap_or(99);
    }
    Some(found)
}

/// What follows the seconds, or the fraction of one, that a pattern leaves unread.
fn behind_seconds(rest: &[u8]) -> &[u8] {
    let rest = match rest {
        [b':', tens, ones, after @ ..] if tens.is_ascii_digit() && ones.is_ascii_digit() => after,
        _ => rest,
    };
    fraction(rest, Form::Pattern).map_or(rest, |(_, after)| after)
}

impl<'a> Found<'a> {
    fn field(&mut self, field: Field, c: &mut Cursor<'a>, half: &mut Option<Half>) -> Option<()> {
        let short = |c: &mut Cursor<'_>, most: usize| {
            // As strptime: blanks may pad a number.
            c.eat(b" ");
            let run = c.run().min(most);
            if run == 0 { None } else { c.digits(run) }
        };
        match field {
            Field::Year => self.head.year = Some(c.digits(4)?),
            Field::ShortYear => {
                let year = c.digits(2)?;
                self.head.year = Some(if year < 69 { 2000 + year } else { 1900 + year });
            }
            Field::Month => self.head.month = short(c, 2)?,
            Field::MonthName => self.head.month = c.month()?,
            Field::Day => self.head.day = short(c, 2)?,
            Field::DayOfYear => self.day_of_year = Some(short(c, 3)?),
            Field::WeekDay => week_day(c)?,
            Field::Hour => self.head.hour = short(c, 2)?,
            Field::HalfDayHour => {
                let hour = short(c, 2)?;
                self.head.hour = if hour == 0 { 99 } else { hour };
            }
            Field::HalfDay => *half = Some(c.half()?),
            Field::Minute => self.head.minute = short(c, 2)?,
            Field::Second => {
                let seconds = short(c, 2).filter(|seconds| *seconds <= 60)?;
                self.within_ms += i64::from(seconds.min(59)) * 1000;
            }
            Field::Fraction => self.fraction(c)?,
            Field::DotFraction => {
                if matches!(c.peek(), b'.' | b',') && c.ahead(1).is_ascii_digit() {
                    c.at += 1;
                    self.fraction(c)?;
                }
            }
            Field::Offset | Field::Zone => {
                let wanted = field == Field::Zone || matches!(c.peek(), b'+' | b'-' | b'Z' | b'z');
                self.zone = if wanted { tail::zone(c) } else { Said::Nothing };
                if self.zone == Said::Nothing {
                    let letters = c.rest().iter().take_while(|b| b.is_ascii_alphabetic()).count();
                    (letters > 0 && field == Field::Zone).then_some(())?;
                    c.at += letters;
                    self.zone = Said::Unknown;
                }
            }
            Field::Epoch => {
                let run = c.run();
                (8..=11).contains(&run).then_some(())?;
                let seconds = c.rest()[..run].iter().fold(0i64, |sum, b| sum * 10 + i64::from(b - b'0'));
                c.at += run;
                self.epoch_ms = Some(seconds * 1000);
            }
        }
        Some(())
    }

    fn fraction(&mut self, c: &mut Cursor<'_>) -> Option<()> {
        let run = c.rest().iter().take_while(|b| b.is_ascii_digit()).count();
        (run > 0).then_some(())?;
        let millis = c.rest()[..run].iter().chain(b"000").take(3).fold(0, |sum, b| sum * 10 + i64::from(b - b'0'));
        c.at += run;
        match &mut self.epoch_ms {
            Some(epoch_ms) => *epoch_ms += millis,
            None => self.within_ms += millis,
        }
        Some(())
    }
}

/// A day's name, which says nothing that the date does not.
fn week_day(c: &mut Cursor<'_>) -> Option<()> {
    for begin in ["星期", "周"] {
        if c.eat(begin.as_bytes()) {
            c.at = (c.at + 3).min(c.text.len());
            return Some(());
        }
    }
    let letters = c.rest().iter().take_while(|b| b.is_ascii_alphabetic()).count();
    (3..=9).contains(&letters).then_some(())?;
    const DAYS: [&[u8]; 7] = [b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"];
    let start = c.rest().get(..3)?.to_ascii_lowercase();
    DAYS.contains(&start.as_slice()).then_some(())?;
    c.at += letters;
    Some(())
}
