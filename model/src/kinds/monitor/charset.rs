//! The encodings a log can be read in.

use encoding_rs::Encoding;

/// The encoding that a source's `charset` names; `None` for `auto`.
///
/// # Errors
/// What is wrong with the label, and what to write or do instead.
pub fn encoding(label: &str) -> Result<Option<&'static Encoding>, String> {
    if label.eq_ignore_ascii_case("auto") {
        return Ok(None);
    }
    match Encoding::for_label(label.as_bytes()) {
        Some(encoding) if encoding == encoding_rs::UTF_8 || encoding.is_ascii_compatible() => Ok(Some(encoding)),
        Some(encoding) => Err(format!("{} cannot be read line by line; convert the log to UTF-8", encoding.name())),
        None => Err(format!(
            "`{label}` is not an encoding; known are auto, utf-8, gbk, big5, latin1 and the other labels of WHATWG"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_standard() {
        for (label, name) in [("utf-8", "UTF-8"), ("GBK", "GBK"), ("gb2312", "GBK"), ("Latin1", "windows-1252")] {
            assert_eq!(encoding(label).expect(label).map(Encoding::name), Some(name));
        }
        assert_eq!(encoding("Auto"), Ok(None));
        for (label, part) in
            [("klingon", "is not an encoding"), ("utf-16le", "line by line"), ("", "is not an encoding")]
        {
            assert!(encoding(label).expect_err(label).contains(part), "{label}");
        }
    }
}
