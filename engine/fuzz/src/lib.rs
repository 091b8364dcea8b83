//! What is asked of the engine's decoders, a module for each target.
//!
//! They are taken in by path, so that the engine shows nothing for the sake of its tests, and so that
//! DataFusion is not built: no decoder needs it, and under a sanitizer it takes longer to build than all
//! the fuzzing takes to run.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "of each file the decoder is used, and nobody is shown anything"
)]

#[path = "../../src"]
mod engine {
    pub(crate) mod block;
    pub(crate) mod completeness;
    pub(crate) mod config;
    pub(crate) mod directory;
    pub(crate) mod error;
    pub(crate) mod manifest;
    pub(crate) mod ranges;
    pub(crate) mod rollups;
    pub(crate) mod sequences;
    pub(crate) mod series;
    pub(crate) mod storage;
    pub(crate) mod tier;
    pub(crate) mod wal;
}

// The engine's files name each other from the root.
use engine::{
    block, completeness, config, directory, error, manifest, ranges, rollups, sequences, series, storage, tier, wal,
};

pub mod damage;
pub mod stored_block;
pub mod stored_checkpoint;
pub mod stored_log;
pub mod stored_manifest;
pub mod stored_series;
