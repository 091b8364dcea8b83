//! Keys of windows: the values of the group-by columns as bytes to look up by, and as text to send.

use std::borrow::Cow;

use nightjar_model::names::stored_key;
use nightjar_model::protocol::MAX_KEY_BYTES;

/// Where the value of a group-by column comes from.
#[derive(Debug)]
pub(super) enum KeyPart {
    Column(usize),
    /// A dimension of the host.
    Fixed(String),
}

impl KeyPart {
    pub(super) fn column(&self) -> Option<usize> {
        match self {
            Self::Column(column) => Some(*column),
            Self::Fixed(_) => None,
        }
    }
}

/// The value as it is kept: see [`stored_key`].
#[inline]
pub(super) fn kept(value: &[u8]) -> Cow<'_, [u8]> {
    if value.len() <= MAX_KEY_BYTES { Cow::Borrowed(value) } else { Cow::Owned(kept_text(value).into_bytes()) }
}

#[cold]
fn kept_text(value: &[u8]) -> String {
    stored_key(&String::from_utf8_lossy(value)).into_owned()
}

/// Writes the key of `count` columns: the value of one, else each behind its length. False where
/// there are not as many values.
pub(super) fn write_key<'a>(key: &mut Vec<u8>, values: impl Iterator<Item = &'a [u8]>, count: usize) -> bool {
    key.clear();
    let mut written = 0;
    for value in values.map(kept) {
        if count > 1 {
            key.extend_from_slice(&(value.len() as u16).to_le_bytes());
        }
        key.extend_from_slice(&value);
        written += 1;
    }
    written == count
}

/// The values of the group-by columns from a key as [`write_key`] wrote it.
pub(super) fn key_texts(parts: &[KeyPart], key: &[u8]) -> Vec<String> {
    let several = parts.iter().filter_map(KeyPart::column).count() > 1;
    let mut rest = key;
    let mut next = || match rest.split_first_chunk::<2>() {
        Some((length, following)) if several => {
            let (value, following) = following.split_at(usize::from(u16::from_le_bytes(*length)).min(following.len()));
            rest = following;
            value
        }
        _ => std::mem::take(&mut rest),
    };
    parts
        .iter()
        .map(|part| match part {
            KeyPart::Fixed(value) => kept_text(value.as_bytes()),
            KeyPart::Column(_) => kept_text(next()),
        })
        .collect()
}
