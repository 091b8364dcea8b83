//! What is rolled up: which slots, and which tier a reader takes a stretch of time from.
//!
//! A **slot** is an aligned stretch of time that is rolled up as a whole. Once it is, every source row of it that
//! is in a block is in the roll-up too, but for the tables noted as *late*: of those came rows afterwards, so
//! readers take their source until the slot is rolled up again. Late rows come only where the source is still
//! whole, so that nothing is ever known by a roll-up alone and lost by doing it again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ranges::Ranges;
use crate::tier::{DAY, HOUR, Tier};

/// What is rolled up in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Windows shorter than a minute into minutes.
    Minutes,
    /// Windows of a minute or more, and those minutes, into hours and days.
    Days,
}

impl Level {
    pub(crate) const ALL: [Self; 2] = [Self::Minutes, Self::Days];

    /// Which writes this tier; none does for those that agents send.
    fn writing(tier: Tier) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.targets().contains(&tier))
    }

    /// Which reads this tier.
    pub(crate) fn reading(tier: Tier) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.sources().contains(&tier))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Minutes => "minutes",
            Self::Days => "days",
        }
    }

    pub(crate) fn sources(self) -> &'static [Tier] {
        match self {
            Self::Minutes => &[Tier::Second],
            Self::Days => &[Tier::Raw, Tier::Minute],
        }
    }

    /// The sources, and what they are made of.
    pub(crate) fn feeds(self) -> &'static [Tier] {
        match self {
            Self::Minutes => &[Tier::Second],
            Self::Days => &[Tier::Second, Tier::Raw, Tier::Minute],
        }
    }

    /// The finest first. A slot is within one stretch of each.
    pub(crate) fn targets(self) -> &'static [Tier] {
        match self {
            Self::Minutes => &[Tier::Minute],
            Self::Days => &[Tier::Hour, Tier::Day],
        }
    }

    pub(crate) fn slot(self) -> i64 {
        match self {
            Self::Minutes => 2 * HOUR,
            Self::Days => DAY,
        }
    }

    pub(crate) fn slot_of(self, at: i64) -> i64 {
        at.div_euclid(self.slot()) * self.slot()
    }

    /// The slots that `[from, until)` has a part of.
    pub(crate) fn slots(self, from: i64, until: i64) -> impl Iterator<Item = i64> {
        let (first, slot) = (self.slot_of(from), self.slot());
        (0..).map(move |n| first + n * slot).take_while(move |start| *start < until)
    }
}

/// What the manifest says of roll-ups.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RollUps {
    minutes: Done,
    days: Done,
    /// Windows of each tier that start before are deleted, and taken no more.
    kept_from: BTreeMap<Tier, i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Done {
    slots: Ranges,
    /// Tables of which rows came after their slot was rolled up.
    late: BTreeMap<i64, BTreeSet<u32>>,
    /// The same, of whose source a part cannot be read any more: they are not rolled up again, as that would lose what
    /// their roll-up has of it. Readers take the source as long as there is one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    apart: BTreeMap<i64, BTreeSet<u32>>,
}

impl RollUps {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn done(&self, level: Level) -> &Done {
        match level {
            Level::Minutes => &self.minutes,
            Level::Days => &self.days,
        }
    }

    fn done_mut(&mut self, level: Level) -> &mut Done {
        match level {
            Level::Minutes => &mut self.minutes,
            Level::Days => &mut self.days,
        }
    }

    pub(crate) fn is_rolled(&self, level: Level, slot: i64) -> bool {
        self.done(level).slots.contains(slot)
    }

    /// Whether there is something of the slot to be rolled up.
    pub(crate) fn is_due(&self, level: Level, slot: i64) -> bool {
        let done = self.done(level);
        !done.slots.contains(slot) || done.late.contains_key(&slot)
    }

    pub(crate) fn late(&self, level: Level, slot: i64) -> BTreeSet<u32> {
        self.done(level).late.get(&slot).cloned().unwrap_or_default()
    }

    pub(crate) fn late_or_apart(&self, level: Level, slot: i64) -> BTreeSet<u32> {
        let mut tables = self.late(level, slot);
        tables.extend(self.done(level).apart.get(&slot).into_iter().flatten());
        tables
    }

    /// All of the slot is rolled up, but for the late tables, and those that are read apart.
    pub(crate) fn finish(&mut self, level: Level, slot: i64, late: BTreeSet<u32>, apart: BTreeSet<u32>) {
        let done = self.done_mut(level);
        done.slots.insert(slot, slot + level.slot());
        done.late.remove(&slot);
        done.apart.remove(&slot);
        if !apart.is_empty() {
            done.apart.insert(slot, apart);
        }
        self.note_late(level, slot, late);
    }

    pub(crate) fn note_late(&mut self, level: Level, slot: i64, tables: BTreeSet<u32>) {
        let done = self.done_mut(level);
        if !tables.is_empty() && done.slots.contains(slot) {
            done.late.entry(slot).or_default().extend(tables);
        }
    }

    /// Rows of a window that starts at `start`, as agents sent it, come into a block.
    pub(crate) fn note_row(&mut self, tier: Tier, table: u32, start: i64) {
        for level in Level::ALL.into_iter().filter(|level| level.feeds().contains(&tier)) {
            let (slot, done) = (level.slot_of(start), self.done_mut(level));
            if done.slots.contains(slot) {
                done.late.entry(slot).or_default().insert(table);
            }
        }
    }

    /// A block of roll-ups cannot be read: what it is of is rolled up again, where its source is there.
    pub(crate) fn undo(&mut self, tier: Tier, from: i64, until: i64) {
        let Some(level) = Level::writing(tier) else { return };
        let whole = level.sources().iter().map(|source| self.kept_from(*source)).max().unwrap_or(i64::MIN);
        let slots: Vec<i64> = level.slots(from, until).filter(|slot| *slot >= whole).collect();
        let done = self.done_mut(level);
        for slot in slots {
            done.slots.remove(slot, slot + level.slot());
            done.late.remove(&slot);
            done.apart.remove(&slot);
        }
    }

    pub(crate) fn kept_from(&self, tier: Tier) -> i64 {
        self.kept_from.get(&tier).copied().unwrap_or(i64::MIN)
    }

    /// Windows of a tier, as agents send them, that start before are not taken: of one of the roll-ups that they are
    /// in there is no source any more.
    pub(crate) fn taken_from(&self, tier: Tier) -> i64 {
        let levels = Level::ALL.into_iter().filter(|level| level.feeds().contains(&tier));
        levels.flat_map(Level::sources).map(|source| self.kept_from(*source)).max().unwrap_or(i64::MIN)
    }

    pub(crate) fn keep_from(&mut self, tier: Tier, from: i64) {
        if from > self.kept_from(tier) {
            self.kept_from.insert(tier, from);
        }
    }

    /// Roll-ups of this tier before are not done again: no rows come there any more.
    pub(crate) fn settled(&self, tier: Tier) -> i64 {
        match Level::writing(tier) {
            None => i64::MAX,
            Some(Level::Minutes) => self.taken_from(Tier::Second),
            Some(Level::Days) => self.taken_from(Tier::Second).min(self.taken_from(Tier::Raw)),
        }
    }

    /// What of a table can be read from its roll-ups, the coarsest first, given where its windows in memory start.
    pub(crate) fn rolled(&self, table: u32, source: Tier, memory: &[i64]) -> Vec<Rolled> {
        let tiers: &[Tier] = match source {
            Tier::Second => &[Tier::Day, Tier::Hour, Tier::Minute],
            _ => &[Tier::Day, Tier::Hour],
        };
        let of_tier = |tier: &Tier| {
            let level = Level::writing(*tier)?;
            let done = self.done(level);
            let mut ranges = done.slots.clone();
            ranges.remove(i64::MIN, self.kept_from(*tier));
            let whole = level.sources().iter().map(|source| self.kept_from(*source)).max().unwrap_or(i64::MIN);
            let apart = done.apart.iter().filter(|(slot, _)| **slot >= whole);
            let late =
                done.late.iter().chain(apart).filter(|(_, tables)| tables.contains(&table)).map(|(slot, _)| *slot);
            let in_memory = memory.iter().map(|start| level.slot_of(*start));
            late.chain(in_memory).for_each(|slot| ranges.remove(slot, slot + level.slot()));
            (!ranges.is_empty()).then_some(Rolled { table, tier: *tier, ranges })
        };
        tiers.iter().filter_map(of_tier).collect()
    }
}

/// Where a table can be read from a tier of roll-ups.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rolled {
    pub(crate) table: u32,
    pub(crate) tier: Tier,
    pub(crate) ranges: Ranges,
}

/// A stretch of time, and what it is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) tier: Tier,
}

/// Divides `[from, until)` of a table among its tiers: each time is in one piece, of the coarsest tier that `fits` and
/// is there. Pieces of roll-ups are of whole windows, and of whole windows of `width`.
pub(crate) fn pieces(
    (table, source): (u32, Tier),
    (from, until): (i64, i64),
    rolled: &[Rolled],
    width: i64,
    fits: impl Fn(Tier) -> bool,
) -> Vec<Piece> {
    let mut rest = Ranges::default();
    rest.insert(from, until);
    let mut pieces = Vec::new();
    for Rolled { tier, ranges, .. } in rolled.iter().filter(|rolled| rolled.table == table && fits(rolled.tier)) {
        let width = tier.width().max(width);
        for (start, end) in ranges.within(from, until) {
            let of_both: Vec<(i64, i64)> = rest.within(start, end).collect();
            for (a, b) in of_both {
                let a = -(-a.max(start)).div_euclid(width) * width;
                let b = b.min(end).div_euclid(width) * width;
                if a < b {
                    pieces.push(Piece { from: a, until: b, tier: *tier });
                    rest.remove(a, b);
                }
            }
        }
    }
    pieces.extend(rest.iter().map(|(from, until)| Piece { from, until, tier: source }));
    pieces.sort_unstable_by_key(|piece| piece.from);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn each_time_is_in_one_piece_of_the_coarsest_tier() {
        let mut ups = RollUps::default();
        for day in [0, 1, 3] {
            ups.finish(Level::Days, day * DAY, BTreeSet::new(), BTreeSet::new());
        }
        ups.note_row(Tier::Raw, 7, 3 * DAY + 5);
        ups.keep_from(Tier::Hour, DAY);
        let check = |table: u32, range: (i64, i64), memory: &[i64], coarsest: Tier, expected: &[(i64, i64, Tier)]| {
            let rolled = ups.rolled(table, Tier::Raw, memory);
            let found = pieces((table, Tier::Raw), range, &rolled, 1, |tier| tier <= coarsest);
            let expected: Vec<Piece> =
                expected.iter().map(|(from, until, tier)| Piece { from: *from, until: *until, tier: *tier }).collect();
            assert_eq!(found, expected);
        };
        let (raw, hour, day) = (Tier::Raw, Tier::Hour, Tier::Day);
        check(1, (0, 5 * DAY), &[], raw, &[(0, 5 * DAY, raw)]);
        check(
            1,
            (0, 5 * DAY),
            &[],
            day,
            &[(0, 2 * DAY, day), (2 * DAY, 3 * DAY, raw), (3 * DAY, 4 * DAY, day), (4 * DAY, 5 * DAY, raw)],
        );
        // The hours of the first day are gone.
        check(1, (0, 2 * DAY), &[], hour, &[(0, DAY, raw), (DAY, 2 * DAY, hour)]);
        let (from, until) = (DAY + 90 * MINUTE, 2 * DAY - 90 * MINUTE);
        check(
            1,
            (from, until),
            &[],
            day,
            &[
                (from, DAY + 2 * HOUR, raw),
                (DAY + 2 * HOUR, 2 * DAY - 2 * HOUR, hour),
                (2 * DAY - 2 * HOUR, until, raw),
            ],
        );
        // Late ones, and windows in memory.
        check(7, (3 * DAY, 4 * DAY), &[], day, &[(3 * DAY, 4 * DAY, raw)]);
        check(1, (0, 2 * DAY), &[DAY + 1], day, &[(0, DAY, day), (DAY, 2 * DAY, raw)]);
    }

    #[test]
    fn late_rows_concern_every_level_that_they_went_into() {
        let mut ups = RollUps::default();
        ups.finish(Level::Minutes, 0, BTreeSet::new(), BTreeSet::new());
        ups.finish(Level::Days, 0, BTreeSet::new(), BTreeSet::new());
        assert!(!ups.is_due(Level::Minutes, 0) && !ups.is_due(Level::Days, 0) && ups.is_due(Level::Days, DAY));
        ups.note_row(Tier::Raw, 1, 5);
        assert!(!ups.is_due(Level::Minutes, 0) && ups.is_due(Level::Days, 0));
        ups.note_row(Tier::Second, 2, 5);
        assert_eq!((ups.late(Level::Minutes, 0), ups.late(Level::Days, 0)), ([2].into(), [1, 2].into()));
        // Of a slot that is not rolled up nothing is late.
        ups.note_row(Tier::Second, 2, DAY);
        assert!(ups.late(Level::Days, DAY).is_empty());
        ups.finish(Level::Days, 0, [1].into(), BTreeSet::new());
        assert_eq!(ups.late(Level::Days, 0), [1].into());
        ups.undo(Tier::Hour, 0, DAY);
        assert!(!ups.is_rolled(Level::Days, 0) && ups.is_rolled(Level::Minutes, 0));
        // What cannot be done again stays.
        ups.keep_from(Tier::Second, DAY);
        ups.undo(Tier::Minute, 0, DAY);
        assert!(ups.is_rolled(Level::Minutes, 0));
        let stored = serde_json::to_string(&ups).expect("written");
        assert_eq!(serde_json::from_str::<RollUps>(&stored).expect("read"), ups);
    }
}
