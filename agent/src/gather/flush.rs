//! Making journal records of what was counted.

use std::time::Duration;

use nightjar_model::Timestamp;
use nightjar_model::delta::{MonitorDelta, Watermark, WindowDelta};
use nightjar_model::names::MonitorKey;
use nightjar_model::protocol::encode_gathered;

use super::Gatherer;
use super::monitors::Running;
use crate::journal::JournalError;
use crate::tail::PositionChanges;

/// A record's payload holds at most about this much, uncompressed. The server takes several times as much to decode
/// one, and a core of its for as long.
const PAYLOAD_BYTES: usize = 1 << 20;
const LEVEL: i32 = 3;
/// In place of a watermark, with a gap that is told alone.
const NOT_KNOWN: Timestamp = Timestamp(0);
/// A clock that is back by more than this since the last flush was set back; by less, it is slewed, and
/// soon where it was.
const SET_BACK: Duration = Duration::from_secs(5);

/// What was taken out of the monitors and the tailer and is not in the journal yet.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) deltas: Vec<MonitorDelta>,
    changes: PositionChanges,
    /// Made of the above, and refused by the journal: nothing is added until it is in.
    stuck: Option<Stuck>,
}

struct Stuck {
    payloads: Vec<Vec<u8>>,
    changes: PositionChanges,
}

/// A watermark that is further than was told, or a gap before it.
struct Moved {
    slot: usize,
    through: Timestamp,
    /// Worth a record of its own.
    is_news: bool,
}

impl Gathered {
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.is_some()
    }
}

impl Gatherer {
    /// Takes what was counted out of the monitors, together with the positions it came from.
    pub(super) fn collect(&mut self) {
        let now = self.shared.clock.now();
        for running in self.monitors.iter_mut().flatten() {
            let uid = (!running.uid.is_empty()).then(|| running.uid.clone());
            let drained = running.pipeline.drain().map(|delta| MonitorDelta { uid: uid.clone(), ..delta });
            self.gathered.deltas.extend(drained);
            let intake = running.pipeline.drain_intake();
            if !intake.is_empty() {
                self.intake.entry(running.name.clone()).or_default().add(&intake);
            }
            // They were logged, and nobody can say in which minute: none since the last watermark has all of its
            // lines. With a zone known later they are not read again.
            if running.pipeline.take_lacked_zone() {
                running.gap = running.gap.max(Some(now));
            }
            for (reason, count) in running.take_faults().collect::<Vec<_>>() {
                *self.faults.entry((running.name.clone(), reason)).or_default() += count;
            }
        }
        self.gathered.changes.extend(self.tailer.take_changes());
    }

    /// Makes a record of all that was counted, unless there is nothing to tell. That a window is over
    /// for a monitor is worth telling alone.
    pub(super) fn flush(&mut self, now: Timestamp) {
        if self.last_flush.since(now) > SET_BACK {
            self.forget_watermarks(now);
        }
        self.last_flush = now;
        if let Some(stuck) = self.gathered.stuck.take()
            && !self.append(stuck.payloads, stuck.changes)
        {
            return;
        }
        self.collect();
        let accounted = self.account(now);
        let nothing = self.gathered.deltas.is_empty() && self.gathered.changes.is_empty();
        let moved = self.moved_watermarks();
        let is_news = moved.iter().any(|moved| moved.is_news) || !accounted.is_empty();
        if !nothing || is_news {
            let mut watermarks: Vec<Watermark> = moved.into_iter().map(|moved| self.tell(moved)).collect();
            watermarks.extend(accounted);
            let deltas = std::mem::take(&mut self.gathered.deltas);
            let changes = std::mem::take(&mut self.gathered.changes);
            if !self.append(payloads(deltas, &watermarks), changes) {
                return;
            }
        }
        if let Some(applied) = self.applying.take() {
            self.shared.applied.send_replace(applied);
        }
    }

    fn append(&mut self, payloads: Vec<Vec<u8>>, changes: PositionChanges) -> bool {
        let outcome = self.shared.journal().append(&payloads, &changes);
        match outcome {
            Ok(()) => {
                self.shared.appended.notify_one();
                true
            }
            Err(error) => {
                if let (JournalError::Io { source, .. }, false) = (&error, self.paused) {
                    tracing::error!(%error, cause = %source, "a record cannot be written; it is kept in memory");
                }
                self.gathered.stuck = Some(Stuck { payloads, changes });
                false
            }
        }
    }

    /// After the clock was set back. A clock that was ahead has told watermarks that lie ahead; held to
    /// them, no minute would be complete until it is that time again. The server takes nothing back by a
    /// lower one, and needs not: it holds watermarks to its own clock, so those that are told from here
    /// on are further than what it kept. Only where its clock was ahead too, it passes them over until
    /// that time; those minutes count as complete already, and as revised where more comes.
    fn forget_watermarks(&mut self, now: Timestamp) {
        tracing::warn!(from = %self.last_flush, to = %now, "the clock was set back; watermarks are told anew");
        for running in self.monitors.iter_mut().flatten() {
            running.watermark = None;
        }
        self.accounted = None;
    }

    /// The watermarks that moved since they were last told. They go back with the clock alone.
    fn moved_watermarks(&self) -> Vec<Moved> {
        let moved = |(slot, running): (usize, &Option<Running>)| {
            let running = running.as_ref()?;
            let before = running.watermark;
            let Some(through) = self.tailer.through(&running.name).max(before) else {
                // A gap does not wait for a watermark: what it is for is not read again after a restart.
                return running.gap.map(|_| Moved { slot, through: NOT_KNOWN, is_news: true });
            };
            let width = running.width();
            let over_a_window = before.is_none_or(|before| through.floor(width) > before.floor(width));
            let is_news = over_a_window || running.gap.is_some();
            (is_news || before.is_none_or(|before| through > before)).then_some(Moved { slot, through, is_news })
        };
        self.monitors.iter().enumerate().filter_map(moved).collect()
    }

    fn tell(&mut self, moved: Moved) -> Watermark {
        let mut told = Watermark::new(MonitorKey::new(&self.workspace, ""), moved.through);
        if let Some(running) = self.monitors.get_mut(moved.slot).and_then(Option::as_mut) {
            running.watermark = Some(moved.through).filter(|through| *through != NOT_KNOWN);
            told.monitor.name.clone_from(&running.name);
            told.uid = Some(running.uid.clone()).filter(|uid| !uid.is_empty());
            told.gap = running.gap.take();
        }
        told
    }
}

/// Encodes in as many pieces as keep each within what travels. Watermarks are in the last: they hold
/// once all of it is there.
fn payloads(deltas: Vec<MonitorDelta>, watermarks: &[Watermark]) -> Vec<Vec<u8>> {
    let mut pieces: Vec<Vec<MonitorDelta>> = vec![Vec::new()];
    let mut room = PAYLOAD_BYTES;
    for mut delta in deltas {
        loop {
            let fits = windows_that_fit(&delta, room);
            let rest = delta.windows.split_off(fits);
            let more = !rest.is_empty();
            let next = MonitorDelta { windows: rest, ..empty_like(&delta) };
            if !delta.windows.is_empty() {
                room = room.saturating_sub(delta.windows.iter().map(window_bytes).sum());
                if let Some(piece) = pieces.last_mut() {
                    piece.push(delta);
                }
            }
            if !more {
                break;
            }
            pieces.push(Vec::new());
            room = PAYLOAD_BYTES;
            delta = next;
        }
    }
    let last = pieces.len() - 1;
    let encode = |(index, piece): (usize, &Vec<MonitorDelta>)| {
        let encoded = encode_gathered(piece, if index == last { watermarks } else { &[] });
        // Compressing into memory fails for want of memory alone. As with any allocation the process ends
        // then, and as the positions are not journalled, nothing is lost.
        zstd::bulk::compress(&encoded, LEVEL)
            .unwrap_or_else(|_| std::alloc::handle_alloc_error(std::alloc::Layout::for_value(encoded.as_slice())))
    };
    pieces.iter().enumerate().map(encode).collect()
}

fn empty_like(delta: &MonitorDelta) -> MonitorDelta {
    MonitorDelta {
        monitor: delta.monitor.clone(),
        uid: delta.uid.clone(),
        width: delta.width.max(Duration::from_millis(1)),
        group_by: delta.group_by.clone(),
        fields: delta.fields.clone(),
        windows: Vec::new(),
    }
}

/// An upper bound of what a window takes when encoded.
fn window_bytes(window: &WindowDelta) -> usize {
    let partials = window.partials.iter().map(|partial| 72 + partial.heap_bytes()).sum::<usize>();
    24 + window.keys.iter().map(|key| key.len() + 4).sum::<usize>() + partials
}

fn windows_that_fit(delta: &MonitorDelta, room: usize) -> usize {
    let mut used = 0;
    let fitting = delta.windows.iter().take_while(|window| {
        used += window_bytes(window);
        used <= room
    });
    let count = fitting.count();
    // A piece holds at least one window, however large.
    if count == 0 && room == PAYLOAD_BYTES { 1 } else { count }
}

#[cfg(test)]
mod tests {
    use nightjar_model::delta::Partial;
    use nightjar_model::protocol::decode_gathered;

    use super::*;

    fn delta(windows: usize, key_bytes: usize) -> MonitorDelta {
        let window = |no: usize| WindowDelta {
            start: Timestamp(0),
            keys: vec![format!("{no:0key_bytes$}")],
            partials: vec![Partial::lines(1)],
        };
        MonitorDelta {
            monitor: MonitorKey::new("w", "m"),
            uid: None,
            width: Duration::from_secs(60),
            group_by: vec!["k".into()],
            fields: vec!["*".into()],
            windows: (0..windows).map(window).collect(),
        }
    }

    #[test]
    fn large_ones_are_cut_and_nothing_is_lost() {
        let watermarks = [Watermark::new(MonitorKey::new("w", "m"), Timestamp(9))];
        let payloads = payloads(vec![delta(3, 8), delta(60_000, 200), delta(2, 8)], &watermarks);
        assert!(payloads.len() > 2);
        let mut windows = 0;
        for (index, payload) in payloads.iter().enumerate() {
            let encoded = zstd::stream::decode_all(payload.as_slice()).unwrap();
            assert!(encoded.len() <= PAYLOAD_BYTES);
            let (deltas, marks) = decode_gathered("w", &encoded).unwrap();
            assert_eq!(marks.is_empty(), index + 1 < payloads.len());
            windows += deltas.iter().map(|d| d.windows.len()).sum::<usize>();
        }
        assert_eq!(windows, 60_005);
    }
}
