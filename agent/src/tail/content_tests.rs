//! The tailer where content says which lines are new: editors, `rsync`, `sed -i`, `cp` over, trimmed logs,
//! several writers, room made in advance, lines without an end, links that turn.
//!
//! Each story is told to an agent that looks after every step, to one that is killed after every look, and
//! to one that is away in the middle of it.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::rotation_tests::{self, Rig, append};
use super::*;

type Step<'a> = &'a dyn Fn(&Path);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agent {
    Looks,
    IsKilled,
    IsAway,
}

fn numbered(numbers: impl IntoIterator<Item = u32>) -> String {
    numbers.into_iter().map(|no| format!("12:00:00 no {no:04}\n")).collect()
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

fn add(path: &Path, text: &str) {
    append(path).write_all(text.as_bytes()).unwrap();
}

/// Puts a new file with `text` in the place of `path`, in one step.
fn replace(path: &Path, text: &str) {
    let new = path.with_file_name(".new");
    write(&new, text);
    fs::rename(new, path).unwrap();
}

/// Tells the steps, with looks in between; how often each line was counted and what was told.
fn tell(agent: Agent, patterns: &[&str], steps: &[Step<'_>]) -> Rig {
    let mut rig = Rig::new(patterns);
    let folder = rig.dir.path().to_path_buf();
    for (index, step) in steps.iter().enumerate() {
        step(&folder);
        let last = index + 1 == steps.len();
        if agent != Agent::IsAway || index == 0 || last {
            rig.poll();
            rig.journal();
        }
        if agent == Agent::IsKilled || (agent == Agent::IsAway && index == 0) {
            rig.restart();
        }
    }
    rig
}

/// `total` lines are counted, none twice; `lost`: whether something is told as lost.
#[track_caller]
fn check_as(agent: Agent, patterns: &[&str], steps: &[Step<'_>], total: u32, lost: bool) {
    let mut rig = tell(agent, patterns, steps);
    // Nothing comes of waiting.
    for _ in 0..12 {
        rig.poll();
    }
    rig.journal();
    let lines = rig.lines_of(0);
    assert_eq!(lines.values().sum::<u32>(), total, "{agent:?} {lines:?}");
    assert!(lines.values().all(|count| *count == 1), "{agent:?} {lines:?}");
    assert_eq!(rig.faults().contains_key(&FaultReason::BytesLost), lost, "{agent:?} {:?}", rig.faults());
}

#[track_caller]
fn check(patterns: &[&str], steps: &[Step<'_>], total: u32) {
    for agent in [Agent::Looks, Agent::IsKilled, Agent::IsAway] {
        check_as(agent, patterns, steps, total, false);
    }
}

fn log(folder: &Path) -> PathBuf {
    folder.join("trade.log")
}

#[test]
fn an_editor_that_renames_writes_anew_and_deletes() {
    let ten = |f: &Path| write(&log(f), &numbered(1..=10));
    let away = |f: &Path| fs::rename(log(f), f.join("trade.log~")).unwrap();
    let anew = |f: &Path| write(&log(f), &numbered(1..=11));
    let delete = |f: &Path| fs::remove_file(f.join("trade.log~")).unwrap();
    for pattern in ["trade.log", "trade.log*", "*"] {
        check(&[pattern], &[&ten, &away, &anew, &delete], 11);
        // With the backup kept, and again.
        let again = |f: &Path| {
            fs::rename(log(f), f.join("trade.log~")).unwrap();
            write(&log(f), &numbered(1..=12));
        };
        check(&[pattern], &[&ten, &away, &anew, &again], 12);
    }
}

#[test]
fn an_editor_that_copies_and_writes_in_place() {
    let ten = |f: &Path| write(&log(f), &numbered(1..=10));
    let copy = |f: &Path| assert!(fs::copy(log(f), f.join("trade.log~")).is_ok());
    let cut = |f: &Path| write(&log(f), "");
    let some = |f: &Path| write(&log(f), &numbered(1..=4));
    let all = |f: &Path| write(&log(f), &numbered(1..=11));
    let delete = |f: &Path| fs::remove_file(f.join("trade.log~")).unwrap();
    for pattern in ["trade.log", "trade.log*"] {
        check(&[pattern], &[&ten, &copy, &all, &delete], 11);
        check(&[pattern], &[&ten, &copy, &cut, &some, &all, &delete], 11);
    }
}

#[test]
fn a_log_fetched_by_rsync() {
    let fetched = |upto: u32| move |f: &Path| replace(&log(f), &numbered(1..=upto));
    check(&["trade.log"], &[&fetched(3), &fetched(6), &fetched(9), &fetched(12)], 12);
    check(&["*.log"], &[&fetched(300), &fetched(600), &fetched(900), &fetched(12_000)], 12_000);
    // In place, and with a backup.
    let copied = |upto: u32| move |f: &Path| write(&log(f), &numbered(1..=upto));
    check(&["trade.log"], &[&copied(300), &copied(600), &copied(900), &copied(1200)], 1200);
    let kept = |upto: u32| {
        move |f: &Path| {
            drop(fs::rename(log(f), f.join("trade.log~")));
            write(&log(f), &numbered(1..=upto));
        }
    };
    check(&["trade.log*"], &[&kept(3), &kept(6), &kept(9), &kept(12)], 12);
}

#[test]
fn a_log_that_is_edited_by_a_stream_editor() {
    let ten = |f: &Path| write(&log(f), &numbered(1..=10));
    let without = |f: &Path| replace(&log(f), &numbered((1..=10).filter(|no| *no != 5)));
    let more = |f: &Path| add(&log(f), &numbered(11..=12));
    check(&["trade.log"], &[&ten, &without, &more], 12);
    let masked = |f: &Path| replace(&log(f), &numbered(1..=10).replace("no 0003", "********"));
    let rig = tell(Agent::Looks, &["trade.log"], &[&ten, &masked, &more]);
    assert_eq!(rig.lines_of(0).values().sum::<u32>(), 12);
    let first = |f: &Path| replace(&log(f), &numbered(1..=5));
    let in_place = |f: &Path| write(&log(f), &numbered(1..=5));
    for shorter in [&first as Step<'_>, &in_place] {
        for agent in [Agent::Looks, Agent::IsKilled] {
            check_as(agent, &["trade.log"], &[&ten, shorter, &more], 12, false);
        }
        // Whether the last lines are new or edited old ones nobody knows who did not see it: that is told.
        check_as(Agent::IsAway, &["trade.log"], &[&ten, shorter, &more], 10, true);
    }
    let nothing_but_the_last = |f: &Path| replace(&log(f), &numbered(10..=10));
    check(&["trade.log"], &[&ten, &nothing_but_the_last, &more], 12);
}

#[test]
fn a_log_that_is_trimmed_to_its_last_lines() {
    let many = |f: &Path| write(&log(f), &numbered(1..=3000));
    let moved = |f: &Path| replace(&log(f), &numbered(2001..=3000));
    let copied = |f: &Path| write(&log(f), &numbered(2001..=3000));
    let more = |f: &Path| add(&log(f), &numbered(3001..=3010));
    check(&["trade.log"], &[&many, &moved, &more], 3010);
    check(&["trade.log"], &[&many, &copied, &more], 3010);
    // Together with what came meanwhile.
    let trimmed_later = |f: &Path| replace(&log(f), &numbered(2001..=3010));
    check(&["trade.log"], &[&many, &trimmed_later], 3010);
}

#[test]
fn who_goes_on_writing_to_what_was_replaced_is_read_too() {
    let mut rig = Rig::new(&["trade.log"]);
    let log = rig.path("");
    rig.writer.write_all(numbered(1..=10).as_bytes()).unwrap();
    rig.poll();
    // Three more are in what the editor read; two come after.
    rig.writer.write_all(numbered(11..=13).as_bytes()).unwrap();
    replace(&log, &(numbered(1..=13) + "12:00:00 by hand\n"));
    rig.writer.write_all(numbered(14..=15).as_bytes()).unwrap();
    (0..3).for_each(|_| rig.poll());
    rig.writer.write_all(numbered(16..=16).as_bytes()).unwrap();
    (0..3).for_each(|_| rig.poll());
    rig.journal();
    let lines = rig.lines_of(0);
    assert_eq!(lines.len(), 17, "{lines:?}");
    assert!(lines.values().all(|count| *count == 1), "{lines:?}");
}

#[test]
fn what_is_written_twice_is_counted_twice() {
    let total = |agent, patterns: &[&str], steps: &[Step<'_>]| {
        let mut rig = tell(agent, patterns, steps);
        (0..12).for_each(|_| rig.poll());
        rig.journal();
        rig.lines_of(0).values().sum::<u32>()
    };
    let ten = |f: &Path| write(&log(f), &numbered(1..=10));
    let other = |f: &Path| write(&f.join("other.log"), &numbered(1..=10));
    let rotate = |f: &Path| fs::rename(log(f), f.join("trade.log.1")).unwrap();
    let alike = |f: &Path| add(&log(f), &numbered([7; 10]));
    let cut_alike = |f: &Path| write(&log(f), &numbered([7; 4]));
    let banner = "=== service starting ===\nversion 7.1\n\n".to_owned();
    let begin = |f: &Path| write(&log(f), &(banner.clone() + &numbered(1..=10)));
    let anew = |f: &Path| write(&log(f), &(banner.clone() + &numbered(21..=23)));
    let anew_elsewhere = |f: &Path| replace(&log(f), &(banner.clone() + &numbered(21..=23)));
    for agent in [Agent::Looks, Agent::IsKilled, Agent::IsAway] {
        assert_eq!(total(agent, &["*.log"], &[&ten, &other]), 20, "{agent:?}");
        assert_eq!(total(agent, &["trade.log"], &[&ten, &rotate, &ten]), 20, "{agent:?}");
        assert_eq!(total(agent, &["trade.log"], &[&alike, &cut_alike]), 14, "{agent:?}");
        // The lines of a banner count as the others do; the empty one is not in the figures here.
        assert_eq!(total(agent, &["trade.log"], &[&begin, &anew]), 17, "{agent:?}");
        assert_eq!(total(agent, &["trade.log"], &[&begin, &anew_elsewhere]), 17, "{agent:?}");
    }
}

#[test]
fn files_that_begin_with_the_same_kilobyte() {
    let heading = "# a heading as of CSV files and of service wrappers\n".repeat(40);
    let first = |f: &Path| write(&log(f), &(heading.clone() + &numbered(1..=10)));
    let rotated = |f: &Path| {
        fs::rename(log(f), f.join("trade.log.1")).unwrap();
        write(&log(f), &(heading.clone() + &numbered(11..=30)));
    };
    let replaced = |f: &Path| replace(&log(f), &(heading.clone() + &numbered(11..=30)));
    for second in [&rotated as Step<'_>, &replaced] {
        for agent in [Agent::Looks, Agent::IsKilled, Agent::IsAway] {
            let rig = tell(agent, &["trade.log*"], &[&first, second]);
            let lines = rig.lines_of(0);
            assert!((1..=30).all(|no| lines[numbered([no]).trim_end()] == 1), "{agent:?} {lines:?}");
        }
    }
}

#[test]
fn two_writers_that_do_not_append() {
    for (first, second) in [(20, 20), (20, 33), (33, 20), (7, 61)] {
        let mut rig = Rig::new(&["trade.log"]);
        let log = rig.path("");
        let open = || fs::OpenOptions::new().write(true).open(&log).unwrap();
        let (mut a, mut b) = (open(), open());
        for no in 0..25 {
            a.write_all(format!("12:00:00 a{no:03} {}\n", "a".repeat(first)).as_bytes()).unwrap();
            if no % 3 == 0 {
                rig.poll();
            }
            b.write_all(format!("12:00:00 b{no:03} {}\n", "b".repeat(second)).as_bytes()).unwrap();
            if no % 2 == 0 {
                rig.poll();
            }
        }
        (0..12).for_each(|_| rig.poll());
        rig.journal();
        let total = rig.lines_of(0).values().sum::<u32>();
        assert!((20..=50).contains(&total), "{first} {second}: {total}");
        assert!(rig.faults().contains_key(&FaultReason::BytesLost), "{first} {second}: {total}");
    }
}

#[test]
fn room_made_in_advance_and_filled_in_place() {
    for (room, written) in [(4 << 20, false), (4 << 20, true), (100_000, true), (2000, true)] {
        for agent in [Agent::Looks, Agent::IsKilled] {
            let mut rig = Rig::new(&["trade.log"]);
            let log = rig.path("");
            let mut file = fs::OpenOptions::new().write(true).open(&log).unwrap();
            if written {
                file.write_all(&vec![0; room]).unwrap();
                file.seek(SeekFrom::Start(0)).unwrap();
            } else {
                file.set_len(room as u64).unwrap();
            }
            rig.poll();
            for no in 1..=40 {
                file.write_all(numbered([no]).as_bytes()).unwrap();
                // What is written through a memory map need not move the file's time.
                file.set_modified(std::time::UNIX_EPOCH).unwrap();
                if no % 3 == 0 {
                    rig.poll();
                    rig.journal();
                    let counted = rig.lines_of(0).values().sum::<u32>();
                    assert_eq!(counted, no, "{room} {written} {agent:?}");
                    if agent == Agent::IsKilled {
                        rig.restart();
                    }
                }
            }
            let end = file.stream_position().unwrap();
            file.set_len(end).unwrap();
            (0..3).for_each(|_| rig.poll());
            rig.journal();
            let lines = rig.lines_of(0);
            assert_eq!((lines.len(), lines.values().sum::<u32>()), (40, 40), "{room} {written} {agent:?}");
            assert_eq!(rig.faults(), BTreeMap::new(), "{room} {written} {agent:?}");
        }
    }
}

#[test]
fn a_large_hole_before_the_next_line_is_passed_over() {
    let mut rig = Rig::new(&["trade.log"]);
    let log = rig.path("");
    let mut file = fs::OpenOptions::new().write(true).open(&log).unwrap();
    file.write_all(numbered(1..=3).as_bytes()).unwrap();
    rig.poll();
    file.seek(SeekFrom::Start(1 << 40)).unwrap();
    file.write_all(numbered(4..=6).as_bytes()).unwrap();
    (0..3).for_each(|_| rig.poll());
    rig.journal();
    assert_eq!(rig.lines_of(0).values().sum::<u32>(), 6, "{:?}", rig.lines_of(0));
    assert_eq!(rig.faults(), BTreeMap::from([(FaultReason::NulBytes, 1)]));
}

#[test]
fn a_last_line_without_an_end_is_counted_after_a_while_and_once() {
    for end in ["\n", "\r\n", ""] {
        for restart in [false, true] {
            let mut rig = Rig::new(&["trade.log"]);
            rig.writer.write_all(b"12:00:00 no 0001\n12:00:00 no 0002\n12:00:00 no 0003").unwrap();
            rig.poll();
            let held = rig.tailer.through("m0");
            rig.now.0 += 25_000;
            rig.poll();
            assert_eq!(rig.tailer.through("m0"), held, "the minute is not complete without it");
            rig.now.0 += 6_000;
            (0..2).for_each(|_| rig.poll());
            rig.journal();
            assert_eq!(rig.lines_of(0).values().sum::<u32>(), 3);
            assert_eq!(rig.tailer.through("m0"), Some(Timestamp(rig.now.0 - GRACE_MILLIS)));
            if restart {
                rig.restart();
            }
            rig.writer.write_all(end.as_bytes()).unwrap();
            rig.poll();
            if !end.is_empty() {
                rig.writer.write_all(numbered(4..=4).as_bytes()).unwrap();
            }
            rig.poll();
            rig.now.0 += 60_000;
            (0..2).for_each(|_| rig.poll());
            rig.journal();
            let lines = rig.lines_of(0);
            assert_eq!(lines.values().sum::<u32>(), 3 + u32::from(!end.is_empty()), "{end:?} {lines:?}");
            assert_eq!(rig.faults(), BTreeMap::new());
        }
    }
}

#[test]
fn what_comes_to_a_line_that_was_counted_is_told() {
    let mut rig = Rig::new(&["trade.log"]);
    rig.writer.write_all(b"12:00:00 no 0001").unwrap();
    rig.poll();
    rig.now.0 += 40_000;
    rig.poll();
    rig.writer.write_all(b" and more\n12:00:00 no 0002\n").unwrap();
    rig.poll();
    rig.journal();
    assert_eq!(rig.lines_of(0).values().sum::<u32>(), 2);
    assert_eq!(rig.faults(), BTreeMap::from([(FaultReason::BytesLost, 9)]));
}

#[test]
fn the_end_of_a_writers_buffer_is_waited_for_longer() {
    let mut rig = Rig::new(&["trade.log"]);
    let mut text = numbered(1..=300);
    text.truncate(4096);
    rig.writer.write_all(text.as_bytes()).unwrap();
    rig.poll();
    rig.now.0 += 200_000;
    rig.poll();
    let held = rig.tailer.through("m0");
    assert!(held.is_some_and(|held| held.0 < rig.now.0 - 200_000), "{held:?}");
    let rest = &numbered(1..=300)[4096..];
    rig.writer.write_all(rest.as_bytes()).unwrap();
    rig.poll();
    rig.journal();
    let lines = rig.lines_of(0);
    assert_eq!((lines.len(), lines.values().sum::<u32>()), (300, 300));
    assert_eq!(rig.faults(), BTreeMap::new());
}

#[test]
fn a_last_line_that_was_there_before_the_monitor_is_none_of_its_lines() {
    let prepare = |dir: &Path| write(&log(dir), "12:00:00 old one\n12:00:00 old two");
    for grows in [false, true] {
        let mut rig = Rig::with(StartAt::End, &["trade.log"], prepare);
        if grows {
            rig.writer.write_all(b" and its rest").unwrap();
        }
        rig.poll();
        rig.now.0 += 40_000;
        (0..3).for_each(|_| rig.poll());
        rig.journal();
        assert_eq!(rig.lines_of(0).values().sum::<u32>(), u32::from(grows));
        assert_eq!(rig.tailer.through("m0"), Some(Timestamp(rig.now.0 - GRACE_MILLIS)));
    }
}

#[test]
fn a_release_link_that_turns_while_the_agent_is_away() {
    for agent in [Agent::Looks, Agent::IsKilled, Agent::IsAway] {
        for rotated in [false, true] {
            let first = |f: &Path| {
                fs::create_dir(f.join("v1")).unwrap();
                fs::create_dir(f.join("v2")).unwrap();
                symlink("v1", f.join("current")).unwrap();
                add(&f.join("v1/app.log"), &numbered(1..=4));
            };
            let grow = |f: &Path| {
                add(&f.join("v1/app.log"), &numbered(5..=7));
                if rotated {
                    fs::rename(f.join("v1/app.log"), f.join("v1/app.log.1")).unwrap();
                }
            };
            let turn = |f: &Path| {
                symlink("v2", f.join("next")).unwrap();
                fs::rename(f.join("next"), f.join("current")).unwrap();
                add(&f.join("v2/app.log"), &numbered(21..=22));
            };
            let both = |f: &Path| {
                add(&f.join(if rotated { "v1/app.log.1" } else { "v1/app.log" }), &numbered(8..=9));
                add(&f.join("v2/app.log"), &numbered(23..=24));
            };
            check_as(agent, &["current/app.log"], &[&first, &grow, &turn, &both], 13, false);
        }
    }
}

#[test]
fn names_that_are_not_utf_8_are_read() {
    use std::os::unix::ffi::OsStrExt;
    let name = || std::ffi::OsStr::from_bytes(b"\xbd\xbb\xd2\xd7.log");
    let some = |f: &Path| add(&f.join(name()), &numbered(1..=3));
    let rotate = |f: &Path| {
        let mut rotated = name().to_owned();
        rotated.push(".1");
        fs::rename(f.join(name()), f.join(rotated)).unwrap();
        add(&f.join(name()), &numbered(4..=6));
    };
    let more = |f: &Path| add(&f.join(name()), &numbered(7..=7));
    check(&["*.log"], &[&some, &rotate, &more], 7);
}

#[test]
fn links_and_their_targets_are_one_file() {
    let some = |f: &Path| {
        add(&log(f), &numbered(1..=3));
        symlink("trade.log", f.join("link.log")).unwrap();
        fs::hard_link(log(f), f.join("hard.log")).unwrap();
        symlink("loop.log", f.join("loop.log")).unwrap();
    };
    let more = |f: &Path| add(&f.join("hard.log"), &numbered(4..=6));
    check(&["*.log"], &[&some, &more], 6);
}

#[test]
fn a_directory_that_is_put_in_the_place_of_another() {
    let first = |f: &Path| {
        fs::create_dir(f.join("logs")).unwrap();
        add(&f.join("logs/app.log"), &numbered(1..=3));
    };
    let moved = |f: &Path| {
        fs::rename(f.join("logs"), f.join("logs.old")).unwrap();
        fs::create_dir(f.join("logs")).unwrap();
        add(&f.join("logs/app.log"), &numbered(11..=13));
    };
    let more = |f: &Path| {
        add(&f.join("logs.old/app.log"), &numbered(4..=4));
        add(&f.join("logs/app.log"), &numbered(14..=14));
    };
    check_as(Agent::Looks, &["logs/app.log"], &[&first, &moved, &more], 8, false);
}

#[test]
fn a_log_that_is_emptied_begins_anew() {
    let ten = |f: &Path| add(&log(f), &numbered(1..=10));
    let empty = |f: &Path| write(&log(f), "");
    let more = |f: &Path| add(&log(f), &numbered(11..=13));
    check(&["trade.log"], &[&ten, &empty, &more], 13);
    let shorter = |f: &Path| fs::OpenOptions::new().write(true).open(log(f)).unwrap().set_len(60).unwrap();
    let rig = tell(Agent::Looks, &["trade.log"], &[&ten, &shorter, &more]);
    assert!(rig.lines_of(0).values().all(|count| *count == 1), "{:?}", rig.lines_of(0));
}

#[test]
fn a_device_that_has_another_number_after_a_reboot() {
    use rotation_tests::Step;
    for rotation in [None, Some(Step::Rename), Some(Step::CopyTruncate)] {
        for pattern in ["trade.log", "trade.log*"] {
            let mut rig = Rig::new(&[pattern]);
            rig.step(&Step::Write(5));
            rig.poll();
            rig.journal();
            rig.journalled.files.values_mut().for_each(|file| file.device += 1);
            rig.step(&Step::Write(2));
            if let Some(rotation) = &rotation {
                rig.step(rotation);
            }
            rig.step(&Step::Write(2));
            rig.restart();
            rig.poll();
            rig.step(&Step::Write(2));
            rig.check_all();
        }
    }
}

#[test]
fn another_file_that_has_the_inode_of_one_that_went() {
    use std::os::unix::fs::MetadataExt;
    for (lines, born) in [(2, true), (20, true), (2, false), (20, false)] {
        let mut rig = Rig::new(&["trade.log"]);
        rig.writer.write_all(numbered(1..=10).as_bytes()).unwrap();
        rig.poll();
        rig.journal();
        fs::remove_file(rig.path("")).unwrap();
        write(&rig.path(""), &numbered(21..21 + lines));
        let inode = rig.path("").metadata().unwrap().ino();
        rig.journalled.files.values_mut().for_each(|file| {
            file.inode = inode;
            // Not every file system tells.
            file.born *= i64::from(born);
        });
        rig.restart();
        (0..3).for_each(|_| rig.poll());
        rig.journal();
        assert_eq!(rig.lines_of(0).values().sum::<u32>(), 10 + lines, "{:?}", rig.lines_of(0));
    }
}

#[test]
fn a_generation_that_has_the_inode_of_an_older_one() {
    use std::os::unix::fs::MetadataExt;
    for born in [true, false] {
        let mut rig = Rig::new(&["trade.log"]);
        rig.writer.write_all(numbered(1..=10).as_bytes()).unwrap();
        rig.poll();
        rig.step(&rotation_tests::Step::Rename);
        rig.writer.write_all(numbered(11..=12).as_bytes()).unwrap();
        rig.poll();
        rig.journal();
        let old = rig.path(".1").metadata().unwrap().ino();
        // While no agent is running the oldest goes, and what takes its inode is rotated away too.
        rig.step(&rotation_tests::Step::Rename);
        rig.writer.write_all(numbered(13..=15).as_bytes()).unwrap();
        let new = rig.path("").metadata().unwrap().ino();
        rig.step(&rotation_tests::Step::Rename);
        rig.writer.write_all(numbered(16..=17).as_bytes()).unwrap();
        fs::remove_file(rig.path(".1")).unwrap();
        rig.journalled.files.values_mut().filter(|file| file.inode == old).for_each(|file| {
            file.inode = new;
            file.born *= i64::from(born);
        });
        rig.restart();
        (0..3).for_each(|_| rig.poll());
        rig.journal();
        let lines = rig.lines_of(0);
        assert_eq!((lines.len(), lines.values().sum::<u32>()), (17, 17), "{lines:?}");
    }
}

#[test]
fn a_journal_of_an_agent_without_trails() {
    let mut rig = Rig::new(&["trade.log"]);
    rig.writer.write_all(numbered(1..=10).as_bytes()).unwrap();
    rig.poll();
    rig.journal();
    let cursors = rig.journalled.files.values_mut().flat_map(|file| &mut file.cursors);
    cursors.for_each(|cursor| cursor.trail = None);
    replace(&rig.path(""), &numbered(1..=13));
    rig.restart();
    (0..3).for_each(|_| rig.poll());
    rig.journal();
    assert_eq!(rig.lines_of(0).values().sum::<u32>(), 13);
}

#[test]
fn empty_files_and_empty_first_lines() {
    let some = |f: &Path| {
        (0..5).for_each(|no| write(&f.join(format!("{no}.log")), ""));
        write(&f.join("a.log"), &("\n".to_owned() + &numbered(1..=3)));
    };
    let more = |f: &Path| {
        add(&f.join("1.log"), &numbered(4..=5));
        add(&f.join("3.log"), &numbered(6..=7));
        add(&f.join("a.log"), &numbered(8..=8));
    };
    check(&["*.log"], &[&some, &more], 8);
}

#[test]
fn a_log_that_is_cut_within_a_line_does_not_hold_its_minutes_for_ever() {
    let mut rig = Rig::new(&["trade.log"]);
    rig.writer.write_all(numbered(1..=10).as_bytes()).unwrap();
    rig.poll();
    let length = numbered(1..=1).len() as u64;
    rig.writer.set_len(5 * length + 7).unwrap();
    (0..3).for_each(|_| rig.poll());
    rig.now.0 += 60_000;
    (0..3).for_each(|_| rig.poll());
    assert_eq!(rig.tailer.through("m0"), Some(Timestamp(rig.now.0 - GRACE_MILLIS)));
    rig.writer.write_all(format!("\n{}", numbered(11..=13)).as_bytes()).unwrap();
    (0..3).for_each(|_| rig.poll());
    rig.journal();
    let lines = rig.lines_of(0);
    assert!((11..=13).all(|no| lines.get(&format!("12:00:00 no {no:04}")) == Some(&1)), "{lines:?}");
}

#[test]
fn lines_that_come_to_the_beginning_of_what_was_read_count_or_are_told() {
    let mut rig = Rig::new(&["trade.log"]);
    let log = rig.path("");
    write(&log, &numbered(1..=2000));
    rig.poll();
    for upto in [1003, 1100] {
        write(&log, &(numbered(1..=1000) + &numbered((2001..).take(upto - 1000))));
        (0..12).for_each(|_| rig.poll());
    }
    rig.journal();
    let lines = rig.lines_of(0);
    let counted = (2001..=2100).filter(|no| lines.contains_key(&format!("12:00:00 no {no:04}"))).count();
    let missing = (100 - counted) as u64 * numbered(1..=1).len() as u64;
    let told = rig.faults().get(&FaultReason::BytesLost).copied().unwrap_or_default();
    assert!(told >= missing, "{counted} of 100, {told} told");
}

#[test]
fn a_log_that_begins_anew_with_lines_that_stood_in_the_old_one() {
    let trace = "java.io.IOException\n  at a.B.c(B.java:7)\n  at java.lang.Thread.run(T.java:7)\n";
    let started = |hour: u32| format!("{hour}:00:00 starting\nversion 7\nlistening\n");
    for anew in [write, replace] {
        let mut rig = Rig::new(&["trade.log"]);
        let log = rig.path("");
        write(&log, &(started(12) + &numbered(1..=9) + trace));
        rig.poll();
        anew(&log, &(started(13) + &numbered(21..=23) + trace));
        (0..12).for_each(|_| rig.poll());
        rig.journal();
        let lines = rig.lines_of(0);
        assert_eq!(lines.values().sum::<u32>(), 24, "{lines:?}");
        assert_eq!(rig.faults(), BTreeMap::new());
    }
}
