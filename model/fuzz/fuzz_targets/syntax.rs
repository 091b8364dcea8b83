//! Whatever is read as YAML, JSON or settings is an error that names its place, or values that read the same when
//! they are written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightjar_model::syntax::{parse_documents, parse_json, parse_settings, parse_yaml, to_yaml};

fuzz_target!(|bytes: &[u8]| {
    if let Err(problems) = parse_json(bytes) {
        assert!(!problems.is_empty());
    }
    drop(parse_settings(bytes));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    drop(parse_documents(text));
    for value in parse_yaml(text).into_iter().flatten() {
        assert_eq!(parse_yaml(&to_yaml(&value)).expect("own writing"), [value]);
    }
});
