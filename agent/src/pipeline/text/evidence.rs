//! Whether a line that is not UTF-8 throughout is UTF-8 in part, or GB18030 as a whole.
//!
//! Both can be: each of UTF-8's Chinese characters has three bytes, so two of them are three of GBK's.
//! What decides is how unlikely the bytes are under the other reading; only the line itself is looked at,
//! so that it counts the same whatever was read before it. In doubt it is UTF-8: then what cannot be read
//! is told, where taking it for GB18030 would make other text of it without a word.

/// What speaks for a line of text being UTF-8 in part.
///
/// - A stretch between ASCII that is UTF-8 throughout and has a character of three bytes or more. In GBK
///   text three characters in 30,000 look so.
/// - Two such characters one after the other at the start of a stretch, or one where the line as GBK has
///   characters outside GB2312.
/// - Letters of Latin, Greek, Cyrillic and the like as words are written in them.
/// - Surrogates in UTF-8's dress, as Java writes what is outside the basic plane.
pub(super) fn is_utf8_in_part(line: &[u8]) -> bool {
    let common = is_gb2312(line);
    stretches(line).any(|(before, stretch)| speaks_for_utf8(before, stretch, common))
}

/// Bytes over 0x7f that are the first of a pair with an ASCII letter, and nothing but such: text of a
/// single-byte encoding (`entr\xe9e`), each of which GBK has some rare character for.
pub(super) fn looks_single_byte(line: &[u8]) -> bool {
    let mut any = false;
    let lone = stretches(line).all(|(before, stretch)| {
        any = true;
        stretch.len() == 1 && before.is_some_and(|byte| byte.is_ascii_alphabetic())
    });
    any && lone
}

/// Whether there is a first byte of a UTF-8 character of two bytes. Chinese has none.
#[inline]
pub(super) fn has_two_byte_lead(text: &[u8]) -> bool {
    let any = |bytes: &[u8]| bytes.iter().fold(false, |any, byte| any | (0xc2..=0xdf).contains(byte));
    text.chunks(4096).any(any)
}

/// Whether a line that is valid UTF-8 is so by accident, and GBK: all that is not ASCII is of GB2312, none
/// of its UTF-8 characters has more than two bytes, and some of them hardly occur where no others do
/// (`食品` in GBK is `ʳƷ`, `系统` is `ϵͳ`).
pub(super) fn is_gbk_by_accident(line: &[u8]) -> bool {
    let two_bytes = |stretch: &[u8]| stretch.iter().all(|byte| *byte < 0xe0) && is_gb2312(stretch);
    let hardly = |(before, stretch): (Option<u8>, &[u8])| {
        let lone = stretch.len() == 2 && !before.is_some_and(|byte| byte.is_ascii_alphabetic());
        stretch.chunks_exact(2).any(|letter| match letter {
            // Of the letters with marks in central Europe few stand alone, and none of these.
            [0xc4..=0xc5, _] => lone,
            // Latin-1, Greek, Russian, Hebrew, Arabic, as far as they are GB2312.
            [0xc2..=0xc3 | 0xce | 0xd0 | 0xd8, _] | [0xd7, 0xa1..=0xaa] => false,
            _ => true,
        })
    };
    stretches(line).all(|(_, stretch)| two_bytes(stretch)) && stretches(line).any(hardly)
}

fn speaks_for_utf8(before: Option<u8>, stretch: &[u8], common_gb: bool) -> bool {
    let (characters, whole) = leading_characters(stretch);
    let wide = characters.iter().filter(|length| **length >= 3).count();
    if wide > 0 && (whole || wide >= 2 || !common_gb) {
        return true;
    }
    if has_surrogates(stretch) {
        return true;
    }
    let letters = whole && !characters.is_empty() && characters.iter().all(|length| *length == 2);
    match characters.len() {
        // One accented letter inside or at the end of a word.
        1 => letters && matches!(stretch[0], 0xc3..=0xc5) && before.is_some_and(|byte| byte.is_ascii_alphabetic()),
        _ => letters && one_script(stretch) && !is_gb2312(stretch),
    }
}

/// The lengths of the UTF-8 characters that a stretch begins with, and whether they are all of it.
fn leading_characters(stretch: &[u8]) -> (Vec<usize>, bool) {
    let valid = match std::str::from_utf8(stretch) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&stretch[..error.valid_up_to()]).unwrap_or_default(),
    };
    (valid.chars().map(char::len_utf8).collect(), valid.len() == stretch.len())
}

/// Runs of bytes over 0x7f, each with the byte before it.
fn stretches(line: &[u8]) -> impl Iterator<Item = (Option<u8>, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + line.get(at..)?.iter().position(|byte| !byte.is_ascii())?;
        let length = line[start..].iter().position(u8::is_ascii).unwrap_or(line.len() - start);
        at = start + length;
        Some((start.checked_sub(1).map(|before| line[before]), &line[start..at]))
    })
}

/// Whether all letters, two bytes each, are of one script, and none a control character.
fn one_script(stretch: &[u8]) -> bool {
    let script = |lead: u8| match lead {
        0xc3..=0xc9 => 1,
        0xcd..=0xcf => 2,
        0xd0..=0xd4 => 3,
        0xd6..=0xd7 => 4,
        0xd8..=0xdb => 5,
        _ => 0,
    };
    let first = stretch.first().map_or(0, |lead| script(*lead));
    first != 0 && stretch.chunks_exact(2).all(|letter| script(letter[0]) == first)
}

/// A high surrogate and a low one, three bytes each.
fn has_surrogates(stretch: &[u8]) -> bool {
    stretch.windows(6).any(|bytes| matches!(bytes, [0xed, 0xa0..=0xaf, 0x80..=0xbf, 0xed, 0xb0..=0xbf, 0x80..=0xbf]))
}

/// Whether all but ASCII is of GB2312, which is nearly all that is written in GBK.
fn is_gb2312(line: &[u8]) -> bool {
    let mut rest = line;
    while let [first, following @ ..] = rest {
        rest = match following {
            _ if first.is_ascii() => following,
            [second, following @ ..] if (0xa1..=0xf7).contains(first) && *second >= 0xa1 => following,
            _ => return false,
        };
    }
    true
}
