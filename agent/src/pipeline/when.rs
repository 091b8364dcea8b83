//! Reads when a line happened.
//!
//! Lines of one minute share their first 16 characters, so what those mean is worked out once a
//! minute and compared after that. Local times are made UTC by the rules of the source's zone; a time
//! that a clock change skips is read as if the clock had not been changed yet, and one that occurs
//! twice as told at [`TimeReader::read`].

use chrono::{NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;
use memchr::memchr;
use nightjar_model::Timestamp;
use nightjar_model::kinds::monitor::TimeFormat;

/// A time begins within this many bytes.
const SEARCHED_BYTES: usize = 128;

/// `2016-12-13 10:00`
const MINUTE_BYTES: usize = 16;

/// `2016-12-13 10:00:14`
const SECOND_BYTES: usize = 19;

/// How far the present may lag behind a time that is taken as the second of two.
const SKEW_MS: i64 = 60_000;

#[derive(Debug)]
pub(crate) struct TimeReader {
    format: TimeFormat,
    zone: Tz,
    minute: Minute,
}

/// The minute read last.
#[derive(Debug)]
struct Minute {
    text: [u8; MINUTE_BYTES],
    /// As if it were UTC, in milliseconds.
    naive_ms: i64,
    /// In UTC by the zone; `None` where it depends on more than the text.
    utc_ms: Option<i64>,
}

impl TimeReader {
    pub(crate) fn new(format: TimeFormat, zone: Tz) -> Self {
        Self { format, zone, minute: Minute { text: [0; MINUTE_BYTES], naive_ms: 0, utc_ms: None } }
    }

    /// The first time in `text`. A local time that occurs twice, when clocks go back, is taken as the
    /// second if that is not ahead of `now` (lines are read as they are written), else as the first.
    #[inline]
    pub(crate) fn read(&mut self, text: &[u8], now: Option<Timestamp>) -> Option<Timestamp> {
        match self.read_at(text, now) {
            Some(time) => Some(time),
            None => self.search(text, now),
        }
    }

    #[cold]
    fn search(&mut self, text: &[u8], now: Option<Timestamp>) -> Option<Timestamp> {
        let mut from = 0;
        // A year's four digits stand before its `-`.
        while let Some(at) = memchr(b'-', text.get(from..text.len().min(SEARCHED_BYTES + 5))?) {
            let dash = from + at;
            from = dash + 1;
            let Some(start) = dash.checked_sub(4).filter(|start| *start <= SEARCHED_BYTES) else { continue };
            let glued = start.checked_sub(1).is_some_and(|before| text[before].is_ascii_digit());
            if !glued && let Some(time) = self.read_at(&text[start..], now) {
                return Some(time);
            }
        }
        None
    }

    /// The time that `text` starts with.
    #[inline]
    fn read_at(&mut self, text: &[u8], now: Option<Timestamp>) -> Option<Timestamp> {
        let (head, rest) = text.split_first_chunk::<SECOND_BYTES>()?;
        let (minute, second) = head.split_first_chunk::<MINUTE_BYTES>()?;
        if *minute != self.minute.text {
            self.minute = self.read_minute(minute)?;
        }
        let (tens, ones) = (second[1].wrapping_sub(b'0'), second[2].wrapping_sub(b'0'));
        if second[0] != b':' || tens > 6 || ones > 9 || (tens == 6 && ones > 0) {
            return None;
        }
        // A leap second stays in its minute.
        let seconds = i64::from(tens * 10 + ones).min(59);
        let (millis, rest) = fraction(rest);
        let within_ms = seconds * 1000 + millis;
        if let Some(offset_ms) = zone_offset(rest, minute[10] == b'T') {
            return Some(Timestamp(self.minute.naive_ms + within_ms - offset_ms));
        }
        Some(Timestamp(match self.minute.utc_ms {
            Some(utc_ms) => utc_ms + within_ms,
            None => self.resolve(self.minute.naive_ms + within_ms, now)?,
        }))
    }

    #[cold]
    fn read_minute(&self, text: &[u8; MINUTE_BYTES]) -> Option<Minute> {
        let separator_fits = match self.format {
            TimeFormat::Normal => text[10] == b' ',
            TimeFormat::Iso8601 => text[10] == b'T',
            TimeFormat::Auto => matches!(text[10], b' ' | b'T'),
        };
        if !separator_fits || text[4] != b'-' || text[7] != b'-' || text[13] != b':' {
            return None;
        }
        let number = |range: std::ops::Range<usize>| {
            text[range].iter().try_fold(0u32, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u32::from(b - b'0')))
        };
        let date = NaiveDate::from_ymd_opt(number(0..4)? as i32, number(5..7)?, number(8..10)?)?;
        let start = date.and_hms_opt(number(11..13)?, number(14..16)?, 0)?;
        let naive_ms = start.and_utc().timestamp_millis();
        let offset = |at: NaiveDateTime| self.zone.offset_from_local_datetime(&at).single().map(|o| o.fix());
        let utc_ms = offset(start)
            .filter(|first| offset(start + TimeDelta::seconds(59)) == Some(*first))
            .map(|offset| naive_ms - i64::from(offset.local_minus_utc()) * 1000);
        Some(Minute { text: *text, naive_ms, utc_ms })
    }

    /// A local time in a minute in which clocks change.
    fn resolve(&self, naive_ms: i64, now: Option<Timestamp>) -> Option<i64> {
        let local = chrono::DateTime::from_timestamp_millis(naive_ms)?.naive_utc();
        let utc = |offset: chrono::FixedOffset| naive_ms - i64::from(offset.local_minus_utc()) * 1000;
        match self.zone.offset_from_local_datetime(&local) {
            chrono::LocalResult::Single(offset) => Some(utc(offset.fix())),
            chrono::LocalResult::Ambiguous(one, other) => {
                let (first, second) = (utc(one.fix()).min(utc(other.fix())), utc(one.fix()).max(utc(other.fix())));
                Some(if now.is_some_and(|now| second <= now.0 + SKEW_MS) { second } else { first })
            }
            // Skipped. Clocks have skipped up to a day.
            chrono::LocalResult::None => (1..=25)
                .find_map(|hours| self.zone.offset_from_local_datetime(&(local - TimeDelta::hours(hours))).latest())
                .map(|before| utc(before.fix())),
        }
    }
}

/// Milliseconds of the fraction that `text` starts with, and what follows it. Behind a comma, which may
/// as well separate columns, a fraction has three digits.
#[inline]
fn fraction(text: &[u8]) -> (i64, &[u8]) {
    let Some((mark @ (b'.' | b','), digits)) = text.split_first() else { return (0, text) };
    let (mut millis, mut place, mut used) = (0, 100, 0);
    while let Some(digit) = digits.get(used).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
        millis += i64::from(digit) * place;
        place /= 10;
        used += 1;
    }
    if used == 0 || (*mark == b',' && used != 3) { (0, text) } else { (millis, &digits[used..]) }
}

/// The offset from UTC that `text` starts with, in milliseconds: `Z`, `+08:00` and, behind an ISO time
/// where nothing else could be meant, `+0800` and `+08`.
#[inline]
fn zone_offset(text: &[u8], iso: bool) -> Option<i64> {
    let (sign, rest) = match text.split_first()? {
        (b'Z', rest) => return (!rest.first().is_some_and(u8::is_ascii_alphanumeric)).then_some(0),
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let pair = |bytes: &[u8]| match bytes {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', ..] => Some(i64::from(a - b'0') * 10 + i64::from(b - b'0')),
        _ => None,
    };
    let hours = pair(rest)?;
    let minutes = match rest.get(2..) {
        Some([b':', minutes @ ..]) => pair(minutes)?,
        Some(minutes) if iso => pair(minutes).unwrap_or(0),
        _ => return None,
    };
    (hours <= 18 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_in(zone: Tz, format: TimeFormat, line: &str, now: Option<&str>, time: Option<&str>) {
        let now = now.and_then(Timestamp::parse_rfc3339);
        let mut reader = TimeReader::new(format, zone);
        for _ in 0..2 {
            // The second time from the minute it remembers.
            let read = reader.read(line.as_bytes(), now).map(|t| t.to_string());
            assert_eq!(read.as_deref(), time, "{line} in {zone}");
        }
    }

    fn check(line: &str, time: Option<&str>) {
        check_in(chrono_tz::Asia::Shanghai, TimeFormat::Auto, line, None, time);
    }

    #[test]
    fn reads_the_formats() {
        check("2016-12-13 10:00:14", Some("2016-12-13T02:00:14Z"));
        check("2016-12-13 10:00:14.123,x", Some("2016-12-13T02:00:14.123Z"));
        check("2016-12-13 10:00:14,567 INFO", Some("2016-12-13T02:00:14.567Z"));
        check("2016-12-13 10:00:14.5", Some("2016-12-13T02:00:14.500Z"));
        check("2016-12-13 10:00:14,5,2950211004", Some("2016-12-13T02:00:14Z"));
        check("2016-12-13 10:00:14,衣服", Some("2016-12-13T02:00:14Z"));
        check("2016-12-13 10:00:14.123456789 x", Some("2016-12-13T02:00:14.123Z"));
        check("2016-12-13T10:00:14.123+09:00", Some("2016-12-13T01:00:14.123Z"));
        check("2016-12-13T10:00:14Z", Some("2016-12-13T10:00:14Z"));
        check("2016-12-13T10:00:14-0330", Some("2016-12-13T13:30:14Z"));
        check("2016-12-13T10:00:14+08", Some("2016-12-13T02:00:14Z"));
        check("2016-12-13T10:00:14", Some("2016-12-13T02:00:14Z"));
        check("2016-12-13 10:00:14+00:00", Some("2016-12-13T10:00:14Z"));
        check("2016-12-13 10:00:14-1234", Some("2016-12-13T02:00:14Z"));
        check("2016-12-13 23:59:60", Some("2016-12-13T15:59:59Z"));
    }

    #[test]
    fn looks_for_the_first_time_near_the_start() {
        check("[main-7] 2016-12-13 10:00:14 2017-01-01 00:00:00", Some("2016-12-13T02:00:14Z"));
        check("12016-12-13 10:00:14", None);
        check("id=1234-5678 2016-12-13 10:00:14", Some("2016-12-13T02:00:14Z"));
        check(&format!("{}2016-12-13 10:00:14", "x".repeat(128)), Some("2016-12-13T02:00:14Z"));
        check(&format!("{}2016-12-13 10:00:14", "x".repeat(129)), None);
    }

    #[test]
    fn refuses_what_is_no_time() {
        for line in
            ["", "-", "2016-13-13 10:00:14", "2016-02-30 10:00:14", "2016-12-13 24:00:00", "2016-12-13 10:60:00"]
        {
            check(line, None);
        }
        check("2016-12-13 10:00:61", None);
        check("2016-12-13_10:00:14", None);
        check("2016-12-13 10:00", None);
        check_in(chrono_tz::UTC, TimeFormat::Normal, "2016-12-13T10:00:14", None, None);
        check_in(chrono_tz::UTC, TimeFormat::Iso8601, "2016-12-13 10:00:14", None, None);
    }

    #[test]
    fn a_skipped_hour_is_read_as_before_the_change() {
        let zone = chrono_tz::America::New_York;
        check_in(zone, TimeFormat::Auto, "2026-03-08 01:59:59", None, Some("2026-03-08T06:59:59Z"));
        check_in(zone, TimeFormat::Auto, "2026-03-08 02:30:00", None, Some("2026-03-08T07:30:00Z"));
        check_in(zone, TimeFormat::Auto, "2026-03-08 03:30:00", None, Some("2026-03-08T07:30:00Z"));
        check_in(chrono_tz::Pacific::Apia, TimeFormat::Auto, "2011-12-30 12:00:00", None, Some("2011-12-30T22:00:00Z"));
    }

    #[test]
    fn a_repeated_hour_goes_by_the_present() {
        let zone = chrono_tz::America::New_York;
        let (first, second) = (Some("2026-11-01T05:30:00Z"), Some("2026-11-01T06:30:00Z"));
        check_in(zone, TimeFormat::Auto, "2026-11-01 01:30:00", None, first);
        check_in(zone, TimeFormat::Auto, "2026-11-01 01:30:00", Some("2026-11-01T05:30:01Z"), first);
        check_in(zone, TimeFormat::Auto, "2026-11-01 01:30:00", Some("2026-11-01T06:30:01Z"), second);
    }

    #[test]
    fn a_minute_in_which_the_zone_changed_is_not_remembered() {
        // Liberia went from -0:44:30 to 0 at 1972-01-07 00:00.
        let mut reader = TimeReader::new(TimeFormat::Auto, chrono_tz::Africa::Monrovia);
        let mut read = |line: &str| reader.read(line.as_bytes(), None).map(|t| t.to_string());
        assert_eq!(read("1972-01-06 23:59:00").as_deref(), Some("1972-01-07T00:43:30Z"));
        assert_eq!(read("1972-01-07 00:45:00").as_deref(), Some("1972-01-07T00:45:00Z"));
    }
}
