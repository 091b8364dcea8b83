//! A place in a file that monitors have read up to, and how what is before it is known again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use nightjar_model::Timestamp;

use super::known::{Look, read_full, without_trailing_nuls};
use super::positions::{CursorPosition, FormerPosition, Mark};
use super::trail::Trail;

/// The bytes before a cursor, by which the place is known again at every read.
pub(super) const TAIL_BYTES: usize = 64;
/// Looked at where a monitor begins at the end of a file: for the last line end, and to know it again.
const END_BYTES: u64 = 64 << 10;
/// Of a place found anew in a changed file, so much before it is taken down.
const TRAIL_BYTES: u64 = 64 << 20;

#[derive(Debug, Clone, Default)]
pub(crate) struct Cursor {
    pub(crate) offset: u64,
    /// In the rest of a line that was handed out: nothing is, up to its end.
    pub(crate) skipping: bool,
    /// That line was not cut for its length: it had no end for long.
    pub(crate) early: bool,
    /// The size of the file when a monitor began at its end. A last line without an end that was there
    /// then is none of its lines.
    pub(crate) inherited: u64,
    pub(crate) tail: Mark,
    pub(crate) trail: Trail,
    /// What was read of the content before this one, while this may yet become it again.
    pub(crate) former: Option<Former>,
    /// With the time of the last line each read here.
    pub(crate) monitors: BTreeMap<String, Option<Timestamp>>,
}

/// A cursor whose content was cut or replaced by what may be its beginning.
#[derive(Debug, Clone)]
pub(crate) struct Former {
    pub(crate) cursor: Box<Cursor>,
    /// The beginning of that content.
    pub(crate) head: Mark,
    pub(crate) since: Timestamp,
    /// It was looked at after a while and is what was kept of that: so it stays until it changes.
    pub(super) settled: Option<Look>,
}

impl Cursor {
    pub(crate) fn at_start(monitors: impl IntoIterator<Item = String>) -> Self {
        let monitors = monitors.into_iter().map(|monitor| (monitor, None)).collect();
        Self { monitors, ..Self::default() }
    }

    /// Behind the last line end of `file`, so that the line being written is still read whole.
    pub(crate) fn at_end(file: &File, size: u64) -> io::Result<Self> {
        let mut block = vec![0; END_BYTES.min(size) as usize];
        let from = size - block.len() as u64;
        let got = read_full(file, &mut block, from)?;
        let block = &block[..got];
        // Room that was made for lines to come is no part of one.
        let text = without_trailing_nuls(block).len();
        let (kept, skipping) = match memchr::memrchr(b'\n', &block[..text]) {
            Some(at) => (at + 1, false),
            None if from == 0 => (0, false),
            None => (text, true),
        };
        let tail = Mark::of(&block[kept.saturating_sub(TAIL_BYTES)..kept]);
        let mut trail = Trail::from(from);
        trail.push(&block[..kept]);
        Ok(Self { offset: from + kept as u64, skipping, inherited: size, tail, trail, ..Self::default() })
    }

    /// The same monitors at another place of `file`; in the middle of a line, behind it.
    pub(super) fn moved_to(&self, file: &File, offset: u64) -> io::Result<Self> {
        let trail = Trail::of_file(file, offset.saturating_sub(TRAIL_BYTES), offset)?;
        let mut tail = [0; TAIL_BYTES];
        let length = offset.min(TAIL_BYTES as u64);
        let got = read_full(file, &mut tail[..length as usize], offset - length)?;
        let tail = &tail[..got];
        Ok(Self {
            offset,
            skipping: tail.last().is_some_and(|last| *last != b'\n'),
            tail: Mark::of(tail),
            trail,
            monitors: self.monitors.clone(),
            ..Self::default()
        })
    }

    /// What it knows of what was read, whatever stands there now.
    pub(super) fn known(&self) -> &Self {
        self.former.as_ref().map_or(self, |former| &former.cursor)
    }

    /// The beginning of the content that it [knows](Self::known), where that of the present one is `head`.
    pub(super) fn known_head(&self, head: Mark) -> Mark {
        self.former.as_ref().map_or(head, |former| former.head)
    }

    /// At `offset` of what may become the content again that was read, which had this `head`.
    pub(super) fn held(&self, file: &File, offset: u64, head: Mark, now: Timestamp) -> io::Result<Self> {
        let former = self.former.clone().unwrap_or_else(|| Former {
            cursor: Box::new(Self { monitors: BTreeMap::new(), ..self.clone() }),
            head,
            since: now,
            settled: None,
        });
        Ok(Self { former: Some(former), ..self.moved_to(file, offset)? })
    }

    /// Whether the bytes before it are in `file`.
    pub(crate) fn stands_in(&self, file: &File) -> io::Result<bool> {
        let length = self.tail.length;
        Ok(length == 0 || Mark::read(file, self.offset - u64::from(length), length)? == self.tail)
    }

    pub(super) fn from_position(position: &CursorPosition, now: Timestamp) -> Self {
        let trail = |trail: &Option<Trail>, offset: u64| {
            let known = trail.clone().filter(|trail| trail.end() == offset);
            known.unwrap_or_else(|| Trail::from(offset))
        };
        let former = position.former.as_ref().map(|former| Former {
            cursor: Box::new(Self {
                offset: former.offset,
                tail: former.tail,
                trail: trail(&former.trail, former.offset),
                ..Self::default()
            }),
            head: former.head,
            since: now,
            settled: None,
        });
        Self {
            offset: position.offset,
            skipping: position.skipping,
            early: position.early,
            inherited: position.inherited,
            tail: position.tail,
            trail: trail(&position.trail, position.offset),
            former,
            monitors: position.monitors.iter().map(|monitor| (monitor.clone(), None)).collect(),
        }
    }

    pub(super) fn position(&self) -> CursorPosition {
        let former = |former: &Former| FormerPosition {
            offset: former.cursor.offset,
            head: former.head,
            tail: former.cursor.tail,
            trail: Some(former.cursor.trail.clone()),
        };
        CursorPosition {
            offset: self.offset,
            skipping: self.skipping,
            early: self.early,
            inherited: self.inherited,
            tail: self.tail,
            trail: Some(self.trail.clone()),
            former: self.former.as_ref().map(former),
            monitors: self.monitors.keys().cloned().collect(),
        }
    }
}

/// Cursors at one place become one, so that what follows is read once.
pub(super) fn merge_cursors(cursors: &mut Vec<Cursor>) {
    if cursors.len() < 2 {
        return;
    }
    cursors.retain(|cursor| !cursor.monitors.is_empty());
    cursors.sort_by_key(|cursor| (cursor.former.is_some(), cursor.offset, cursor.skipping, cursor.trail.base));
    cursors.dedup_by(|later, earlier| {
        let same = later.offset == earlier.offset
            && later.skipping == earlier.skipping
            // What was there before is no line of a monitor that began at the end.
            && (later.inherited == earlier.inherited || later.offset >= later.inherited.max(earlier.inherited))
            && later.former.is_none()
            && earlier.former.is_none();
        if same {
            earlier.monitors.append(&mut later.monitors);
            earlier.inherited = earlier.inherited.min(later.inherited);
        }
        same
    });
}
