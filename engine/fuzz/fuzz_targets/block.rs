//! A block, damaged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightjar_engine_fuzz::stored_block::{Block, check};

fuzz_target!(|block: Block| check(&block));
