mod golden;
mod libc;

use proptest::prelude::*;

use super::*;

const NOW: &str = "2026-11-27T04:00:00Z";

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("a time")
}

fn reader(format: &str, zone: &str) -> TimeReader {
    TimeReader::new(&format.parse().expect("a format"), Zone::iana(zone), false)
}

/// What `line` is read as, the first time and from what is remembered.
fn read_twice(reader: &mut TimeReader, line: &str, now: Now) -> Option<String> {
    let mut read = || reader.read(line.as_bytes(), now).map(|time| time.to_string());
    let (first, again) = (read(), read());
    assert_eq!(first, again, "{line} as remembered");
    first
}

fn check_at(format: &str, zone: &str, now: &str, line: &str, time: Option<&str>) {
    let now = Now { at: at(now), live: true };
    let read = read_twice(&mut reader(format, zone), line, now);
    assert_eq!(read.as_deref(), time, "{line:?} as {format} in {zone}");
}

fn check_as(format: &str, line: &str, time: Option<&str>) {
    check_at(format, "Asia/Shanghai", NOW, line, time);
}

fn check(line: &str, time: Option<&str>) {
    check_as("auto", line, time);
}

#[test]
fn reads_normal_and_iso() {
    check("2016-12-13 10:00:14", Some("2016-12-13T02:00:14Z"));
    check("2016-12-13 10:00:14.123,x", Some("2016-12-13T02:00:14.123Z"));
    check("2016-12-13 10:00:14,567 INFO", Some("2016-12-13T02:00:14.567Z"));
    check("2016-12-13 10:00:14.5", Some("2016-12-13T02:00:14.500Z"));
    check("2016-12-13 10:00:14,5,2950211004", Some("2016-12-13T02:00:14Z"));
    check("2016-12-13 10:00:14,衣服", Some("2016-12-13T02:00:14Z"));
    check("2016-12-13 10:00:14.123456789 x", Some("2016-12-13T02:00:14.123Z"));
    check("2016-12-13 10:00:14:123 x", Some("2016-12-13T02:00:14.123Z"));
    check("2016-12-13T10:00:14.123+09:00", Some("2016-12-13T01:00:14.123Z"));
    check("2016-12-13T10:00:14Z", Some("2016-12-13T10:00:14Z"));
    check("2016-12-13t10:00:14z", Some("2016-12-13T10:00:14Z"));
    check("2016-12-13T10:00:14-0330", Some("2016-12-13T13:30:14Z"));
    check("2016-12-13T10:00:14+08", Some("2016-12-13T02:00:14Z"));
    check("2016-12-13T10:00:14", Some("2016-12-13T02:00:14Z"));
    check("2016-12-13 10:00:14+00:00", Some("2016-12-13T10:00:14Z"));
    check("2016-12-13 10:00:14-1234", Some("2016-12-13T02:00:14Z"));
    check("2016-12-13 23:59:60", Some("2016-12-13T15:59:59Z"));
    check("2016-1-3 9:00:14", Some("2016-01-03T01:00:14Z"));
}

#[test]
fn an_offset_or_zone_of_the_line_goes_before_the_hosts() {
    let time = Some("2026-11-20T04:00:05Z");
    check("2026-11-20 04:00:05 +0000 [info]: worker ready", time);
    check("2026-11-19 21:00:05 -0700 INFO x", time);
    check("2026-11-19 21:00:05-07 x", time);
    check("2026-11-20 04:00:05+0000 x", time);
    check("2026-11-20 04:00:05Z x", time);
    check("2026-11-20 04:00:05.120 UTC [713] LOG:  x", Some("2026-11-20T04:00:05.120Z"));
    check("2026-11-20 04:00:05,120 +0000 x", Some("2026-11-20T04:00:05.120Z"));
    check("2026-11-20 12:00:05 GMT+8 x", time);
    check("2026-11-20 13:00:05[Asia/Tokyo] x", time);
    check("2026-11-20 13:00:05 JST x", time);
    check("2026-11-20T12:00:05+08:00[Asia/Shanghai] x", time);
    // From the minute of the line before, which was in the host's zone.
    let mut reader = reader("auto", "Asia/Shanghai");
    let now = Now { at: at(NOW), live: true };
    for (line, time) in [
        ("2026-11-20 12:00:05 x", Some("2026-11-20T04:00:05Z")),
        ("2026-11-20 12:00:05 +0000 x", Some("2026-11-20T12:00:05Z")),
        ("2026-11-20 12:00:05 CST x", None),
        ("2026-11-20 12:00:05 x", Some("2026-11-20T04:00:05Z")),
    ] {
        assert_eq!(read_twice(&mut reader, line, now).as_deref(), time, "{line}");
    }
}

#[test]
fn an_abbreviation_that_zones_share_is_not_guessed() {
    for line in ["2026-11-20 12:00:05 CST x", "2026-11-20 12:00:05 IST", "Fri Nov 20 12:00:05 CST 2026"] {
        check(line, None);
        let now = Now { at: at(NOW), live: true };
        let named = |zone: &str| {
            let mut reader = TimeReader::new(&TimeFormat::Auto, Zone::iana(zone), true);
            read_twice(&mut reader, line, now)
        };
        if line.contains("CST") {
            assert_eq!(named("Asia/Shanghai").as_deref(), Some("2026-11-20T04:00:05Z"));
            assert_eq!(named("America/Chicago").as_deref(), Some("2026-11-20T18:00:05Z"));
        }
        assert_eq!(named("Europe/Berlin"), None);
    }
    let mut reader = TimeReader::new(&TimeFormat::Auto, Zone::iana("America/Chicago"), true);
    let now = Now { at: at(NOW), live: false };
    // The hour that comes twice is told by the abbreviation.
    assert_eq!(read_twice(&mut reader, "2026-11-01 01:30:00 CDT", now).as_deref(), Some("2026-11-01T06:30:00Z"));
    assert_eq!(read_twice(&mut reader, "2026-11-01 01:30:00 CST", now).as_deref(), Some("2026-11-01T07:30:00Z"));
}

#[test]
fn without_a_zone_only_what_names_one_is_read() {
    let mut reader = TimeReader::new(&TimeFormat::Auto, None, false);
    let now = Now { at: at(NOW), live: true };
    let mut check = |line: &str, time: Option<&str>| assert_eq!(read_twice(&mut reader, line, now).as_deref(), time);
    check("2026-11-20 12:00:05 x", None);
    check("2026-11-20 12:00:05 +0800 x", Some("2026-11-20T04:00:05Z"));
    check("1764208814 x", Some("2025-11-27T02:00:14Z"));
    check("9999999999999999999 x", Some("2286-11-20T17:46:39.999Z"));
    check("Nov 20 12:00:05 x", None);
}

#[test]
fn says_why_there_is_no_time() {
    let now = Now { at: at("2026-11-27T12:00:00Z"), live: true };
    let check = |format: &str, zone: Option<&str>, line: &str, why: Unread| {
        let mut reader = TimeReader::new(&format.parse().expect("a format"), zone.and_then(Zone::iana), false);
        assert_eq!(reader.read(line.as_bytes(), now), None, "{line}");
        assert_eq!(reader.unread(), why, "{line}");
        // The line before is no reason.
        reader.read(b"no time", now);
        assert_eq!(reader.unread(), Unread::Absent);
    };
    let shanghai = Some("Asia/Shanghai");
    check("auto", None, "2026-11-27 10:00:00 INFO", Unread::NoZone);
    check("time_of_day", None, "10:00:00 INFO", Unread::NoZone);
    check("strftime:%Y-%m-%d %H:%M:%S", None, "2026-11-27 10:00:00 INFO", Unread::NoZone);
    check("auto", shanghai, "Fri Nov 27 10:00:00 CST 2026", Unread::SharedZone);
    check("auto", None, "2026-11-27 10:00:00 CST", Unread::SharedZone);
    check("auto", shanghai, "2026-11-27 10:00:00 Asia/Nowhere", Unread::UnknownZone);
    check("auto", shanghai, "05/06/2026 10:00:00 x", Unread::TwoMeanings);
    check("auto", shanghai, "\tat com.example.Main", Unread::Absent);
    check("auto", None, "2026-13-27 10:00:00", Unread::Absent);
}

#[test]
fn looks_for_the_first_time_near_the_start() {
    check("[main-7] 2016-12-13 10:00:14 2017-01-01 00:00:00", Some("2016-12-13T02:00:14Z"));
    check("12016-12-13 10:00:14", None);
    check("id=1234-5678 2016-12-13 10:00:14", Some("2016-12-13T02:00:14Z"));
    check(&format!("{}2016-12-13 10:00:14", "x".repeat(128)), Some("2016-12-13T02:00:14Z"));
    check(&format!("{}2016-12-13 10:00:14", "x".repeat(129)), None);
    // The first is not understood: the second is of something else.
    check("2026-11-20 12:00:05 CST until 2026-11-21 12:00:05", None);
    check("2026-13-20 12:00:05 until 2026-11-21 12:00:05", None);
}

#[test]
fn refuses_what_is_no_time() {
    for line in [
        "",
        "-",
        "2016-13-13 10:00:14",
        "2016-02-30 10:00:14",
        "2016-12-13 24:00:00",
        "2016-12-13 10:60:00",
        "2016-12-13 10:00:61",
        "2016-12-13 10:00",
        "2016-12-13 10:00:145",
        "May 32 10:00:00",
        "Nov 27 10:00",
        "1e9",
        "2016-12-13 14:00:00 AM",
        "2016-12-13 00:00:00 PM",
        "20161340 100014",
        "order 20261127100014 paid",
        "id 1476064860000",
        "phone 13812345678 x",
        "10:00:14.123 [main] INFO",
        "at com.example.Main(Main.java:27)",
        "Mon",
        "I1127",
        "\u{e4}",
        "十",
    ] {
        check(line, None);
    }
    check_as("normal", "2016-12-13T10:00:14", None);
    check_as("iso8601", "2016-12-13 10:00:14", None);
}

#[test]
fn a_named_format_reads_no_other() {
    let examples = TimeFormat::NAMED;
    for (format, name, example) in &examples {
        if example.is_empty() {
            continue;
        }
        let read = |name: &str| {
            let now = Now { at: at(NOW), live: true };
            read_twice(&mut reader(name, "Asia/Shanghai"), example, now)
        };
        let time = read(name);
        assert!(time.is_some(), "{name}: {example}");
        if *format != TimeFormat::TimeOfDay {
            assert_eq!(read("auto"), time, "{example}");
        }
        // Names for one form, seen from several sides.
        let family = |name: &str| match name {
            "asctime" | "month_first" | "syslog" => 1,
            "long" | "short_long" | "epoch" => 2,
            _ => 0,
        };
        for (other, other_name, _) in &examples {
            let apart = *other != TimeFormat::Auto && *other != TimeFormat::Arrival && other != format;
            let same_family = family(name) != 0 && family(name) == family(other_name);
            let iso = *name == "iso8601" && *other_name == "syslog";
            // Which number is the month is exactly what these two are told apart by.
            let by_name =
                (name == &"revert" && other_name == &"day_first") || (name == &"day_first" && other_name == &"revert");
            if apart && !same_family && !iso {
                let read = read(other_name);
                assert!(read.is_none() || (by_name && read != time), "{example} as {other_name}: {read:?}");
            }
        }
    }
}

#[test]
fn day_and_month_are_not_guessed() {
    check("05-25-2017 18:28:42", Some("2017-05-25T10:28:42Z"));
    check("25-05-2017 18:28:42", Some("2017-05-25T10:28:42Z"));
    check("25/05/2017 18:28:42", Some("2017-05-25T10:28:42Z"));
    check("11/27/2026 10:00:14 PM", Some("2026-11-27T14:00:14Z"));
    check("27.11.2026, 10:00:14 x", Some("2026-11-27T02:00:14Z"));
    check("10.20.30.40 2026-11-27 10:00:14 x", Some("2026-11-27T02:00:14Z"));
    check("05.12.2017 18:28:42", None);
    check("05-05-2017 18:28:42", Some("2017-05-05T10:28:42Z"));
    check("05-12-2017 18:28:42", None);
    check("01/02/2026 10:00:14", None);
    check("01/02/2026 10:00:14 until 2026-02-01 10:00:14", None);
    check_as("revert", "05-12-2017 18:28:42", Some("2017-05-12T10:28:42Z"));
    check_as("day_first", "05-12-2017 18:28:42", Some("2017-12-05T10:28:42Z"));
    check_as("revert", "25-05-2017 18:28:42", None);
    check_as("day_first", "05-25-2017 18:28:42", None);
}

#[test]
fn a_year_that_is_not_said_is_the_latest_that_can_be() {
    let check = |now: &str, line: &str, time: &str| {
        check_at("auto", "Asia/Shanghai", now, line, Some(time));
        check_at("month_first", "Asia/Shanghai", now, line, Some(time));
    };
    // New Year's Eve in Shanghai is 16:00 UTC; both ways, also by a clock that is a little off.
    check("2026-12-31T16:00:05Z", "Dec 31 23:59:59 h x", "2026-12-31T15:59:59Z");
    check("2026-12-31T16:00:05Z", "Jan  1 00:00:01 h x", "2026-12-31T16:00:01Z");
    check("2026-12-31T15:59:58Z", "Jan  1 00:00:01 h x", "2026-12-31T16:00:01Z");
    check("2026-12-31T15:59:58Z", "Dec 31 23:59:50 h x", "2026-12-31T15:59:50Z");
    check("2026-11-27T04:00:00Z", "Nov 27 12:00:00 h x", "2026-11-27T04:00:00Z");
    check("2026-11-27T04:00:00Z", "Dec 24 12:00:00 h x", "2025-12-24T04:00:00Z");
    check("2028-02-29T04:00:00Z", "Feb 29 12:00:00 h x", "2028-02-29T04:00:00Z");
    check("2028-02-28T15:59:58Z", "Feb 29 00:00:01 h x", "2028-02-28T16:00:01Z");
    check("2028-02-29T16:00:01Z", "Feb 29 23:59:59 h x", "2028-02-29T15:59:59Z");
    check("2026-11-27T04:00:00Z", "Feb 29 12:00:00 h x", "2024-02-29T04:00:00Z");
    check_at("auto", "UTC", "2026-01-01T00:00:01Z", "I1231 23:59:59.5 1 f.go:1] x", Some("2025-12-31T23:59:59.500Z"));
    check_at("auto", "UTC", NOW, "Feb 30 12:00:00 x", None);
}

#[test]
fn what_begins_as_the_line_before_need_not_go_on_so() {
    let now = Now { at: at(NOW), live: true };
    for (before, line) in [
        ("20261127100014 x", "2026112710001: x"),
        ("20261127100014 x", "2026112710009912 x"),
        ("20261127 100014 x", "20261127 1000991 2026-11-27 10:00:14"),
        ("20261127 10:00:14 x", "20261127 10:00:14123 x"),
        ("2026-11-27 10:00:14 x", "2026-11-27 10:00:991 2026-11-27 10:00:14"),
        ("Nov 27 10:00:14 x", "Nov 27 10:00:991 2026-11-27 10:00:14"),
    ] {
        let mut remembers = reader("auto", "Asia/Shanghai");
        assert!(remembers.read(before.as_bytes(), now).is_some(), "{before}");
        let fresh = reader("auto", "Asia/Shanghai").read(line.as_bytes(), now);
        assert_eq!(remembers.read(line.as_bytes(), now), fresh, "{line} behind {before}");
    }
}

#[test]
fn the_same_words_a_year_later_are_of_that_year() {
    let mut reader = reader("auto", "UTC");
    let mut read = |now: &str, line: &str| {
        reader.read(line.as_bytes(), Now { at: at(now), live: true }).map(|time| time.to_string())
    };
    let line = "Nov 27 04:00:00 yearly x";
    for year in ["2026", "2027", "2028", "2026"] {
        let time = format!("{year}-11-27T04:00:00Z");
        assert_eq!(read(&time, line), Some(time));
    }
}

#[test]
fn a_time_of_day_is_of_the_day_it_was_written() {
    let check = |now: &str, line: &str, time: &str| check_at("time_of_day", "Asia/Shanghai", now, line, Some(time));
    check("2026-11-27T04:00:00Z", "12:00:00.123 [main] INFO", "2026-11-27T04:00:00.123Z");
    check("2026-11-27T16:00:01Z", "[23:59:59,500] x", "2026-11-27T15:59:59.500Z");
    check("2026-11-27T16:00:01Z", "00:00:00 x", "2026-11-27T16:00:00Z");
    check("2026-11-27T15:59:59Z", "00:00:01 x", "2026-11-27T16:00:01Z");
    check("2026-11-27T04:00:00Z", "12:30:00 x", "2026-11-26T04:30:00Z");
    check_at("time_of_day", "UTC", NOW, "24:30:00 x", None);
}

#[test]
fn chinese_seconds() {
    let mut reader = reader("auto", "Asia/Shanghai");
    let now = Now { at: at(NOW), live: true };
    // From what is remembered, the same as at first.
    for (line, time) in [
        ("2026年11月27日 10:00:14 x", Some("2026-11-27T02:00:14Z")),
        ("2026年11月27日 10:00:1 x", None),
        ("2026年11月27日 10时0分1秒 x", Some("2026-11-27T02:00:01Z")),
        ("2026年11月27日 10时0分14.5秒 x", Some("2026-11-27T02:00:14.500Z")),
    ] {
        assert_eq!(read_twice(&mut reader, line, now).as_deref(), time, "{line}");
    }
}

#[test]
fn half_days() {
    check("2026-11-27 10:00:14 PM x", Some("2026-11-27T14:00:14Z"));
    check("2026-11-27 12:00:14 AM x", Some("2026-11-26T16:00:14Z"));
    check("2026-11-27 12:00:14 PM x", Some("2026-11-27T04:00:14Z"));
    check("2026-11-27 14:00:14 PM x", Some("2026-11-27T06:00:14Z"));
    check("2026/11/27 下午 2:00:14 x", Some("2026-11-27T06:00:14Z"));
    check("2026-11-27 10:00:14 PM2 is up", Some("2026-11-27T02:00:14Z"));
    check("Nov 27, 2026 1:05:09\u{202f}PM com.example.Main main", Some("2026-11-27T05:05:09Z"));
    check("2026-11-27 10:00:14 PM UTC x", Some("2026-11-27T22:00:14Z"));
}

#[test]
fn patterns() {
    let check = |pattern: &str, line: &str, time: Option<&str>| check_as(&format!("strftime:{pattern}"), line, time);
    let time = Some("2026-11-27T02:00:14Z");
    check("%d/%b/%Y:%H:%M:%S %z", "1.2.3.4 - - [27/Nov/2026:10:00:14 +0800] x", time);
    check("%y%m%d %H:%M:%S", "261127 10:00:14 [Note]", time);
    check("%y/%m/%d %H:%M:%S", "26/11/27 10:00:14 INFO", time);
    check("%d.%m.%Y %H:%M:%S", "x 27.11.2026 10:00:14", time);
    check("%Y%m%d%H%M%S%3f", "20261127100014123 x", Some("2026-11-27T02:00:14.123Z"));
    check("%F %T", "2026-11-27 10:00:14 x", time);
    check("%F %T", "2026-11-27 02:00:14 +0000 x", time);
    check("%F %T", "2026-11-27 07:30:14+5:30 x", time);
    check("%F %T", "2026-11-27 10:00:14 BOT x", time);
    check("%F %T", "2026-11-27 10:00:14 CAT ran /bin/ls", time);
    check("%F %T", "2026-11-27 10:00:14 CST ran /bin/ls", time);
    check("%F %T", "2026-11-27 02:00:14 Etc/UTC x", time);
    // What the pattern leaves unread stands before the offset.
    check("%F %T", "2026-11-27 02:00:14.120+00:00", time);
    check("%F %T", "2026-11-27 02:00:14.120 +0000 x", time);
    check("%F %T", "2026-11-27 02:00:14,120Z x", time);
    check("%F %T", "2026-11-27 10:00:14, +0000 x", time);
    check("%F %H:%M", "2026-11-27 02:00:14.120 +0000 x", Some("2026-11-27T02:00:00Z"));
    check("%F %T", "2026-11-27 10:00:14,7,+0000", time);
    check("%F %T", "2026-11-27 10:00:14,1234-0500", time);
    check("%p %I:%M:%S %F", "下午 10:00:14 2026-11-26", Some("2026-11-26T14:00:14Z"));
    check("%Z %F %T", "UTC 2026-11-27 02:00:14", time);
    check("%z %F %T", "[+0000 2026-11-27 02:00:14", time);
    check("%F %T %Z", "2026-11-27 02:00:14 UTC", time);
    check("%F %T %Z", "2026-11-27 10:00:14 CST", None);
    check("%F %T %Z", "2026-11-27 10:00:14 XYZ", None);
    check("%s%.f", "t=1795744814.5 x", Some("2026-11-27T02:00:14.500Z"));
    check("%b %e %H:%M", "Nov  7 10:00 x", Some("2026-11-07T02:00:00Z"));
    check("%Y %j %H:%M:%S", "2026 331 10:00:14", time);
    check("%m/%d/%Y %I:%M:%S %p", "11/27/2026 10:00:14 PM", Some("2026-11-27T14:00:14Z"));
    check("%m/%d/%Y %I:%M:%S %p", "11/27/2026 13:00:14 AM", None);
    check("%A, %B %d, %Y %r", "Friday, November 27, 2026 10:00:14 AM", time);
    check("%F %T", "2026-02-30 10:00:14", None);
    check("%F %T", "2026-11-27", None);
}

#[test]
fn arrival_is_the_present() {
    check_as("arrival", "anything", Some(NOW));
    check_as("arrival", "", Some(NOW));
}

#[test]
fn a_skipped_hour_is_read_as_before_the_change() {
    let check = |zone, line, time| check_at("auto", zone, NOW, line, Some(time));
    check("America/New_York", "2026-03-08 01:59:59", "2026-03-08T06:59:59Z");
    check("America/New_York", "2026-03-08 02:30:00", "2026-03-08T07:30:00Z");
    check("America/New_York", "2026-03-08 03:30:00", "2026-03-08T07:30:00Z");
    check("Pacific/Apia", "2011-12-30 12:00:00", "2011-12-30T22:00:00Z");
}

#[test]
fn a_repeated_hour_goes_by_the_present() {
    let (first, second) = (Some("2026-11-01T05:30:00Z"), Some("2026-11-01T06:30:00Z"));
    let check = |now: &str, time| check_at("auto", "America/New_York", now, "2026-11-01 01:30:00", time);
    check("2026-11-01T05:30:01Z", first);
    check("2026-11-01T06:30:01Z", second);
    let past = Now { at: at(NOW), live: false };
    let read = read_twice(&mut reader("auto", "America/New_York"), "2026-11-01 01:30:00", past);
    assert_eq!(read.as_deref(), first);
}

#[test]
fn a_minute_in_which_the_zone_changed_is_not_remembered() {
    // Liberia went from -0:44:30 to 0 at 1972-01-07 00:00.
    let mut reader = reader("auto", "Africa/Monrovia");
    let now = Now { at: at(NOW), live: false };
    let mut read = |line: &str| reader.read(line.as_bytes(), now).map(|t| t.to_string());
    assert_eq!(read("1972-01-06 23:59:00").as_deref(), Some("1972-01-07T00:43:30Z"));
    assert_eq!(read("1972-01-07 00:45:00").as_deref(), Some("1972-01-07T00:45:00Z"));
}

/// Bits of which times are made, and others.
fn line() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "2026-11-27 10:00:",
        "14",
        "20261127",
        "T100014",
        " ",
        "10:00:",
        "Nov 27 ",
        "2026 ",
        "27/Nov/2026:",
        ",123",
        ".5",
        "+0800",
        " UTC",
        " CST",
        " PM",
        "Z",
        "[",
        "]",
        "2026年11月27日 ",
        "10时00分",
        "3秒",
        "1764208814",
        "123",
        "I1127 ",
        "05-25-2017 ",
        "十一月",
        "x",
        "-",
        "[Asia/Tokyo]",
        "\u{202f}",
        "(",
        " Standard Time",
        "202611271000",
        "下午",
    ]);
    prop::collection::vec(part, 0..10).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn what_was_read_before_changes_nothing(lines in prop::collection::vec(line(), 1..12), days in 0i64..800) {
        let mut reused = reader("auto", "America/New_York");
        for (index, line) in lines.iter().enumerate() {
            let now = Now { at: Timestamp(at(NOW).0 + days * DAY_MS * index as i64), live: true };
            let fresh = reader("auto", "America/New_York").read(line.as_bytes(), now);
            prop_assert_eq!(reused.read(line.as_bytes(), now), fresh, "{}", line);
        }
    }

    #[test]
    fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..200), pattern in 0usize..4) {
        let formats = ["auto", "strftime:%d/%b/%Y %I:%M:%S %p %Z", "strftime:%s%.f", "time_of_day"];
        let now = Now { at: at(NOW), live: true };
        let _ = reader(formats[pattern], "Asia/Shanghai").read(&bytes, now);
    }
}
