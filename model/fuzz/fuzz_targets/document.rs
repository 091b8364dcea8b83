//! Whatever is sent as a document is refused with problems, or is a document that is shown as an equal one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightjar_model::Resource;
use nightjar_model::syntax::parse_yaml;

fuzz_target!(|text: &str| {
    for value in parse_yaml(text).into_iter().flatten() {
        match Resource::from_value(&value, None) {
            Ok(resource) => {
                let shown = resource.to_value();
                // Secrets are shown as `***`, and read back as that.
                let again = Resource::from_value(&shown, None).expect("what is shown can be sent back");
                assert_eq!(again.to_value(), shown);
            }
            Err(problems) => assert!(!problems.is_empty()),
        }
    }
});
