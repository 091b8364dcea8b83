//! The forms of dates, and of times up to their minute. What follows the minute is the same in all of them.

use nightjar_model::kinds::monitor::TimeFormat;

use super::cursor::Cursor;

/// A way of writing a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Form {
    Normal,
    Iso8601,
    Nginx,
    Apache,
    MonthFirst,
    Asctime,
    MonthFirstYear,
    Revert,
    DayFirst,
    Tomcat,
    Redis,
    Klog,
    Compact,
    Chinese,
    Seconds,
    Millis,
    Micros,
    Nanos,
    TimeOfDay,
    Pattern,
    Arrival,
}

/// Several of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Forms(u32);

impl Forms {
    #[inline]
    pub(super) fn put(&mut self, form: Form) {
        self.0 |= form.bit();
    }

    pub(super) fn join(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, form: Form) -> bool {
        self.0 & form.bit() != 0
    }

    /// Of the formats that read them.
    pub(crate) fn names(self) -> Vec<&'static str> {
        let mut names: Vec<&str> = Form::ALL.into_iter().filter(|form| self.has(*form)).map(Form::name).collect();
        names.dedup();
        names
    }
}

impl Form {
    const ALL: [Self; 21] = [
        Self::Normal,
        Self::Iso8601,
        Self::Nginx,
        Self::Apache,
        Self::MonthFirst,
        Self::Asctime,
        Self::MonthFirstYear,
        Self::Revert,
        Self::DayFirst,
        Self::Tomcat,
        Self::Redis,
        Self::Klog,
        Self::Compact,
        Self::Chinese,
        Self::Seconds,
        Self::Millis,
        Self::Micros,
        Self::Nanos,
        Self::TimeOfDay,
        Self::Pattern,
        Self::Arrival,
    ];

    /// The name of the format that reads it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Iso8601 => "iso8601",
            Self::Nginx => "nginx",
            Self::Apache => "apache",
            Self::MonthFirst => "month_first",
            Self::Asctime => "asctime",
            Self::MonthFirstYear => "month_first_2",
            Self::Revert => "revert",
            Self::DayFirst => "day_first",
            Self::Tomcat => "tomcat",
            Self::Redis => "redis",
            Self::Klog => "klog",
            Self::Compact => "compact",
            Self::Chinese => "chinese",
            Self::Seconds => "short_long",
            Self::Millis => "long",
            Self::Micros | Self::Nanos => "epoch",
            Self::TimeOfDay => "time_of_day",
            Self::Pattern => "strftime",
            Self::Arrival => "arrival",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// Which forms are looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    forms: Forms,
    /// Whatever is there: then what may as well be another form, or no time at all, is not read.
    pub(super) auto: bool,
}

impl Wanted {
    pub(super) fn of(format: &TimeFormat) -> Self {
        let (forms, auto): (&[Form], bool) = match format {
            TimeFormat::Auto => {
                let but = Form::TimeOfDay.bit() | Form::Pattern.bit() | Form::Arrival.bit();
                return Self { forms: Forms(!but), auto: true };
            }
            TimeFormat::Normal => (&[Form::Normal], false),
            TimeFormat::Iso8601 => (&[Form::Iso8601], false),
            TimeFormat::Nginx => (&[Form::Nginx], false),
            TimeFormat::Apache => (&[Form::Apache], false),
            TimeFormat::Asctime | TimeFormat::MonthFirst => (&[Form::MonthFirst], false),
            TimeFormat::Syslog => (&[Form::MonthFirst, Form::Iso8601], false),
            TimeFormat::MonthFirstYear => (&[Form::MonthFirstYear], false),
            TimeFormat::Revert => (&[Form::Revert], false),
            TimeFormat::DayFirst => (&[Form::DayFirst], false),
            TimeFormat::Tomcat => (&[Form::Tomcat], false),
            TimeFormat::Redis => (&[Form::Redis], false),
            TimeFormat::Klog => (&[Form::Klog], false),
            TimeFormat::Compact => (&[Form::Compact], false),
            TimeFormat::Chinese => (&[Form::Chinese], false),
            TimeFormat::Long => (&[Form::Millis], false),
            TimeFormat::ShortLong => (&[Form::Seconds], false),
            TimeFormat::Epoch => (&[Form::Seconds, Form::Millis, Form::Micros, Form::Nanos], false),
            TimeFormat::TimeOfDay => (&[Form::TimeOfDay], false),
            TimeFormat::Strftime(_) | TimeFormat::Arrival => (&[], false),
        };
        Self { forms: Forms(forms.iter().fold(0, |bits, form| bits | form.bit())), auto }
    }

    pub(super) fn has(self, form: Form) -> bool {
        self.forms.has(form)
    }
}

/// A place at which a time may begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    /// Nothing but brackets and quotes stands before it.
    pub(super) first: bool,
    /// A letter stands right before it.
    pub(super) glued: bool,
}

/// A date and a time up to its minute; the values are as written, and may be none of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) form: Form,
    pub(super) year: Option<u32>,
    pub(super) month: u32,
    pub(super) day: u32,
    pub(super) hour: u32,
    pub(super) minute: u32,
    /// Where the seconds begin.
    pub(super) end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// No time begins here.
    Nothing,
    /// One does, and what it is cannot be said.
    Unclear,
    Head(Head),
    /// Milliseconds since 1970.
    Instant(Form, i64),
}

/// What begins at `place`.
pub(super) fn find(place: Place<'_>, wanted: Wanted) -> Found {
    let cursor = Cursor::new(place.text, place.at);
    let head = match cursor.peek() {
        b'0'..=b'9' => match cursor.run() {
            4 => year_first(cursor, wanted),
            _ if place.glued => None,
            1 | 2 => return short_run(cursor, place, wanted),
            8 => compact(cursor, place, wanted),
            14 | 17 | 20 => compact_run(cursor, place, wanted),
            10 | 13 | 16 | 19 => return epoch(cursor, place, wanted),
            _ => None,
        },
        _ if place.glued => None,
        b'I' | b'W' | b'E' | b'F' if cursor.ahead(1).is_ascii_digit() => klog(cursor),
        _ => month_first(cursor),
    };
    match head {
        Some(head) if wanted.has(head.form) => Found::Head(head),
        _ => Found::Nothing,
    }
}

/// `2026-11-27 10:00:`, `2026/11/27 10:00:`, `2026年11月27日 10时00分`
fn year_first(mut c: Cursor<'_>, wanted: Wanted) -> Option<Head> {
    let year = c.digits(4)?;
    if c.eat("年".as_bytes()) {
        return chinese(c, year);
    }
    let separator = c.eat_one_of(b"-/.")?;
    let month = c.number(1, 2)?;
    c.eat(&[separator]).then_some(())?;
    let day = c.number(1, 2)?;
    let between = c.eat_one_of(b" Tt\t_,-:").or_else(|| (c.blanks() > 0).then_some(b' '))?;
    c.blanks();
    let (hour, minute) = c.clock()?;
    let form = match (separator, between) {
        (b'/', _) => Form::Nginx,
        (_, b'T' | b't') => Form::Iso8601,
        _ => Form::Normal,
    };
    // What is only nearly a named format is that of `auto` alone.
    let exact = separator != b'.' && matches!(between, b' ' | b'T' | b't');
    (exact || wanted.auto).then_some(())?;
    Some(Head { form, year: Some(year), month, day, hour, minute, end: c.at })
}

fn chinese(mut c: Cursor<'_>, year: u32) -> Option<Head> {
    c.blanks();
    let month = c.number(1, 2)?;
    c.eat("月".as_bytes()).then_some(())?;
    c.blanks();
    let day = c.number(1, 2)?;
    (c.eat("日".as_bytes()) || c.eat("号".as_bytes())).then_some(())?;
    c.blanks();
    if c.eat("星期".as_bytes()) || c.eat("周".as_bytes()) {
        // One character of three bytes says which.
        c.at += 3;
        c.blanks();
    }
    let mut with_colons = c;
    let (hour, minute) = match with_colons.clock() {
        Some(clock) => {
            c = with_colons;
            clock
        }
        None => {
            let half = c.chinese_half();
            let hour = c.number(1, 2)?;
            (c.eat("时".as_bytes()) || c.eat("点".as_bytes())).then_some(())?;
            let minute = c.number(1, 2)?;
            c.eat("分".as_bytes()).then_some(())?;
            c.number(1, 2)?;
            c.at -= if c.text[c.at - 2].is_ascii_digit() { 2 } else { 1 };
            (half.map_or(Some(hour), |half| half.hour(hour)).unwrap_or(99), minute)
        }
    };
    Some(Head { form: Form::Chinese, year: Some(year), month, day, hour, minute, end: c.at })
}

/// What begins with one or two digits: a day, a month, an hour, or seconds as a power of ten.
fn short_run(mut c: Cursor<'_>, place: Place<'_>, wanted: Wanted) -> Found {
    let begin = c;
    let Some(number) = c.number(1, 2) else { return Found::Nothing };
    let wanted_head = |head: Option<Head>| match head {
        Some(head) if wanted.has(head.form) => Found::Head(head),
        _ => Found::Nothing,
    };
    match c.peek() {
        b'/' | b'-' => {
            let separator = c.peek();
            c.at += 1;
            let mut named = c;
            match named.month() {
                Some(month) => wanted_head(day_month_year(named, separator, number, month)),
                None => numeric(c, separator, number, wanted),
            }
        }
        b' ' => wanted_head(day_month(c, number)),
        b':' if place.first && wanted.has(Form::TimeOfDay) => wanted_head(time_of_day(begin)),
        b'.' if c.ahead(1).is_ascii_digit() && matches!(Cursor::new(c.text, c.at + 1).run(), 1 | 2) => {
            c.at += 1;
            numeric(c, b'.', number, wanted)
        }
        b'.' if wanted.has(Form::Seconds) && (place.first || !wanted.auto) => {
            power(begin).map_or(Found::Nothing, |ms| Found::Instant(Form::Seconds, ms))
        }
        0xe6 => wanted_head(month_first(begin)),
        _ => Found::Nothing,
    }
}

/// `27/Nov/2026:10:00:`, `27-Nov-2026 10:00:`, from behind the month.
fn day_month_year(mut c: Cursor<'_>, separator: u8, day: u32, month: u32) -> Option<Head> {
    // As Canada abbreviates.
    c.eat(b".");
    c.eat(&[separator]).then_some(())?;
    let year = c.number(4, 4)?;
    (c.eat(b":") || c.blanks() > 0).then_some(())?;
    let (hour, minute) = c.clock()?;
    let form = if separator == b'/' { Form::Apache } else { Form::Tomcat };
    Some(Head { form, year: Some(year), month, day, hour, minute, end: c.at })
}

/// `27 Nov 2026 10:00:`, or without the year, from behind the day.
fn day_month(mut c: Cursor<'_>, day: u32) -> Option<Head> {
    c.blanks();
    // `11月` has digits of its own, and no day stands before it.
    (!c.peek().is_ascii_digit()).then_some(())?;
    let month = c.month()?;
    c.eat(b".");
    (c.blanks() > 0).then_some(())?;
    let year = year_between(&mut c);
    let (hour, minute) = c.clock()?;
    Some(Head { form: Form::Redis, year, month, day, hour, minute, end: c.at })
}

/// `2026 ` or `2026, `, before a time.
fn year_between(c: &mut Cursor<'_>) -> Option<u32> {
    let mut after = *c;
    let year = after.number(4, 4)?;
    after.eat(b",");
    (after.blanks() > 0).then_some(())?;
    *c = after;
    Some(year)
}

/// `Nov 27 10:00:`, `Nov 27 2026 10:00:`, `Nov 27, 2026, 10:00:`
fn month_first(mut c: Cursor<'_>) -> Option<Head> {
    let month = c.month()?;
    c.eat(b".");
    (c.blanks() > 0).then_some(())?;
    let day = c.number(1, 2)?;
    c.eat(b",");
    (c.blanks() > 0).then_some(())?;
    let year = year_between(&mut c);
    let (hour, minute) = c.clock()?;
    let form = if year.is_some() { Form::MonthFirstYear } else { Form::MonthFirst };
    Some(Head { form, year, month, day, hour, minute, end: c.at })
}

/// `05-25-2017 18:28:`, from behind the first separator. Which number is the month is said by the format, or by
/// there being no month of the other.
fn numeric(mut c: Cursor<'_>, separator: u8, one: u32, wanted: Wanted) -> Found {
    let mut parse = || {
        let other = c.number(1, 2)?;
        c.eat(&[separator]).then_some(())?;
        let year = c.number(4, 4)?;
        c.eat(b",");
        (c.blanks() > 0 || c.eat(b"T")).then_some(())?;
        let (hour, minute) = c.clock()?;
        Some((other, year, hour, minute))
    };
    let Some((other, year, hour, minute)) = parse() else { return Found::Nothing };
    let form = if !wanted.auto {
        if wanted.has(Form::Revert) { Form::Revert } else { Form::DayFirst }
    } else if one > 12 || one == other {
        Form::DayFirst
    } else if other > 12 {
        Form::Revert
    } else {
        return Found::Unclear;
    };
    let (month, day) = if form == Form::Revert { (one, other) } else { (other, one) };
    if !wanted.has(form) {
        return Found::Nothing;
    }
    Found::Head(Head { form, year: Some(year), month, day, hour, minute, end: c.at })
}

/// `I1127 10:00:`, `I20261127 10:00:`
fn klog(mut c: Cursor<'_>) -> Option<Head> {
    c.at += 1;
    let year = match c.run() {
        4 => None,
        8 => Some(c.digits(4)?),
        _ => return None,
    };
    let (month, day) = (c.digits(2)?, c.digits(2)?);
    (c.blanks() > 0).then_some(())?;
    let (hour, minute) = c.clock()?;
    Some(Head { form: Form::Klog, year, month, day, hour, minute, end: c.at })
}

/// A date that a number of eight digits may be.
fn compact_date(c: &mut Cursor<'_>) -> Option<(u32, u32, u32)> {
    let (year, month, day) = (c.digits(4)?, c.digits(2)?, c.digits(2)?);
    ((1970..2200).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)).then_some((year, month, day))
}

/// `20261127 1000`, `20261127T1000`, `20261127-10:00:`
fn compact(mut c: Cursor<'_>, place: Place<'_>, wanted: Wanted) -> Option<Head> {
    let (year, month, day) = compact_date(&mut c)?;
    let between = c.eat_one_of(b" Tt-_:")?;
    let mut with_colons = c;
    let (hour, minute) = match with_colons.clock() {
        Some((hour, minute)) => {
            c = with_colons;
            (hour, minute)
        }
        None => {
            // Two numbers, which only stand for a time where one is looked for.
            let sure = matches!(between, b'T' | b't');
            (sure || place.first || !wanted.auto).then_some(())?;
            matches!(c.run(), 6 | 9 | 12).then_some(())?;
            (c.digits(2)?, c.digits(2)?)
        }
    };
    Some(Head { form: Form::Compact, year: Some(year), month, day, hour, minute, end: c.at })
}

/// `202611271000` before seconds, and milliseconds or less.
fn compact_run(mut c: Cursor<'_>, place: Place<'_>, wanted: Wanted) -> Option<Head> {
    (place.first || !wanted.auto).then_some(())?;
    let (year, month, day) = compact_date(&mut c)?;
    let (hour, minute) = (c.digits(2)?, c.digits(2)?);
    (hour < 24 && minute < 60).then_some(())?;
    Some(Head { form: Form::Compact, year: Some(year), month, day, hour, minute, end: c.at })
}

/// `10:00:`
fn time_of_day(mut c: Cursor<'_>) -> Option<Head> {
    let (hour, minute) = c.clock()?;
    Some(Head { form: Form::TimeOfDay, year: None, month: 0, day: 0, hour, minute, end: c.at })
}

/// A number since 1970, its unit told by its digits: those of the years 2001 to 2286.
fn epoch(mut c: Cursor<'_>, place: Place<'_>, wanted: Wanted) -> Found {
    let (form, digits) = match c.run() {
        10 => (Form::Seconds, 10),
        13 => (Form::Millis, 13),
        16 => (Form::Micros, 16),
        _ => (Form::Nanos, 19),
    };
    let alone = place.at == 0 || !matches!(place.text[place.at - 1], b'.' | b'-' | b'_' | b'/' | b'+');
    if !wanted.has(form) || c.peek() == b'0' || !alone || (wanted.auto && !place.first) {
        return Found::Nothing;
    }
    let value = c.rest()[..digits].iter().fold(0u64, |sum, b| sum * 10 + u64::from(b - b'0'));
    c.at += digits;
    let ms = match form {
        Form::Seconds => value * 1000,
        Form::Millis => value,
        Form::Micros => value / 1000,
        _ => value / 1_000_000,
    };
    let mut ms = ms.cast_signed();
    if c.peek() == b'.' && c.ahead(1).is_ascii_digit() {
        c.at += 1;
        let run = c.rest().iter().take_while(|b| b.is_ascii_digit()).count();
        if form == Form::Seconds {
            ms += c.rest().iter().take(run).chain(b"000").take(3).fold(0, |sum, b| sum * 10 + i64::from(b - b'0'));
        }
        c.at += run;
    }
    if ends_number(&c) { Found::Instant(form, ms) } else { Found::Nothing }
}

/// `1.476064860123e+09`: seconds as Go writes a large fraction.
fn power(mut c: Cursor<'_>) -> Option<i64> {
    let whole = c.digits(1).filter(|digit| *digit > 0)?;
    c.eat(b".").then_some(())?;
    let run = c.rest().iter().take_while(|b| b.is_ascii_digit()).count();
    let digits = &c.rest()[..run];
    c.at += run;
    c.eat_one_of(b"eE")?;
    c.eat(b"+");
    (c.number(1, 2)? == 9 && ends_number(&c)).then_some(())?;
    // Nine digits are whole seconds, three more are milliseconds.
    let zeros = std::iter::repeat_n(&b'0', 12);
    Some(digits.iter().chain(zeros).take(12).fold(i64::from(whole), |sum, b| sum * 10 + i64::from(b - b'0')))
}

fn ends_number(c: &Cursor<'_>) -> bool {
    matches!(c.peek(), 0 | b' ' | b'\t' | b',' | b';' | b':' | b'|' | b']' | b')' | b'}' | b'"' | b'\'' | b'>' | b'&')
}
