//! Raw bytes of a line to UTF-8: decodes, takes NUL bytes out, replaces what is not of the encoding.
//! A line that is fine as it is, which is nearly every one, is not copied.

use std::borrow::Cow;

use encoding_rs::{DecoderResult, Encoding, GB18030};
use memchr::memchr;
use nightjar_model::Problems;

/// How the bytes of a source are to be read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Charset {
    /// UTF-8; a line that is not is GB18030.
    Auto,
    Utf8,
    Other(&'static Encoding),
}

impl Charset {
    pub(crate) fn compile(label: &str, problems: &mut Problems) -> Self {
        if label.eq_ignore_ascii_case("auto") {
            return Self::Auto;
        }
        match Encoding::for_label(label.as_bytes()) {
            Some(encoding) if encoding == encoding_rs::UTF_8 => Self::Utf8,
            Some(encoding) if encoding.is_ascii_compatible() => Self::Other(encoding),
            Some(encoding) => {
                problems.add("", format!("{} cannot be read line by line; convert the log to UTF-8", encoding.name()));
                Self::Auto
            }
            None => {
                problems
                    .add("", format!("`{label}` is not an encoding; known are auto, utf-8, gbk and WHATWG's labels"));
                Self::Auto
            }
        }
    }
}

/// What had to be done to make a line readable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Repairs {
    pub(crate) nul: bool,
    pub(crate) replaced: bool,
}

#[derive(Debug)]
pub(crate) struct TextReader {
    charset: Charset,
    without_nul: Vec<u8>,
    decoded: String,
}

impl TextReader {
    pub(crate) fn new(charset: Charset) -> Self {
        Self { charset, without_nul: Vec::new(), decoded: String::new() }
    }

    /// Whether a block of lines can be taken as it stands, without asking line by line.
    pub(crate) fn is_clean(&self, block: &[u8]) -> bool {
        let readable = match self.charset {
            Charset::Auto | Charset::Utf8 => simdutf8::basic::from_utf8(block).is_ok(),
            Charset::Other(_) => block.is_ascii(),
        };
        readable && memchr(0, block).is_none()
    }

    /// The line as UTF-8. `cut`: it may end within a character, which is then left out.
    #[inline]
    pub(crate) fn read<'a>(&'a mut self, raw: &'a [u8], cut: bool) -> (&'a [u8], Repairs) {
        if self.is_clean(raw) { (raw, Repairs::default()) } else { self.repair(raw, cut) }
    }

    #[cold]
    fn repair<'a>(&'a mut self, raw: &'a [u8], cut: bool) -> (&'a [u8], Repairs) {
        let nul = memchr(0, raw).is_some();
        let raw = if nul {
            self.without_nul.clear();
            self.without_nul.extend(raw.iter().filter(|b| **b != 0));
            self.without_nul.as_slice()
        } else {
            raw
        };
        let mut valid = match std::str::from_utf8(raw) {
            Ok(_) => Some(raw),
            Err(error) if cut && error.error_len().is_none() => raw.get(..error.valid_up_to()),
            Err(_) => None,
        };
        let encoding = match self.charset {
            Charset::Auto => GB18030,
            Charset::Utf8 => encoding_rs::UTF_8,
            Charset::Other(encoding) => {
                valid = valid.filter(|text| text.is_ascii());
                encoding
            }
        };
        if let Some(text) = valid {
            return (text, Repairs { nul, replaced: false });
        }
        let mut replaced = encoding == encoding_rs::UTF_8 || !decode(encoding, raw, cut, &mut self.decoded);
        if replaced {
            // In doubt it is UTF-8 with a few bad bytes: those are replaced, the rest stays readable.
            let text = match self.charset {
                Charset::Auto | Charset::Utf8 => String::from_utf8_lossy(raw),
                Charset::Other(encoding) => encoding.decode_without_bom_handling(raw).0,
            };
            replaced = matches!(text, Cow::Owned(_));
            self.decoded.clear();
            self.decoded.push_str(&text);
        }
        (self.decoded.as_bytes(), Repairs { nul, replaced })
    }
}

/// Whether all of `raw` was of the encoding; `out` then holds it.
fn decode(encoding: &'static Encoding, raw: &[u8], cut: bool, out: &mut String) -> bool {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let Some(room) = decoder.max_utf8_buffer_length_without_replacement(raw.len()) else { return false };
    out.clear();
    out.reserve(room);
    matches!(decoder.decode_to_string_without_replacement(raw, out, !cut).0, DecoderResult::InputEmpty)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(charset: &str, raw: &[u8], cut: bool, text: &str, nul: bool, replaced: bool) {
        let mut problems = Problems::new();
        let mut reader = TextReader::new(Charset::compile(charset, &mut problems));
        assert!(problems.is_empty());
        let (read, repairs) = reader.read(raw, cut);
        assert_eq!(String::from_utf8_lossy(read), text, "{raw:?} as {charset}");
        assert_eq!(repairs, Repairs { nul, replaced }, "{raw:?} as {charset}");
    }

    #[test]
    fn reads_encodings() {
        let (gbk, ..) = encoding_rs::GBK.encode("衣服,7");
        for charset in ["auto", "gbk", "GB18030"] {
            check(charset, &gbk, false, "衣服,7", false, false);
            check(charset, b"plain", false, "plain", false, false);
        }
        check("auto", "衣服,7".as_bytes(), false, "衣服,7", false, false);
        check("utf-8", &gbk, false, &String::from_utf8_lossy(&gbk), false, true);
        check("latin1", b"caf\xe9", false, "café", false, false);
        check("shift_jis", b"\x83\x65", false, "テ", false, false);
        // Valid UTF-8, but not what the source says it is.
        check("latin1", "é".as_bytes(), false, "Ã©", false, false);
    }

    #[test]
    fn repairs_what_is_broken() {
        check("auto", b"a\0b\0", false, "ab", true, false);
        check("auto", "衣\0服".as_bytes(), false, "衣服", true, false);
        check("auto", b"a\xffb", false, "a\u{fffd}b", false, true);
        check("gbk", b"a\xffb", false, "a\u{fffd}b", false, true);
        check("utf-8", b"\0\xff", false, "\u{fffd}", true, true);
    }

    #[test]
    fn a_cut_character_is_left_out() {
        check("auto", &"衣服".as_bytes()[..5], true, "衣", false, false);
        check("utf-8", &"衣服".as_bytes()[..4], true, "衣", false, false);
        let (gbk, ..) = encoding_rs::GBK.encode("衣服");
        check("gbk", &gbk[..3], true, "衣", false, false);
    }

    #[test]
    fn refuses_unknown_encodings() {
        for (label, part) in [("klingon", "is not an encoding"), ("utf-16le", "line by line")] {
            let mut problems = Problems::new();
            Charset::compile(label, &mut problems);
            let problems = problems.into_vec();
            assert!(problems[0].message.contains(part), "{problems:?}");
        }
    }

    proptest! {
        #[test]
        fn always_yields_utf8_without_nul(raw: Vec<u8>, cut: bool, charset in prop::sample::select(vec!["auto", "utf-8", "gbk", "big5", "iso-8859-2"])) {
            let mut reader = TextReader::new(Charset::compile(charset, &mut Problems::new()));
            let (text, _) = reader.read(&raw, cut);
            prop_assert!(std::str::from_utf8(text).is_ok());
            prop_assert!(!text.contains(&0));
        }
    }
}
