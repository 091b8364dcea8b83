//! Names close to one that does not exist.

const SHOWN: usize = 3;

/// `; did you mean …?`, or what there is, or nothing.
pub(crate) fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut all: Vec<(usize, &str)> = known.map(|other| (distance(name, other), other)).collect();
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

/// Levenshtein's.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(left != *right)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
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
