//! Any text as sample lines: every pick that is suggested yields what was selected.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightjar_agent::derive::derive;
use nightjar_model::agents::Selection;

fuzz_target!(|input: (String, u8, u8)| {
    let (text, from, length) = input;
    let lines: Vec<String> = text.lines().take(20).map(str::to_owned).collect();
    let (from, to) = (usize::from(from), usize::from(from) + usize::from(length));
    let Ok(suggestions) = derive(&lines, &Selection { line: 0, from, to }) else { return };
    let selected: String = lines[0].chars().skip(from).take(to - from).collect();
    for suggestion in suggestions {
        assert_eq!(suggestion.yields[0].as_deref(), Some(selected.as_str()), "{:?}", suggestion.pick);
    }
});
