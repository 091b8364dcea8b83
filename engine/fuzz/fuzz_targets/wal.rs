//! A log's segment, damaged: what comes before is replayed, what comes after is not dropped in silence.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightjar_engine_fuzz::stored_log::{Segment, check};

fuzz_target!(|segment: Segment| check(&segment));
