//! Any bytes as a record of the log.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightjar_engine_fuzz::stored_log::check_record;

fuzz_target!(|bytes: &[u8]| check_record(bytes));
