//! Against the real libc: what `date` makes of instants in a zone is read back as those instants, however the
//! zone is named to it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;
use crate::zone::HostZone;

/// What `date` writes of each instant (in seconds) with `TZ` so; none where there is no GNU date.
fn date(tz: &str, format: &str, instants: &[i64]) -> Option<Vec<String>> {
    let mut command = Command::new("date");
    command.args(["-f", "-", &format!("+{format}")]).env("TZ", tz).env("LC_ALL", "C");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let asked: String = instants.iter().map(|at| format!("@{at}\n")).collect();
    let mut input = child.stdin.take()?;
    // Beside the reading, for a pipe holds only so much.
    let writer = std::thread::spawn(move || input.write_all(asked.as_bytes()).is_ok());
    let output = child.wait_with_output().ok()?;
    let lines: Vec<String> = String::from_utf8(output.stdout).ok()?.lines().map(str::to_owned).collect();
    (writer.join().ok()? && output.status.success() && lines.len() == instants.len()).then_some(lines)
}

/// Everything that `TZ` may hold, and names of all parts of the world.
const ZONES: [&str; 36] = [
    "Asia/Shanghai",
    ":Asia/Shanghai",
    "America/New_York",
    "Europe/London",
    "Europe/Dublin",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "Asia/Tehran",
    "Antarctica/Troll",
    "Africa/Cairo",
    "",
    ":",
    "UTC",
    "UTC0",
    "GMT",
    "CST-8",
    "CST6CDT",
    "EST5EDT",
    "EST5EDT,M3.2.0,M11.1.0",
    "<+08>-8",
    "<-03>3",
    "<+0545>-5:45",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "NZST-12NZDT,M9.5.0,M4.1.0/3",
    "IST-1GMT0,M10.5.0,M3.5.0/1",
    "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
    "XXX3YYY,J60/1:30,J300",
    "/usr/share/zoneinfo/Asia/Tokyo",
    ":/usr/share/zoneinfo/America/Chicago",
    "Etc/GMT+8",
];

/// Every seventh hour and odd second of 2023 to 2029, each hour around the ends of March and October, and each
/// of two weeks in which clocks change in America.
fn instants() -> Vec<i64> {
    let mut instants: Vec<i64> = (1_672_531_200..1_861_920_000).step_by(7 * 3_600 * 11 + 13).collect();
    for begin in [1_774_000_000, 1_772_700_000, 1_792_800_000, 1_793_300_000, 1_775_000_000, 1_790_300_000] {
        instants.extend((begin..begin + 8 * 86_400).step_by(1_777));
    }
    instants
}

fn zone_of(tz: &str) -> HostZone {
    HostZone::by_variable(tz)
}

#[test]
fn local_times_are_read_as_libc_wrote_them() {
    let instants = instants();
    let mut compared = 0;
    for tz in ZONES {
        let Some(lines) = date(tz, "%Y-%m-%d %H:%M:%S", &instants) else {
            eprintln!("skipped: there is no GNU date to compare with");
            return;
        };
        let zone = zone_of(tz);
        let known = zone.zone.clone().unwrap_or_else(|why| panic!("TZ={tz}: {why}"));
        let mut reader = TimeReader::new(&TimeFormat::Normal, Some(known), false);
        for (instant, line) in instants.iter().zip(&lines) {
            // Read as it was written: that tells the first of two equal hours from the second.
            let now = Now { at: Timestamp(instant * 1000), live: true };
            let read = reader.read(line.as_bytes(), now).map(|time| time.0 / 1000);
            assert_eq!(read, Some(*instant), "{line} with TZ={tz}");
            compared += 1;
        }
    }
    assert!(compared > 50_000, "{compared}");
}

#[test]
fn what_says_its_offset_or_zone_is_read_the_same_anywhere() {
    let instants: Vec<i64> = instants().into_iter().step_by(5).collect();
    let formats = [
        "%Y-%m-%d %H:%M:%S %z",
        "%Y-%m-%dT%H:%M:%S%:z",
        "%d/%b/%Y:%H:%M:%S %z",
        "%a %b %e %H:%M:%S %Y %z",
        "%Y/%m/%d %H:%M:%S%z",
        "%a, %d %b %Y %I:%M:%S %p %z",
        "%b %e %Y %H:%M:%S %:z",
        "%Y年%m月%d日 %H时%M分%S秒 %z",
        "%Y%m%dT%H%M%S%z",
        "%s",
    ];
    for tz in ZONES {
        for format in formats {
            let Some(lines) = date(tz, format, &instants) else {
                eprintln!("skipped: there is no GNU date to compare with");
                return;
            };
            let mut reader = reader("auto", "Pacific/Kiritimati");
            for (instant, line) in instants.iter().zip(&lines) {
                let now = Now { at: Timestamp(instant * 1000), live: true };
                let read = reader.read(line.as_bytes(), now).map(|time| time.0 / 1000);
                assert_eq!(read, Some(*instant), "{line} with TZ={tz}");
            }
        }
    }
}

/// Whatever a zone calls itself, a line that says so is read as libc meant it, or not at all.
#[test]
fn abbreviations_are_right_or_not_read() {
    let instants: Vec<i64> = (1_672_531_200..1_861_920_000).step_by(2_000_003).collect();
    let (mut read_lines, mut told) = (0, 0);
    for zone in chrono_tz::TZ_VARIANTS {
        // Of a file alone, so that the two databases may differ in versions without harm.
        let Some(lines) = date(zone.name(), "%Y-%m-%d %H:%M:%S %Z", &instants) else {
            eprintln!("skipped: there is no GNU date to compare with");
            return;
        };
        let mut reader = reader("auto", "Asia/Shanghai");
        for (instant, line) in instants.iter().zip(&lines) {
            let now = Now { at: Timestamp(instant * 1000), live: true };
            match reader.read(line.as_bytes(), now) {
                Some(time) => {
                    assert_eq!(time.0 / 1000, *instant, "{line} in {zone}");
                    read_lines += 1;
                }
                None => told += 1,
            }
        }
    }
    assert!(read_lines > 20_000 && told > 1_000, "{read_lines} {told}");
}
