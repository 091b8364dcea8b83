//! Compaction: many blocks become few.
//!
//! What is read from the few is what was read from the many: rows of one key merge as readers merge them.

mod plan;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use nightjar_model::Result;

use self::plan::{Job, MAX_BYTES, plan};
use crate::block::merge::{Cursor, Merge};
use crate::block::read::{BlockRows, Wanted};
use crate::block::write::BlockWriter;
use crate::block::{Block, BlockMeta, Row};
use crate::manifest::Manifest;
use crate::shared::Shared;
use crate::tier::Tier;

const MERGE_ROWS: usize = 16 * 1024;

/// Does all there is to do.
pub(crate) async fn compact(shared: &Arc<Shared>) -> Result<()> {
    loop {
        let (blocks, ups) = {
            let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
            (Arc::clone(&state.blocks), Arc::clone(&state.rollups))
        };
        let metas: Vec<&BlockMeta> = blocks.iter().map(|block| &block.meta).collect();
        let job = plan::roll_ups(&shared.config, &metas, &ups);
        let raw = metas.iter().copied().filter(|block| block.tier.is_raw());
        let Some(job) = job.or_else(|| plan(raw, shared.clock.now())) else { break };
        let inputs: Vec<Arc<Block>> =
            blocks.iter().filter(|block| job.inputs.contains(&block.meta.id)).cloned().collect();
        drop(blocks);
        run(shared, job, inputs, BTreeSet::new()).await?;
    }
    shared.sweep().await
}

/// Writes a block anew without the rows of these tables.
pub(super) async fn without(shared: &Arc<Shared>, block: Arc<Block>, tables: BTreeSet<u32>) -> Result<()> {
    let job = Job { tier: block.meta.tier, inputs: vec![block.meta.id], settles: block.meta.settled };
    run(shared, job, vec![block], tables).await
}

async fn run(shared: &Arc<Shared>, job: Job, inputs: Vec<Arc<Block>>, leave_out: BTreeSet<u32>) -> Result<()> {
    let started = std::time::Instant::now();
    let (work, tier, settles) = (Arc::clone(shared), job.tier, job.settles);
    let merging = async move {
        let mut output =
            Output { shared: work, tier, settles, from: i64::MIN, until: i64::MAX, writer: None, written: vec![] };
        let outcome = output.fill(&inputs, &leave_out).await;
        // What came to be is known also when it did not end well, so that it can be taken away.
        Ok((output.written, outcome))
    };
    let (written, outcome) = shared.maintenance.run("compact", merging).await?;
    if let Err(error) = outcome {
        shared.discard(&written).await;
        return Err(error);
    }
    let _turn = shared.turn().await?;
    // Retention may have taken some meanwhile.
    let here = {
        let manifest = shared.manifest.lock().unwrap_or_else(PoisonError::into_inner);
        job.inputs.iter().all(|id| manifest.blocks.iter().any(|block| block.id == *id))
    };
    if !here {
        shared.discard(&written).await;
        return Ok(());
    }
    let (gone, fresh) = (job.inputs.clone(), written.clone());
    let edit = move |manifest: &mut Manifest| {
        manifest.blocks.retain(|block| !gone.contains(&block.id));
        manifest.blocks.extend(fresh);
        Ok(())
    };
    shared.exchange(&job.inputs, written, edit).await?;
    metrics::counter!("nightjar_engine_compactions_total").increment(1);
    metrics::histogram!("nightjar_engine_compaction_seconds").record(started.elapsed());
    Ok(())
}

/// Blocks that are being written.
struct Output {
    shared: Arc<Shared>,
    tier: Tier,
    settles: bool,
    from: i64,
    until: i64,
    writer: Option<BlockWriter>,
    written: Vec<BlockMeta>,
}

impl Output {
    async fn fill(&mut self, inputs: &[Arc<Block>], leave_out: &BTreeSet<u32>) -> Result<()> {
        self.from = inputs.iter().map(|block| block.meta.from).min().unwrap_or(0);
        self.until = inputs.iter().map(|block| block.meta.until).max().unwrap_or(0);
        let mut cursors = Vec::with_capacity(inputs.len());
        for block in inputs {
            cursors.push(Cursor::block(BlockRows::open(&self.shared.storage, &block.meta, Wanted::ALL).await?));
        }
        let (mut merge, mut rows) = (Merge::new(self.tier, cursors), Vec::new());
        let mut last = None;
        loop {
            rows.clear();
            merge.next(MERGE_ROWS, &mut rows).await?;
            if rows.is_empty() {
                return self.finish().await;
            }
            rows.retain(|row| !leave_out.contains(&row.table));
            let Some(end) = rows.last().map(|row| self.place(row)) else { continue };
            let cut = self.cut(last, &rows);
            last = Some(end);
            let (here, next) = rows.split_at(cut);
            self.write(here).await?;
            if !next.is_empty() {
                self.finish().await?;
                self.write(next).await?;
            }
        }
    }

    fn place(&self, row: &Row) -> (u32, i64) {
        let key = row.key(self.tier);
        (key.0, key.1)
    }

    /// How many of the rows still belong to the block that is being written, if it is full: up to the table's
    /// end, or up to the stretch's in one that is much too large.
    fn cut(&self, last: Option<(u32, i64)>, rows: &[Row]) -> usize {
        let (Some(writer), Some(mut last)) = (&self.writer, last) else { return rows.len() };
        if writer.bytes() < MAX_BYTES {
            return rows.len();
        }
        let anywhere = writer.bytes() >= MAX_BYTES / 2 * 3;
        let begins_anew = |row: &Row| {
            let place = self.place(row);
            let differs = place.0 != last.0 || (anywhere && place != last);
            last = place;
            differs
        };
        rows.iter().position(begins_anew).unwrap_or(rows.len())
    }

    async fn write(&mut self, rows: &[Row]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let (id, created) = (self.shared.reserve_block(), self.shared.clock.now().0);
                let storage = &self.shared.storage;
                let range = (self.from, self.until);
                self.writer.insert(BlockWriter::new(storage, id, self.tier, range, created)?.settled(self.settles))
            }
        };
        writer.write(rows).await
    }

    async fn finish(&mut self) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            let shared = &self.shared;
            self.written.push(writer.finish(&|tables, fields| shared.names(tables, fields)).await?);
        }
        Ok(())
    }
}
