//! Count, exact sum, least and greatest of a column's numbers.

use crate::decimal::Decimal;

/// `count` is the number of lines in which the column was a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    pub count: u64,
    pub sum: Decimal,
    /// `Decimal(i128::MAX)` while `count` is 0.
    pub min: Decimal,
    /// `Decimal(i128::MIN)` while `count` is 0.
    pub max: Decimal,
}

/// The count, then sum, least and greatest, each 16 bytes, little-endian.
const BYTES: usize = 8 + 3 * 16;

impl Number {
    pub const EMPTY: Self = Self { count: 0, sum: Decimal::ZERO, min: Decimal(i128::MAX), max: Decimal(i128::MIN) };

    #[inline]
    pub fn add(&mut self, value: Decimal) {
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    #[inline]
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Whether it can have come of adding: a sum goes with values, and values with an order.
    pub fn is_sound(&self) -> bool {
        if self.count == 0 { *self == Self::EMPTY } else { self.min <= self.max }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend_from_slice(&self.count.to_le_bytes());
        for value in [self.sum, self.min, self.max] {
            bytes.extend_from_slice(&value.0.to_le_bytes());
        }
        bytes
    }

    pub(super) fn decode(state: &[u8]) -> Result<Self, &'static str> {
        let (count, rest) = state.split_first_chunk::<8>().ok_or("it is cut off")?;
        let (values, rest) = rest.as_chunks::<16>();
        let ([sum, min, max], []) = (values, rest) else { return Err("it has three figures of 16 bytes") };
        let decimal = |bytes: &[u8; 16]| Decimal(i128::from_le_bytes(*bytes));
        let number =
            Self { count: u64::from_le_bytes(*count), sum: decimal(sum), min: decimal(min), max: decimal(max) };
        if number.is_sound() { Ok(number) } else { Err("its least is more than its greatest") }
    }
}

impl Default for Number {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl FromIterator<Decimal> for Number {
    fn from_iter<I: IntoIterator<Item = Decimal>>(values: I) -> Self {
        let mut number = Self::EMPTY;
        values.into_iter().for_each(|value| number.add(value));
        number
    }
}
