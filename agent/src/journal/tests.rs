use proptest::prelude::*;

use super::*;
use crate::tail::TrackPosition;

fn open(dir: &Path) -> Journal {
    Journal::open(dir, 1 << 20, 100).unwrap()
}

/// Changes by which a record is known again.
fn mark(no: u64) -> PositionChanges {
    let track = TrackPosition { current: Some(no), ..TrackPosition::default() };
    PositionChanges { next: no, tracks: [("/log".to_owned(), Some(track))].into(), ..PositionChanges::default() }
}

const NOW: Timestamp = Timestamp(7000);

fn payload(no: u64) -> Vec<u8> {
    format!("payload {no}").into_bytes()
}

fn append(journal: &mut Journal, no: u64) {
    journal.append(&[payload(no)], &mark(no)).unwrap();
}

fn unsent(journal: &Journal, mut after: u64) -> Vec<(u64, Vec<u8>)> {
    let mut records = Vec::new();
    while let Some(record) = journal.next_after(after).unwrap() {
        after = record.sequence;
        records.push((record.sequence, record.payload));
    }
    records
}

fn only_segment(dir: &Path) -> PathBuf {
    Segment::path_of(dir, 1)
}

impl Journal {
    /// Stands for a disk that is full.
    pub(crate) fn refuse_writes(&mut self, refuse: bool) {
        let path = &self.segments.back().unwrap().path;
        self.writer = if refuse { File::open(path) } else { File::options().write(true).open(path) }.unwrap();
    }
}

#[test]
fn survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    (1..=3).for_each(|no| append(&mut journal, no));
    journal.acknowledge(1, NOW);
    drop(journal);
    let mut journal = open(dir.path());
    assert_eq!((journal.incarnation(), journal.last_sequence()), (100, 3));
    assert_eq!(journal.positions().next, 3);
    // What was acknowledged since the last checkpoint is sent again; the server knows better.
    assert_eq!(journal.resume(Remembered { sequence: 2, digest: 0 }, 200, NOW).unwrap(), Resume::After(2));
    assert_eq!(unsent(&journal, 2), [(3, payload(3))]);
    assert_eq!(journal.stats().unacked_records, 1);
}

#[test]
fn torn_at_every_byte_it_holds_the_whole_records_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    let mut ends = vec![0];
    for no in 1..=4 {
        // The third is of two frames that count together.
        let payloads = if no == 3 { vec![payload(30), payload(31)] } else { vec![payload(no)] };
        journal.append(&payloads, &mark(no)).unwrap();
        ends.push(journal.stats().bytes as usize);
    }
    drop(journal);
    let whole = fs::read(only_segment(dir.path())).unwrap();
    for cut in 0..=whole.len() {
        fs::write(only_segment(dir.path()), &whole[..cut]).unwrap();
        let kept = ends.iter().filter(|end| **end > 0 && **end <= cut).count() as u64;
        let sequences = kept + u64::from(kept >= 3);
        let mut journal = open(dir.path());
        assert_eq!((journal.positions().next, journal.last_sequence()), (kept, sequences), "cut at {cut}");
        assert_eq!(unsent(&journal, 0).len() as u64, sequences);
        append(&mut journal, 9);
        drop(journal);
        let journal = open(dir.path());
        assert_eq!(unsent(&journal, sequences), [(sequences + 1, payload(9))], "cut at {cut}");
    }
}

#[test]
fn a_flipped_bit_at_the_end_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    append(&mut journal, 1);
    let first_end = journal.stats().bytes as usize;
    append(&mut journal, 2);
    drop(journal);
    let whole = fs::read(only_segment(dir.path())).unwrap();
    for at in first_end..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(only_segment(dir.path()), &bytes).unwrap();
        assert_eq!(open(dir.path()).positions().next, 1, "at {at}");
    }
}

#[test]
fn damage_that_is_no_torn_write_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(dir.path(), 64 << 10, 100).unwrap();
    (1..200).for_each(|no| append(&mut journal, no));
    assert!(journal.segments.len() > 1);
    let path = journal.segments[0].path.clone();
    drop(journal);
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = Journal::open(dir.path(), 64 << 10, 100).err().unwrap();
    assert!(error.to_string().contains("Move the directory"), "{error}");
}

/// Four groups, the third of two frames, in one segment: its bytes, and where each group begins.
fn four_groups(dir: &Path) -> (Vec<u8>, Vec<usize>) {
    let mut journal = open(dir);
    let mut starts = Vec::new();
    for no in 1..=4 {
        starts.push(journal.stats().bytes as usize);
        let payloads = if no == 3 { vec![payload(30), payload(31)] } else { vec![payload(no)] };
        journal.append(&payloads, &mark(no)).unwrap();
    }
    (fs::read(only_segment(dir)).unwrap(), starts)
}

fn check_damaged(dir: &Path, bytes: &[u8], wanted_at: usize) {
    fs::write(only_segment(dir), bytes).unwrap();
    match Journal::open(dir, 1 << 20, 100) {
        Err(JournalError::Damaged { path, at, .. }) => assert_eq!((path, at), (only_segment(dir), wanted_at as u64)),
        other => panic!("damage at {wanted_at} is not told: {:?}", other.map(|journal| journal.last)),
    }
    assert_eq!(fs::read(only_segment(dir)).unwrap(), bytes, "nothing is changed");
}

#[test]
fn damage_with_a_whole_group_after_it_is_told_and_nothing_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, starts) = four_groups(dir.path());
    let second_of_third = starts[2] + frame::decode(&whole[starts[2]..]).unwrap().length;
    for at in 0..starts[3] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let frames = [starts[0], starts[1], starts[2], second_of_third];
        check_damaged(dir.path(), &bytes, *frames.iter().rfind(|start| **start <= at).unwrap());
    }
}

#[test]
fn a_frame_that_is_gone_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, starts) = four_groups(dir.path());
    check_damaged(dir.path(), &[&whole[..starts[1]], &whole[starts[2]..]].concat(), starts[1]);
    let second_of_third = starts[2] + frame::decode(&whole[starts[2]..]).unwrap().length;
    check_damaged(dir.path(), &[&whole[..second_of_third], &whole[starts[3]..]].concat(), second_of_third);
}

#[test]
fn a_group_torn_at_its_beginning_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, starts) = four_groups(dir.path());
    // The disk wrote the group's second frame and not its first.
    let mut bytes = whole[..starts[3]].to_vec();
    bytes[starts[2]..starts[2] + 20].fill(0);
    fs::write(only_segment(dir.path()), &bytes).unwrap();
    let journal = open(dir.path());
    assert_eq!((journal.positions().next, journal.last_sequence()), (2, 2));
}

#[test]
fn a_segment_that_is_gone_or_shorter_than_the_checkpoint_says_is_told() {
    let filled = || {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), 64 << 10, 100).unwrap();
        (1..200).for_each(|no| append(&mut journal, no));
        let paths: Vec<PathBuf> = journal.segments.iter().map(|segment| segment.path.clone()).collect();
        assert!(paths.len() > 2);
        (dir, journal, paths)
    };
    let check = |dir: &Path| {
        assert!(matches!(Journal::open(dir, 64 << 10, 100), Err(JournalError::Damaged { .. })));
    };
    for gone in [0, 1] {
        let (dir, _, paths) = filled();
        fs::remove_file(&paths[gone]).unwrap();
        check(dir.path());
    }
    let (dir, mut journal, paths) = filled();
    assert_eq!(journal.resume(Remembered { sequence: 1000, digest: 0 }, 200, NOW).unwrap(), Resume::Anew);
    let last = File::options().write(true).open(&paths[paths.len() - 1]).unwrap();
    last.set_len(last.metadata().unwrap().len() - 1).unwrap();
    check(dir.path());
}

#[test]
fn a_checkpoint_with_a_flipped_bit_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    (1..=3).for_each(|no| append(&mut journal, no));
    assert_eq!(journal.resume(Remembered { sequence: 9, digest: 0 }, 200, NOW).unwrap(), Resume::Anew);
    let sound = journal.checkpoint.clone();
    drop(journal);
    let path = dir.path().join(CHECKPOINT);
    let whole = fs::read(&path).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        // Of some bits of its head, such as the window's size, nothing depends.
        match Journal::open(dir.path(), 1 << 20, 100) {
            Ok(journal) => {
                assert_eq!((journal.positions().next, &journal.checkpoint.base), (3, &sound.base), "bit {bit}")
            }
            Err(error) => assert!(matches!(error, JournalError::Damaged { .. }), "bit {bit}: {error}"),
        }
    }
}

#[test]
fn full_at_its_limit_and_free_again_when_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(dir.path(), 64 << 10, 100).unwrap();
    let mut no = 0;
    while !journal.is_full() {
        no += 1;
        journal.append(&[vec![7; 500]], &mark(no)).unwrap();
    }
    assert!(matches!(journal.append(&[payload(0)], &mark(0)), Err(JournalError::Full { .. })));
    assert!(journal.stats().bytes < 70 << 10);
    journal.acknowledge(no / 2, NOW);
    assert!(!journal.is_full());
    assert_eq!(unsent(&journal, no / 2).len() as u64, no - no / 2);
    journal.acknowledge(no, NOW);
    append(&mut journal, no + 1);
    drop(journal);
    let journal = Journal::open(dir.path(), 64 << 10, 100).unwrap();
    assert_eq!(journal.positions().next, no + 1);
    assert!(journal.stats().bytes < 10 << 10, "{:?}", journal.stats());
}

#[test]
fn a_failed_write_leaves_it_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    append(&mut journal, 1);
    let path = only_segment(dir.path());
    journal.refuse_writes(true);
    assert!(matches!(journal.append(&[payload(2)], &mark(2)), Err(JournalError::Io { .. })));
    assert_eq!((journal.positions().next, journal.last_sequence()), (1, 1));
    // Half of a frame, as a full disk leaves it.
    let length = journal.stats().bytes;
    File::options().write(true).open(&path).unwrap().write_all_at(&[1; 900], length).unwrap();
    journal.refuse_writes(false);
    append(&mut journal, 2);
    drop(journal);
    assert_eq!(unsent(&open(dir.path()), 0).len(), 2);
}

#[test]
fn short_of_room_it_drops_what_it_may_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    assert_eq!(fs::metadata(dir.path().join(RESERVE)).unwrap().len(), RESERVE_BYTES as u64);
    (1..=3).for_each(|no| append(&mut journal, no));
    journal.refuse_writes(true);
    assert!(journal.append(&[payload(4)], &mark(4)).is_err());
    journal.acknowledge(2, NOW);
    assert!(only_segment(dir.path()).exists());
    journal.acknowledge(3, NOW);
    assert!(!only_segment(dir.path()).exists());
    append(&mut journal, 4);
    drop(journal);
    let journal = open(dir.path());
    assert_eq!((journal.positions().next, unsent(&journal, 3)), (4, vec![(4, payload(4))]));
}

#[test]
fn a_server_that_remembers_otherwise_makes_a_new_incarnation() {
    let check = |taken: u64, acked: u64, wanted: Resume, left: &[u64]| {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), 64 << 10, 100).unwrap();
        (1..=5).for_each(|no| append(&mut journal, no));
        journal.acknowledge(acked, NOW);
        assert_eq!(journal.resume(Remembered { sequence: taken, digest: 0 }, 200, NOW).unwrap(), wanted);
        let after = if let Resume::After(after) = wanted { after } else { 0 };
        let records = unsent(&journal, after);
        let payloads: Vec<Vec<u8>> = left.iter().map(|no| payload(*no)).collect();
        assert_eq!(records.iter().map(|(_, p)| p.clone()).collect::<Vec<_>>(), payloads);
        if wanted == Resume::Anew {
            let sequences: Vec<u64> = records.iter().map(|(sequence, _)| *sequence).collect();
            assert_eq!(sequences, (1..=left.len() as u64).collect::<Vec<_>>());
            assert_eq!((journal.incarnation(), journal.last_sequence()), (200, left.len() as u64));
            drop(journal);
            let journal = Journal::open(dir.path(), 64 << 10, 300).unwrap();
            assert_eq!((journal.incarnation(), journal.last_sequence()), (200, left.len() as u64));
            assert_eq!(journal.positions().next, 5);
        }
    };
    check(0, 0, Resume::After(0), &[1, 2, 3, 4, 5]);
    check(3, 2, Resume::After(3), &[4, 5]);
    check(5, 5, Resume::After(5), &[]);
    // The server lost what it had acknowledged.
    check(0, 2, Resume::Anew, &[3, 4, 5]);
    check(4, 5, Resume::Anew, &[]);
    // The journal lost what the server has.
    check(6, 2, Resume::Anew, &[3, 4, 5]);
}

#[test]
fn what_agent_and_server_do_not_both_remember_is_a_gap_that_is_told() {
    let digest = |no: u64| crc32fast::hash(&payload(no));
    // Opened with five records, two of them acknowledged at 1000; three more written since.
    let check = |server: (u64, u32), wanted: Resume, gap: Option<(i64, i64)>, left: &[u64]| {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), 64 << 10, 100).unwrap();
        assert_eq!(journal.gap(), Some((0, 100)), "nothing is known here of what was sent before");
        journal.gap_told((0, 99));
        journal.gap_told((0, 100));
        (1..=5).for_each(|no| append(&mut journal, no));
        journal.acknowledge(2, Timestamp(1000));
        journal.keep_acknowledged();
        drop(journal);
        let mut journal = Journal::open(dir.path(), 64 << 10, 150).unwrap();
        (6..=8).for_each(|no| append(&mut journal, no));
        let server = Remembered { sequence: server.0, digest: server.1 };
        assert_eq!(journal.resume(server, 200, Timestamp(5000)).unwrap(), wanted, "{server:?}");
        drop(journal);
        let journal = Journal::open(dir.path(), 64 << 10, 300).unwrap();
        assert_eq!(journal.gap(), gap, "{server:?}");
        let after = if let Resume::After(after) = wanted { after } else { 0 };
        let payloads: Vec<Vec<u8>> = unsent(&journal, after).into_iter().map(|(_, payload)| payload).collect();
        assert_eq!(payloads, left.iter().map(|no| payload(*no)).collect::<Vec<_>>(), "{server:?}");
    };
    check((2, digest(2)), Resume::After(2), None, &[3, 4, 5, 6, 7, 8]);
    check((4, digest(4)), Resume::After(4), None, &[5, 6, 7, 8]);
    check((7, digest(7)), Resume::After(7), None, &[8]);
    // From before the server kept digests.
    check((7, 0), Resume::After(7), None, &[8]);
    // The server went back: what it had acknowledged since is lost.
    check((1, digest(1)), Resume::Anew, Some((0, 1000)), &[3, 4, 5, 6, 7, 8]);
    check((0, 0), Resume::Anew, Some((0, 1000)), &[3, 4, 5, 6, 7, 8]);
    // This journal went back: what it had sent in its other life, beyond what was put back, is not known.
    check((9, 77), Resume::Anew, Some((1000, 5000)), &[6, 7, 8]);
    check((7, 77), Resume::Anew, Some((1000, 5000)), &[6, 7, 8]);
    // It was never the same.
    check((4, 77), Resume::Anew, Some((1000, 5000)), &[3, 4, 5, 6, 7, 8]);
    check((2, 77), Resume::Anew, Some((1000, 5000)), &[3, 4, 5, 6, 7, 8]);
}

#[test]
fn another_agent_gets_the_positions_and_no_record() {
    let (one, two) = (AgentId("a-1".into()), AgentId("a-2".into()));
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    assert_eq!(journal.owner(), None);
    journal.adopt(&one).unwrap();
    (1..=50).for_each(|no| append(&mut journal, no));
    journal.acknowledge(47, NOW);
    drop(journal);
    let mut journal = open(dir.path());
    assert_eq!((journal.owner(), journal.incarnation()), (Some(&one), 100));
    journal.acknowledge(48, NOW);
    assert_eq!(journal.hand_over(&two, 200).unwrap(), 2);
    assert_eq!((journal.incarnation(), journal.last_sequence(), journal.positions().next), (200, 0, 50));
    assert_eq!(journal.resume(Remembered { sequence: 0, digest: 0 }, 300, NOW).unwrap(), Resume::After(0));
    assert_eq!(unsent(&journal, 0), []);
    append(&mut journal, 51);
    drop(journal);
    let journal = open(dir.path());
    assert_eq!((journal.owner(), journal.positions().next), (Some(&two), 51));
    assert_eq!(unsent(&journal, 0), [(1, payload(51))]);
}

#[test]
fn what_is_acknowledged_is_written_down_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    (1..=5).for_each(|no| append(&mut journal, no));
    journal.acknowledge(3, NOW);
    journal.keep_acknowledged();
    let written = fs::metadata(dir.path().join(CHECKPOINT)).unwrap().modified().unwrap();
    journal.keep_acknowledged();
    assert_eq!(fs::metadata(dir.path().join(CHECKPOINT)).unwrap().modified().unwrap(), written, "no news, no write");
    append(&mut journal, 6);
    drop(journal);
    let journal = open(dir.path());
    assert_eq!((journal.stats().unacked_records, journal.positions().next), (3, 6));
}

#[test]
fn a_checkpoint_of_an_earlier_version_is_of_nobody_yet() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    (1..=3).for_each(|no| append(&mut journal, no));
    drop(journal);
    let path = dir.path().join(CHECKPOINT);
    let mut checkpoint: serde_json::Value = frame::unpack(&fs::read(&path).unwrap()).unwrap();
    assert!(checkpoint.as_object_mut().unwrap().remove("agent").is_some());
    fs::write(&path, frame::pack(&checkpoint).unwrap()).unwrap();
    let mut journal = open(dir.path());
    assert_eq!(journal.owner(), None);
    journal.adopt(&AgentId("a-1".into())).unwrap();
    assert_eq!((journal.incarnation(), unsent(&journal, 0).len()), (100, 3));
}

proptest! {
    // Every append waits for the disk.
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn garbage_is_no_frame_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(frame::decode(&bytes), None);
    }

    /// Whatever is appended, acknowledged and interrupted: nothing unacknowledged is missing, in order.
    #[test]
    fn keeps_what_is_not_acknowledged(steps in proptest::collection::vec(0u8..4, 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), 64 << 10, 100).unwrap();
        let (mut written, mut acked) = (0, 0);
        for step in steps {
            match step {
                0 | 1 => {
                    written += 1;
                    journal.append(&[vec![written as u8; 300]], &mark(written)).unwrap();
                }
                2 => {
                    acked = written.min(acked + 7);
                    journal.acknowledge(acked, NOW);
                }
                _ => {
                    drop(journal);
                    journal = Journal::open(dir.path(), 64 << 10, 100).unwrap();
                    prop_assert_eq!(journal.resume(Remembered { sequence: acked, digest: 0 }, 200, NOW).unwrap(), Resume::After(acked));
                }
            }
            prop_assert_eq!(journal.positions().next, written);
            let sequences: Vec<u64> = unsent(&journal, acked).iter().map(|(sequence, _)| *sequence).collect();
            prop_assert_eq!(sequences, (acked + 1..=written).collect::<Vec<_>>());
        }
    }
}
