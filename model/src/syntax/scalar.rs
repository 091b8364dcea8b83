//! What tools take the text of a plain scalar for.
//!
//! YAML 1.1 (<https://yaml.org/type/>, as PyYAML, Ansible and Helm have it) and the core schema of
//! YAML 1.2 (<https://yaml.org/spec/1.2.2/#103-core-schema>) differ: `no` is a boolean only to the
//! former, `0o17` a number only to the latter.

use std::sync::LazyLock;

use regex::Regex;

/// Numbers of YAML 1.2.
static NUMBER_1_2: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?:[-+]?[0-9]+|[-+]?0o[0-7]+|[-+]?0x[0-9a-fA-F]+|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)$").ok()
});

/// Numbers and times of YAML 1.1: binary, octal, decimal, hexadecimal, base 60, floats, timestamps.
static OTHER_1_1: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+",
        r"|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+",
        r"|[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?",
        r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*",
        r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9].*)?)$"
    ))
    .ok()
});

/// In lower case: `y` and `n` are booleans in the standard's text, though hardly any tool has them.
const WORDS: [&str; 17] =
    ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "=", "<<", ".inf", "-.inf", "+.inf", ".nan"];

fn is(text: &str, what: &LazyLock<Option<Regex>>) -> bool {
    what.as_ref().is_some_and(|regex| regex.is_match(text))
}

/// Whether some tool takes the plain text for anything but a string. Some go beyond both versions:
/// `1,000` is a number to Ruby's.
pub(super) fn is_no_string(text: &str) -> bool {
    let is_figure = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b",_.:+-".contains(&b));
    is_figure(text) || WORDS.contains(&text.to_lowercase().as_str()) || is(text, &NUMBER_1_2) || is(text, &OTHER_1_1)
}

/// Whether the plain text is a number to tools of YAML 1.2 and a string to those of YAML 1.1, which
/// therefore write such a string without quotes: `1e3`, `0o17`.
pub(crate) fn number_in_yaml_1_2_only(text: &str) -> bool {
    is(text, &NUMBER_1_2) && !is(text, &OTHER_1_1)
}
