//! A log's segment, damaged: the whole frames before the damage are there, and whole frames after it are
//! not dropped without a word.

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use tempfile::TempDir;

use crate::damage::Damage;
use crate::error::EngineError;
use crate::wal::record::Record;
use crate::wal::{WalPosition, frame, recover};

#[derive(Debug, Arbitrary)]
pub struct Segment {
    frames: Vec<Vec<Vec<u8>>>,
    damage: Damage,
}

static DIR: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory"));

pub fn check(segment: &Segment) {
    let mut bytes = frame::SEGMENT_MAGIC.to_vec();
    let mut written = Vec::new();
    for (number, records) in segment.frames.iter().enumerate() {
        let start = bytes.len();
        frame::encode(number as u64, &records.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut bytes);
        written.push((number as u64, start + frame::HEADER_BYTES..bytes.len()));
    }
    let damaged = segment.damage.apply(&mut bytes);
    let scan = frame::scan(&bytes);
    let before = written.iter().take_while(|(_, payload)| payload.end <= damaged.start).count();
    assert_eq!(scan.frames.get(..before), written.get(..before), "damaged: {damaged:?}");
    for ((_, payload), records) in scan.frames.iter().zip(&segment.frames).take(before) {
        assert_eq!(frame::records(&bytes[payload.clone()]).expect("own records"), *records);
    }
    let whole_after = written.iter().any(|(_, payload)| payload.start - frame::HEADER_BYTES >= damaged.end);
    recovers(&bytes, !damaged.is_empty() && whole_after);
}

/// Recovery answers the same once it has cut off what was torn; damage that is none is told.
fn recovers(bytes: &[u8], must_tell: bool) {
    let path = DIR.path().join(format!("{:016}.wal", 0));
    fs::write(&path, bytes).expect("written");
    let recover = || {
        let mut records = Vec::new();
        recover(DIR.path(), WalPosition::default(), |record| records.push(record)).map(|at| (at, records))
    };
    match recover() {
        Ok(found) => {
            assert!(!must_tell, "acknowledged records are dropped: {found:?}");
            assert_eq!(recover().expect("mended"), found);
        }
        Err(EngineError::CorruptLog { .. }) => assert_eq!(fs::read(&path).expect("there"), bytes),
        Err(other) => panic!("{other}"),
    }
}

/// Any bytes as a record are an error, or a record that is read back from what it is written as.
pub fn check_record(bytes: &[u8]) {
    let Ok(record) = Record::decode(bytes) else { return };
    // What was merged of several parts is in the order of workspaces then.
    let sorted = Record::decode(&record.encode()).expect("own encoding");
    assert_eq!(Record::decode(&sorted.encode()).expect("own encoding"), sorted);
}
