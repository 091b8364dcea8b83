//! The workers of a scan, and the one order in which their pieces are put together.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::bail;
use nightjar_model::Timestamp;

use super::chunks::ChunkReader;
use crate::pipeline::{Gathered, Pipeline};

/// More windows × keys than this are not held.
const MAX_ROWS: usize = 5_000_000;

/// Pieces that may wait for an earlier one, for each worker.
const WAITING: usize = 4;

/// What the workers share once a piece is counted.
struct Together {
    whole: Pipeline,
    /// The piece to be put in next.
    next: u64,
    waiting: BTreeMap<u64, Gathered>,
    spare: Vec<Gathered>,
    error: Option<anyhow::Error>,
    /// A worker has ended without its piece.
    abandoned: bool,
}

struct Crew {
    reader: Mutex<ChunkReader>,
    together: Mutex<Together>,
    moved: Condvar,
    most_waiting: usize,
    /// One for all pieces: what a time without a year is near.
    now: Timestamp,
}

/// Counts everything `reader` yields, as of `now`; answers the whole and the bytes read.
pub(super) fn count(
    reader: ChunkReader,
    compile: impl Fn() -> anyhow::Result<Pipeline>,
    workers: usize,
    now: Timestamp,
) -> anyhow::Result<(Pipeline, u64)> {
    let whole = compile()?;
    let parts: Vec<Pipeline> =
        (0..workers).map(|_| Ok(compile()?.into_part_of(&whole))).collect::<anyhow::Result<_>>()?;
    let together =
        Together { whole, next: 0, waiting: BTreeMap::new(), spare: Vec::new(), error: None, abandoned: false };
    let crew = Crew {
        reader: Mutex::new(reader),
        together: Mutex::new(together),
        moved: Condvar::new(),
        most_waiting: WAITING * workers,
        now,
    };
    std::thread::scope(|scope| {
        for part in parts {
            scope.spawn(|| crew.work(part));
        }
    });
    let bytes = crew.reader.into_inner().unwrap_or_else(PoisonError::into_inner).bytes;
    let together = crew.together.into_inner().unwrap_or_else(PoisonError::into_inner);
    match together.error {
        Some(error) => Err(error),
        None => Ok((together.whole, bytes)),
    }
}

impl Crew {
    fn work(&self, mut part: Pipeline) {
        let leaving = Leaving(self);
        let mut buffer = Vec::new();
        loop {
            // The file is read under the lock, one piece at a time: pieces are numbered in its order.
            let chunk = self.reader.lock().unwrap_or_else(PoisonError::into_inner).next(&mut buffer);
            let chunk = match chunk {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => {
                    self.lock().error.get_or_insert(error);
                    break;
                }
            };
            part.feed_block(&buffer[..chunk.length], &chunk.path, self.now);
            let spare = self.lock().spare.pop();
            if !self.put_in(chunk.sequence, part.take_gathered(spare)) {
                break;
            }
        }
        std::mem::forget(leaving);
    }

    /// Puts in a piece, and whatever was waiting for it. False: there is no point in going on.
    fn put_in(&self, sequence: u64, gathered: Gathered) -> bool {
        let mut together = self.lock();
        together.waiting.insert(sequence, gathered);
        if let Err(error) = together.put_in_waiting() {
            together.error.get_or_insert(error);
        }
        self.moved.notify_all();
        while together.waiting.len() > self.most_waiting && !together.is_over() {
            together = self.moved.wait(together).unwrap_or_else(PoisonError::into_inner);
        }
        !together.is_over()
    }

    fn lock(&self) -> MutexGuard<'_, Together> {
        self.together.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Together {
    fn put_in_waiting(&mut self) -> anyhow::Result<()> {
        while let Some(gathered) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.whole.absorb(&gathered);
            self.spare.push(gathered);
            if self.whole.pending_keys() > MAX_ROWS {
                bail!("the result has more than {MAX_ROWS} rows; group by fewer columns, or lower limits.max_keys");
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.error.is_some() || self.abandoned
    }
}

/// Wakes the others when a worker panics: they would wait for its piece for ever.
struct Leaving<'a>(&'a Crew);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.lock().abandoned = true;
        self.0.moved.notify_all();
    }
}
