//! Path patterns: `*`, `?` and `[…]` within one level, `**` across levels.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Entries looked at in one walk; a pattern over a whole disk must not cost the host its IO.
const MAX_ENTRIES: usize = 50_000;
const MAX_DEPTH: usize = 24;

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) paths: Vec<PathBuf>,
    /// There is more than was looked at or returned.
    pub(crate) cut: bool,
    /// A directory that may not be listed.
    pub(crate) denied: Option<PathBuf>,
}

/// Whether `path` is one that `pattern` finds.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = parts(pattern).collect();
    let path: Vec<&str> = parts(path).collect();
    matches_parts(&pattern, &path)
}

/// The existing paths that `pattern` finds, directories left out, at most `limit`, sorted.
pub(crate) fn expand(pattern: &str, limit: usize) -> Found {
    let pattern: Vec<&str> = parts(pattern).collect();
    let mut walk = Walk { limit, entries: 0, found: Found::default() };
    walk.descend(PathBuf::from("/"), &pattern, 0);
    let mut found = walk.found;
    found.paths.sort();
    found.paths.dedup();
    found
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

fn matches_parts(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => (0..=path.len()).any(|skip| matches_parts(rest, &path[skip..])),
        (Some((part, rest)), Some((name, names))) => matches_name(part, name) && matches_parts(rest, names),
        _ => false,
    }
}

fn is_literal(part: &str) -> bool {
    !part.contains(['*', '?', '['])
}

struct Walk {
    limit: usize,
    entries: usize,
    found: Found,
}

impl Walk {
    fn descend(&mut self, base: PathBuf, pattern: &[&str], depth: usize) {
        let Some((part, rest)) = pattern.split_first() else { return };
        if self.found.cut || depth > MAX_DEPTH {
            return;
        }
        if is_literal(part) {
            let path = base.join(part);
            if !rest.is_empty() {
                self.descend(path, rest, depth + 1);
            } else if path.symlink_metadata().is_ok() {
                self.take(path);
            }
            return;
        }
        if *part == "**" {
            self.descend(base.clone(), rest, depth);
        }
        let entries = match fs::read_dir(&base) {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() == std::io::ErrorKind::PermissionDenied {
                    self.found.denied = Some(base);
                }
                return;
            }
        };
        let mut entries: Vec<_> = entries.flatten().take(MAX_ENTRIES + 1).collect();
        // In an order of their own: where there are too many, the same ones are found each time.
        entries.sort_by_cached_key(fs::DirEntry::file_name);
        for entry in entries {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                self.found.cut = true;
                return;
            }
            let name = entry.file_name();
            // What is not UTF-8 in it stands for any character.
            let name = name.to_string_lossy();
            let Ok(kind) = entry.file_type() else { continue };
            if *part == "**" {
                // Links to directories are not followed here: they could lead back up.
                if kind.is_dir() && !name.starts_with('.') {
                    self.descend(entry.path(), pattern, depth + 1);
                }
            } else if (part.starts_with('.') || !name.starts_with('.')) && matches_name(part, &name) {
                if !rest.is_empty() {
                    self.descend(entry.path(), rest, depth + 1);
                } else if !kind.is_dir() {
                    self.take(entry.path());
                }
            }
        }
    }

    fn take(&mut self, path: PathBuf) {
        if self.found.paths.len() >= self.limit {
            self.found.cut = true;
        } else {
            self.found.paths.push(path);
        }
    }
}

/// One level of a pattern against one name, with backtracking to the last `*` only.
fn matches_name(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some('?') => Some(p + 1),
            Some('[') => class(&pattern, p, name[n]),
            Some(c) if *c == name[n] => Some(p + 1),
            _ => None,
        };
        match (step, star) {
            (Some(next), _) => {
                p = next;
                n += 1;
            }
            (None, Some((at, from))) => {
                star = Some((at, from + 1));
                p = at + 1;
                n = from + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The place after the class at `pattern[at]` if it holds `c`. A `[` that is never closed is a `[`.
fn class(pattern: &[char], at: usize, c: char) -> Option<usize> {
    let negated = matches!(pattern.get(at + 1), Some('!' | '^'));
    let first = at + 1 + usize::from(negated);
    let Some(end) = (first + 1..pattern.len()).find(|i| pattern[*i] == ']') else {
        return (c == '[').then_some(at + 1);
    };
    let set = &pattern[first..end];
    let mut holds = false;
    let mut i = 0;
    while i < set.len() {
        if i + 2 < set.len() && set[i + 1] == '-' {
            holds |= (set[i]..=set[i + 2]).contains(&c);
            i += 3;
        } else {
            holds |= set[i] == c;
            i += 1;
        }
    }
    (holds != negated).then_some(end + 1)
}

/// Whether `name`, in the same directory, looks like a rotated copy of `base`: digits and separators
/// after the name (`trade.log.1`, `trade.log-20261120`) or before its extension (`trade-2026-11-20.0.log`).
pub(crate) fn is_rotated_name(base: &str, name: &str) -> bool {
    let counts = |mark: &str| {
        mark.starts_with(['.', '-', '_'])
            && mark.bytes().any(|b| b.is_ascii_digit())
            && mark.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_' | b':' | b'T'))
            || matches!(mark, ".old" | ".bak" | ".orig" | "~")
    };
    if let Some(mark) = name.strip_prefix(base) {
        return counts(mark);
    }
    let Some((stem, extension)) = base.rsplit_once('.') else { return false };
    let mark = name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(extension)?.strip_suffix('.'));
    mark.is_some_and(counts)
}

/// Whether `name` is what editors, and tools that edit, call the file that `base` was before.
pub(crate) fn is_backup_name(base: &str, name: &str) -> bool {
    name.strip_prefix(base).is_some_and(|mark| matches!(mark, "~" | ".bak" | ".orig"))
}

/// The same of paths.
pub(crate) fn is_backup(base: &Path, path: &Path) -> bool {
    name_of(base).zip(name_of(path)).is_some_and(|(base, name)| is_backup_name(&base, &name))
}

/// The name of a path as text, if it has one; what is not UTF-8 in it is replaced.
pub(crate) fn name_of(path: &Path) -> Option<Cow<'_, str>> {
    path.file_name().map(OsStr::to_string_lossy)
}

/// Whether a rotated name cannot well be that of another log: `server_8081.log` is hardly what
/// `server.log` became, `server-2026-11-20.log` and `server.log.1` are.
pub(crate) fn is_plainly_rotated(base: &str, path: &Path) -> bool {
    let Some(name) = name_of(path) else { return false };
    name.starts_with(base)
        || name.bytes().filter(u8::is_ascii_digit).count() >= base.bytes().filter(u8::is_ascii_digit).count() + 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match() {
        for (pattern, path, wanted) in [
            ("/l/*.log", "/l/a.log", true),
            ("/l/*.log", "/l/a.log.1", false),
            ("/l/*.log", "/l/x/a.log", false),
            ("/l/**/*.log", "/l/a.log", true),
            ("/l/**/*.log", "/l/x/y/a.log", true),
            ("/l/**/x/*.log", "/l/x/y/a.log", false),
            ("/l/a?c", "/l/abc", true),
            ("/l/a?c", "/l/ac", false),
            ("/l/[a-c]x", "/l/bx", true),
            ("/l/[!a-c]x", "/l/bx", false),
            ("/l/[x", "/l/[x", true),
            ("/l/*a*b", "/l/xaxxab", true),
            ("/l/交*.log", "/l/交易.log", true),
        ] {
            assert_eq!(matches(pattern, path), wanted, "{pattern} {path}");
        }
    }

    #[test]
    fn rotated_names() {
        for (base, name, wanted) in [
            ("trade.log", "trade.log.1", true),
            ("trade.log", "trade.log-20261120", true),
            ("trade.log", "trade.log.2026-11-20_01", true),
            ("trade.log", "trade-2026-11-20.0.log", true),
            ("trade.log", "trade.log.old", true),
            ("trade.log", "trade.log", false),
            ("trade.log", "trade2.log", false),
            ("trade.log", "trade-error.log", false),
            ("trade.log", "trade.log.1.gz", false),
            ("trade.log", "trade.log.lock", false),
        ] {
            assert_eq!(is_rotated_name(base, name), wanted, "{base} {name}");
        }
    }

    #[test]
    fn walks_a_tree_and_stops_at_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        for name in ["x.log", "a/y.log", "a/b/z.log", "a/b/z.txt", ".hidden.log"] {
            fs::write(root.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("a/up")).unwrap();
        let names = |pattern: &str, limit| {
            let found = expand(&root.join(pattern).to_string_lossy(), limit);
            let names: Vec<String> =
                found.paths.iter().map(|p| p.strip_prefix(root).unwrap().to_string_lossy().into_owned()).collect();
            (names.join(" "), found.cut)
        };
        assert_eq!(names("**/*.log", 9), ("a/b/z.log a/y.log x.log".into(), false));
        assert_eq!(names("*.log", 9), ("x.log".into(), false));
        assert_eq!(names("a/*/z.*", 9), ("a/b/z.log a/b/z.txt".into(), false));
        assert!(names("**/*.log", 2).1);
    }
}
