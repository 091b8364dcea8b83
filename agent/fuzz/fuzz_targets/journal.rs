//! A journal whose segment is damaged: what was appended before the damage is there, in order; what was
//! appended after it is not dropped in silence; and what is opened is opened as the same again.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use nightjar_agent::journal::{Journal, JournalError};
use nightjar_agent::tail::PositionChanges;

const LIMIT: u64 = 1 << 20;

#[derive(Debug, Arbitrary)]
struct Input {
    /// Each of some records that are appended together.
    groups: Vec<Vec<Vec<u8>>>,
    /// Where, modulo the length, and what is turned there.
    turned: Vec<(u16, u8)>,
    kept: Option<u16>,
    behind: Vec<u8>,
}

/// Each group's records, its end, and how far it was read then.
type Written = Vec<(Vec<Vec<u8>>, usize, u64)>;

fn write(dir: &Path, groups: &[Vec<Vec<u8>>]) -> Written {
    let mut journal = Journal::open(dir, LIMIT, 1).expect("a new journal");
    let mut written = Vec::new();
    // Few enough for one segment.
    for group in groups.iter().filter(|group| !group.is_empty()).take(20) {
        let group: Vec<Vec<u8>> = group.iter().take(4).map(|record| record[..record.len().min(200)].to_vec()).collect();
        let next = written.len() as u64 + 1;
        // Positions whose number alone moved are none.
        let changes = PositionChanges { next, tracks: [("/log".into(), None)].into(), ..PositionChanges::default() };
        journal.append(&group, &changes).expect("appended");
        written.push((group, journal.stats().bytes as usize, next));
    }
    written
}

fn records(journal: &Journal) -> Vec<Vec<u8>> {
    let record = |sequence: &u64| journal.next_after(*sequence).expect("it can be read").map(|record| record.payload);
    (0..).map_while(|sequence| record(&sequence)).collect()
}

/// As the disk gives it back; answers the first byte that is not as it was, and where the sound rest begins.
fn damage(sound: &[u8], input: &Input) -> (Vec<u8>, usize, usize) {
    let mut bytes = sound.to_vec();
    for (at, bits) in input.turned.iter().filter(|_| !sound.is_empty()) {
        bytes[usize::from(*at) % sound.len()] ^= bits;
    }
    let kept = input.kept.map_or(sound.len(), usize::from).min(sound.len());
    bytes.truncate(kept);
    let differs = |at: &usize| bytes[*at] != sound[*at];
    let first = (0..kept).find(differs).unwrap_or(kept);
    let rest = if kept < sound.len() { sound.len() } else { (first..kept).rfind(differs).map_or(first, |at| at + 1) };
    bytes.extend_from_slice(&input.behind);
    (bytes, first, rest)
}

fuzz_target!(|input: Input| {
    let dir = tempfile::tempdir().expect("a directory");
    let written = write(dir.path(), &input.groups);
    let path: PathBuf = dir.path().join(format!("{:020}.seg", 1));
    let (bytes, first, rest) = damage(&fs::read(&path).expect("there"), &input);
    fs::write(&path, &bytes).expect("written");

    let before: Vec<_> = written.iter().take_while(|(_, end, _)| *end <= first).collect();
    let whole_after = written.iter().zip(written.iter().skip(1)).any(|((_, start, _), _)| *start >= rest);
    match Journal::open(dir.path(), LIMIT, 1) {
        Ok(journal) => {
            assert!(first == rest || !whole_after, "what came after the damage is dropped");
            let found = records(&journal);
            let wanted: Vec<Vec<u8>> = before.iter().flat_map(|(group, _, _)| group.clone()).collect();
            assert_eq!(found.get(..wanted.len()), Some(wanted.as_slice()));
            assert!(journal.positions().next >= before.last().map_or(0, |(_, _, next)| *next));
            drop(journal);
            assert_eq!(records(&Journal::open(dir.path(), LIMIT, 1).expect("mended")), found);
        }
        Err(JournalError::Damaged { at, .. }) => {
            assert!(at as usize >= before.last().map_or(0, |(_, end, _)| *end));
            assert_eq!(fs::read(&path).expect("there"), bytes, "nothing is changed");
        }
        Err(other) => panic!("{other}"),
    }
});
