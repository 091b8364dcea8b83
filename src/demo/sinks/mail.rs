//! A mail (RFC 5322, MIME) as a person would read it: subject and text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Subject and plain text of a mail.
pub(super) fn readable(mail: &str) -> String {
    let (headers, _) = split(mail);
    let subject = decode_words(&header(headers, "subject").unwrap_or_default());
    format!("Subject: {subject}\n\n{}", text_of(mail).trim())
}

fn text_of(part: &str) -> String {
    let (headers, body) = split(part);
    let kind = header(headers, "content-type").unwrap_or_default();
    if kind.to_ascii_lowercase().starts_with("multipart/") {
        let boundary = kind.split("boundary=").nth(1).unwrap_or_default();
        let boundary = boundary.trim_start_matches('"').split(['"', ';']).next().unwrap_or_default();
        let marker = format!("--{boundary}");
        let parts: Vec<&str> = body.split(marker.as_str()).skip(1).collect();
        let plain = |part: &&&str| part.to_ascii_lowercase().contains("text/plain");
        return parts.iter().find(plain).or(parts.first()).map(|part| text_of(part.trim_start())).unwrap_or_default();
    }
    let encoding = header(headers, "content-transfer-encoding").unwrap_or_default().to_ascii_lowercase();
    match encoding.as_str() {
        "base64" => {
            let packed: String = body.chars().filter(|c| !c.is_whitespace()).collect();
            STANDARD
                .decode(packed)
                .map_or_else(|_| body.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
        }
        "quoted-printable" => quoted_printable(&body.replace("=\n", "")),
        _ => body.to_owned(),
    }
}

fn split(part: &str) -> (&str, &str) {
    part.split_once("\n\n").unwrap_or((part, ""))
}

/// A header's value, unfolded.
fn header(headers: &str, name: &str) -> Option<String> {
    let unfolded = headers.replace("\n ", " ").replace("\n\t", " ");
    unfolded.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// `=?utf-8?b?…?=` and `=?utf-8?q?…?=` (RFC 2047).
fn decode_words(text: &str) -> String {
    let mut decoded = String::new();
    for word in text.replace("?= =?", "?==?").split_inclusive("?=") {
        let parts = word.split_once("=?").and_then(|(before, rest)| {
            let mut parts = rest.strip_suffix("?=")?.splitn(3, '?');
            let (_, encoding, packed) = (parts.next()?, parts.next()?, parts.next()?);
            let value = match encoding.to_ascii_lowercase().as_str() {
                "b" => String::from_utf8_lossy(&STANDARD.decode(packed).ok()?).into_owned(),
                _ => quoted_printable(&packed.replace('_', " ")),
            };
            Some(format!("{before}{value}"))
        });
        decoded.push_str(parts.as_deref().unwrap_or(word));
    }
    decoded
}

fn quoted_printable(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, escaped) {
            (b'=', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_become_readable() {
        let plain = "Subject: hello\nContent-Transfer-Encoding: quoted-printable\n\nna=C3=AFve =\nline";
        assert_eq!(readable(plain), "Subject: hello\n\nnaïve line");
        let many = "Subject: =?utf-8?b?5ZGK6K2m?= =?utf-8?q?_P1?=\nContent-Type: multipart/alternative;\n boundary=\"x\"\n\n\
                    --x\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n5ZGK6K2m\n\n--x\nContent-Type: text/html\n\n<p>\n--x--\n";
        assert_eq!(readable(many), "Subject: 告警 P1\n\n告警");
    }
}
