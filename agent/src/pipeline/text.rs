//! Raw bytes of a line to UTF-8: decodes, takes NUL bytes out, replaces what is not of the encoding.
//! A line that is fine as it is, which is nearly every one, is not copied.

mod evidence;

use std::borrow::Cow;

use encoding_rs::{DecoderResult, Encoding, GB18030};
use memchr::memchr;
use nightjar_model::Problems;
use nightjar_model::kinds::monitor::encoding;

use evidence::{has_two_byte_lead, is_gbk_by_accident, is_utf8_in_part, looks_single_byte};

/// How the bytes of a source are to be read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Charset {
    /// UTF-8; a line that is not is GB18030, unless parts of it are UTF-8 plainly.
    Auto,
    Utf8,
    Other(&'static Encoding),
}

impl Charset {
    pub(crate) fn compile(label: &str, problems: &mut Problems) -> Self {
        match encoding(label) {
            Ok(None) => Self::Auto,
            Ok(Some(encoding)) if encoding == encoding_rs::UTF_8 => Self::Utf8,
            Ok(Some(encoding)) => Self::Other(encoding),
            Err(problem) => {
                problems.add("", problem);
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

    /// What the source is written in, as it seems; `decoded`: some line was not UTF-8 and was read all the same.
    pub(crate) fn name(&self, decoded: bool) -> &'static str {
        match self.charset {
            Charset::Auto if decoded => GB18030.name(),
            Charset::Auto | Charset::Utf8 => encoding_rs::UTF_8.name(),
            Charset::Other(encoding) => encoding.name(),
        }
    }

    /// Whether a block of lines can be taken as it stands, without asking line by line.
    pub(crate) fn is_clean(&self, block: &[u8]) -> bool {
        let readable = match self.charset {
            Charset::Auto => simdutf8::basic::from_utf8(block).is_ok() && !has_two_byte_lead(block),
            Charset::Utf8 => simdutf8::basic::from_utf8(block).is_ok(),
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
            Charset::Auto => {
                valid = valid.filter(|text| !is_gbk_by_accident(text));
                GB18030
            }
            Charset::Utf8 => encoding_rs::UTF_8,
            Charset::Other(encoding) => {
                valid = valid.filter(|text| text.is_ascii());
                encoding
            }
        };
        if let Some(text) = valid {
            return (text, Repairs { nul, replaced: false });
        }
        let in_part = self.charset == Charset::Auto && (is_utf8_in_part(raw) || looks_single_byte(raw));
        let mut replaced = encoding == encoding_rs::UTF_8 || in_part || !decode(encoding, raw, cut, &mut self.decoded);
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

    /// Words that stand in logs.
    const COMMON: &[&str] = &[
        "错误",
        "失败",
        "超时",
        "连接",
        "数据库",
        "订单",
        "创建",
        "成功",
        "用户",
        "登录",
        "请求",
        "支付",
        "服务",
        "异常",
        "网络",
        "不可用",
        "的",
        "了",
        "，",
        "：",
        "。",
        " ",
        ",",
        "=",
        "7",
        "err",
        "重试",
        "次",
        "库存",
        "不足",
        "商品",
        "衣服",
        "余额",
        "密码",
        "过期",
    ];

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
    fn a_log_in_utf16_is_told_line_by_line() {
        let line: Vec<u8> = "\u{feff}login failed,sa".encode_utf16().flat_map(u16::to_le_bytes).collect();
        check("auto", &line, false, "\u{fffd}\u{fffd}login failed,sa", true, true);
        check("gbk", &line[2..], false, "login failed,sa", true, false);
    }

    #[test]
    fn a_cut_character_is_left_out() {
        check("auto", &"衣服".as_bytes()[..5], true, "衣", false, false);
        check("utf-8", &"衣服".as_bytes()[..4], true, "衣", false, false);
        let (gbk, ..) = encoding_rs::GBK.encode("衣服");
        check("gbk", &gbk[..3], true, "衣", false, false);
    }

    #[test]
    fn what_is_utf8_plainly_stays_and_the_rest_is_replaced() {
        let gbk = |text: &str| encoding_rs::GBK.encode(text).0.into_owned();
        let big5 = |text: &str| encoding_rs::BIG5.encode(text).0.into_owned();
        let mixed = |head: &str, tail: &[u8], shown: &str| {
            let raw = [head.as_bytes(), tail].concat();
            for charset in ["auto", "utf-8"] {
                let mut reader = TextReader::new(Charset::compile(charset, &mut Problems::new()));
                let (read, repairs) = reader.read(&raw, false);
                let read = String::from_utf8_lossy(read);
                assert!(repairs.replaced && read.starts_with(shown), "{head} {tail:?} as {charset}: {read}");
            }
        };
        // A driver's error at the end of a line; keys of an odd and an even number of characters.
        for key in
            ["衣服", "衣", "交易创建", "订单服务", "é", "café", "naïve", "Привет", "Ελλάδα", "日本語", "😀", "한국"]
        {
            for tail in [gbk("错误：连接超时"), gbk("失败"), big5("錯誤"), b"\xe9t\xe9 \xff".to_vec()] {
                let head = format!("2026-11-20 12:00:00,k{key},创建 ");
                mixed(&head, &tail, &head);
                // Nothing but the key tells.
                let head = format!("2026-11-20 12:00:00,{},", if key == "é" { "né" } else { key });
                mixed(&head, &tail, &head);
            }
        }
        mixed("衣服", &gbk("错误"), "衣服");
        mixed("a,", b"\xed\xa0\xbd\xed\xb8\x80,b", "a,\u{fffd}");
        // Text of Latin-1, named and not.
        check("auto", b"a,entr\xe9e,7", false, "a,entr\u{fffd}e,7", false, true);
        check("latin1", b"a,entr\xe9e,7", false, "a,entrée,7", false, false);
    }

    #[test]
    fn a_log_in_gbk_is_read_as_gbk() {
        for line in [
            "2026-11-20 12:00:00,衣服,7",
            "联通",
            "一",
            "联,通",
            "用户login失败",
            "朱镕基",
            "茅台,五粮液",
            "謝謝,見聞",
            "没有",
            "x没有",
            "2026-11-20 12:00:00 错误：数据库连接超时，请联系管理员（代码 17）",
            "，。！",
            "订单创建成功 订单号=7",
            "囧囧囧",
            "琛",
            "嗷嗷",
            "怡",
            "朱鎔基",
        ] {
            let (raw, _, lossy) = encoding_rs::GBK.encode(line);
            assert!(!lossy, "{line}");
            check("auto", &raw, false, line, false, false);
        }
        // Valid UTF-8, by accident.
        for key in ["食品", "系统", "统一", "女", "学", "目"] {
            let (raw, ..) = encoding_rs::GBK.encode(key);
            assert!(std::str::from_utf8(&raw).is_ok(), "{key}");
            let line = format!("2026-11-20 12:00:00,{key},7");
            check("auto", &encoding_rs::GBK.encode(&line).0, false, &line, false, false);
        }
        // And what is UTF-8 stays so.
        for line in [
            "café,naïve",
            "25°C ±1",
            "Привет, мир",
            "Ελλάδα",
            "żółć",
            "español: ñ",
            "λ=3 δ",
            "שלום",
            "سلام",
            "créée",
            "a·b × c",
            "é",
        ] {
            check("auto", line.as_bytes(), false, line, false, false);
            check("utf-8", line.as_bytes(), false, line, false, false);
        }
    }

    #[test]
    fn marks_and_malformed_sequences() {
        check("auto", "a\u{feff}b".as_bytes(), false, "a\u{feff}b", false, false);
        // Overlong, beyond Unicode, a lone surrogate: beside text that is UTF-8.
        for bad in [&b"\xc0\xaf"[..], b"\xe0\x80\xaf", b"\xf5\x80\x80\x80", b"\xed\xa0\x80", b"\x80"] {
            let raw = ["衣服,".as_bytes(), bad, b",x"].concat();
            for charset in ["auto", "utf-8"] {
                check(charset, &raw, false, &String::from_utf8_lossy(&raw), false, true);
            }
        }
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
        fn what_stands_before_another_encoding_stays(
            key in "[一-龥]{1,6}",
            message in "[一-龥]{1,12}",
            separator in prop::sample::select(vec![",", " ", "|", "\t", "="]),
        ) {
            let (tail, _, lossy) = encoding_rs::GBK.encode(&message);
            prop_assume!(!lossy && std::str::from_utf8(&tail).is_err());
            let head = format!("2026-11-20 12:00:00{separator}{key}{separator}");
            let raw = [head.as_bytes(), &tail].concat();
            let mut reader = TextReader::new(Charset::Auto);
            let (text, repairs) = reader.read(&raw, false);
            let text = String::from_utf8_lossy(text);
            prop_assert!(text.starts_with(&head) && repairs.replaced, "{}", text);
        }

        #[test]
        fn gbk_alone_is_read_as_such(words in prop::collection::vec(prop::sample::select(COMMON.to_vec()), 1..12)) {
            let line = format!("2026-11-20 12:00:00,{}", words.concat());
            let (raw, ..) = encoding_rs::GBK.encode(&line);
            let mut reader = TextReader::new(Charset::Auto);
            let (text, repairs) = reader.read(&raw, false);
            prop_assert_eq!(String::from_utf8_lossy(text), line.as_str());
            prop_assert_eq!(repairs, Repairs::default());
        }

        #[test]
        fn always_yields_utf8_without_nul(raw: Vec<u8>, cut: bool, charset in prop::sample::select(vec!["auto", "utf-8", "gbk", "big5", "iso-8859-2"])) {
            let mut reader = TextReader::new(Charset::compile(charset, &mut Problems::new()));
            let (text, _) = reader.read(&raw, cut);
            prop_assert!(std::str::from_utf8(text).is_ok());
            prop_assert!(!text.contains(&0));
        }
    }
}
