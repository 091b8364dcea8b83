//! Patterns of strftime, as `strptime` of libc reads with them.

use std::str::FromStr;

/// A pattern is at most this long.
const MAX_BYTES: usize = 200;

/// A pattern that names an instant: a date, or the time since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Strftime {
    text: String,
    items: Vec<Item>,
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Item {
    /// White space in a pattern: any amount of it, or none.
    Space,
    Literal(String),
    Field(Field),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// `%Y`, four digits.
    Year,
    /// `%y`: 69 to 99 are of the last century.
    ShortYear,
    /// `%m`
    Month,
    /// `%b %B %h`: English, or Chinese.
    MonthName,
    /// `%d %e`
    Day,
    /// `%j`
    DayOfYear,
    /// `%a %A`: read over.
    WeekDay,
    /// `%H %k`
    Hour,
    /// `%I %l`
    HalfDayHour,
    /// `%p %P`
    HalfDay,
    /// `%M`
    Minute,
    /// `%S`
    Second,
    /// `%f %L %N`: digits of a fraction.
    Fraction,
    /// `%.f`: a dot or comma with digits behind it, or nothing.
    DotFraction,
    /// `%z %:z`: an offset, or `Z`.
    Offset,
    /// `%Z`: a zone's name or abbreviation.
    Zone,
    /// `%s`: seconds since 1970.
    Epoch,
}

impl Strftime {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn items(&self) -> &[Item] {
        &self.items
    }

    fn has(&self, field: Field) -> bool {
        self.items.contains(&Item::Field(field))
    }

    fn check(&self) -> Result<(), String> {
        let any = |fields: &[Field]| fields.iter().any(|field| self.has(*field));
        if any(&[Field::Epoch]) {
            return Ok(());
        }
        if any(&[Field::DayOfYear]) && !any(&[Field::Year, Field::ShortYear]) {
            return Err("has %j without %Y: the day of which year?".to_owned());
        }
        let day = any(&[Field::DayOfYear]) || (any(&[Field::Month, Field::MonthName]) && any(&[Field::Day]));
        if !day {
            return Err("does not say the day: it needs %m (or %b) and %d, or %s".to_owned());
        }
        if any(&[Field::HalfDayHour]) && !any(&[Field::HalfDay]) {
            return Err("has %I without %p: which half of the day?".to_owned());
        }
        if !any(&[Field::Hour, Field::HalfDayHour]) || !any(&[Field::Minute]) {
            return Err("does not say the minute: it needs %H (or %I) and %M".to_owned());
        }
        Ok(())
    }
}

impl FromStr for Strftime {
    type Err = String;

    /// # Errors
    /// It does not say which minute, or holds what is not known.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("a time pattern is at most {MAX_BYTES} bytes long"));
        }
        let mut items = Vec::new();
        parse(text, &mut items)
            .and_then(|()| {
                let pattern = Self { text: text.to_owned(), items };
                pattern.check().map(|()| pattern)
            })
            .map_err(|problem| format!("the time pattern `{text}` {problem}"))
    }
}

fn parse(text: &str, items: &mut Vec<Item>) -> Result<(), String> {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            push_space(items);
            continue;
        }
        if c != '%' {
            push_literal(items, c);
            continue;
        }
        // Padding, a width, and the alternative forms of POSIX say nothing about what is read.
        let rest = chars.as_str().trim_start_matches(['-', '_', '0', '^', '#', 'E', 'O', ':', '3', '6', '9']);
        let flags = &chars.as_str()[..chars.as_str().len() - rest.len()];
        let (dot, rest) =
            rest.strip_prefix('.').map_or((false, rest), |rest| (true, rest.trim_start_matches(['3', '6', '9'])));
        let mut after = rest.chars();
        let Some(letter) = after.next() else { return Err("ends within a `%`".to_owned()) };
        chars = after;
        let field = match letter {
            'f' if dot => Field::DotFraction,
            _ if dot => return Err(format!("holds `%.{letter}`, which is not known; `%.f` is a fraction")),
            'Y' => Field::Year,
            'y' => Field::ShortYear,
            'm' => Field::Month,
            'b' | 'B' | 'h' => Field::MonthName,
            'd' | 'e' => Field::Day,
            'j' => Field::DayOfYear,
            'a' | 'A' => Field::WeekDay,
            'H' | 'k' => Field::Hour,
            'I' | 'l' => Field::HalfDayHour,
            'p' | 'P' => Field::HalfDay,
            'M' => Field::Minute,
            'S' => Field::Second,
            'f' | 'L' | 'N' => Field::Fraction,
            'z' => Field::Offset,
            'Z' => Field::Zone,
            's' => Field::Epoch,
            'n' | 't' => {
                push_space(items);
                continue;
            }
            '%' => {
                push_literal(items, '%');
                continue;
            }
            _ => {
                let whole = match letter {
                    'F' => "%Y-%m-%d",
                    'T' => "%H:%M:%S",
                    'R' => "%H:%M",
                    'D' => "%m/%d/%y",
                    'r' => "%I:%M:%S %p",
                    'c' => "%a %b %e %H:%M:%S %Y",
                    '+' => "%Y-%m-%dT%H:%M:%S%.f%z",
                    _ => return Err(format!("holds `%{flags}{letter}`, which is not known")),
                };
                parse(whole, items)?;
                continue;
            }
        };
        items.push(Item::Field(field));
    }
    Ok(())
}

fn push_space(items: &mut Vec<Item>) {
    if items.last() != Some(&Item::Space) {
        items.push(Item::Space);
    }
}

fn push_literal(items: &mut Vec<Item>, c: char) {
    match items.last_mut() {
        Some(Item::Literal(text)) => text.push(c),
        _ => items.push(Item::Literal(c.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_patterns() {
        let pattern: Strftime = "[%d/%b/%Y:%T %z]".parse().unwrap();
        let shown: Vec<String> = pattern
            .items()
            .iter()
            .map(|item| match item {
                Item::Space => " ".to_owned(),
                Item::Literal(text) => text.clone(),
                Item::Field(field) => format!("{field:?}"),
            })
            .collect();
        assert_eq!(
            shown,
            ["[", "Day", "/", "MonthName", "/", "Year", ":", "Hour", ":", "Minute", ":", "Second", " ", "Offset", "]"]
        );
        for good in ["%s", "%F %R", "%-d.%-m.%Y %-H:%M", "%Y%m%d %H%M%S%.3f", "%c", "%D %r", "%Y %j %H:%M:%S,%3f %:z"] {
            assert!(good.parse::<Strftime>().is_ok(), "{good}");
        }
    }

    #[test]
    fn a_pattern_that_names_no_minute_is_refused() {
        for bad in ["", "%Y-%m-%d", "%H:%M:%S", "%Y-%m %H:%M", "%F %I:%M", "%F %T %", "%F %T %Q", "%.d"] {
            assert!(bad.parse::<Strftime>().is_err(), "{bad}");
        }
        assert!("%Y".repeat(200).parse::<Strftime>().is_err());
    }
}
