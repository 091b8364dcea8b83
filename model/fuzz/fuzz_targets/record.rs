//! Whatever an agent sends as a record is an error or a batch that encodes to an equal one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightjar_model::protocol::{decode_gathered, encode_gathered};

fuzz_target!(|bytes: &[u8]| {
    if let Ok((deltas, watermarks)) = decode_gathered("w", bytes) {
        let again = decode_gathered("w", &encode_gathered(&deltas, &watermarks)).expect("own encoding");
        assert_eq!(again, (deltas, watermarks));
    }
});
