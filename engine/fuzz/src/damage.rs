//! What becomes of a file: bits turn, its end goes, something else stands behind it.

use libfuzzer_sys::arbitrary::{self, Arbitrary};

#[derive(Debug, Arbitrary)]
pub struct Damage {
    /// Where, modulo the length, and what is turned there.
    turned: Vec<(u16, u8)>,
    kept: Option<u16>,
    behind: Vec<u8>,
}

impl Damage {
    /// Answers the stretch outside of which `bytes` are as they were.
    pub(crate) fn apply(&self, bytes: &mut Vec<u8>) -> std::ops::Range<usize> {
        let sound = bytes.clone();
        if let Some(length) = bytes.len().checked_sub(1) {
            for (at, bits) in &self.turned {
                bytes[usize::from(*at) % (length + 1)] ^= bits;
            }
        }
        bytes.truncate(self.kept.map_or(usize::MAX, usize::from));
        let first = sound.iter().zip(bytes.iter()).position(|(a, b)| a != b).unwrap_or(bytes.len().min(sound.len()));
        let last = sound.iter().zip(bytes.iter()).rposition(|(a, b)| a != b).map_or(first, |at| at + 1);
        let end = if bytes.len() < sound.len() { sound.len() } else { last };
        bytes.extend_from_slice(&self.behind);
        first..end
    }
}
