//! Roll-ups: slots that are over are merged into coarser windows, and again when late rows came.
//!
//! What is written and which slots are rolled up is one change of the manifest. Rows that a flush writes while a
//! slot is rolled up are found when that change is made: of their tables the slot counts as late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use nightjar_model::{Error, ErrorKind, Result, Timestamp};
use roaring::RoaringBitmap;

use crate::block::read::{BlockRows, Wanted};
use crate::block::roll::Roller;
use crate::block::write::BlockWriter;
use crate::block::{Block, BlockMeta, Row};
use crate::manifest::Manifest;
use crate::rollups::{Level, RollUps};
use crate::shared::Shared;
use crate::tier::{DAY, HOUR, Tier};

/// So long after its end a slot is rolled up.
const WAIT: i64 = HOUR;

/// While rows of a slot come it is left alone, at most until a day after its end.
const QUIET: i64 = HOUR / 4;
const RESTLESS: i64 = DAY;

/// Windows that are being rolled up take about so much memory; further series are read in another pass.
const MEMORY: usize = if cfg!(test) { 4 << 10 } else { 64 << 20 };

const WRITTEN_ROWS: usize = 16 * 1024;

/// A slot to be rolled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Job {
    level: Level,
    slot: i64,
}

impl Job {
    fn until(self) -> i64 {
        self.slot + self.level.slot()
    }

    fn covers(self, block: &BlockMeta) -> bool {
        block.from < self.until() && self.slot < block.until
    }

    fn reads(self, block: &BlockMeta) -> bool {
        !block.quarantined && self.level.sources().contains(&block.tier) && self.covers(block)
    }

    fn replaces(self, block: &BlockMeta) -> bool {
        !block.quarantined && self.level.targets().contains(&block.tier) && self.covers(block)
    }
}

/// All there is to do now, the oldest first, and of a level before the next one.
pub(crate) fn plan(blocks: &[&BlockMeta], ups: &RollUps, now: Timestamp) -> Vec<Job> {
    let mut due: BTreeMap<(Level, i64), i64> = BTreeMap::new();
    for block in blocks.iter().filter(|block| !block.quarantined) {
        let Some(level) = Level::reading(block.tier) else { continue };
        for slot in level.slots(block.from, block.until).filter(|slot| ups.is_due(level, *slot)) {
            let newest = due.entry((level, slot)).or_insert(i64::MIN);
            // Roll-ups are made of what was quiet.
            if block.tier.is_raw() {
                *newest = block.created.max(*newest);
            }
        }
    }
    let ready = |((level, slot), newest): ((Level, i64), i64)| {
        let job = Job { level, slot };
        let over = now.0 >= job.until() + WAIT;
        let quiet = now.0 >= newest + QUIET || now.0 >= job.until() + RESTLESS;
        let is_whole = level.sources().iter().all(|tier| slot >= ups.kept_from(*tier));
        (over && quiet && is_whole && waits_for(blocks.iter().copied(), ups, job).is_empty()).then_some(job)
    };
    due.into_iter().filter_map(ready).collect()
}

/// Tables of which the source is itself a roll-up that is not done yet.
fn waits_for<'a>(blocks: impl Iterator<Item = &'a BlockMeta>, ups: &RollUps, job: Job) -> BTreeSet<u32> {
    let mut tables = BTreeSet::new();
    if job.level != Level::Days {
        return tables;
    }
    for block in blocks.filter(|block| block.tier == Tier::Second && !block.quarantined && job.covers(block)) {
        for slot in Level::Minutes.slots(block.from.max(job.slot), block.until.min(job.until())) {
            if ups.is_rolled(Level::Minutes, slot) {
                tables.extend(ups.late(Level::Minutes, slot));
            } else {
                tables.extend(&block.tables);
            }
        }
    }
    tables
}

/// After so many slots failed the rest waits for the next turn: it may be the disk.
const FAILURES: usize = 8;

/// After it was overtaken so many times, too.
const OVERTAKEN: usize = 100;

/// Does all there is to do.
pub(crate) async fn roll_up(shared: &Arc<Shared>) -> Result<()> {
    // A slot that cannot be read keeps itself waiting, and no other.
    let (mut failed, mut overtaken): (Vec<(Job, Error)>, usize) = (Vec::new(), 0);
    while failed.len() < FAILURES {
        let (blocks, ups) = {
            let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
            (Arc::clone(&state.blocks), Arc::clone(&state.rollups))
        };
        let metas: Vec<&BlockMeta> = blocks.iter().map(|block| &block.meta).collect();
        let jobs = plan(&metas, &ups, shared.clock.now());
        metrics::gauge!("nightjar_engine_rollup_slots_waiting").set(jobs.len() as f64);
        let is_failed = |job: &&Job| failed.iter().any(|(known, _)| known == *job);
        let Some(job) = jobs.iter().find(|job| !is_failed(job)) else { break };
        let of = |what: &dyn Fn(&BlockMeta) -> bool| -> Vec<Arc<Block>> {
            blocks.iter().filter(|block| what(&block.meta)).cloned().collect()
        };
        let unread = unread(shared, *job);
        let work = Work {
            shared: Arc::clone(shared),
            job: *job,
            sources: of(&|block| job.reads(block)),
            old: of(&|block| job.replaces(block)),
            // Of the others the old roll-up holds.
            fresh: ups.is_rolled(job.level, job.slot).then(|| &ups.late(job.level, job.slot) - &unread),
            apart: &ups.late_or_apart(job.level, job.slot) & &unread,
        };
        drop((blocks, ups));
        let job = work.job;
        match run(work).await {
            Ok(true) => {}
            // Compaction was quicker: what it made is looked at anew, as long as that is not all that happens.
            Ok(false) if overtaken < OVERTAKEN => overtaken += 1,
            Ok(false) => break,
            Err(error) => {
                tracing::warn!(%error, level = job.level.name(), slot = %Timestamp(job.slot), "a slot is not rolled up");
                failed.push((job, error));
            }
        }
    }
    *shared.not_rolled_up.lock().unwrap_or_else(PoisonError::into_inner) =
        failed.iter().filter(|(_, error)| error.kind != ErrorKind::Unavailable).map(|(job, _)| job.slot).collect();
    shared.sweep().await?;
    failed.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
}

/// Tables of which a part of the source, or of what that is made of, is left out of answers: their old roll-up has it
/// still, a new one would not.
fn unread(shared: &Shared, job: Job) -> BTreeSet<u32> {
    let manifest = shared.manifest.lock().unwrap_or_else(PoisonError::into_inner);
    let is_source = |block: &&BlockMeta| job.level.feeds().contains(&block.tier) && job.covers(block);
    let unread = manifest.blocks.iter().filter(|block| block.quarantined).filter(is_source);
    unread.flat_map(|block| block.tables.iter().copied()).collect()
}

struct Work {
    shared: Arc<Shared>,
    job: Job,
    sources: Vec<Arc<Block>>,
    old: Vec<Arc<Block>>,
    /// The tables to be rolled up, where it is not all of them.
    fresh: Option<BTreeSet<u32>>,
    /// Those of which late rows came, and of whose source a part is not there any more: readers take what there is of
    /// it, and their old roll-up once that goes.
    apart: BTreeSet<u32>,
}

/// Answers whether it came to be: not if blocks were replaced meanwhile.
async fn run(work: Work) -> Result<bool> {
    let started = std::time::Instant::now();
    let (shared, job) = (Arc::clone(&work.shared), work.job);
    // Those of other slots would go with it. They are merged only where nothing comes any more.
    if work.old.iter().any(|block| block.meta.from < job.slot || job.until() < block.meta.until) {
        return Err(Error::internal(format!("the roll-up of {} is in a block with others", Timestamp(job.slot))));
    }
    let inputs: Vec<u64> = work.sources.iter().map(|block| block.meta.id).collect();
    let old: Vec<u64> = work.old.iter().map(|block| block.meta.id).collect();
    let (fresh, apart) = (work.fresh.clone(), work.apart.clone());
    let written = shared.maintenance.run("rollup", async move {
        let mut writers = Writers::default();
        match work.write(&mut writers).await {
            Ok(()) => writers.finish(&work.shared).await,
            Err(error) => Err(error),
        }
    });
    let written = written.await?;
    let _turn = shared.turn().await?;
    let known = shared.manifest.lock().unwrap_or_else(PoisonError::into_inner).blocks.clone();
    let is_known = |id: &u64| known.iter().any(|block| block.id == *id && !block.quarantined);
    if !inputs.iter().chain(&old).all(is_known) {
        shared.discard(&written).await;
        return Ok(false);
    }
    let came = known.iter().filter(|block| job.reads(block) && !inputs.contains(&block.id));
    let came: BTreeSet<u32> = came.flat_map(|block| block.tables.iter().copied()).collect();
    let (gone, added) = (old.clone(), written.clone());
    let edit = move |manifest: &mut Manifest| {
        let mut late = came;
        late.extend(waits_for(manifest.blocks.iter(), &manifest.rollups, job));
        manifest.blocks.retain(|block| !gone.contains(&block.id));
        manifest.blocks.extend(added);
        manifest.rollups.finish(job.level, job.slot, late, apart);
        // What was made of the minutes before is no longer all.
        if job.level == Level::Minutes {
            let tables = fresh.unwrap_or_else(|| {
                let written = manifest.blocks.iter().filter(|block| job.replaces(block));
                written.flat_map(|block| block.tables.iter().copied()).collect()
            });
            manifest.rollups.note_late(Level::Days, Level::Days.slot_of(job.slot), tables);
        }
        Ok(())
    };
    shared.exchange(&old, written, edit).await?;
    metrics::counter!("nightjar_engine_rollups_total", "level" => job.level.name()).increment(1);
    metrics::histogram!("nightjar_engine_rollup_seconds", "level" => job.level.name()).record(started.elapsed());
    Ok(true)
}

impl Work {
    async fn write(&self, writers: &mut Writers) -> Result<()> {
        let blocks = self.sources.iter().chain(&self.old);
        let tables: BTreeSet<u32> = blocks.flat_map(|block| block.meta.tables.iter().copied()).collect();
        for table in tables {
            let known = {
                let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
                state.index.table(table).map(|known| (known.tier, state.index.select(table, "", |_| true)))
            };
            // The monitor is gone.
            let Some((tier, series)) = known else { continue };
            match &self.fresh {
                Some(fresh) if !fresh.contains(&table) => self.keep(table, writers).await?,
                _ => self.roll(table, tier, series, writers).await?,
            }
        }
        Ok(())
    }

    /// Takes over what the old roll-ups say of a table.
    async fn keep(&self, table: u32, writers: &mut Writers) -> Result<()> {
        let mut rows = Vec::new();
        for block in self.old.iter().filter(|block| block.has(table)) {
            let wanted = Wanted { table: Some(table), ..Wanted::ALL };
            let mut source = BlockRows::open(&self.shared.storage, &block.meta, wanted).await?;
            loop {
                source.next(&mut rows).await?;
                if rows.is_empty() {
                    break;
                }
                writers.write(self, block.meta.tier, &rows).await?;
            }
        }
        Ok(())
    }

    async fn roll(&self, table: u32, tier: Tier, all: RoaringBitmap, writers: &mut Writers) -> Result<()> {
        let source = match (self.job.level, tier) {
            (Level::Days, Tier::Second) => Tier::Minute,
            _ => tier,
        };
        let Some((finest, coarser)) = self.job.level.targets().split_first() else { return Ok(()) };
        let mut first = 0;
        loop {
            let mut roller = Roller::new(finest.width());
            let end = self.gather(table, source, (first, &all), &mut roller).await?;
            let mut longer: Vec<(Tier, Roller)> =
                coarser.iter().map(|tier| (*tier, Roller::new(tier.width()))).collect();
            let mut windows = roller.rows(table).peekable();
            while windows.peek().is_some() {
                let rows: Vec<Row> = windows.by_ref().take(WRITTEN_ROWS).collect();
                longer.iter_mut().try_for_each(|(_, roller)| roller.add(&rows))?;
                writers.write(self, *finest, &rows).await?;
                tokio::task::consume_budget().await;
            }
            for (tier, roller) in longer {
                let rows: Vec<Row> = roller.rows(table).collect();
                writers.write(self, tier, &rows).await?;
            }
            match end {
                Some(end) => first = end,
                None => return Ok(()),
            }
        }
    }

    /// Merges the windows of the series from `first` on. Answers from where on they are for another pass.
    async fn gather(
        &self,
        table: u32,
        source: Tier,
        (first, all): (u32, &RoaringBitmap),
        roller: &mut Roller,
    ) -> Result<Option<u32>> {
        let mut series = all.clone();
        series.remove_range(..first);
        let (mut end, mut rows) = (None, Vec::new());
        for block in self.sources.iter().filter(|block| block.meta.tier == source && block.has(table)) {
            let wanted = Wanted {
                table: Some(table),
                series: Some(series.clone()),
                from: self.job.slot,
                until: self.job.until(),
                figures: true,
            };
            let mut blocks = BlockRows::open(&self.shared.storage, &block.meta, wanted).await?;
            loop {
                blocks.next(&mut rows).await?;
                if rows.is_empty() {
                    break;
                }
                if let Some(end) = end {
                    rows.retain(|row| row.series < end);
                }
                roller.add(&rows)?;
                if roller.bytes() > MEMORY
                    && let Some(first) = roller.halve()
                {
                    end = Some(first);
                    series.remove_range(first..);
                }
                tokio::task::consume_budget().await;
            }
        }
        Ok(end)
    }
}

/// A block for each tier that has rows.
#[derive(Default)]
struct Writers(BTreeMap<Tier, BlockWriter>);

impl Writers {
    async fn write(&mut self, work: &Work, tier: Tier, rows: &[Row]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let shared = &work.shared;
        let writer = match self.0.entry(tier) {
            std::collections::btree_map::Entry::Occupied(writer) => writer.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let (range, created) = ((work.job.slot, work.job.until()), shared.clock.now().0);
                place.insert(BlockWriter::new(&shared.storage, shared.reserve_block(), tier, range, created)?)
            }
        };
        writer.write(rows).await
    }

    async fn finish(self, shared: &Arc<Shared>) -> Result<Vec<BlockMeta>> {
        let mut written = Vec::new();
        for writer in self.0.into_values() {
            match writer.finish(&|tables, fields| shared.names(tables, fields)).await {
                Ok(meta) => written.push(meta),
                Err(error) => {
                    shared.discard(&written).await;
                    return Err(error);
                }
            }
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(tier: Tier, from_hours: i64, hours: i64, created_hours: i64) -> BlockMeta {
        let (from, created) = (from_hours * HOUR, created_hours * HOUR);
        let until = from + hours * HOUR;
        BlockMeta {
            id: 1,
            format: 2,
            tier,
            from,
            until,
            rows: 1,
            bytes: 1,
            created,
            tables: vec![1],
            highest_series: None,
            quarantined: false,
            settled: false,
        }
    }

    fn check(blocks: &[BlockMeta], ups: &RollUps, now_minutes: i64, expected: &[(Level, i64)]) {
        let metas: Vec<&BlockMeta> = blocks.iter().collect();
        let found: Vec<(Level, i64)> = plan(&metas, ups, Timestamp(now_minutes * HOUR / 60))
            .into_iter()
            .map(|job| (job.level, job.slot / HOUR))
            .collect();
        assert_eq!(found, expected, "after {now_minutes} minutes");
    }

    #[test]
    fn slots_are_rolled_up_when_they_are_over_and_quiet_and_what_they_are_made_of_is() {
        let (minutes, days) = (Level::Minutes, Level::Days);
        let mut ups = RollUps::default();
        let raw = [block(Tier::Raw, 0, 2, 2), block(Tier::Raw, 22, 2, 24)];
        check(&raw, &ups, 25 * 60 - 1, &[]);
        check(&raw, &ups, 25 * 60, &[(days, 0)]);
        let late = [raw[0].clone(), block(Tier::Raw, 22, 2, 30)];
        check(&late, &ups, 30 * 60 + 14, &[]);
        check(&late, &ups, 30 * 60 + 15, &[(days, 0)]);
        let restless = [raw[0].clone(), block(Tier::Raw, 22, 2, 48)];
        check(&restless, &ups, 48 * 60, &[(days, 0)]);
        let quarantined = BlockMeta { quarantined: true, ..raw[0].clone() };
        check(&[quarantined], &ups, 48 * 60, &[]);
        // Days of seconds wait for their minutes.
        let seconds = [block(Tier::Second, 4, 1, 5), block(Tier::Minute, 2, 2, 25), raw[1].clone()];
        check(&seconds, &ups, 25 * 60, &[(minutes, 4)]);
        ups.finish(minutes, 4 * HOUR, BTreeSet::new(), BTreeSet::new());
        check(&seconds, &ups, 25 * 60, &[(days, 0)]);
        ups.finish(days, 0, BTreeSet::new(), BTreeSet::new());
        check(&seconds, &ups, 25 * 60, &[]);
        ups.note_row(Tier::Second, 1, 5 * HOUR);
        check(&seconds, &ups, 25 * 60, &[(minutes, 4)]);
        ups.finish(minutes, 4 * HOUR, BTreeSet::new(), BTreeSet::new());
        check(&seconds, &ups, 25 * 60, &[(days, 0)]);
        // Of what is deleted nothing is made.
        ups.keep_from(Tier::Raw, DAY);
        check(&seconds, &ups, 25 * 60, &[]);
    }
}
