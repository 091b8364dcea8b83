//! Exact figures: fixed-point decimals whose sum does not depend on the order of adding.
//!
//! A sum of binary floating-point numbers changes with the order in which deltas arrive; a sum of
//! these does not, so a figure is the same whichever agent, flush or compaction merged it.

use std::fmt;

/// A number in units of 10⁻⁹. Its range is about ±1.7 × 10²⁹; adding past it saturates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(pub i128);

const SCALE_DIGITS: usize = 9;
const SCALE: i128 = 1_000_000_000;

impl Decimal {
    pub const ZERO: Self = Self(0);

    pub fn from_int(value: i64) -> Self {
        Self(i128::from(value) * SCALE)
    }

    /// Reads `-12.5`, `3`, `+.5`, `1e3`. Digits past the ninth decimal are cut off. `None` for
    /// anything else, including `NaN`, infinities and numbers out of range. Surrounding ASCII
    /// white space is passed over.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let (negative, digits) = match text.split_first()? {
            (b'-', rest) => (true, rest),
            (b'+', rest) => (false, rest),
            _ => (false, text),
        };
        let magnitude = match parse_plain(digits) {
            Some(magnitude) => magnitude,
            None => parse_scientific(digits)?,
        };
        Some(Self(if negative { -magnitude } else { magnitude }))
    }

    /// The nearest `f64`.
    pub fn to_f64(self) -> f64 {
        nearest_f64(self.0, SCALE_DIGITS as u8)
    }

    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Little-endian two's complement without redundant high bytes: 1 to 16 of them.
    pub fn to_bytes(self) -> Vec<u8> {
        let bytes = self.0.to_le_bytes();
        let sign = if self.0 < 0 { 0xff } else { 0 };
        let mut length = 16;
        while length > 1 && bytes[length - 1] == sign && (bytes[length - 2] & 0x80) == (sign & 0x80) {
            length -= 1;
        }
        bytes[..length].to_vec()
    }

    /// The inverse of [`Decimal::to_bytes`]; `None` for no bytes, or more than 16.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let last = *bytes.last()?;
        let mut whole = if last & 0x80 != 0 { [0xff; 16] } else { [0; 16] };
        whole.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self(i128::from_le_bytes(whole)))
    }
}

/// Up to here whole numbers are exact in an `f64`.
const EXACT: u128 = 1 << 53;

/// Powers of ten that are exact in an `f64`.
const POWERS: [f64; 10] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// The `f64` that is nearest to `value` × 10^-`decimals`, of at most nine decimals.
pub fn nearest_f64(value: i128, decimals: u8) -> f64 {
    // A quotient of two exact numbers is rounded once.
    let (mut value, mut decimals) = (value, decimals.min(SCALE_DIGITS as u8));
    if value.unsigned_abs() > EXACT {
        while decimals > 0 && value % 10 == 0 {
            (value, decimals) = (value / 10, decimals - 1);
        }
    }
    match POWERS.get(usize::from(decimals)) {
        Some(_) if decimals == 0 => value as f64,
        Some(power) if value.unsigned_abs() <= EXACT => value as f64 / power,
        // Digits are read exactly; few figures have so many.
        _ => format!("{value}e-{decimals}").parse().unwrap_or(f64::NAN),
    }
}

/// Digits with at most one point, at most 18 digits before it.
fn parse_plain(digits: &[u8]) -> Option<i128> {
    let mut whole: u64 = 0;
    let mut at = 0;
    while let Some(digit) = digits.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
        if at == 18 {
            return None;
        }
        whole = whole * 10 + u64::from(digit);
        at += 1;
    }
    if at == digits.len() {
        return (at > 0).then_some(i128::from(whole) * SCALE);
    }
    let fraction = digits[at..].strip_prefix(b".")?;
    if (at == 0 && fraction.is_empty()) || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut nanos: u64 = 0;
    for place in 0..SCALE_DIGITS {
        nanos = nanos * 10 + u64::from(fraction.get(place).map_or(0, |b| b - b'0'));
    }
    Some(i128::from(whole) * SCALE + i128::from(nanos))
}

/// `12.5e3` and whole numbers too long for [`parse_plain`].
fn parse_scientific(digits: &[u8]) -> Option<i128> {
    let split = digits.iter().position(|b| matches!(b, b'e' | b'E'));
    let (mantissa, exponent) = match split {
        Some(at) => (&digits[..at], std::str::from_utf8(&digits[at + 1..]).ok()?.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    if !(-64..=64).contains(&exponent) {
        return None;
    }
    let point = mantissa.iter().position(|b| *b == b'.').unwrap_or(mantissa.len());
    let mut magnitude: i128 = 0;
    let mut seen = 0;
    let mut place = SCALE_DIGITS as i32 + exponent + point as i32;
    for byte in mantissa.iter().enumerate().filter(|(at, _)| *at != point).map(|(_, b)| *b) {
        if !byte.is_ascii_digit() {
            return None;
        }
        seen += 1;
        place -= 1;
        if place >= 0 {
            magnitude = magnitude.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
        }
    }
    for _ in 0..place.max(0) {
        magnitude = magnitude.checked_mul(10)?;
    }
    (seen > 0).then_some(magnitude)
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let (whole, nanos) = (magnitude / SCALE as u128, magnitude % SCALE as u128);
        if nanos == 0 {
            return write!(f, "{sign}{whole}");
        }
        write!(f, "{sign}{whole}.{}", format!("{nanos:09}").trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, shown: Option<&str>) {
        assert_eq!(Decimal::parse(text.as_bytes()).map(|d| d.to_string()).as_deref(), shown, "{text}");
    }

    #[test]
    fn reads_and_prints() {
        check("0", Some("0"));
        check(" 12.50 ", Some("12.5"));
        check("-.5", Some("-0.5"));
        check("+7.", Some("7"));
        check("1e3", Some("1000"));
        check("1.25E-2", Some("0.0125"));
        check("0.0000000019", Some("0.000000001"));
        check("12345678901234567890", Some("12345678901234567890"));
        for bad in [
            "",
            "-",
            ".",
            "1.2.3",
            "1,000",
            "NaN",
            "inf",
            "0x10",
            "1e",
            "e5",
            "12ms",
            "--1",
            "1e99",
            "9".repeat(60).as_str(),
        ] {
            check(bad, None);
        }
    }

    proptest! {
        #[test]
        fn travels(value: i128, shift in 0u32..128) {
            let decimal = Decimal(value >> shift);
            prop_assert_eq!(Decimal::from_bytes(&decimal.to_bytes()), Some(decimal));
        }

        #[test]
        fn prints_what_it_reads(units in -10i128.pow(27)..10i128.pow(27)) {
            let decimal = Decimal(units);
            prop_assert_eq!(Decimal::parse(decimal.to_string().as_bytes()), Some(decimal));
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _parsed = Decimal::parse(&bytes);
        }

        #[test]
        fn agrees_with_f64(value in -1e12f64..1e12) {
            let decimal = Decimal::parse(format!("{value:.9}").as_bytes()).expect("plain number");
            prop_assert!((decimal.to_f64() - value).abs() <= 1e-3_f64.max(value.abs() * 1e-12));
            prop_assert_eq!(decimal.to_f64(), decimal.to_string().parse::<f64>().expect("a number"));
        }
    }
}
