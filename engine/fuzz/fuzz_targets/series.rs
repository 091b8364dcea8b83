//! Any chunks as a series index.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightjar_engine_fuzz::stored_series::check;

fuzz_target!(|input: (Vec<Vec<u8>>, &[u8])| check(&input.0, input.1));
