//! What is wrong with the path of a log, with what to write instead.

use super::PathPattern;

/// What keeps a path from naming any file, ever.
pub(super) fn impossible(pattern: &PathPattern) -> Option<String> {
    let text = pattern.as_str();
    if text.contains('\0') || text.split('/').any(|part| part == "..") {
        return Some("must not hold `..` or NUL".into());
    }
    if text.starts_with('/') {
        return None;
    }
    let trimmed = text.trim();
    Some(match trimmed.chars().next() {
        None => "is empty; write the whole path, such as /var/log/app.log".into(),
        Some('/') => "starts with a space; take it out".into(),
        Some('~') => {
            "must be absolute: `~` is not expanded; write the whole path, such as /home/app/logs/app.log".into()
        }
        Some('$') => "must be absolute: variables are not expanded; write the whole path".into(),
        Some('\\') => windows(),
        Some(drive) if drive.is_ascii_alphabetic() && trimmed[1..].starts_with(":\\") => windows(),
        Some(drive) if drive.is_ascii_alphabetic() && trimmed[1..].starts_with(":/") => windows(),
        _ => match trimmed.strip_prefix("file://") {
            Some(path) => format!("must be a path, not a URL; write `{path}`"),
            None => "must be absolute: write the whole path, beginning with `/`".into(),
        },
    })
}

fn windows() -> String {
    "is a path of Windows; agents read logs of Linux hosts, such as /var/log/app.log".into()
}

/// What was hardly meant so. Only asked when a document is written: what is stored goes on.
pub(super) fn mistaken(pattern: &PathPattern) -> Option<String> {
    let text = pattern.as_str();
    if text.trim() != text {
        return Some("ends with a space; take it out".into());
    }
    if text.chars().any(char::is_control) {
        return Some("holds a line end or another control character; take it out".into());
    }
    if text.ends_with('/') {
        return Some(format!("names a folder; for the files in it write `glob: {text}*.log`"));
    }
    if let Some(variable) = variable(text) {
        return Some(format!("`{variable}` is not expanded; write the path as it is on the hosts, or `glob` with `*`"));
    }
    if let Some(date) = ["%Y", "%m", "%d", "%H", "yyyy"].into_iter().find(|date| text.contains(date)) {
        return Some(format!("`{date}` is not replaced by a date; write `glob` with `*` in its place"));
    }
    match pattern {
        PathPattern::Path(text) => text.contains(['*', '?', '[']).then(|| {
            format!("holds `*`, `?` or `[`, which only `glob` expands: write `glob: {text}`; a file whose name has such a character is `glob` with it in brackets: {}", bracketed(text))
        }),
        PathPattern::Glob(text) => {
            let braces = text.find('{').is_some_and(|open| text[open..].contains('}'));
            if braces && !text.contains("[{]") {
                return Some("`{a,b}` is not expanded; give each path an entry of its own".into());
            }
            (!text.contains(['*', '?', '['])).then(|| format!("has no `*`, `?` or `[…]`; write `path: {text}`"))
        }
    }
}

/// A variable as shells and templates write it.
fn variable(text: &str) -> Option<&str> {
    if let Some(open) = text.find("{{") {
        let close = text[open..].find("}}")?;
        return Some(&text[open..open + close + 2]);
    }
    let at = text
        .match_indices('$')
        .map(|(at, _)| at)
        .find(|at| text[at + 1..].starts_with(|c: char| c == '{' || c == '(' || c == '_' || c.is_ascii_alphabetic()))?;
    let rest = &text[at..];
    let end = match rest.as_bytes().get(1) {
        Some(b'{') => rest.find('}').map(|close| close + 1),
        Some(b'(') => rest.find(')').map(|close| close + 1),
        _ => rest[1..].find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).map(|end| end + 1),
    };
    Some(&rest[..end.unwrap_or(rest.len())])
}

fn bracketed(text: &str) -> String {
    let mut glob = String::from("`");
    for c in text.chars() {
        match c {
            '*' | '?' | '[' => glob.extend(['[', c, ']']),
            other => glob.push(other),
        }
    }
    glob.push('`');
    glob
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pattern: &PathPattern) -> Option<String> {
        impossible(pattern).or_else(|| mistaken(pattern))
    }

    #[test]
    fn each_mistake_has_its_remedy() {
        for (path, remedy) in [
            ("/var/log/nginx/*.log", "write `glob: /var/log/nginx/*.log`"),
            ("/var/log/app[1].log", "`/var/log/app[[]1].log`"),
            ("/var/log/app?.log", "`glob`"),
            ("logs/app.log", "must be absolute"),
            ("./app.log", "must be absolute"),
            ("~/logs/app.log", "`~` is not expanded"),
            ("~app/logs/app.log", "`~` is not expanded"),
            ("$HOME/app.log", "variables are not expanded"),
            ("/home/$USER/app.log", "`$USER` is not expanded"),
            ("/var/log/${HOSTNAME}/app.log", "`${HOSTNAME}` is not expanded"),
            ("/var/log/$(hostname).log", "`$(hostname)` is not expanded"),
            ("/var/log/{{ host }}/app.log", "`{{ host }}` is not expanded"),
            ("/var/log/app-%Y-%m-%d.log", "`%Y` is not replaced"),
            ("/var/log/app.yyyy-MM-dd.log", "`yyyy` is not replaced"),
            ("/var/log/app.log ", "ends with a space"),
            (" /var/log/app.log", "starts with a space"),
            ("/var/log/app.log\n", "ends with a space"),
            ("/var/log/a\tb.log", "control character"),
            ("/var/log/", "write `glob: /var/log/*.log`"),
            ("/var/../etc/x", "`..`"),
            ("", "is empty"),
            ("  ", "is empty"),
            ("C:\\logs\\app.log", "Windows"),
            ("D:/logs/app.log", "Windows"),
            ("\\\\server\\share\\app.log", "Windows"),
            ("file:///var/log/app.log", "write `/var/log/app.log`"),
        ] {
            let problem = told(&PathPattern::Path(path.into())).unwrap_or_else(|| panic!("{path:?} passes"));
            assert!(problem.contains(remedy), "{path:?}: {problem}");
        }
        for (glob, remedy) in [
            ("/var/log/nginx/access.log", "write `path: /var/log/nginx/access.log`"),
            ("*.log", "must be absolute"),
            ("/var/log/{a,b}*.log", "an entry of its own"),
            ("/var/log/$APP/*.log", "`$APP` is not expanded"),
        ] {
            let problem = told(&PathPattern::Glob(glob.into())).unwrap_or_else(|| panic!("{glob:?} passes"));
            assert!(problem.contains(remedy), "{glob:?}: {problem}");
        }
    }

    #[test]
    fn what_may_be_meant_passes() {
        for path in
            ["/var/log/app.log", "/日志/交易 1.log", "/a/b$.log", "/a/100%.log", "/a/{x}.log", "/a/$1.log", "/a//b.log"]
        {
            assert_eq!(told(&PathPattern::Path(path.into())), None, "{path}");
        }
        for glob in ["/var/log/*.log", "/var/log/**/app.log", "/a/[[]x].log", "/a/[{]x}.log", "/a/app?.log"] {
            assert_eq!(told(&PathPattern::Glob(glob.into())), None, "{glob}");
        }
    }
}
