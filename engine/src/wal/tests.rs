use nightjar_model::Timestamp;
use nightjar_model::ports::Expectation;
use proptest::prelude::*;

use super::record::Body;
use super::*;

fn record(at: i64) -> Record {
    Record { at: Timestamp(at), body: Body::Expect(Vec::<Expectation>::new()) }
}

fn append(wal: &mut Wal, ats: &[i64]) {
    let records: Vec<Vec<u8>> = ats.iter().map(|at| record(*at).encode()).collect();
    let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    wal.append(&records).expect("append");
}

fn replay(dir: &Path, from: WalPosition) -> Result<(Vec<i64>, Recovered)> {
    let mut seen = Vec::new();
    let recovered = recover(dir, from, |record| seen.push(record.at.0))?;
    Ok((seen, recovered))
}

#[test]
fn what_was_appended_is_replayed_and_dropped_segments_are_not() {
    let dir = tempfile::tempdir().expect("tempdir");
    let start = WalPosition::default();
    let mut wal = Wal::create(dir.path(), start, 0).expect("create");
    append(&mut wal, &[1, 2]);
    append(&mut wal, &[3]);
    let middle = wal.rotate().expect("rotate");
    assert_eq!(wal.rotate().expect("an empty segment is not rotated"), middle);
    append(&mut wal, &[4]);
    let bytes = wal.bytes();
    drop(wal);

    let (seen, recovered) = replay(dir.path(), start).expect("replay");
    assert_eq!(seen, [1, 2, 3, 4]);
    assert_eq!(recovered, Recovered { next: WalPosition { segment: 2, frame: 3 }, bytes, records: 4 });

    let mut wal = Wal::create(dir.path(), recovered.next, recovered.bytes).expect("create");
    append(&mut wal, &[5]);
    wal.drop_before(middle.segment).expect("drop");
    let (seen, _) = replay(dir.path(), middle).expect("replay");
    assert_eq!(seen, [4, 5]);
    assert!(matches!(replay(dir.path(), start), Err(EngineError::CorruptLog { .. })), "frames are missing");
}

#[test]
fn damage_in_the_middle_names_file_and_offset() {
    let dir = tempfile::tempdir().expect("tempdir");
    let mut wal = Wal::create(dir.path(), WalPosition::default(), 0).expect("create");
    append(&mut wal, &[1]);
    let offset = wal.good;
    append(&mut wal, &[2]);
    append(&mut wal, &[3]);
    let path = wal.path();
    drop(wal);
    let mut bytes = fs::read(&path).expect("read");
    bytes[offset as usize + frame::HEADER_BYTES] ^= 1;
    fs::write(&path, bytes).expect("write");
    let error = replay(dir.path(), WalPosition::default()).expect_err("damaged").to_string();
    assert!(error.contains(&format!("{} at offset {offset}", path.display())), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_tail_torn_anywhere_loses_nothing_before_it(groups in proptest::collection::vec(1usize..3, 1..6), cut: prop::sample::Index) {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut wal = Wal::create(dir.path(), WalPosition::default(), 0).expect("create");
        let (mut next, mut whole) = (0, vec![(wal.good, 0)]);
        for group in groups {
            let ats: Vec<i64> = (next..next + group as i64).collect();
            append(&mut wal, &ats);
            next += group as i64;
            whole.push((wal.good, next));
        }
        let (path, length) = (wal.path(), wal.good);
        drop(wal);
        let cut = cut.index(length as usize + 1) as u64;
        OpenOptions::new().write(true).open(&path).expect("open").set_len(cut).expect("cut");
        let expected = whole.iter().rev().find(|(end, _)| *end <= cut).map_or(0, |(_, count)| *count);
        let (seen, recovered) = replay(dir.path(), WalPosition::default()).expect("replay");
        prop_assert_eq!(seen, (0..expected).collect::<Vec<_>>());
        // It goes on from there.
        let mut wal = Wal::create(dir.path(), recovered.next, recovered.bytes).expect("create");
        append(&mut wal, &[expected]);
        let (seen, _) = replay(dir.path(), WalPosition::default()).expect("replay");
        prop_assert_eq!(seen, (0..=expected).collect::<Vec<_>>());
    }
}
