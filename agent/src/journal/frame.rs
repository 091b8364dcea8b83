//! The journal's frame: `length u32 · crc32 u32 · body`, all little-endian. A body is
//! `version u8 · flags u8 · ordinal u64 · length of positions u32 · positions · payload`: positions
//! as zstd-compressed JSON, the payload (a zstd-compressed `Gathered`) as it travels.
//!
//! Frames that were written, and count, together are a *group*: its first and last frame say that they are.
//! A group is begun only after everything before it was synced, so damage with the beginning of a group
//! after it is no torn write.

use crate::tail::PositionChanges;

const VERSION: u8 = 1;
const LAST: u8 = 1;
/// What cannot follow the version in UTF-8, so that no text in a payload passes for a group's beginning.
const FIRST: u8 = 0x80;
const PREFIX_BYTES: usize = 8;
const FIXED_BYTES: usize = 14;
/// What no frame is larger than; a length over it is damage.
pub(crate) const MAX_FRAME_BYTES: usize = 64 << 20;

/// One record, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Counts the frames of a data directory, from 1, without gaps.
    pub(crate) ordinal: u64,
    /// Whether it begins its group. Agents before this flag did not set it.
    pub(crate) first: bool,
    /// Whether it ends its group.
    pub(crate) last: bool,
    pub(crate) positions: Option<PositionChanges>,
    /// Where the payload is within the frame.
    pub(crate) payload: std::ops::Range<usize>,
    /// With its prefix.
    pub(crate) length: usize,
}

/// `ends` says whether the frame is the first and whether it is the last of its group.
pub(crate) fn encode(into: &mut Vec<u8>, ordinal: u64, ends: (bool, bool), positions: &[u8], payload: &[u8]) {
    let length = FIXED_BYTES + positions.len() + payload.len();
    let start = into.len();
    into.extend_from_slice(&(length as u32).to_le_bytes());
    into.extend_from_slice(&[0; 4]);
    into.push(VERSION);
    into.push(if ends.0 { FIRST } else { 0 } | if ends.1 { LAST } else { 0 });
    into.extend_from_slice(&ordinal.to_le_bytes());
    into.extend_from_slice(&(positions.len() as u32).to_le_bytes());
    into.extend_from_slice(positions);
    into.extend_from_slice(payload);
    let crc = crc32fast::hash(&into[start + PREFIX_BYTES..]);
    into[start + 4..start + PREFIX_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// The frame at the start of `bytes`; `None` if it is not whole or not sound.
pub(crate) fn decode(bytes: &[u8]) -> Option<Frame> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
    if !(FIXED_BYTES..=MAX_FRAME_BYTES).contains(&length) {
        return None;
    }
    let body = bytes.get(PREFIX_BYTES..PREFIX_BYTES + length)?;
    // The checksum last: where a frame is looked for at every byte, it is what takes time.
    if body[0] != VERSION || crc32fast::hash(body) != crc {
        return None;
    }
    let ordinal = u64::from_le_bytes(body[2..10].try_into().ok()?);
    let positions_length = u32::from_le_bytes(body[10..14].try_into().ok()?) as usize;
    let positions = body.get(FIXED_BYTES..FIXED_BYTES + positions_length)?;
    let positions = if positions.is_empty() { None } else { Some(unpack(positions)?) };
    let payload = PREFIX_BYTES + FIXED_BYTES + positions_length..PREFIX_BYTES + length;
    let (first, last) = (body[1] & FIRST != 0, body[1] & LAST != 0);
    Some(Frame { ordinal, first, last, positions, payload, length: PREFIX_BYTES + length })
}

/// Whether a whole group's beginning stands anywhere in `bytes`.
pub(crate) fn any_begins_in(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| decode(&bytes[at..]).is_some_and(|frame| frame.first))
}

/// Positions as they stand in frames and checkpoints.
pub(crate) fn pack<T: serde::Serialize>(value: &T) -> std::io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(1)?;
    // A checkpoint has no other checksum.
    compressor.include_checksum(true)?;
    compressor.compress(&serde_json::to_vec(value)?)
}

pub(crate) fn unpack<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let text = zstd::stream::decode_all(bytes).ok()?;
    serde_json::from_slice(&text).ok()
}
