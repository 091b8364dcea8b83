//! Names close to one that does not exist.

use strsim::levenshtein;

const SHOWN: usize = 3;

/// `; did you mean …?`, or what there is, or nothing.
pub(crate) fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut all: Vec<(usize, &str)> = known.map(|other| (levenshtein(name, other), other)).collect();
    all.sort_unstable();
    let close = |(distance, other): &&(usize, &str)| {
        *distance <= 1 + name.chars().count() / 4 || other.contains(name) || name.contains(other)
    };
    let near: Vec<&str> = all.iter().filter(close).map(|(_, other)| *other).take(SHOWN).collect();
    if !near.is_empty() {
        return format!("; did you mean {}?", near.join(" or "));
    }
    let mut some: Vec<&str> = all.iter().map(|(_, other)| *other).filter(|other| !other.starts_with('_')).collect();
    some.sort_unstable();
    let more = if some.len() > SHOWN * 2 { ", …" } else { "" };
    some.truncate(SHOWN * 2);
    if some.is_empty() { String::new() } else { format!("; there are {}{more}", some.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests() {
        let known = ["trade-create", "trade-pay", "login", "_faults"];
        let check = |name: &str, expected: &str| assert_eq!(suggestion(name, known.into_iter()), expected);
        check("trade_create", "; did you mean trade-create?");
        check("trade", "; did you mean trade-pay or trade-create?");
        check("logon", "; did you mean login?");
        check("something-else", "; there are login, trade-create, trade-pay");
        assert_eq!(suggestion("x", [].into_iter()), "");
    }
}
