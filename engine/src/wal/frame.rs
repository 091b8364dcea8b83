//! The log's bytes: frames, each written and synced whole before the next begins.
//!
//! A frame is one group commit:
//! `magic (4) · payload length u32 · frame number u64 · crc32 of length, number and payload u32 · payload`,
//! integers little-endian. The payload is records, each with its length before it as u32.
//!
//! Since a frame is begun only after the one before it was synced, only the last frame of the log can be
//! torn by a crash: a bad frame with a whole one after it is damage, never a torn tail.

use std::ops::Range;

/// Not valid UTF-8, so that no key or name in a payload can be taken for a frame.
const MAGIC: [u8; 4] = [0xff, b'N', b'J', 0xfe];

pub(crate) const HEADER_BYTES: usize = 20;

/// What a segment file begins with; the last byte is the format's version.
pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"NJWAL\0\0\x01";

/// Appends a frame that holds `records` to `out`.
pub(crate) fn encode(number: u64, records: &[&[u8]], out: &mut Vec<u8>) {
    let length: usize = records.iter().map(|record| record.len() + 4).sum();
    let start = out.len();
    out.reserve(HEADER_BYTES + length);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for record in records {
        out.extend_from_slice(&(record.len() as u32).to_le_bytes());
        out.extend_from_slice(record);
    }
    let crc = checksum(&out[start..]);
    out[start + 16..start + HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// What is in a segment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Each whole frame's number and its payload's place.
    pub(crate) frames: Vec<(u64, Range<usize>)>,
    /// Where the whole frames end.
    pub(crate) good: usize,
    pub(crate) bad: Option<Bad>,
}

/// What follows the whole frames.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) reason: &'static str,
    /// Whether a whole frame comes after it: then it had been synced, and is not a torn tail.
    pub(crate) whole_after: bool,
}

/// Reads a segment as far as it is whole.
pub(crate) fn scan(bytes: &[u8]) -> Scan {
    let head = SEGMENT_MAGIC.len();
    if bytes.len() < head || bytes[..head] != SEGMENT_MAGIC {
        let reason = if bytes.len() < head { "its beginning is missing" } else { "it does not begin as a log does" };
        // A crash while the file was made leaves less than a head, or zeros where it should be.
        let whole_after = bytes.iter().any(|b| *b != 0) && bytes.len() > head;
        return Scan { frames: Vec::new(), good: 0, bad: (!bytes.is_empty()).then_some(Bad { reason, whole_after }) };
    }
    let mut scan = Scan { good: head, ..Scan::default() };
    while scan.good < bytes.len() {
        match frame_at(bytes, scan.good) {
            Ok((number, payload)) => {
                scan.good = payload.end;
                scan.frames.push((number, payload));
            }
            Err(reason) => {
                let whole_after = (scan.good + 1..bytes.len())
                    .filter(|at| bytes[*at] == MAGIC[0])
                    .any(|at| frame_at(bytes, at).is_ok());
                scan.bad = Some(Bad { reason, whole_after });
                break;
            }
        }
    }
    scan
}

/// The records of a frame's payload; `None` if their lengths do not add up.
pub(crate) fn records(mut payload: &[u8]) -> Option<Vec<&[u8]>> {
    let mut records = Vec::new();
    while !payload.is_empty() {
        let (length, rest) = payload.split_first_chunk::<4>()?;
        let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        records.push(record);
        payload = rest;
    }
    Some(records)
}

fn frame_at(bytes: &[u8], at: usize) -> Result<(u64, Range<usize>), &'static str> {
    let header = bytes.get(at..at + HEADER_BYTES).ok_or("the frame is cut off in its header")?;
    let (magic, rest) = header.split_first_chunk::<4>().ok_or("the frame is cut off in its header")?;
    if *magic != MAGIC {
        return Err("no frame begins here");
    }
    let (length, rest) = rest.split_first_chunk::<4>().ok_or("the frame is cut off in its header")?;
    let (number, crc) = rest.split_first_chunk::<8>().ok_or("the frame is cut off in its header")?;
    let payload = at + HEADER_BYTES..at + HEADER_BYTES + u32::from_le_bytes(*length) as usize;
    let frame = bytes.get(at..payload.end).ok_or("the frame is cut off")?;
    if checksum(frame).to_le_bytes() != *crc {
        return Err("the checksum does not fit");
    }
    Ok((u64::from_le_bytes(*number), payload))
}

fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[4..16]);
    hasher.update(&frame[HEADER_BYTES..]);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(frames: &[Vec<Vec<u8>>]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = SEGMENT_MAGIC.to_vec();
        let mut ends = vec![bytes.len()];
        for (number, frame) in frames.iter().enumerate() {
            let records: Vec<&[u8]> = frame.iter().map(Vec::as_slice).collect();
            encode(number as u64, &records, &mut bytes);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn frames() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
        let record = proptest::collection::vec(any::<u8>(), 0..40);
        proptest::collection::vec(proptest::collection::vec(record, 1..4), 1..6)
    }

    proptest! {
        #[test]
        fn truncated_at_any_byte_the_whole_frames_remain(frames in frames()) {
            let (bytes, ends) = segment(&frames);
            for cut in SEGMENT_MAGIC.len()..=bytes.len() {
                let scan = scan(&bytes[..cut]);
                let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
                prop_assert_eq!(scan.frames.len(), whole);
                prop_assert_eq!(scan.good, ends[whole]);
                prop_assert_eq!(scan.bad.is_some(), cut != ends[whole]);
                prop_assert!(scan.bad.is_none_or(|bad| !bad.whole_after));
                for ((_, payload), frame) in scan.frames.iter().zip(&frames) {
                    let records = records(&bytes[payload.clone()]).expect("own encoding");
                    prop_assert_eq!(records, frame.iter().map(Vec::as_slice).collect::<Vec<_>>());
                }
            }
        }

        #[test]
        fn a_flipped_bit_is_found(frames in frames(), at: prop::sample::Index, bit in 0u8..8) {
            let (mut bytes, ends) = segment(&frames);
            let at = SEGMENT_MAGIC.len() + at.index(bytes.len() - SEGMENT_MAGIC.len());
            bytes[at] ^= 1 << bit;
            let scan = scan(&bytes);
            let damaged = ends.iter().filter(|end| **end <= at).count() - 1;
            prop_assert_eq!(scan.frames.len(), damaged);
            let last = damaged + 1 == frames.len();
            prop_assert_eq!(scan.bad.expect("found").whole_after, !last);
        }

        #[test]
        fn garbage_is_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut segment = SEGMENT_MAGIC.to_vec();
            segment.extend_from_slice(&bytes);
            let _scan = scan(&segment);
            let _scan = scan(&bytes);
            let _records = records(&bytes);
        }
    }
}
