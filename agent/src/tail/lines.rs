//! Cutting bytes into lines.

/// How far cutting came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cutting {
    /// Bytes that need not be looked at again.
    pub(crate) consumed: usize,
    /// The last of them belong to a line that was cut; its rest is still to come.
    pub(crate) skipping: bool,
    /// A run of NUL bytes longer than a line was passed over, as a writer leaves it that goes on at
    /// its old place after a truncation.
    pub(crate) nul_run: bool,
}

/// Hands out each complete line of `data` without its end, at most `limit` bytes of it. What follows
/// the last line end stays, unless it is longer than `limit`.
pub(crate) fn cut_lines(data: &[u8], skipping: bool, limit: usize, hand_out: &mut dyn FnMut(&[u8], bool)) -> Cutting {
    let mut at = 0;
    if skipping {
        match memchr::memchr(b'\n', data) {
            Some(end) => at = end + 1,
            None => return Cutting { consumed: data.len(), skipping: true, nul_run: false },
        }
    }
    let start = at;
    for end in memchr::memchr_iter(b'\n', &data[start..]) {
        let mut line = &data[at..start + end];
        at = start + end + 1;
        if line.len() > limit {
            line = without_nul_run(line);
        }
        match line.get(..limit) {
            Some(kept) if line.len() > limit => hand_out(kept, true),
            _ => hand_out(line.strip_suffix(b"\r").unwrap_or(line), false),
        }
    }
    let rest = &data[at..];
    if rest.len() <= limit {
        return Cutting { consumed: at, skipping: false, nul_run: false };
    }
    let kept = without_nul_run(rest);
    match kept.get(..limit) {
        Some(kept) => {
            hand_out(kept, true);
            Cutting { consumed: data.len(), skipping: true, nul_run: false }
        }
        None => Cutting { consumed: data.len() - kept.len(), skipping: false, nul_run: true },
    }
}

fn without_nul_run(line: &[u8]) -> &[u8] {
    let from = line.iter().position(|b| *b != 0).unwrap_or(line.len());
    &line[from..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Cuts `data` in pieces that end where `ends` say, as reads of a growing file would.
    fn cut_in_pieces(data: &[u8], piece: usize, limit: usize) -> Vec<(Vec<u8>, bool)> {
        let mut lines = Vec::new();
        let (mut at, mut end, mut skipping) = (0, 0, false);
        while end < data.len() {
            end = (end + piece).min(data.len());
            let cutting = cut_lines(&data[at..end], skipping, limit, &mut |line, cut| lines.push((line.to_vec(), cut)));
            at += cutting.consumed;
            skipping = cutting.skipping;
        }
        lines
    }

    fn check(data: &str, wanted: &[(&str, bool)]) {
        let lines = cut_in_pieces(data.as_bytes(), data.len(), 8);
        let lines: Vec<(&str, bool)> = lines.iter().map(|(l, cut)| (std::str::from_utf8(l).unwrap(), *cut)).collect();
        assert_eq!(lines, wanted);
    }

    #[test]
    fn lines_ends_and_limits() {
        check("a\nbb\r\n\nrest", &[("a", false), ("bb", false), ("", false)]);
        check("12345678\n123456789\nx\n", &[("12345678", false), ("12345678", true), ("x", false)]);
        check("123456789", &[("12345678", true)]);
        check("\0\0\0\0\0\0\0\0\0\0ok\n", &[("ok", false)]);
        check("\0\0\0\0\0\0\0\0\0\0\0", &[]);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(words in proptest::collection::vec("[a-z]{0,14}\n", 0..30), piece in 1usize..40) {
            let data = words.concat().into_bytes();
            let whole = cut_in_pieces(&data, data.len().max(1), 8);
            prop_assert_eq!(whole.len(), words.len());
            prop_assert_eq!(cut_in_pieces(&data, piece, 8), whole);
        }
    }
}
