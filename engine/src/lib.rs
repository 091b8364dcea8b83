//! The engine: where windows are kept, and what answers for them.
//!
//! **Owns** the write-ahead log, the memtable, the blocks (Parquet), compaction and retention, the series
//! index, the completeness of windows, and SQL. The only room that knows DataFusion.
//!
//! **Never** touches the network, and knows nothing of alerts. It never acknowledges what is not on disk,
//! and never counts anything twice.
//!
//! **Entry point**: [`Engine::open`]; then the ports [`Intake`](nightjar_model::ports::Intake) and
//! [`WindowReader`](nightjar_model::ports::WindowReader).
//!
//! **Data flow**: batch → `committer` (one thread: `wal`, then `state`) → memtable → `maintain::flush` →
//! blocks and manifest, and the log is shorter → `maintain::compact` → days → `maintain::rollup` → minutes, hours
//! and days → `maintain::retain`.
//! Readers take a `snapshot` of memtable and blocks; `windows` adds up, `sql` merges into rows, each
//! statement in a process of its own ([`serve_statements`]).
//!
//! **On disk** (`data_dir`): `wal/*.wal` what was acknowledged and is not in a block; `blocks/*.parquet`;
//! `series-*.idx` what the ids in blocks stand for; `manifest` which of these count, with the sequences
//! taken of each agent and the completeness marks as of the log's beginning; `lock`; `spill/`.

mod backup;
mod block;
mod committer;
mod completeness;
mod config;
mod directory;
mod engine;
mod error;
mod maintain;
mod manifest;
mod memtable;
mod queue;
mod ranges;
mod rollups;
mod sequences;
mod series;
mod shared;
mod snapshot;
mod sql;
mod state;
mod storage;
mod tier;
mod wal;
mod windows;
mod work_pool;

pub use backup::copy;
pub use config::{EngineConfig, Fsync};
pub use engine::Engine;
pub use error::EngineError;
pub use sql::serve_statements;
