//! Merging sorted rows from many places into one sorted run without doubles.

use nightjar_model::delta::Partial;
use nightjar_model::{Error, Result};

use super::read::BlockRows;
use super::{Row, RowKey};
use crate::tier::Tier;

/// Sorted rows, from memory or from a block.
pub(crate) struct Cursor {
    rows: Vec<Row>,
    at: usize,
    /// Of the row that is next; none before the first, and where there are no rows left.
    key: Option<RowKey>,
    block: Option<BlockRows>,
}

impl Cursor {
    /// `rows` are sorted.
    pub(crate) fn rows(rows: Vec<Row>) -> Self {
        Self { rows, at: 0, key: None, block: None }
    }

    pub(crate) fn block(block: BlockRows) -> Self {
        Self { rows: Vec::new(), at: 0, key: None, block: Some(block) }
    }

    fn take(&mut self, tier: Tier) -> Option<(RowKey, Row)> {
        let row = self.rows.get_mut(self.at)?;
        // What stays behind is never looked at again.
        let partial = std::mem::replace(&mut row.partial, Partial::lines(0));
        let row = Row { partial, ..*row };
        self.at += 1;
        let next = self.rows.get(self.at).map(|row| row.key(tier));
        Some((std::mem::replace(&mut self.key, next)?, row))
    }

    async fn refill(&mut self, tier: Tier) -> Result<()> {
        if self.at == self.rows.len()
            && let Some(block) = &mut self.block
        {
            self.at = 0;
            block.next(&mut self.rows).await?;
            if self.rows.is_empty() {
                self.block = None;
            }
        }
        if self.key.is_none() {
            self.key = self.rows.get(self.at).map(|row| row.key(tier));
        }
        Ok(())
    }
}

/// Rows with large states come so many bytes at a time, however few they are.
const STATE_BYTES: usize = 4 << 20;

/// The rows of several cursors in order, those of one key merged.
pub(crate) struct Merge {
    tier: Tier,
    cursors: Vec<Cursor>,
    /// The last row, which the next ones may be parts of.
    pending: Option<(RowKey, Row)>,
}

impl Merge {
    /// Of rows of one tier.
    pub(crate) fn new(tier: Tier, cursors: Vec<Cursor>) -> Self {
        Self { tier, cursors, pending: None }
    }

    /// Appends about `wanted` rows to `rows`, fewer of large ones; none at the end.
    pub(crate) async fn next(&mut self, wanted: usize, rows: &mut Vec<Row>) -> Result<()> {
        let (target, mut bytes) = (rows.len() + wanted.max(1), 0);
        while rows.len() < target && bytes < STATE_BYTES {
            for cursor in &mut self.cursors {
                cursor.refill(self.tier).await?;
            }
            self.cursors.retain(|cursor| cursor.key.is_some());
            if self.cursors.is_empty() {
                rows.extend(self.pending.take().map(|(_, row)| row));
                return Ok(());
            }
            self.drain(target, rows, &mut bytes)?;
        }
        Ok(())
    }

    /// Merges until a cursor must be refilled.
    fn drain(&mut self, target: usize, rows: &mut Vec<Row>, bytes: &mut usize) -> Result<()> {
        while rows.len() < target && *bytes < STATE_BYTES {
            let first = self.cursors.iter_mut().min_by_key(|cursor| cursor.key);
            let Some(cursor) = first else { return Ok(()) };
            let Some((key, row)) = cursor.take(self.tier) else { return Ok(()) };
            let exhausted = cursor.key.is_none();
            match &mut self.pending {
                Some((last, pending)) if *last == key => {
                    pending.partial.merge(&row.partial).map_err(|error| Error::internal(error.to_string()))?;
                }
                pending => {
                    if let Some((_, row)) = pending.replace((key, row)) {
                        *bytes += row.partial.heap_bytes();
                        rows.push(row);
                    }
                }
            }
            if exhausted {
                return Ok(());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests;
