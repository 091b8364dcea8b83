//! What was written by earlier versions still opens: `tests/fixtures/journal-N` are journals, each written by
//! the agent of its time from the same story. They are never written again.
//!
//! For a new format: `NIGHTJAR_WRITE_FIXTURE=DIR cargo test -p nightjar-agent format_tests` writes the story
//! into DIR with the present code.

use std::path::Path;
use std::time::Duration;

use nightjar_model::delta::{MonitorDelta, Number, Partial, Watermark, WindowDelta};
use nightjar_model::names::MonitorKey;
use nightjar_model::protocol::{decode_gathered, encode_gathered};
use nightjar_model::{Decimal, Timestamp};

use super::*;
use crate::tail::{PositionChanges, TrackPosition};

fn gathered(no: u64) -> (Vec<MonitorDelta>, Vec<Watermark>) {
    let monitor = MonitorKey::new("w", "m");
    let cost: Number = [Decimal(-(no as i128)), Decimal::from_int(no as i64 * 1_000_000_007)].into_iter().collect();
    let window = |key: &str, partials| WindowDelta {
        start: Timestamp(no as i64 * 60_000),
        keys: vec![key.to_owned(), "衣".to_owned()],
        partials,
    };
    let windows = vec![
        window("x", vec![Partial::lines(no), cost.into()]),
        window("", vec![Partial::lines(1), Number::EMPTY.into()]),
    ];
    let delta = MonitorDelta {
        monitor: monitor.clone(),
        uid: None,
        width: Duration::from_secs(60),
        group_by: vec!["goods".into(), "$host".into()],
        fields: vec!["*".into(), "cost".into()],
        windows,
    };
    let through = Watermark::new(monitor, Timestamp(no as i64 * 60_000 + 1));
    let gap = Watermark { gap: Some(Timestamp(77)), ..through.clone() };
    (vec![delta], vec![through, gap])
}

fn changes(no: u64) -> PositionChanges {
    let track = TrackPosition { current: Some(no), ..TrackPosition::default() };
    PositionChanges { next: no, tracks: [("/log".to_owned(), Some(track))].into(), ..PositionChanges::default() }
}

/// A group of one, a group of two, and what is acknowledged.
fn tell(directory: &Path) {
    let mut journal = Journal::open(directory, 1 << 20, 100).unwrap();
    let payload = |no: u64| {
        let (deltas, watermarks) = gathered(no);
        zstd::bulk::compress(&encode_gathered(&deltas, &watermarks), 3).unwrap()
    };
    journal.append(&[payload(1)], &changes(1)).unwrap();
    journal.append(&[payload(2), payload(3)], &changes(3)).unwrap();
    journal.acknowledge(1, Timestamp(60_000));
    journal.keep_acknowledged();
    drop(journal);
    fs::remove_file(directory.join(RESERVE)).unwrap();
}

#[test]
fn journals_of_every_format_open() {
    if let Some(directory) = std::env::var_os("NIGHTJAR_WRITE_FIXTURE") {
        tell(Path::new(&directory));
    }
    for format in [1] {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/journal-{format}"));
        let directory = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(&kept).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), directory.path().join(entry.file_name())).unwrap();
        }
        let mut journal = Journal::open(directory.path(), 1 << 20, 200).unwrap();
        assert_eq!((journal.incarnation(), journal.last_sequence(), journal.positions().next), (100, 3, 3));
        assert_eq!(journal.positions().tracks["/log"].current, Some(3));
        assert_eq!(journal.stats().unacked_records, 2);
        for no in 2..=3 {
            let record = journal.next_after(no - 1).unwrap().unwrap();
            let bytes = zstd::bulk::decompress(&record.payload, 1 << 20).unwrap();
            assert_eq!((record.sequence, decode_gathered("w", &bytes).unwrap()), (no, gathered(no)));
        }
        journal.append(&[b"next".to_vec()], &changes(4)).unwrap();
        assert_eq!(journal.next_after(3).unwrap().unwrap().sequence, 4);
    }
}
