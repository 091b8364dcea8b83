//! Active hours.

use chrono::{Datelike, Timelike, Weekday};
use nightjar_model::Timestamp;
use nightjar_model::kinds::alert_rule::{ActiveHours, Day};

/// Whether a minute that starts at `at` is in one of the stretches; always when there is none.
pub(crate) fn is_active(active: &[ActiveHours], at: Timestamp) -> bool {
    active.is_empty() || active.iter().any(|hours| covers(hours, at))
}

fn covers(hours: &ActiveHours, at: Timestamp) -> bool {
    let Some((from, to)) = hours.bounds() else { return false };
    let zone = hours.timezone.as_deref().and_then(|zone| zone.parse().ok()).unwrap_or(chrono_tz::UTC);
    let local = at.to_utc().with_timezone(&zone);
    let minute = local.hour() * 60 + local.minute();
    let on = |day: Weekday| hours.days.is_empty() || hours.days.iter().any(|wanted| weekday(*wanted) == day);
    if to > from {
        return on(local.weekday()) && (from..to).contains(&minute);
    }
    // Over midnight: the morning belongs to the day before.
    (minute >= from && on(local.weekday())) || (minute < to && on(local.weekday().pred()))
}

fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Mon,
        Day::Tue => Weekday::Tue,
        Day::Wed => Weekday::Wed,
        Day::Thu => Weekday::Thu,
        Day::Fri => Weekday::Fri,
        Day::Sat => Weekday::Sat,
        Day::Sun => Weekday::Sun,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(days: &[Day], from: &str, to: &str, zone: Option<&str>, at: &str, expected: bool) {
        let hours =
            ActiveHours { days: days.to_vec(), from: from.into(), to: to.into(), timezone: zone.map(str::to_owned) };
        let at = Timestamp::parse_rfc3339(at).expect("a time");
        assert_eq!(is_active(&[hours], at), expected, "{days:?} {from}-{to} {zone:?} at {at}");
    }

    #[test]
    fn hours_of_the_day() {
        assert!(is_active(&[], Timestamp(0)));
        // 2026-01-05 is a Monday.
        check(&[], "09:00", "21:00", None, "2026-01-05T09:00:00Z", true);
        check(&[], "09:00", "21:00", None, "2026-01-05T21:00:00Z", false);
        check(&[], "00:00", "24:00", None, "2026-01-05T23:59:00Z", true);
        check(&[Day::Tue], "09:00", "21:00", None, "2026-01-05T12:00:00Z", false);
    }

    #[test]
    fn over_midnight_belongs_to_the_day_it_starts_on() {
        check(&[Day::Mon], "22:00", "06:00", None, "2026-01-05T23:00:00Z", true);
        check(&[Day::Mon], "22:00", "06:00", None, "2026-01-06T05:59:00Z", true);
        check(&[Day::Mon], "22:00", "06:00", None, "2026-01-06T06:00:00Z", false);
        check(&[Day::Mon], "22:00", "06:00", None, "2026-01-05T05:00:00Z", false);
        check(&[Day::Mon], "08:00", "08:00", None, "2026-01-06T07:00:00Z", true);
    }

    #[test]
    fn zones_decide_day_and_hour() {
        // 01:30 UTC on Monday is 09:30 in Shanghai, and Sunday evening in New York.
        check(&[Day::Mon], "09:00", "10:00", Some("Asia/Shanghai"), "2026-01-05T01:30:00Z", true);
        check(&[Day::Sun], "20:00", "21:00", Some("America/New_York"), "2026-01-05T01:30:00Z", true);
        // Summer time: 09:00 in Berlin is 07:00 UTC in July.
        check(&[], "09:00", "10:00", Some("Europe/Berlin"), "2026-07-06T07:30:00Z", true);
    }
}
