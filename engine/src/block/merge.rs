//! Merging sorted rows from many places into one sorted run without doubles.

use nightjar_model::delta::Partial;
use nightjar_model::{Error, Result};

use super::Row;
use super::read::BlockRows;
use crate::tier::Tier;

/// Sorted rows, from memory or from a block.
pub(crate) struct Cursor {
    rows: Vec<Row>,
    at: usize,
    block: Option<BlockRows>,
}

impl Cursor {
    /// `rows` are sorted.
    pub(crate) fn rows(rows: Vec<Row>) -> Self {
        Self { rows, at: 0, block: None }
    }

    pub(crate) fn block(block: BlockRows) -> Self {
        Self { rows: Vec::new(), at: 0, block: Some(block) }
    }

    fn head(&self) -> Option<&Row> {
        self.rows.get(self.at)
    }

    fn take(&mut self) -> Option<Row> {
        let row = self.rows.get_mut(self.at)?;
        self.at += 1;
        // What stays behind is never looked at again.
        let partial = std::mem::replace(&mut row.partial, Partial::lines(0));
        Some(Row { partial, ..*row })
    }

    async fn refill(&mut self) -> Result<()> {
        if self.at == self.rows.len()
            && let Some(block) = &mut self.block
        {
            self.at = 0;
            block.next(&mut self.rows).await?;
            if self.rows.is_empty() {
                self.block = None;
            }
        }
        Ok(())
    }
}

/// The rows of several cursors in order, those of one key merged.
pub(crate) struct Merge {
    tier: Tier,
    cursors: Vec<Cursor>,
    /// The last row, which the next ones may be parts of.
    pending: Option<Row>,
}

impl Merge {
    /// Of rows of one tier.
    pub(crate) fn new(tier: Tier, cursors: Vec<Cursor>) -> Self {
        Self { tier, cursors, pending: None }
    }

    /// Appends about `wanted` rows to `rows`; none at the end.
    pub(crate) async fn next(&mut self, wanted: usize, rows: &mut Vec<Row>) -> Result<()> {
        let target = rows.len() + wanted.max(1);
        while rows.len() < target {
            for cursor in &mut self.cursors {
                cursor.refill().await?;
            }
            self.cursors.retain(|cursor| cursor.head().is_some());
            if self.cursors.is_empty() {
                rows.extend(self.pending.take());
                return Ok(());
            }
            self.drain(target, rows)?;
        }
        Ok(())
    }

    /// Merges until a cursor must be refilled.
    fn drain(&mut self, target: usize, rows: &mut Vec<Row>) -> Result<()> {
        let tier = self.tier;
        while rows.len() < target {
            let first = self.cursors.iter_mut().min_by_key(|cursor| cursor.head().map(|row| row.key(tier)));
            let Some(cursor) = first else { return Ok(()) };
            let Some(row) = cursor.take() else { return Ok(()) };
            let exhausted = cursor.at == cursor.rows.len();
            match &mut self.pending {
                Some(last) if last.key(tier) == row.key(tier) => {
                    last.partial.merge(&row.partial).map_err(|error| Error::internal(error.to_string()))?;
                }
                pending => rows.extend(pending.replace(row)),
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
