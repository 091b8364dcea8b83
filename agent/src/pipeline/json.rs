//! Finds one value in a line of JSON without reading the rest of it into memory.
//!
//! Nothing but the way to the value is looked at, and that only as closely as needed to find it: a
//! log line that was cut off behind the value still yields it. Of repeated names the first counts.

use memchr::memchr2;

/// A pointer of RFC 6901, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Pointer {
    tokens: Vec<Vec<u8>>,
}

/// Where a value stands in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Between the quotes. `escaped`: it holds `\`, see [`unescape`].
    Text { start: usize, end: usize, escaped: bool },
    /// A number, `true`, `false`, an object or an array, as written.
    Plain { start: usize, end: usize },
}

impl Pointer {
    pub(crate) fn parse(text: &str) -> Self {
        let tokens = text.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~").into_bytes());
        Self { tokens: tokens.collect() }
    }

    /// `None` where there is no such value, it is `null`, or what leads to it is not JSON.
    pub(crate) fn find(&self, document: &[u8]) -> Option<Place> {
        let mut cursor = Cursor { bytes: document, at: 0 };
        for token in &self.tokens {
            cursor.skip_space();
            match cursor.peek()? {
                b'{' => cursor.enter_member(token)?,
                b'[' => cursor.enter_element(token)?,
                _ => return None,
            }
        }
        cursor.place()
    }
}

/// Every value in the document that is not an object, an array or `null`, with its pointer; at most
/// `limit` of them.
pub(crate) fn leaves(document: &[u8], limit: usize) -> Vec<(String, Place)> {
    let mut found = Vec::new();
    let mut cursor = Cursor { bytes: document, at: 0 };
    cursor.skip_space();
    if matches!(cursor.peek(), Some(b'{' | b'[')) {
        cursor.gather(&mut String::new(), 0, limit, &mut found);
    }
    found
}

/// Appends the text of a string whose inside is `raw`; NUL and what is no valid escape become U+FFFD.
pub(crate) fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (text, used) = escape(&rest[at..]);
        out.extend_from_slice(text.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[at + used..];
    }
    out.extend_from_slice(rest);
}

/// The character that an escape stands for, and how many bytes it takes. `bytes` starts with `\`.
fn escape(bytes: &[u8]) -> (char, usize) {
    let simple = |c| (c, 2);
    match bytes.get(1) {
        Some(b'n') => simple('\n'),
        Some(b't') => simple('\t'),
        Some(b'r') => simple('\r'),
        Some(b'b') => simple('\u{8}'),
        Some(b'f') => simple('\u{c}'),
        Some(c @ (b'"' | b'\\' | b'/')) => simple(char::from(*c)),
        Some(b'u') => match unit(bytes) {
            None => simple(char::REPLACEMENT_CHARACTER),
            Some(0) => (char::REPLACEMENT_CHARACTER, 6),
            Some(high @ 0xD800..=0xDBFF) => match bytes.get(6..).and_then(unit) {
                Some(low @ 0xDC00..=0xDFFF) => {
                    let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                    (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
                }
                _ => (char::REPLACEMENT_CHARACTER, 6),
            },
            Some(code) => (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
        },
        _ => (char::REPLACEMENT_CHARACTER, 1),
    }
}

/// The code unit of `\uXXXX`.
fn unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?))
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// At a `{`: goes to the value of the member with this name.
    fn enter_member(&mut self, name: &[u8]) -> Option<()> {
        self.expect(b'{')?;
        loop {
            let (start, end, escaped) = self.string()?;
            let key = &self.bytes[start..end];
            let same = if escaped { unescaped(key) == name } else { key == name };
            self.expect(b':')?;
            if same {
                return Some(());
            }
            self.skip_value()?;
            self.expect(b',')?;
        }
    }

    /// At a `[`: goes to the element with this index.
    fn enter_element(&mut self, index: &[u8]) -> Option<()> {
        let index: usize = std::str::from_utf8(index).ok()?.parse().ok()?;
        self.expect(b'[')?;
        for _ in 0..index {
            self.skip_value()?;
            self.expect(b',')?;
        }
        self.skip_space();
        (self.peek()? != b']').then_some(())
    }

    fn place(&mut self) -> Option<Place> {
        self.skip_space();
        if self.peek()? == b'"' {
            let (start, end, escaped) = self.string()?;
            return Some(Place::Text { start, end, escaped });
        }
        let start = self.at;
        self.skip_value()?;
        let end = self.at;
        (&self.bytes[start..end] != b"null").then_some(Place::Plain { start, end })
    }

    /// Passes a string; answers what is between its quotes and whether it holds escapes.
    fn string(&mut self) -> Option<(usize, usize, bool)> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += memchr2(b'"', b'\\', self.bytes.get(self.at..)?)?;
            if self.bytes[self.at] == b'"' {
                self.at += 1;
                return Some((start, self.at - 1, escaped));
            }
            escaped = true;
            self.at += 2;
        }
    }

    fn skip_value(&mut self) -> Option<()> {
        self.skip_space();
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' => {
                    // Not ours: the value before it is missing.
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\t' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                _ => self.skip_literal()?,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn skip_literal(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn gather(
        &mut self,
        path: &mut String,
        depth: usize,
        limit: usize,
        found: &mut Vec<(String, Place)>,
    ) -> Option<()> {
        self.skip_space();
        let open = self.peek()?;
        if !matches!(open, b'{' | b'[') || depth > 32 {
            let before = self.at;
            if let Some(place) = self.place() {
                found.push((path.clone(), place));
            }
            // What is no value at all ends the walk.
            return (self.at > before).then_some(());
        }
        self.at += 1;
        for index in 0.. {
            self.skip_space();
            if matches!(self.peek()?, b'}' | b']') || found.len() >= limit {
                self.at += 1;
                return Some(());
            }
            let length = path.len();
            path.push('/');
            if open == b'{' {
                let (start, end, _) = self.string()?;
                let name = String::from_utf8_lossy(&unescaped(&self.bytes[start..end])).into_owned();
                path.push_str(&name.replace('~', "~0").replace('/', "~1"));
                self.expect(b':')?;
            } else {
                path.push_str(&index.to_string());
            }
            self.gather(path, depth + 1, limit, found)?;
            path.truncate(length);
            self.skip_space();
            if self.peek()? == b',' {
                self.at += 1;
            }
        }
        None
    }
}

fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(raw.len());
    unescape(raw, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pick(document: &str, pointer: &str) -> Option<String> {
        let bytes = document.as_bytes();
        Some(match Pointer::parse(pointer).find(bytes)? {
            Place::Text { start, end, .. } => String::from_utf8_lossy(&unescaped(&bytes[start..end])).into_owned(),
            Place::Plain { start, end } => document[start..end].to_owned(),
        })
    }

    fn check(document: &str, pointer: &str, found: Option<&str>) {
        assert_eq!(pick(document, pointer).as_deref(), found, "{pointer} in {document}");
    }

    #[test]
    fn finds_values() {
        let line = r#" {"a": "x\"y", "b": {"c/d": [1, 2.50, {"e": true}], "~": "t"}, "z": null, "n": -1e3} "#;
        check(line, "/a", Some("x\"y"));
        check(line, "/b/c~1d/0", Some("1"));
        check(line, "/b/c~1d/1", Some("2.50"));
        check(line, "/b/c~1d/2/e", Some("true"));
        check(line, "/b/c~1d/2", Some(r#"{"e": true}"#));
        check(line, "/b/~0", Some("t"));
        check(line, "/n", Some("-1e3"));
        for absent in ["/z", "/y", "/a/b", "/b/c~1d/3", "/b/c~1d/x", "/"] {
            check(line, absent, None);
        }
    }

    #[test]
    fn reads_escapes() {
        check(r#"{"k":"\u8863\u670d \ud83d\ude00 \n\/\\"}"#, "/k", Some("衣服 😀 \n/\\"));
        check(r#"{"k":"\ud83d \uzzzz \q"}"#, "/k", Some("\u{fffd} \u{fffd}zzzz \u{fffd}q"));
        check(r#"{"\u006b":1}"#, "/k", Some("1"));
    }

    #[test]
    fn tolerates_what_is_cut_off_behind_the_value() {
        check(r#"{"a":1,"b":{"c":"#, "/a", Some("1"));
        check(r#"{"a":"unfini"#, "/a", None);
        check("not json", "/a", None);
        check("", "/a", None);
        check("[,]", "/0", None);
        check("[]", "/0", None);
    }

    #[test]
    fn lists_leaves() {
        let line = r#"{"a":"x","b":[1,{"c/":false}],"n":null}"#;
        let found: Vec<String> = leaves(line.as_bytes(), 100).into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(found, ["/a", "/b/0", "/b/1/c~1"]);
    }

    proptest! {
        #[test]
        fn agrees_with_serde(text: String, number: i64, deep in prop::collection::vec("[a-z~/ ]{0,3}", 1..4)) {
            let mut value = serde_json::json!([{ "t": text, "n": number }]);
            for name in &deep {
                value = serde_json::json!({ "before": "}\"{", name: value });
            }
            let pointer: String =
                deep.iter().rev().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1"))).collect();
            let document = value.to_string();
            let text = text.replace('\0', "\u{fffd}");
            prop_assert_eq!(pick(&document, &format!("{pointer}/0/t")), Some(text));
            prop_assert_eq!(pick(&document, &format!("{pointer}/0/n")), Some(number.to_string()));
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(prop::sample::select(b"{}[]\",:\\u1a -.".to_vec()), 0..60)) {
            for pointer in ["/a", "/0", "/a/1", "/"] {
                let _found = Pointer::parse(pointer).find(&bytes);
            }
            let _leaves = leaves(&bytes, 10);
        }
    }
}
