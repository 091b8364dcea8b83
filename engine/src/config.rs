//! The engine's settings.

use std::path::PathBuf;
use std::time::Duration;

use nightjar_model::{Problems, Span};
use serde::Deserialize;

/// When a batch reaches the disk. Either way it is acknowledged only after that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fsync {
    /// As soon as the disk is free: batches that arrive during one write share the next.
    #[default]
    EachBatch,
    /// Batches gather this long and share one write: fewer writes, later acknowledgement.
    Interval(Span),
}

/// Settings of the engine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// Where everything is kept; made if it is not there.
    pub data_dir: PathBuf,
    pub fsync: Fsync,
    /// Windows in memory beyond this are written to blocks early.
    pub memtable_bytes: u64,
    /// Beyond this batches are refused until blocks are written.
    pub memtable_hard_limit_bytes: u64,
    /// Windows stay at most this long in memory and log only.
    pub flush_every: Span,
    /// A log longer than this is written to blocks early, so that a start does not read it for long.
    pub wal_bytes: u64,
    /// Stretch of time that a fresh block covers. Divides a day.
    pub block_span: Span,
    /// Windows of a minute or more that are older than this are deleted.
    pub retention: Span,
    /// Windows shorter than a minute that are older than this are deleted; their minutes stay.
    pub second_retention: Span,
    /// What was rolled up into hours is kept this long,
    pub hour_retention: Span,
    /// and what was rolled up into days this long.
    pub day_retention: Span,
    /// Combinations of keys, over all monitors; further ones are folded under `(other)`, and so are those of
    /// a monitor that has as many as are left to all others.
    pub max_series: u32,
    /// Memory of one SQL statement; beyond it the statement spills to disk, or fails.
    pub query_memory_bytes: u64,
    /// Disk that running statements may spill to, all of them together.
    pub query_spill_bytes: u64,
    pub query_timeout: Span,
    /// SQL statements that run at once; further ones wait, within their timeout.
    pub query_concurrency: usize,
    /// More rows than this in an answer are an error.
    pub query_row_limit: u32,
    /// Threads of one statement; as many more read for alert rules and charts.
    pub query_threads: usize,
    /// Memory of what alert rules and charts read at once.
    pub windows_memory_bytes: u64,
    /// What runs statements: a program that calls [`crate::serve_statements`], and its arguments. Without more
    /// ado the program that runs already, with `sql-statements`.
    #[serde(skip)]
    pub statement_program: Vec<String>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data/engine"),
            fsync: Fsync::EachBatch,
            memtable_bytes: 64 << 20,
            memtable_hard_limit_bytes: 256 << 20,
            flush_every: Span::from_secs(600),
            wal_bytes: 256 << 20,
            block_span: Span::from_secs(2 * 3600),
            retention: Span::from_secs(21 * 86_400),
            second_retention: Span::from_secs(3 * 86_400),
            hour_retention: Span::from_secs(400 * 86_400),
            day_retention: Span::from_secs(1830 * 86_400),
            max_series: 1_000_000,
            query_memory_bytes: 192 << 20,
            query_spill_bytes: 4 << 30,
            query_timeout: Span::from_secs(30),
            query_concurrency: 4,
            query_row_limit: 100_000,
            query_threads: 2,
            windows_memory_bytes: 64 << 20,
            // The very file that runs, also after another one took its place.
            statement_program: vec!["/proc/self/exe".to_owned(), "sql-statements".to_owned()],
        }
    }
}

impl EngineConfig {
    /// Reports everything that is wrong with the settings.
    pub fn validate(&self, problems: &mut Problems) {
        if self.data_dir.as_os_str().is_empty() {
            problems.add("data_dir", "is required");
        }
        if let Fsync::Interval(interval) = self.fsync
            && interval.0 > Duration::from_secs(1)
        {
            problems.add("fsync.interval", "must be at most 1s: agents wait for it");
        }
        if self.memtable_bytes < 1 << 20 {
            problems.add("memtable_bytes", "must be at least 1 MiB");
        }
        if self.memtable_hard_limit_bytes < self.memtable_bytes {
            problems.add("memtable_hard_limit_bytes", "must not be less than memtable_bytes");
        }
        if self.flush_every.0 < Duration::from_secs(1) {
            problems.add("flush_every", "must be at least 1s");
        }
        if self.wal_bytes < 1 << 20 {
            problems.add("wal_bytes", "must be at least 1 MiB");
        }
        let span = self.block_span.0.as_millis();
        if span < 60_000 || !86_400_000_u128.is_multiple_of(span) {
            problems.add("block_span", "must be at least 1m and divide a day");
        }
        if self.retention.0 < Duration::from_secs(86_400) {
            problems.add("retention", "must be at least 1d");
        }
        if self.second_retention.0 < Duration::from_secs(3600) || self.second_retention.0 > self.retention.0 {
            problems.add("second_retention", "must be at least 1h, and not more than retention");
        }
        if self.hour_retention.0 < self.retention.0 {
            problems.add("hour_retention", "must not be less than retention");
        }
        if self.day_retention.0 < self.hour_retention.0 {
            problems.add("day_retention", "must not be less than hour_retention");
        }
        if self.max_series == 0 {
            problems.add("max_series", "must be at least 1");
        }
        if self.query_memory_bytes < 16 << 20 {
            problems.add("query_memory_bytes", "must be at least 16 MiB");
        }
        if self.windows_memory_bytes < 4 << 20 {
            problems.add("windows_memory_bytes", "must be at least 4 MiB");
        }
        if self.query_timeout.0.is_zero() {
            problems.add("query_timeout", "must be more than 0");
        }
        if !(1..=1024).contains(&self.query_concurrency) {
            problems.add("query_concurrency", "must be from 1 to 1024");
        }
        if self.query_row_limit == 0 {
            problems.add("query_row_limit", "must be at least 1");
        }
        if !(1..=256).contains(&self.query_threads) {
            problems.add("query_threads", "must be from 1 to 256");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_mistakes_are_all_named() {
        let mut problems = Problems::new();
        EngineConfig::default().validate(&mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        let config: EngineConfig = serde_json::from_str(
            r#"{"fsync": {"interval": "5s"}, "block_span": "7h", "retention": "1h", "second_retention": "1m", "hour_retention": "1m", "day_retention": "0s", "query_concurrency": 0, "query_threads": 0}"#,
        )
        .expect("well formed");
        config.validate(&mut problems);
        let paths: Vec<String> = problems.into_vec().into_iter().map(|p| p.path).collect();
        let expected = [
            "fsync.interval",
            "block_span",
            "retention",
            "second_retention",
            "hour_retention",
            "day_retention",
            "query_concurrency",
            "query_threads",
        ];
        assert_eq!(paths, expected);
        assert!(serde_json::from_str::<EngineConfig>(r#"{"data_dri": "x"}"#).is_err());
    }
}
