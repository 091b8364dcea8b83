//! Everything the engine knows in memory, and how a record of the log changes it.
//!
//! One lock guards it, held for moments and never while waiting. Only the committer applies records, in the
//! order of the log, so the state is always that of some place in the log.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use nightjar_model::Timestamp;
use nightjar_model::delta::{Batch, MonitorDelta, PartialKind};

use crate::block::Block;
use crate::completeness::{Closed, Tracker};
use crate::memtable::Memtable;
use crate::rollups::RollUps;
use crate::sequences::Sequences;
use crate::series::SeriesIndex;
use crate::tier::{Retention, Tier};
use crate::wal::WalPosition;
use crate::wal::record::{Body, Record};

/// Windows that start further ahead of the server's clock than this are not taken.
const AHEAD: Duration = Duration::from_secs(86_400);

/// Windows that start outside of this are not taken.
pub(crate) fn taken(at: Timestamp, retention: Duration) -> Range<Timestamp> {
    at.saturating_sub(retention)..at.saturating_add(AHEAD)
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) index: SeriesIndex,
    pub(crate) active: Memtable,
    /// When the oldest record came that is not in a block.
    pub(crate) oldest: Option<Timestamp>,
    /// Being written to blocks.
    pub(crate) frozen: Option<Arc<Frozen>>,
    pub(crate) blocks: Arc<Vec<Arc<Block>>>,
    /// What is rolled up in these.
    pub(crate) rollups: Arc<RollUps>,
    pub(crate) sequences: Sequences,
    pub(crate) tracker: Tracker,
    retention: Retention,
}

/// The state at a place of the log.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) memtable: Memtable,
    pub(crate) wal: WalPosition,
    pub(crate) sequences: Sequences,
    pub(crate) tracker: Tracker,
}

impl State {
    pub(crate) fn new(index: SeriesIndex, sequences: Sequences, tracker: Tracker, retention: Retention) -> Self {
        Self {
            index,
            active: Memtable::default(),
            oldest: None,
            frozen: None,
            blocks: Arc::default(),
            rollups: Arc::default(),
            sequences,
            tracker,
            retention,
        }
    }

    /// Table and start of each window that is not in a block.
    pub(crate) fn starts_in_memory(&self) -> impl Iterator<Item = (u32, i64)> + '_ {
        self.active.windows().chain(self.frozen.iter().flat_map(|frozen| frozen.memtable.windows()))
    }

    /// Of windows that are not in a block.
    pub(crate) fn memtable_bytes(&self) -> u64 {
        (self.active.bytes() + self.frozen.as_ref().map_or(0, |frozen| frozen.memtable.bytes())) as u64
    }

    /// Applies a record that is in the log. Answers which monitors have come further.
    pub(crate) fn apply(&mut self, record: &Record) -> Vec<Closed> {
        self.oldest.get_or_insert(record.at);
        match &record.body {
            Body::Batch(batch) => self.apply_batch(record.at, batch),
            Body::Expect(expected) => {
                let changes = self.tracker.changes(expected);
                self.tracker.apply(record.at, &changes)
            }
            Body::Claim(claim) => {
                self.index.claim(&claim.monitor, &claim.uid);
                Vec::new()
            }
            Body::Change(changes) => self.tracker.apply(record.at, changes),
            Body::Gap(gap) => self.tracker.gap(gap),
        }
    }

    fn apply_batch(&mut self, at: Timestamp, batch: &Batch) -> Vec<Closed> {
        self.sequences.take(&batch.agent, batch.incarnation, (batch.sequence, batch.digest), at);
        for delta in &batch.deltas {
            self.apply_delta(at, delta);
        }
        let advance = |watermark: &nightjar_model::delta::Watermark| {
            let through = self.tracker.watermark(&batch.agent, watermark)?;
            Some((watermark.monitor.clone(), through))
        };
        batch.watermarks.iter().filter_map(advance).collect()
    }

    fn apply_delta(&mut self, at: Timestamp, delta: &MonitorDelta) {
        let width = delta.width.as_millis() as i64;
        let tier = Tier::of_width(width);
        let table = self.index.table_id(&delta.monitor, delta.uid.as_deref(), width, tier);
        // By the kind of its partials: of one field all have the same.
        let mut kinds: Vec<Option<PartialKind>> = vec![None; delta.fields.len()];
        let mut fields: Vec<u32> = vec![0; delta.fields.len()];
        let mut order: Vec<usize> = (0..delta.group_by.len()).collect();
        order.sort_unstable_by_key(|place| &delta.group_by[*place]);
        let mut taken = taken(at, self.retention.of(tier));
        // Of what is deleted only roll-ups are left, which cannot be added to.
        taken.start.0 = taken.start.0.max(self.rollups.taken_from(tier));
        let (mut folded, mut outside) = (0, 0);
        let mut labels: Vec<(&str, &str)> = Vec::with_capacity(order.len());
        for window in &delta.windows {
            if !taken.contains(&window.start) {
                outside += 1;
                continue;
            }
            labels.clear();
            labels.extend(order.iter().map(|place| (delta.group_by[*place].as_str(), window.keys[*place].as_str())));
            let (series, over) = self.index.series_id(table, &labels);
            folded += u64::from(over);
            self.tracker.delta(&delta.monitor, delta.uid.as_deref(), window.start.0);
            for (at, partial) in window.partials.iter().enumerate() {
                if kinds[at] != Some(partial.kind()) {
                    kinds[at] = Some(partial.kind());
                    fields[at] = self.index.field_id(&delta.fields[at], partial.kind());
                }
            }
            self.active.add(table, window.start.0, series, &fields, &window.partials);
        }
        if folded > 0 {
            metrics::counter!("nightjar_engine_series_folded_windows_total").increment(folded);
        }
        if outside > 0 {
            metrics::counter!("nightjar_engine_windows_outside_retention_total").increment(outside);
        }
    }

    /// Sets the active memtable aside, to be written to blocks; `wal` is where the log goes on after it.
    pub(crate) fn freeze(&mut self, wal: WalPosition, now: Timestamp) -> Arc<Frozen> {
        let before = now.saturating_sub(self.retention.of(Tier::Raw));
        self.tracker.forget_before(before, now);
        let frozen = Arc::new(Frozen {
            memtable: std::mem::take(&mut self.active),
            wal,
            sequences: self.sequences.clone(),
            tracker: self.tracker.clone(),
        });
        self.oldest = None;
        self.frozen = Some(Arc::clone(&frozen));
        frozen
    }
}
