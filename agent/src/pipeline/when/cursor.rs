//! A place in a line, and the small parts that dates and times are made of.

/// Half of the day, of twelve hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Morning,
    Afternoon,
}

impl Half {
    /// The hour of the day. One above 12 in the afternoon is what it says; one that contradicts is none.
    pub(super) fn hour(self, hour: u32) -> Option<u32> {
        match (self, hour) {
            (Self::Morning, 12) => Some(0),
            (Self::Morning, 0..12) | (Self::Afternoon, 12..24) => Some(hour),
            (Self::Afternoon, 1..12) => Some(hour + 12),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
}

const MONTHS: [&[u8]; 12] = [
    b"january",
    b"february",
    b"march",
    b"april",
    b"may",
    b"june",
    b"july",
    b"august",
    b"september",
    b"october",
    b"november",
    b"december",
];

/// The longer first: each begins with the one it ends with.
const CHINESE_MONTHS: [(&str, u32); 12] = [
    ("十二月", 12),
    ("十一月", 11),
    ("十月", 10),
    ("一月", 1),
    ("二月", 2),
    ("三月", 3),
    ("四月", 4),
    ("五月", 5),
    ("六月", 6),
    ("七月", 7),
    ("八月", 8),
    ("九月", 9),
];

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8], at: usize) -> Self {
        Self { text, at }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The byte here; 0 at the end.
    pub(super) fn peek(&self) -> u8 {
        self.ahead(0)
    }

    pub(super) fn ahead(&self, by: usize) -> u8 {
        self.text.get(self.at + by).copied().unwrap_or(0)
    }

    pub(super) fn eat(&mut self, wanted: &[u8]) -> bool {
        let found = self.rest().starts_with(wanted);
        self.at += if found { wanted.len() } else { 0 };
        found
    }

    pub(super) fn eat_one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let byte = Some(self.peek()).filter(|byte| *byte != 0 && wanted.contains(byte))?;
        self.at += 1;
        Some(byte)
    }

    /// A blank: a space or tab, or one of the kinds that do not break a line, which Java writes before AM and PM.
    fn blank(&mut self) -> bool {
        self.eat(b" ") || self.eat(b"\t") || self.eat("\u{202f}".as_bytes()) || self.eat("\u{a0}".as_bytes())
    }

    /// Up to two blanks; how many.
    pub(super) fn blanks(&mut self) -> usize {
        usize::from(self.blank()) + usize::from(self.blank())
    }

    /// How many digits stand here, of at most 24.
    pub(super) fn run(&self) -> usize {
        self.rest().iter().take(24).take_while(|b| b.is_ascii_digit()).count()
    }

    /// The next `count` digits.
    pub(super) fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.rest().get(..count)?;
        let value = digits.iter().try_fold(0u32, |sum, b| {
            b.is_ascii_digit().then(|| sum.wrapping_mul(10).wrapping_add(u32::from(b - b'0')))
        })?;
        self.at += count;
        Some(value)
    }

    /// A number of `least` to `most` digits, and no more of them.
    pub(super) fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let run = self.run();
        if (least..=most).contains(&run) { self.digits(run) } else { None }
    }

    /// A month's name in English, whole or its first three letters, or in Chinese.
    pub(super) fn month(&mut self) -> Option<u32> {
        let rest = self.rest();
        let letters = rest.iter().take(12).take_while(|b| b.is_ascii_alphabetic()).count();
        if (3..=9).contains(&letters) {
            let is = |name: &[u8]| {
                let whole = letters == name.len() || letters == 3 || (letters == 4 && name == b"september");
                whole && name[..letters].eq_ignore_ascii_case(&rest[..letters])
            };
            let month = MONTHS.iter().position(|name| is(name))?;
            self.at += letters;
            return Some(month as u32 + 1);
        }
        if self.peek().is_ascii_digit() {
            let mut after = *self;
            let month = after.number(1, 2).filter(|_| after.eat("月".as_bytes()))?;
            *self = after;
            return Some(month);
        }
        CHINESE_MONTHS.iter().find(|(name, _)| self.eat(name.as_bytes())).map(|(_, month)| *month)
    }

    /// 上午 or 下午, with a blank behind it or not.
    pub(super) fn chinese_half(&mut self) -> Option<Half> {
        let half = if self.eat("上午".as_bytes()) {
            Half::Morning
        } else if self.eat("下午".as_bytes()) {
            Half::Afternoon
        } else {
            return None;
        };
        self.blank();
        Some(half)
    }

    /// AM or PM, in capitals or not, with dots or not, or the Chinese.
    pub(super) fn half(&mut self) -> Option<Half> {
        if let Some(half) = self.chinese_half() {
            return Some(half);
        }
        let mut after = *self;
        let half = match after.peek() | 0x20 {
            b'a' => Half::Morning,
            b'p' => Half::Afternoon,
            _ => return None,
        };
        after.at += 1;
        after.eat(b".");
        if after.peek() | 0x20 != b'm' {
            return None;
        }
        after.at += 1;
        after.eat(b".");
        let ends = !after.peek().is_ascii_alphanumeric() && after.peek() != b'_';
        ends.then(|| *self = after)?;
        Some(half)
    }

    /// `10:00:`, before which 上午 or 下午 may stand, and behind which two digits do: hour and minute.
    pub(super) fn clock(&mut self) -> Option<(u32, u32)> {
        let half = self.chinese_half();
        let hour = self.number(1, 2)?;
        self.eat(b":").then_some(())?;
        let minute = self.number(2, 2)?;
        self.eat(b":").then_some(())?;
        (self.run() == 2).then_some(())?;
        // What cannot be is told later, as a minute that is none.
        Some((half.map_or(Some(hour), |half| half.hour(hour)).unwrap_or(99), minute))
    }
}
