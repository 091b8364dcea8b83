//! The tailer on real files, driven step by step: whatever is written is read once, however the
//! files are rotated, the polls fall, and the agent is killed.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

pub(super) struct Rig {
    pub(super) dir: tempfile::TempDir,
    watches: Vec<Watch>,
    pub(super) tailer: Tailer,
    pub(super) now: Timestamp,
    /// What a journal would hold.
    pub(super) journalled: Positions,
    kept: Seen,
    /// Read, but not yet journalled.
    fresh: Seen,
    pub(super) written: u64,
    rotations: u32,
    pub(super) writer: File,
}

#[derive(Default, Clone)]
struct Seen {
    lines: BTreeMap<(usize, String), u32>,
    faults: BTreeMap<FaultReason, u64>,
    cut: u32,
}

impl Sink for Seen {
    fn line(&mut self, monitors: &[usize], line: &[u8], cut: bool, _path: &Path) {
        self.cut += u32::from(cut);
        for monitor in monitors {
            let text = String::from_utf8_lossy(line).trim_start_matches('\0').chars().take(20).collect();
            *self.lines.entry((*monitor, text)).or_default() += 1;
        }
    }

    fn take_last_time(&mut self, _monitor: usize) -> Option<Timestamp> {
        Some(Timestamp(7_000))
    }

    fn fault(&mut self, _monitor: usize, reason: FaultReason, count: u64, _example: &str) {
        *self.faults.entry(reason).or_default() += count;
    }
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Write(u8),
    /// Begins a line; the next write ends it.
    WritePart,
    Rename,
    /// Renames as logrotate does: .1 is the youngest.
    RenameShifting,
    CopyTruncate,
    CopyTruncateShifting,
    Poll,
    Journal,
    Kill,
}

fn watch(monitor: &str, slot: usize, pattern: PathPattern, start: StartAt) -> Watch {
    Watch { monitor: monitor.into(), uid: format!("u-{monitor}"), slot, patterns: vec![pattern], start }
}

pub(super) fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

impl Rig {
    /// With monitors on this pattern under a directory of its own, which come before the file does.
    pub(super) fn new(patterns: &[&str]) -> Self {
        Self::with(StartAt::End, patterns, |_| {})
    }

    pub(super) fn with(start: StartAt, patterns: &[&str], prepare: impl Fn(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let pattern = |text: &&str| {
            let full = dir.path().join(text).to_string_lossy().into_owned();
            if text.contains('*') { PathPattern::Glob(full) } else { PathPattern::Path(full) }
        };
        let watches: Vec<Watch> =
            patterns.iter().enumerate().map(|(slot, p)| watch(&format!("m{slot}"), slot, pattern(p), start)).collect();
        let mut rig = Self {
            tailer: Tailer::new(&Positions::default(), Guard::default(), Timestamp(0)),
            watches,
            now: Timestamp(10_000),
            journalled: Positions::default(),
            kept: Seen::default(),
            fresh: Seen::default(),
            written: 0,
            rotations: 0,
            writer: append(&dir.path().join(".writer")),
            dir,
        };
        rig.tailer.configure(rig.watches.clone());
        rig.poll();
        rig.journal();
        rig.writer = append(&rig.path(""));
        rig
    }

    pub(super) fn path(&self, suffix: &str) -> PathBuf {
        self.dir.path().join(format!("trade.log{suffix}"))
    }

    pub(super) fn step(&mut self, step: &Step) {
        match step {
            Step::Write(lines) => {
                for _ in 0..*lines {
                    self.write_line("\n");
                }
            }
            Step::WritePart => self.write_line(""),
            Step::Rename => {
                self.rotations += 1;
                fs::rename(self.path(""), self.path(&format!(".{}", self.rotations))).unwrap();
                self.writer = append(&self.path(""));
            }
            Step::RenameShifting => {
                self.shift();
                fs::rename(self.path(""), self.path(".1")).unwrap();
                self.writer = append(&self.path(""));
            }
            Step::CopyTruncate => {
                self.rotations += 1;
                self.copy_truncate(&format!(".{}", self.rotations));
            }
            Step::CopyTruncateShifting => {
                self.shift();
                self.copy_truncate(".1");
            }
            Step::Poll => self.poll(),
            Step::Journal => self.journal(),
            Step::Kill => self.restart(),
        }
    }

    fn write_line(&mut self, end: &str) {
        self.written += 1;
        let line = format!("#{:06} some more text of the line{end}", self.written);
        self.writer.write_all(line.as_bytes()).unwrap();
    }

    fn shift(&mut self) {
        self.rotations += 1;
        for no in (1..self.rotations).rev() {
            if self.path(&format!(".{no}")).exists() {
                fs::rename(self.path(&format!(".{no}")), self.path(&format!(".{}", no + 1))).unwrap();
            }
        }
    }

    fn copy_truncate(&mut self, suffix: &str) {
        fs::copy(self.path(""), self.path(suffix)).unwrap();
        self.writer.set_len(0).unwrap();
    }

    pub(super) fn poll(&mut self) {
        self.now.0 += 400;
        self.tailer.discover(self.now);
        while self.tailer.read(100, self.now, &mut self.fresh) {}
        for fault in self.tailer.take_faults() {
            *self.fresh.faults.entry(fault.reason).or_default() += fault.count;
        }
    }

    pub(super) fn journal(&mut self) {
        let changes = self.tailer.take_changes();
        let text = serde_json::to_string(&changes).unwrap();
        self.journalled.apply(&serde_json::from_str(&text).unwrap());
        let fresh = std::mem::take(&mut self.fresh);
        self.kept.cut += fresh.cut;
        fresh.lines.into_iter().for_each(|(line, count)| *self.kept.lines.entry(line).or_default() += count);
        fresh.faults.into_iter().for_each(|(reason, count)| *self.kept.faults.entry(reason).or_default() += count);
    }

    pub(super) fn restart(&mut self) {
        self.fresh = Seen::default();
        self.tailer = Tailer::new(&self.journalled, Guard::default(), self.now);
        self.tailer.configure(self.watches.clone());
    }

    /// Reads and journals all there is, and compares with what was written.
    fn settle(&mut self) {
        self.writer.write_all(b"\n").unwrap();
        (0..3).for_each(|_| self.poll());
        self.journal();
    }

    pub(super) fn check_all(&mut self) {
        self.settle();
        for slot in 0..self.watches.len() {
            let read: Vec<(String, u32)> = self
                .kept
                .lines
                .iter()
                .filter(|((monitor, line), _)| *monitor == slot && !line.is_empty())
                .map(|((_, line), count)| (line[..7].to_owned(), *count))
                .collect();
            let written: Vec<(String, u32)> = (1..=self.written).map(|no| (format!("#{no:06}"), 1)).collect();
            if read != written {
                let wrong: Vec<_> = read.iter().filter(|(_, count)| *count != 1).collect();
                let missing: Vec<_> = written.iter().filter(|line| !read.iter().any(|r| r.0 == line.0)).collect();
                panic!("monitor {slot}: doubled {wrong:?}, missing {missing:?}, files {:#?}", self.listing());
            }
        }
    }

    fn listing(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|e| e.unwrap())
            .map(|e| (e.file_name(), fs::read_to_string(e.path()).unwrap()))
            .map(|(name, text)| format!("{} {}", name.to_string_lossy(), text.chars().take(200).collect::<String>()))
            .collect();
        names.sort();
        names
    }

    /// How often each line was counted for a monitor.
    pub(super) fn lines_of(&self, slot: usize) -> BTreeMap<String, u32> {
        let own = self.kept.lines.iter().filter(|((monitor, line), _)| *monitor == slot && !line.is_empty());
        own.map(|((_, line), count)| (line.clone(), *count)).collect()
    }

    pub(super) fn faults(&self) -> BTreeMap<FaultReason, u64> {
        self.kept.faults.clone()
    }
}

fn make_fifo(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1u8..4).prop_map(Step::Write),
        1 => Just(Step::WritePart),
        2 => Just(Step::Rename),
        1 => Just(Step::RenameShifting),
        2 => Just(Step::CopyTruncate),
        1 => Just(Step::CopyTruncateShifting),
        5 => Just(Step::Poll),
        3 => Just(Step::Journal),
        2 => Just(Step::Kill),
    ];
    proptest::collection::vec(step, 1..40)
}

/// A line half-written when it is copied and truncated away is two halves in two files for anybody.
fn without_torn_lines(steps: Vec<Step>) -> Vec<Step> {
    let mut whole = Vec::new();
    let mut open = false;
    for step in steps {
        let rotates = !matches!(step, Step::Write(_) | Step::WritePart | Step::Poll | Step::Journal | Step::Kill);
        if open && (rotates || matches!(step, Step::Write(_) | Step::WritePart)) {
            continue;
        }
        open |= matches!(step, Step::WritePart);
        whole.push(step);
    }
    whole
}

fn run(patterns: &[&str], steps: Vec<Step>) {
    let mut rig = Rig::new(patterns);
    without_torn_lines(steps).iter().for_each(|step| rig.step(step));
    rig.check_all();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_path_is_read_exactly_once(steps in steps()) {
        run(&["trade.log"], steps);
    }

    #[test]
    fn a_glob_over_the_rotated_files_counts_none_twice(steps in steps()) {
        run(&["trade.log*"], steps);
    }

    #[test]
    fn monitors_share_a_file(steps in steps()) {
        run(&["trade.log", "trade.lo*", "**/trade.log"], steps);
    }
}

#[test]
fn double_rotation_between_polls() {
    run(
        &["trade.log"],
        vec![Step::Write(3), Step::Poll, Step::Write(2), Step::Rename, Step::Write(2), Step::Rename, Step::Write(1)],
    );
}

#[test]
fn double_copytruncate_while_dead() {
    use Step::{CopyTruncate, Journal, Kill, Poll, Write};
    run(
        &["trade.log"],
        vec![Write(3), Poll, Journal, Write(2), Poll, CopyTruncate, Write(9), CopyTruncate, Write(1), Kill, Poll],
    );
}

#[test]
fn what_was_there_before_is_not_read_unless_wanted() {
    let prepare = |dir: &Path| {
        fs::write(dir.join("trade.log"), "#000000 old\n#000001 ").unwrap();
        fs::write(dir.join("trade.log.1"), "#000000 older\n").unwrap();
    };
    let mut rig = Rig::with(StartAt::End, &["trade.log"], prepare);
    rig.writer.write_all(b"being written as the monitor came\n").unwrap();
    rig.written = 1;
    rig.step(&Step::Write(2));
    rig.step(&Step::Rename);
    rig.step(&Step::Kill);
    rig.check_all();

    let mut rig = Rig::with(StartAt::Beginning, &["trade.log"], |dir| {
        fs::write(dir.join("trade.log"), "#000001 old\n").unwrap();
    });
    rig.written = 1;
    rig.step(&Step::Write(2));
    rig.check_all();
}

#[test]
fn a_deleted_file_is_read_to_its_end() {
    let mut rig = Rig::new(&["trade.log"]);
    rig.step(&Step::Write(2));
    rig.poll();
    rig.step(&Step::Write(2));
    fs::remove_file(rig.path("")).unwrap();
    rig.poll();
    rig.step(&Step::Write(1));
    rig.check_all();
    rig.now.0 += 3_600_000;
    (0..3).for_each(|_| rig.poll());
    rig.journal();
    assert!(rig.journalled.files.is_empty(), "{:?}", rig.journalled);
}

#[test]
fn truncation_without_a_copy_counts_what_is_lost() {
    let mut rig = Rig::new(&["trade.log"]);
    rig.step(&Step::Write(2));
    rig.poll();
    rig.step(&Step::Write(2));
    rig.tailer.discover(rig.now);
    rig.writer.set_len(0).unwrap();
    rig.settle();
    assert_eq!(rig.faults(), BTreeMap::from([(FaultReason::BytesLost, 70)]));
}

#[test]
fn truncated_and_grown_past_the_old_place_between_polls() {
    let mut rig = Rig::new(&["trade.log"]);
    rig.step(&Step::Write(2));
    rig.poll();
    rig.writer.set_len(0).unwrap();
    rig.step(&Step::Write(5));
    rig.check_all();
}

#[test]
fn the_writer_goes_on_at_its_old_place_after_a_truncation() {
    let mut rig = Rig::new(&["trade.log"]);
    rig.writer = File::create(rig.path("")).unwrap();
    rig.step(&Step::Write(3));
    rig.poll();
    fs::copy(rig.path(""), rig.path(".1")).unwrap();
    OpenOptions::new().write(true).open(rig.path("")).unwrap().set_len(0).unwrap();
    rig.step(&Step::Write(3));
    rig.check_all();
}

#[test]
fn long_lines_are_cut_and_the_next_is_whole() {
    let mut rig = Rig::new(&["trade.log"]);
    rig.step(&Step::Write(1));
    for length in [LINE_LIMIT_BYTES - 20, LINE_LIMIT_BYTES, LINE_LIMIT_BYTES + 1, 10 << 20] {
        rig.written += 1;
        let text = format!("#{:06} {}", rig.written, "x".repeat(length));
        let (first, second) = text.split_at(length / 2);
        rig.writer.write_all(first.as_bytes()).unwrap();
        rig.poll();
        rig.journal();
        rig.restart();
        rig.writer.write_all(second.as_bytes()).unwrap();
        rig.poll();
        rig.writer.write_all(b"\n").unwrap();
        rig.step(&Step::Write(1));
    }
    rig.check_all();
    assert_eq!(rig.kept.cut, 3);
    assert_eq!(rig.tailer.buffer.len(), READ_BYTES);
}

#[test]
fn what_is_no_regular_file_is_a_fault_and_holds_the_minute_back() {
    let mut rig = Rig::with(StartAt::End, &["trade.log", "other.log"], |dir| {
        fs::create_dir(dir.join("other.log")).unwrap();
    });
    rig.step(&Step::Write(2));
    rig.poll();
    assert_eq!(rig.tailer.through("m0"), Some(Timestamp(rig.now.0 - GRACE_MILLIS)));
    assert_eq!(rig.tailer.through("m1"), None);
    rig.journal();
    assert_eq!(rig.faults(), BTreeMap::from([(FaultReason::FileUnreadable, 1)]));
    let other = rig.dir.path().join("other.log");
    fs::remove_dir(&other).unwrap();
    make_fifo(&other);
    rig.poll();
    assert_eq!(rig.tailer.through("m1"), None);
    fs::remove_file(&other).unwrap();
    rig.poll();
    assert_eq!(rig.tailer.through("m1"), Some(Timestamp(rig.now.0 - GRACE_MILLIS)));
}

#[test]
fn a_generation_that_came_and_went_while_nothing_stood_there_is_read() {
    let mut rig = Rig::new(&["trade.log"]);
    rig.step(&Step::Write(3));
    fs::rename(rig.path(""), rig.path(".1")).unwrap();
    rig.poll();
    rig.writer = append(&rig.path(""));
    rig.step(&Step::Write(2));
    rig.check_all();
}

#[test]
fn a_link_is_followed() {
    let mut rig = Rig::with(StartAt::End, &["link.log"], |dir| {
        std::os::unix::fs::symlink(dir.join("trade.log"), dir.join("link.log")).unwrap();
    });
    rig.step(&Step::Write(2));
    rig.poll();
    rig.step(&Step::Rename);
    rig.step(&Step::Write(2));
    rig.step(&Step::Rename);
    rig.step(&Step::Write(2));
    rig.check_all();
}

#[test]
fn files_that_only_begin_alike_are_both_read() {
    let mut rig = Rig::new(&["trade.log*"]);
    rig.writer.write_all(b"# the same heading\n").unwrap();
    fs::write(rig.path(".2"), "# the same heading\nother\n").unwrap();
    rig.poll();
    rig.step(&Step::Write(2));
    rig.settle();
    assert_eq!(rig.kept.lines.values().sum::<u32>(), 6, "{:?}", rig.kept.lines);
}

#[test]
fn while_a_file_is_behind_the_last_line_says_how_far() {
    let mut rig = Rig::new(&["trade.log"]);
    rig.step(&Step::Write(200));
    rig.tailer.discover(rig.now);
    assert_eq!(rig.tailer.through("m0"), None, "nothing was read yet");
    rig.poll();
    assert_eq!(rig.tailer.through("m0"), Some(Timestamp(rig.now.0 - GRACE_MILLIS)));
    rig.writer.write_all(&vec![b'\n'; 3 << 20]).unwrap();
    rig.tailer.discover(rig.now);
    assert!(rig.tailer.read(1, rig.now, &mut rig.fresh));
    assert_eq!(rig.tailer.through("m0"), Some(Timestamp(7_000 - GRACE_MILLIS)));
}

#[test]
fn a_monitor_that_goes_forgets_and_one_that_changes_its_paths_keeps_the_others() {
    let mut rig = Rig::new(&["trade.log", "trade.log"]);
    rig.step(&Step::Write(2));
    rig.poll();
    let mut watches = rig.watches.clone();
    watches.remove(1);
    let second = rig.dir.path().join("second.log");
    fs::write(&second, "there before\n").unwrap();
    watches[0].patterns.push(PathPattern::Path(second.to_string_lossy().into_owned()));
    rig.tailer.configure(watches.clone());
    rig.poll();
    rig.step(&Step::Write(2));
    append(&second).write_all(b"#000005 after\n").unwrap();
    rig.written = 5;
    rig.watches = watches;
    rig.check_all();
    assert_eq!(rig.journalled.primed.keys().collect::<Vec<_>>(), ["m0"]);
    assert_eq!(rig.kept.lines.keys().filter(|(slot, _)| *slot == 1).count(), 2);
}

/// Of the machine, where the times of files matter.
fn machine_now() -> Timestamp {
    use nightjar_model::Clock;
    nightjar_model::SystemClock.now()
}

/// Puts a rotated file back as `gunzip` does: another inode, with the time it had, an hour ago.
fn put_back(path: &Path, text: &[u8]) {
    fs::write(path, text).unwrap();
    let modified = std::time::UNIX_EPOCH + Duration::from_millis(machine_now().0.cast_unsigned() - 3_600_000);
    File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

#[test]
fn a_copy_made_by_hand_is_left_alone_whatever_becomes_of_its_original() {
    for rotation in [Step::Rename, Step::CopyTruncate] {
        for restart in [false, true] {
            let mut rig = Rig::new(&["trade.log*"]);
            rig.step(&Step::Write(5));
            rig.poll();
            fs::copy(rig.path(""), rig.path(".bak")).unwrap();
            rig.poll();
            rig.step(&Step::Write(5));
            rig.poll();
            rig.journal();
            rig.step(&rotation);
            if restart {
                rig.restart();
            }
            rig.step(&Step::Write(2));
            rig.poll();
            rig.check_all();
        }
    }
}

#[test]
fn a_rotated_file_that_is_unpacked_again_is_no_news() {
    for link in [false, true] {
        let pattern = if link { "link/trade.log" } else { "trade.log" };
        let mut rig = Rig::with(StartAt::End, &[pattern], |dir| {
            fs::create_dir(dir.join("link")).unwrap();
            std::os::unix::fs::symlink(dir.join("trade.log"), dir.join("link/trade.log")).unwrap();
        });
        rig.now = Timestamp(machine_now().0 - 3_600_000);
        rig.step(&Step::Write(5));
        rig.poll();
        rig.step(&Step::Rename);
        rig.poll();
        let packed = fs::read(rig.path(".1")).unwrap();
        fs::remove_file(rig.path(".1")).unwrap();
        // Blank, and later not.
        for lines in [0, 5] {
            rig.step(&Step::Write(lines));
            rig.poll();
            rig.now = machine_now();
            rig.poll();
            put_back(&rig.path(".9"), &packed);
            rig.poll();
            fs::remove_file(rig.path(".9")).unwrap();
        }
        put_back(&rig.path(".9"), &packed);
        rig.poll();
        rig.step(&Step::Rename);
        rig.step(&Step::Write(1));
        rig.check_all();
    }
}

#[test]
fn another_log_is_not_what_an_absent_one_became() {
    let mut rig = Rig::new(&["server.log"]);
    rig.poll();
    append(&rig.dir.path().join("server_8081.log")).write_all(b"of another\n").unwrap();
    rig.poll();
    rig.settle();
    assert!(rig.kept.lines.is_empty(), "{:?}", rig.kept.lines);
}

#[test]
fn what_went_while_the_agent_was_away_is_told() {
    let mut rig = Rig::new(&["trade.log"]);
    rig.step(&Step::Write(5));
    rig.poll();
    rig.journal();
    rig.step(&Step::Write(5));
    rig.step(&Step::Rename);
    fs::remove_file(rig.path(".1")).unwrap();
    rig.restart();
    rig.poll();
    let before = rig.tailer.through("m0");
    rig.now.0 += 59_000;
    rig.poll();
    assert_eq!(rig.tailer.through("m0"), before, "held while it may yet be found");
    rig.now.0 += 2_000;
    rig.settle();
    assert_eq!(rig.faults(), BTreeMap::from([(FaultReason::BytesLost, 1)]));
    assert!(rig.tailer.through("m0") > before);
}

#[test]
fn a_slash_too_many_is_no_other_path() {
    let mut rig = Rig::new(&["trade.log", ".//trade.log"]);
    rig.step(&Step::Write(5));
    rig.poll();
    rig.tailer.configure(rig.watches.clone());
    rig.poll();
    rig.check_all();
}

#[test]
fn a_glob_that_finds_too_many_reads_the_beginning_of_what_it_reads() {
    let mut rig = Rig::with(StartAt::End, &["trade.log*", "*.log"], |dir| {
        (0..MAX_FILES_PER_PATTERN).for_each(|no| fs::write(dir.join(format!("zz{no:04}.log")), "").unwrap());
    });
    rig.poll();
    rig.step(&Step::Write(5));
    rig.poll();
    rig.step(&Step::Rename);
    rig.step(&Step::Write(5));
    rig.check_all();
}

#[test]
fn a_writer_may_be_silent_for_long_when_nothing_took_its_place() {
    let mut rig = Rig::new(&["trade.log"]);
    rig.step(&Step::Write(5));
    rig.poll();
    fs::rename(rig.path(""), rig.path(".1")).unwrap();
    rig.poll();
    rig.now.0 += 3_600_000;
    rig.poll();
    rig.step(&Step::Write(5));
    rig.check_all();
}

#[test]
fn what_a_glob_could_not_read_is_still_there_before_the_monitor() {
    let mut rig = Rig::with(StartAt::End, &["*.log"], |dir| make_fifo(&dir.join("old.log")));
    let old = rig.dir.path().join("old.log");
    rig.poll();
    fs::remove_file(&old).unwrap();
    fs::write(&old, "#000900 there before\n").unwrap();
    rig.poll();
    append(&old).write_all(b"#000001 new\n").unwrap();
    rig.written = 1;
    rig.check_all();
}

#[test]
fn a_monitor_that_comes_back_reads_nothing_again_unless_it_was_made_anew() {
    let mut rig = Rig::with(StartAt::Beginning, &["trade.log"], |_| {});
    rig.step(&Step::Write(5));
    rig.poll();
    let watches = std::mem::take(&mut rig.watches);
    rig.tailer.configure(Vec::new());
    rig.poll();
    rig.journal();
    rig.watches = watches;
    rig.restart();
    rig.poll();
    rig.step(&Step::Write(5));
    rig.check_all();
    rig.tailer.configure(Vec::new());
    rig.watches[0].uid = "u-again".into();
    rig.tailer.configure(rig.watches.clone());
    rig.poll();
    rig.journal();
    assert!(rig.kept.lines.iter().all(|((_, line), count)| line.is_empty() || *count == 2), "{:?}", rig.kept.lines);
}
