//! Time zones: what a local time in one is in UTC.
//!
//! Zones that a document or a line names are those of the IANA database as built in. The host's own is
//! made of what the host's libc reads ([`host`]), so that both agree whatever is installed there.

mod abbreviations;
mod host;

use chrono::{Offset as _, TimeZone as _};
use chrono_tz::{OffsetName as _, Tz};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

pub(crate) use abbreviations::{Abbreviation, MAX_LETTERS as MAX_ABBREVIATION_LETTERS, abbreviation, written_out};
pub use host::HostZone;

/// The rules of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(Rules);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rules {
    Iana(Tz),
    /// Of a file or a rule of the host's.
    Host(TimeZone),
}

/// What offsets, in seconds east of UTC, a local time may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Local {
    Once(i32),
    /// Clocks went back: it came twice, first with this offset.
    Twice {
        first: i32,
        second: i32,
    },
    /// Clocks went forward over it; this was the offset before.
    Skipped {
        before: i32,
    },
}

impl Zone {
    /// A zone of the IANA database, such as Asia/Shanghai.
    pub fn iana(name: &str) -> Option<Self> {
        name.parse().ok().map(|zone: Tz| zone.into())
    }

    /// A rule as POSIX writes it in `TZ`, such as `CST-8` or `EST5EDT,M3.2.0,M11.1.0`.
    pub fn posix(rule: &str) -> Option<Self> {
        TimeZone::posix(rule).ok().map(|zone| Self(Rules::Host(zone)))
    }

    /// The content of a time zone file (RFC 8536). One that counts leap seconds is none: Unix time does not.
    pub fn tzif(content: &[u8]) -> Option<Self> {
        // Magic, version, 15 bytes, then six counts of which the third is that of leap seconds.
        let leap_seconds = content.get(28..32)?;
        if leap_seconds != [0; 4] {
            return None;
        }
        TimeZone::tzif("", content).ok().map(|zone| Self(Rules::Host(zone)))
    }

    /// The offsets that a local time may have, given in milliseconds as if it were UTC. None where it lies
    /// outside of what can be reckoned.
    pub(crate) fn local(&self, naive_ms: i64) -> Option<Local> {
        match &self.0 {
            Rules::Iana(zone) => iana_local(*zone, naive_ms),
            Rules::Host(zone) => {
                let local = Offset::UTC.to_datetime(jiff::Timestamp::from_millisecond(naive_ms).ok()?);
                Some(match zone.to_ambiguous_timestamp(local).offset() {
                    AmbiguousOffset::Unambiguous { offset } => Local::Once(offset.seconds()),
                    AmbiguousOffset::Gap { before, .. } => Local::Skipped { before: before.seconds() },
                    AmbiguousOffset::Fold { before, after } => {
                        Local::Twice { first: before.seconds(), second: after.seconds() }
                    }
                })
            }
        }
    }

    /// The offset that goes by this abbreviation at a local time in this zone.
    pub(crate) fn offset_called(&self, abbreviation: &str, naive_ms: i64) -> Option<i32> {
        let candidates = match self.local(naive_ms)? {
            Local::Once(offset) | Local::Skipped { before: offset } => [offset, offset],
            Local::Twice { first, second } => [first, second],
        };
        candidates.into_iter().find(|offset| {
            let utc_ms = naive_ms - i64::from(*offset) * 1000;
            self.abbreviation(utc_ms).is_some_and(|name| name.eq_ignore_ascii_case(abbreviation))
        })
    }

    fn abbreviation(&self, utc_ms: i64) -> Option<String> {
        match &self.0 {
            Rules::Iana(zone) => {
                let utc = chrono::DateTime::from_timestamp_millis(utc_ms)?.naive_utc();
                zone.offset_from_utc_datetime(&utc).abbreviation().map(str::to_owned)
            }
            Rules::Host(zone) => {
                let utc = jiff::Timestamp::from_millisecond(utc_ms).ok()?;
                Some(zone.to_offset_info(utc).abbreviation().to_owned())
            }
        }
    }
}

fn iana_local(zone: Tz, naive_ms: i64) -> Option<Local> {
    let local = chrono::DateTime::from_timestamp_millis(naive_ms)?.naive_utc();
    let seconds = |offset: chrono::FixedOffset| offset.local_minus_utc();
    Some(match zone.offset_from_local_datetime(&local) {
        chrono::LocalResult::Single(offset) => Local::Once(seconds(offset.fix())),
        chrono::LocalResult::Ambiguous(one, other) => {
            let (one, other) = (seconds(one.fix()), seconds(other.fix()));
            Local::Twice { first: one.max(other), second: one.min(other) }
        }
        // Clocks have skipped up to a day.
        chrono::LocalResult::None => {
            let before = (1..=25).find_map(|hours| {
                zone.offset_from_local_datetime(&(local - chrono::TimeDelta::hours(hours))).latest()
            })?;
            Local::Skipped { before: seconds(before.fix()) }
        }
    })
}

impl From<Tz> for Zone {
    fn from(zone: Tz) -> Self {
        Self(Rules::Iana(zone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> i64 {
        chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    #[test]
    fn both_kinds_of_rules_agree() {
        let iana = Zone::iana("America/New_York").unwrap();
        let posix = Zone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap();
        for (local, expected) in [
            ("2026-01-01T00:00:00Z", Local::Once(-5 * 3600)),
            ("2026-03-08T02:30:00Z", Local::Skipped { before: -5 * 3600 }),
            ("2026-07-01T00:00:00Z", Local::Once(-4 * 3600)),
            ("2026-11-01T01:30:00Z", Local::Twice { first: -4 * 3600, second: -5 * 3600 }),
        ] {
            for zone in [&iana, &posix] {
                assert_eq!(zone.local(millis(local)), Some(expected), "{local} {zone:?}");
            }
        }
        for zone in [&iana, &posix] {
            assert_eq!(zone.offset_called("EST", millis("2026-11-01T01:30:00Z")), Some(-5 * 3600));
            assert_eq!(zone.offset_called("EDT", millis("2026-11-01T01:30:00Z")), Some(-4 * 3600));
            assert_eq!(zone.offset_called("EDT", millis("2026-12-01T01:30:00Z")), None);
        }
    }

    #[test]
    fn no_bytes_make_a_zone_file() {
        assert!(Zone::tzif(b"").is_none());
        assert!(Zone::tzif(b"TZif2 and then nothing that is one").is_none());
        assert!(Zone::tzif(&[0; 100]).is_none());
    }
}
