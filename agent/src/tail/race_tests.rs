//! The tailer against a writer that does not wait for it: whatever a poll falls into, each line is
//! read once.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::rotation_tests::{Rig, append};

fn race(pattern: &str, rotate: fn(&Path, u32, &File)) {
    const LINES: u64 = 6_000;
    let mut rig = Rig::new(&[pattern]);
    let log = rig.path("");
    let writer = std::thread::spawn(move || {
        let mut rotations = 0;
        let mut file = append(&log);
        for no in 1..=LINES {
            file.write_all(format!("#{no:06} some more text of the line\n").as_bytes()).unwrap();
            if no % 150 == 0 {
                rotations += 1;
                rotate(&log, rotations, &file);
                file = append(&log);
            }
        }
    });
    while !writer.is_finished() {
        rig.poll();
        if rig.now.0 % 2_000 == 0 {
            rig.journal();
        }
        if rig.now.0 % 5_200 == 0 {
            rig.restart();
        }
    }
    writer.join().unwrap();
    rig.written = LINES;
    rig.writer = append(&rig.path(""));
    rig.check_all();
}

fn rename_away(log: &Path, no: u32, _file: &File) {
    fs::rename(log, format!("{}.{no}", log.display())).unwrap();
}

fn copy_and_truncate(log: &Path, no: u32, file: &File) {
    fs::copy(log, format!("{}.{no}", log.display())).unwrap();
    file.set_len(0).unwrap();
}

/// As logrotate does: .1 is the youngest.
fn shift(log: &Path, no: u32) {
    for no in (1..no).rev() {
        fs::rename(format!("{}.{no}", log.display()), format!("{}.{}", log.display(), no + 1)).unwrap();
    }
}

fn shift_and_rename(log: &Path, no: u32, file: &File) {
    shift(log, no);
    rename_away(log, 1, file);
}

fn shift_copy_and_truncate(log: &Path, no: u32, file: &File) {
    shift(log, no);
    copy_and_truncate(log, 1, file);
}

#[test]
fn racing_a_writer_that_renames() {
    race("trade.log", rename_away);
    race("trade.log*", rename_away);
}

#[test]
fn racing_a_writer_that_shifts_and_renames() {
    race("trade.log", shift_and_rename);
    race("trade.log*", shift_and_rename);
}

#[test]
fn racing_a_writer_that_shifts_copies_and_truncates() {
    race("trade.log", shift_copy_and_truncate);
    race("trade.log*", shift_copy_and_truncate);
}

#[test]
fn racing_a_writer_that_copies_and_truncates() {
    race("trade.log", copy_and_truncate);
    race("trade.log*", copy_and_truncate);
}
