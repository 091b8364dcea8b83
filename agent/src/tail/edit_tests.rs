//! Logs that are written, rotated, fetched and edited in any order, with polls and kills in between: no line
//! counts twice, and where nothing was cut away, each counts.

use std::fs;
use std::io::Write;

use proptest::prelude::*;

use super::rotation_tests::{Rig, append};

#[derive(Debug, Clone)]
enum Step {
    Write(u8),
    /// Rotation by rename.
    Rotate,
    /// A temporary file with all lines and some more is renamed over it.
    Fetch(u8),
    /// The same, written in place.
    FetchInPlace(u8),
    /// Renamed to `~`, written anew, `~` deleted; with a line more.
    SaveByRename,
    /// Copied to `~`, written in place; with a line more.
    SaveInPlace,
    /// All but the last lines are cut away, by a rename over it or in place.
    Trim(u8, bool),
    /// A line is deleted.
    Delete(u8),
    Poll,
    Journal,
    Kill,
}

fn steps(cuts: bool) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1u8..4).prop_map(Step::Write),
        1 => Just(Step::Rotate),
        2 => (0u8..4).prop_map(Step::Fetch),
        2 => (0u8..4).prop_map(Step::FetchInPlace),
        1 => Just(Step::SaveByRename),
        1 => Just(Step::SaveInPlace),
        6 => Just(Step::Poll),
        3 => Just(Step::Journal),
        2 => Just(Step::Kill),
    ];
    let cut = prop_oneof![
        (1u8..6, any::<bool>()).prop_map(|(kept, in_place)| Step::Trim(kept, in_place)),
        any::<u8>().prop_map(Step::Delete),
    ];
    let step = if cuts { prop_oneof![10 => step, 1 => cut].boxed() } else { step.boxed() };
    proptest::collection::vec(step, 1..40)
}

fn line(no: u64) -> String {
    format!("12:00:00 no {no:04}\n")
}

/// Does a step of a writer or an editor.
fn take(rig: &mut Rig, step: &Step) {
    let (log, backup, new) = (rig.path(""), rig.path("~"), rig.path(".new"));
    let text = fs::read_to_string(&log).unwrap();
    let mut more = |count: u8| -> String {
        (0..count)
            .map(|_| {
                rig.written += 1;
                line(rig.written)
            })
            .collect()
    };
    match step {
        Step::Write(count) => {
            let lines = more(*count);
            rig.writer.write_all(lines.as_bytes()).unwrap();
        }
        Step::Rotate => rig.step(&super::rotation_tests::Step::Rename),
        Step::Fetch(count) => {
            fs::write(&new, text + &more(*count)).unwrap();
            fs::rename(&new, &log).unwrap();
        }
        Step::FetchInPlace(count) => fs::write(&log, text + &more(*count)).unwrap(),
        Step::SaveByRename => {
            fs::rename(&log, &backup).unwrap();
            fs::write(&log, text + &more(1)).unwrap();
            fs::remove_file(&backup).unwrap();
        }
        Step::SaveInPlace => {
            fs::copy(&log, &backup).unwrap();
            fs::write(&log, text + &more(1)).unwrap();
            fs::remove_file(&backup).unwrap();
        }
        Step::Trim(kept, in_place) => {
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            let kept = lines[lines.len().saturating_sub(usize::from(*kept))..].concat();
            if *in_place {
                fs::write(&log, kept).unwrap();
            } else {
                fs::write(&new, kept).unwrap();
                fs::rename(&new, &log).unwrap();
            }
        }
        Step::Delete(which) => {
            let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
            // The last one may be all that tells where it goes on.
            if lines.len() > 2 {
                lines.remove(usize::from(*which) % (lines.len() - 1));
            }
            fs::write(&new, lines.concat()).unwrap();
            fs::rename(&new, &log).unwrap();
        }
        Step::Poll => rig.poll(),
        Step::Journal => rig.journal(),
        Step::Kill => rig.restart(),
    }
    rig.writer = append(&log);
}

fn run(steps: &[Step], all: bool) {
    let mut rig = Rig::new(&["trade.log"]);
    steps.iter().for_each(|step| take(&mut rig, step));
    // As long as content may be being written again.
    (0..12).for_each(|_| rig.poll());
    rig.journal();
    let lines = rig.lines_of(0);
    assert!(lines.values().all(|count| *count == 1), "doubled: {lines:?}");
    if all {
        assert_eq!(lines.len() as u64, rig.written, "missing: {lines:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_log_that_only_grows_counts_whole(steps in steps(false)) {
        run(&steps, true);
    }

    #[test]
    fn a_log_that_is_cut_counts_nothing_twice(steps in steps(true)) {
        run(&steps, false);
    }
}
