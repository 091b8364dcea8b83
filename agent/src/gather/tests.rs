//! The gathering thread's rounds, driven step by step on a clock that the tests set.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};

use nightjar_model::Clock;
use nightjar_model::builtin::{self, Blindness, INTAKE_MONITOR, Intake, files_of};
use nightjar_model::delta::{FAULTS_MONITOR, MonitorDelta, Watermark};
use nightjar_model::protocol::decode_gathered;

use super::*;
use crate::journal::Journal;
use crate::shared::Configuration;

/// 2026-11-20T12:00:00Z
const NOON: i64 = 1_795_176_000_000;

struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

struct Rig {
    dir: tempfile::TempDir,
    clock: Arc<Hands>,
    shared: Arc<Shared>,
    gatherer: Gatherer,
    /// The last sequence taken out of the journal.
    taken: u64,
}

impl Rig {
    fn new() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), NOON, 64 << 20)
    }

    fn in_dir(dir: tempfile::TempDir, now: i64, limit: u64) -> Self {
        let clock = Arc::new(Hands(AtomicI64::new(now)));
        let journal = Journal::open(&dir.path().join("journal"), limit, 1).unwrap();
        let shared = Arc::new(Shared::new(clock.clone(), journal));
        let host = HostFacts {
            hostname: "h1".into(),
            ip: String::new(),
            labels: BTreeMap::new(),
            zone: HostZone::named("UTC"),
        };
        let mut gatherer = Gatherer::new(shared.clone(), "w".into(), host, Span::from_secs(2), Guard::default());
        gatherer.find_zone = || HostZone::named("UTC");
        Self { dir, clock, shared, gatherer, taken: 0 }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(self.log(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn spec(&self, name: &str) -> String {
        serde_json::json!({
            "type": "minute_multi_key",
            "source": { "log": { "paths": [ { "path": self.log(name) } ] } },
            "columns": [
                { "name": "k", "pick": { "split": { "by": ",", "index": 1 } } },
                { "name": "v", "pick": { "split": { "by": ",", "index": 2 } } },
            ],
            "group_by": ["k"],
            "stats": [ { "name": "n", "fn": "lines" }, { "name": "s", "fn": "sum", "column": "v" } ],
        })
        .to_string()
    }

    fn apply(&mut self, version: &str, monitors: &[(&str, String)]) {
        let monitors = monitors.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
        self.gatherer.apply(Configuration {
            version: version.into(),
            monitors,
            uids: [("m".into(), "u1".into())].into(),
        });
    }

    fn at(&mut self, millis_past_noon: i64) {
        self.clock.0.store(NOON + millis_past_noon, Ordering::Relaxed);
        self.gatherer.round();
    }

    /// What is new in the journal, without what the agent says of its own work.
    fn records(&mut self) -> (Vec<MonitorDelta>, Vec<Watermark>) {
        let (mut deltas, mut watermarks) = self.all_records();
        deltas.retain(|delta| delta.monitor.name != INTAKE_MONITOR);
        watermarks.retain(|told| builtin::monitor(&told.monitor.name).is_none());
        (deltas, watermarks)
    }

    /// What is new in the journal.
    fn all_records(&mut self) -> (Vec<MonitorDelta>, Vec<Watermark>) {
        let (mut deltas, mut watermarks) = (Vec::new(), Vec::new());
        while let Some(record) = self.shared.journal().next_after(self.taken).unwrap() {
            self.taken = record.sequence;
            let encoded = zstd::stream::decode_all(record.payload.as_slice()).unwrap();
            let (d, w) = decode_gathered("w", &encoded).unwrap();
            deltas.extend(d);
            watermarks.extend(w);
        }
        (deltas, watermarks)
    }

    fn count_of(&mut self, monitor: &str) -> u64 {
        let (deltas, _) = self.records();
        let windows = deltas.iter().filter(|d| d.monitor.name == monitor).flat_map(|d| &d.windows);
        windows.map(|w| w.partials[0].count()).sum()
    }
}

#[test]
fn counts_and_says_when_a_minute_is_complete() {
    let mut rig = Rig::new();
    let spec = rig.spec("a.log");
    rig.apply("1", &[("m", spec)]);
    assert_eq!(rig.shared.applied.borrow().version, "1");
    rig.write("a.log", "2026-11-20 12:00:05,x,2\n2026-11-20 12:00:06,x,3\n2026-11-20 12:00:07,y,9\n");
    rig.at(8_000);
    let (deltas, watermarks) = rig.records();
    assert_eq!(deltas.len(), 1);
    let sums: Vec<_> = deltas[0].windows.iter().map(|w| (w.keys[0].as_str(), w.partials[0].count())).collect();
    assert!(sums.contains(&("x", 2)) && sums.contains(&("y", 1)), "{sums:?}");
    assert_eq!(watermarks.last().unwrap().through, Timestamp(NOON + 7_000));
    // Nothing new is nothing to tell, until the minute is over.
    for millis in (10_000..60_900).step_by(1_000) {
        rig.at(millis);
    }
    assert_eq!(rig.records(), (vec![], vec![]));
    rig.at(61_001);
    let (deltas, watermarks) = rig.records();
    assert_eq!((deltas.len(), watermarks.len()), (0, 1));
    assert!(watermarks[0].through >= Timestamp(NOON + 60_000));
}

#[test]
fn another_zone_of_the_host_is_noticed_within_a_minute() {
    let mut rig = Rig::new();
    let spec = rig.spec("a.log");
    rig.apply("1", &[("m", spec)]);
    rig.write("a.log", "2026-11-20 12:00:05,x,1\n");
    rig.at(6_000);
    rig.gatherer.find_zone = || HostZone::named("Asia/Shanghai");
    rig.write("a.log", "2026-11-20 12:00:09,x,1\n");
    rig.at(10_000);
    rig.write("a.log", "2026-11-20 20:01:02,x,1\n");
    rig.at(63_000);
    let (deltas, _) = rig.records();
    let counted: Vec<_> =
        deltas.iter().flat_map(|d| &d.windows).map(|w| (w.start.0 - NOON, w.partials[0].count())).collect();
    assert_eq!(counted, [(0, 1), (0, 1), (60_000, 1)]);
    assert_eq!(rig.shared.zone.borrow().as_ref().map(|zone| zone.name.clone()).as_deref(), Some("Asia/Shanghai"));
    // Not known any more: what names no zone is not counted.
    rig.gatherer.find_zone = || HostZone { name: String::new(), zone: Err("gone".into()) };
    rig.write("a.log", "2026-11-20 20:02:02,x,1\n2026-11-20 12:02:03 UTC,x,1\n");
    rig.at(123_000);
    let (deltas, _) = rig.records();
    let counted: Vec<_> =
        deltas.iter().flat_map(|d| &d.windows).map(|w| (w.keys.join("/"), w.partials[0].count())).collect();
    assert_eq!(counted, [("x".to_owned(), 1), ("m/time_unreadable/h1".to_owned(), 1)]);
}

#[test]
fn seconds_are_told_when_they_are_over() {
    let mut rig = Rig::new();
    let spec = rig.spec("a.log").replace("minute_multi_key", "second_multi_key");
    rig.apply("1", &[("m", spec)]);
    rig.write("a.log", "2026-11-20 12:00:05,x,2\n2026-11-20 12:00:06,x,3\n");
    rig.at(6_500);
    let (deltas, _) = rig.records();
    let starts: Vec<_> = deltas.iter().flat_map(|d| &d.windows).map(|w| w.start.0 - NOON).collect();
    assert_eq!((starts, deltas[0].width), (vec![5_000, 6_000], Duration::from_secs(1)));
    rig.write("a.log", "2026-11-20 12:00:06,x,3\n");
    rig.at(7_100);
    let (deltas, watermarks) = rig.records();
    assert_eq!(deltas.len(), 1, "what came after the flush is told a second later, not after the interval");
    assert_eq!(watermarks.last().unwrap().through, Timestamp(NOON + 6_100));
    // With nothing written, each second that is over is worth telling.
    rig.at(8_050);
    rig.at(9_050);
    assert_eq!(rig.records().1.len(), 2);
}

#[test]
fn what_can_be_read_no_more_is_told_as_a_gap() {
    let mut rig = Rig::new();
    let spec = rig.spec("a.log");
    rig.apply("1", &[("m", spec)]);
    rig.write("a.log", "2026-11-20 12:00:05,x,2\n");
    rig.at(8_000);
    assert!(rig.records().1.iter().all(|told| told.gap.is_none()));
    rig.write("a.log", "2026-11-20 12:00:09,x,2\n");
    rig.gatherer.discover();
    std::fs::write(rig.log("a.log"), "").unwrap();
    rig.at(10_000);
    let (deltas, watermarks) = rig.records();
    assert_eq!(deltas[0].windows[0].keys, ["m", "bytes_lost", "h1"]);
    assert_eq!(watermarks[0].gap, Some(Timestamp(NOON + 10_000)));
    rig.at(61_001);
    assert_eq!(rig.records().1.iter().map(|told| told.gap).collect::<Vec<_>>(), [None]);
}

#[test]
fn wakes_right_after_the_minute() {
    let mut rig = Rig::new();
    rig.at(60_800);
    rig.clock.0.store(NOON + 60_900, Ordering::Relaxed);
    let wait = rig.gatherer.round();
    assert!(wait <= Duration::from_millis(102), "{wait:?}");
    rig.at(61_003);
    assert!(rig.gatherer.round() >= POLL_EVERY);
}

#[test]
fn a_refused_monitor_stops_nobody_and_its_earlier_form_goes_on() {
    let mut rig = Rig::new();
    let (a, b) = (rig.spec("a.log"), rig.spec("b.log"));
    rig.apply("1", &[("a", a), ("b", b.clone())]);
    let broken = rig.spec("a.log").replace("\"index\":1", "\"index\":-1");
    rig.apply("2", &[("a", broken.clone()), ("b", b), ("c", broken)]);
    let applied = rig.shared.applied.borrow().clone();
    assert_eq!(applied.version, "2");
    let refused: Vec<_> = applied.problems.iter().map(|p| (p.monitor.as_str(), p.path.as_str())).collect();
    assert_eq!(refused, [("a", "spec.columns[0].pick.split.index"), ("c", "spec.columns[0].pick.split.index")]);
    rig.write("a.log", "2026-11-20 12:00:05,x,2\n");
    rig.write("b.log", "2026-11-20 12:00:05,x,2\n");
    rig.at(8_000);
    let (deltas, _) = rig.records();
    let mut names: Vec<_> = deltas.iter().map(|d| d.monitor.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, [FAULTS_MONITOR, "a", "b"]);
    let faults = deltas.iter().filter(|d| d.monitor.name == FAULTS_MONITOR).flat_map(|d| &d.windows);
    let keys: Vec<_> = faults.map(|w| w.keys.join(" ")).collect();
    assert_eq!(keys, ["a config_refused h1", "c config_refused h1"]);
    let reports = rig.shared.reports().monitors;
    assert!(reports.iter().any(|r| r.monitor == "c" && r.faults["config_refused"] == 1 && r.lines == 0));
}

#[test]
fn a_change_keeps_what_was_counted_and_goes_on_where_it_was() {
    let mut rig = Rig::new();
    let spec = rig.spec("a.log");
    rig.apply("1", &[("m", spec.clone())]);
    rig.write("a.log", "2026-11-20 12:00:05,x,2\n");
    // Read, not yet flushed.
    rig.gatherer.discover();
    rig.gatherer.read(Timestamp(NOON + 6_000));
    rig.write("a.log", "2026-11-20 12:00:06,y,2\n");
    rig.apply("2", &[("m", spec.replace("\"group_by\":[\"k\"]", "\"group_by\":[\"k\",\"$host\"]"))]);
    rig.at(8_000);
    let (deltas, _) = rig.records();
    let columns: Vec<_> = deltas.iter().map(|d| (d.group_by.len(), d.windows.len())).collect();
    assert_eq!(columns, [(1, 1), (2, 1)]);
    rig.apply("3", &[]);
    rig.write("a.log", "2026-11-20 12:00:07,y,2\n");
    rig.at(12_000);
    assert_eq!(rig.count_of("m"), 0);
    assert!(rig.shared.journal().positions().files.is_empty());
}

#[test]
fn killed_at_any_time_it_counts_each_line_once() {
    let mut rig = Rig::new();
    let spec = rig.spec("a.log");
    rig.apply("1", &[("m", spec.clone())]);
    let mut written = 0;
    let mut counted = 0;
    for round in 0..40_i64 {
        for _ in 0..round % 4 {
            written += 1;
            rig.write("a.log", "2026-11-20 12:00:05,x,1\n");
        }
        match round % 5 {
            0 => {
                std::fs::rename(rig.log("a.log"), rig.log(&format!("a.log.{round}"))).unwrap_or(());
                rig.write("a.log", &format!("2026-11-20 12:00:05,x,{round}\n"));
                written += 1;
            }
            1 => rig.at(round * 1_000),
            // Read, and killed before the flush.
            2 => {
                rig.gatherer.discover();
                rig.gatherer.read(Timestamp(NOON));
                counted += rig.count_of("m");
                let taken = rig.taken;
                let dir = std::mem::replace(&mut rig.dir, tempfile::tempdir().unwrap());
                drop(rig);
                rig = Rig::in_dir(dir, NOON + round * 1_000, 64 << 20);
                rig.taken = taken;
                rig.apply("1", &[("m", spec.clone())]);
            }
            _ => {}
        }
    }
    rig.at(50_000);
    counted += rig.count_of("m");
    assert_eq!(counted, written);
}

#[test]
fn what_is_read_after_a_start_is_in_the_journal_at_once_and_later_after_the_interval() {
    let mut rig = Rig::new();
    let spec = rig.spec("a.log");
    rig.apply("1", &[("m", spec)]);
    rig.write("a.log", "2026-11-20 12:00:00,x,2\n");
    rig.at(10);
    assert_eq!(rig.count_of("m"), 1);
    rig.write("a.log", "2026-11-20 12:00:00,x,2\n");
    rig.at(500);
    assert_eq!(rig.count_of("m"), 1);
    rig.at(20_000);
    rig.write("a.log", "2026-11-20 12:00:20,x,2\n");
    rig.at(20_500);
    assert_eq!(rig.count_of("m"), 0);
    rig.at(22_100);
    assert_eq!(rig.count_of("m"), 1);
}

#[test]
fn with_the_journal_full_the_files_wait() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::in_dir(dir, NOON, 64 << 10);
    let spec = rig.spec("a.log");
    rig.apply("1", &[("m", spec)]);
    let mut written = 0;
    let mut millis = 0;
    while !rig.shared.journal().is_full() {
        for key in 0..200 {
            rig.write("a.log", &format!("2026-11-20 12:00:05,key-{}-{written},{key}\n", written * 7919 % 10_007));
            written += 1;
        }
        millis += 2_000;
        rig.at(millis);
    }
    rig.write("a.log", "2026-11-20 12:00:05,late,1\n");
    written += 1;
    let before = rig.shared.journal().last_sequence();
    rig.at(millis + 2_000);
    rig.at(millis + 4_000);
    assert_eq!(rig.shared.journal().last_sequence(), before);
    assert!(rig.shared.reports().paused);
    let counted = rig.count_of("m");
    rig.shared.acknowledge(before);
    rig.at(millis + 6_000);
    rig.at(millis + 21_000);
    assert!(!rig.shared.reports().paused);
    assert_eq!(counted + rig.count_of("m"), written);
}

#[test]
fn a_disk_that_refuses_loses_nothing() {
    let mut rig = Rig::new();
    let spec = rig.spec("a.log");
    rig.apply("1", &[("m", spec)]);
    rig.write("a.log", "2026-11-20 12:00:05,x,2\n");
    rig.shared.journal().refuse_writes(true);
    rig.at(6_000);
    rig.write("a.log", "2026-11-20 12:00:06,x,2\n");
    rig.at(9_000);
    assert_eq!(rig.count_of("m"), 0);
    assert!(rig.shared.reports().paused);
    rig.shared.journal().refuse_writes(false);
    rig.at(12_000);
    rig.at(15_000);
    assert_eq!(rig.count_of("m"), 2);
    assert!(!rig.shared.reports().paused);
}

#[test]
fn without_a_configuration_lines_wait_for_one() {
    let mut rig = Rig::new();
    let spec = rig.spec("a.log");
    rig.apply("1", &[("m", spec.clone())]);
    rig.write("a.log", "2026-11-20 12:00:05,x,2\n");
    rig.at(8_000);
    assert_eq!(rig.count_of("m"), 1);
    // Started again, and the kept configuration is gone.
    let (taken, dir) = (rig.taken, std::mem::replace(&mut rig.dir, tempfile::tempdir().unwrap()));
    drop(rig);
    let mut rig = Rig::in_dir(dir, NOON + 9_000, 64 << 20);
    rig.taken = taken;
    rig.write("a.log", "2026-11-20 12:00:10,x,2\n");
    rig.at(12_000);
    rig.at(400_000);
    assert_eq!(rig.records(), (vec![], vec![]));
    rig.apply("1", &[("m", spec)]);
    rig.at(404_000);
    assert_eq!(rig.count_of("m"), 1);
}

#[test]
fn lines_without_a_time_say_nothing_of_how_far_their_file_was_read() {
    let mut rig = Rig::new();
    let spec = rig.spec("a.log").replace("\"paths\":[", &format!("\"paths\":[{{\"path\":{:?}}},", rig.log("b.log")));
    rig.apply("1", &[("m", spec)]);
    rig.write("b.log", "2026-11-20 12:00:30,x,2\n");
    rig.at(31_000);
    assert_eq!(rig.gatherer.tailer.through("m"), Some(Timestamp(NOON + 30_000)));
    // Read in part: what is still unread may be of any time, whatever the other file had last.
    rig.write("a.log", &"a line without a time\n".repeat(100_000));
    rig.clock.0.store(NOON + 90_000, Ordering::Relaxed);
    rig.gatherer.discover();
    let mut feed = Feed { monitors: &mut rig.gatherer.monitors, now: Timestamp(NOON + 90_000) };
    assert!(rig.gatherer.tailer.read(1, Timestamp(NOON + 90_000), &mut feed));
    assert_eq!(rig.gatherer.tailer.through("m"), None);
    rig.at(91_000);
    assert_eq!(rig.gatherer.tailer.through("m"), Some(Timestamp(NOON + 90_000)));
}

#[test]
fn a_minute_waits_for_the_end_of_a_line_but_not_for_ever() {
    let mut rig = Rig::new();
    let spec = rig.spec("a.log");
    rig.apply("1", &[("m", spec)]);
    rig.write("a.log", "2026-11-20 12:00:57,x,2\n2026-11-20 12:00:5");
    rig.at(58_500);
    let told = |rig: &mut Rig| rig.records().1.last().map(|watermark| watermark.through.0 - NOON);
    assert_eq!(told(&mut rig), Some(56_000));
    rig.at(65_000);
    assert_eq!(told(&mut rig), None);
    rig.write("a.log", "8,x,2\n");
    rig.at(68_000);
    assert_eq!(told(&mut rig), Some(67_000));
    // This one gets no end.
    rig.write("a.log", "2026-11-20 12:01:10,x");
    rig.at(71_000);
    rig.at(100_000);
    assert_eq!(rig.gatherer.tailer.through("m"), Some(Timestamp(NOON + 57_000)));
    rig.at(121_500);
    assert_eq!(told(&mut rig), Some(120_500));
}

#[test]
fn a_clock_that_was_ahead_and_is_set_back_leaves_no_minute_partial() {
    let mut rig = Rig::new();
    let spec = rig.spec("a.log");
    rig.apply("1", &[("m", spec)]);
    let told = |rig: &mut Rig| rig.records().1.last().map(|watermark| watermark.through.0 - NOON);
    rig.at(61_001);
    assert_eq!(told(&mut rig), Some(60_001));
    // An hour ahead for a while.
    rig.at(3_661_001);
    assert_eq!(told(&mut rig), Some(3_660_001));
    rig.at(65_000);
    assert_eq!(told(&mut rig), Some(64_000));
    rig.write("a.log", "2026-11-20 12:01:06,x,2\n");
    rig.at(70_000);
    assert_eq!(rig.count_of("m"), 1);
    rig.at(121_001);
    assert_eq!(told(&mut rig), Some(120_001));
    // What a slewed clock does is no news.
    rig.at(119_000);
    assert_eq!(told(&mut rig), None);
}

#[test]
fn says_what_it_read_and_what_of_it_it_understood() {
    let mut rig = Rig::new();
    let filtered = rig
        .spec("a.log")
        .replace("\"group_by\"", "\"filter\":{\"include\":[{\"column\":\"k\",\"in\":[\"nobody\"]}]},\"group_by\"");
    let (a, none) = (rig.spec("a.log"), rig.spec("none.log"));
    rig.apply("1", &[("m", a), ("filtered", filtered), ("none", none)]);
    rig.write("a.log", "2026-11-20 12:00:05,x,2\nno time,x,2\n2026-11-20 12:00:06,y,soon\n");
    rig.at(8_000);
    rig.write("a.log", "no time either\n");
    rig.at(61_001);
    let (deltas, watermarks) = rig.all_records();
    let mut read: std::collections::BTreeMap<(String, i64), Vec<nightjar_model::delta::Partial>> = Default::default();
    for window in deltas.iter().filter(|d| d.monitor.name == INTAKE_MONITOR).flat_map(|d| &d.windows) {
        let into = read.entry((window.keys[0].clone(), window.start.0 - NOON)).or_default();
        if into.is_empty() {
            *into = Intake::default().partials();
        }
        into.iter_mut().zip(&window.partials).for_each(|(into, partial)| into.merge(partial).unwrap());
    }
    let intake = |name: &str, at: i64| Intake::from_partials(&read[&(name.to_owned(), at)]);
    let files = |name: &str| files_of(&read[&(name.to_owned(), 0)]);
    // What was read within the minute; the figure that is no number is of a line that counts.
    assert_eq!(intake("m", 0), Intake { lines: 3, understood: 2, counted: 2 });
    // What a filter drops is understood, whatever else is wrong with it.
    assert_eq!(intake("filtered", 0), Intake { lines: 3, understood: 3, counted: 0 });
    assert_eq!((files("m"), files("none")), (Some(1.0), Some(0.0)));
    assert_eq!(Blindness::of(&read[&("none".to_owned(), 0)]), Some(Blindness::NoFile));
    // Of the minute after, by when it was read.
    assert_eq!(Blindness::of(&read[&("m".to_owned(), 60_000)]), Some(Blindness::NotUnderstood));
    let told = |name: &str| watermarks.iter().rfind(|w| w.monitor.name == name).map(|w| w.through.0 - NOON);
    assert_eq!((told(INTAKE_MONITOR), told(FAULTS_MONITOR)), (Some(60_000), Some(60_000)));
}

#[test]
fn one_that_has_nothing_to_collect_says_nothing_of_itself() {
    let mut rig = Rig::new();
    rig.apply("1", &[]);
    rig.at(61_001);
    rig.at(121_001);
    assert_eq!(rig.all_records(), (vec![], vec![]));
}
