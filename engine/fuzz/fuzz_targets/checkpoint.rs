//! A checkpoint, damaged; and any bytes as one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightjar_engine_fuzz::damage::Damage;
use nightjar_engine_fuzz::stored_checkpoint::check;

fuzz_target!(|input: (Damage, &[u8])| check(&input.0, input.1));
