//! The thread that reads, counts and journals: polls the [`Tailer`], feeds the compiled monitors, and
//! at every flush makes of all that was counted, and of the positions it came from, one record.
//!
//! While the journal is full, or its disk, reading pauses: the log files are the buffer. What was
//! gathered stays in memory and is written first when there is room.

mod account;
mod flush;
mod monitors;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nightjar_model::builtin::Intake;
use nightjar_model::delta::FaultReason;
use nightjar_model::{Span, Timestamp};

use self::flush::Gathered;
use self::monitors::Running;
use crate::guard::Guard;
use crate::pipeline::{HostFacts, Pipeline};
use crate::shared::{Applied, Reports, Shared};
use crate::tail::{GRACE_MILLIS, Sink, Tailer};
use crate::zone::HostZone;

/// Between two looks at the files.
const POLL_EVERY: Duration = Duration::from_millis(400);
const POLL_AT_MOST_EVERY: Duration = Duration::from_secs(10);
/// A look may take this part of one core.
const POLL_SHARE: u32 = 300;
/// Read before flushing or looking for rotation is considered again.
const BUDGET_BYTES: usize = 8 << 20;
/// So many keys in open windows make a flush.
const MAX_PENDING_KEYS: usize = 20_000;
/// With so many records waiting for the server, flushes are made rarer: fewer records of the same windows.
const MANY_UNACKED: u64 = 256;
/// So many files of each monitor are told by device and inode.
const FILES_TOLD: usize = 16;
const SLOW_FLUSH: Duration = Duration::from_secs(15);
const MINUTE: Duration = Duration::from_secs(60);
/// Between two flushes of an agent that has just begun or is behind, at least.
const QUICK_FLUSH: Duration = Duration::from_millis(100);
/// Flushes come this much rarer than an agent has lived.
const FLUSH_SHARE: u32 = 8;
/// As [`BUDGET_BYTES`], as long as an agent has not caught up yet.
const FIRST_BUDGET_BYTES: usize = 1 << 20;

pub(crate) struct Gatherer {
    shared: Arc<Shared>,
    workspace: String,
    host: HostFacts,
    flush_interval: Duration,
    tailer: Tailer,
    /// By slot; a slot keeps its monitor through changes of it.
    monitors: Vec<Option<Running>>,
    /// Refused and not running in an earlier form either: how often, and why.
    refused: BTreeMap<String, (u64, String)>,
    /// Counted since the last record, by monitor.
    faults: BTreeMap<(String, FaultReason), u64>,
    /// Read since the last record, by monitor.
    intake: BTreeMap<String, Intake>,
    /// Up to when what was read and what could not be used is told.
    accounted: Option<Timestamp>,
    /// Taken out of the monitors, not yet in the journal.
    gathered: Gathered,
    /// To be told once the positions it begins with are in the journal.
    applying: Option<Applied>,
    last_flush: Timestamp,
    begun: Timestamp,
    /// All that was there at the beginning has been read, and is in the journal.
    caught_up: bool,
    last_discovery: Instant,
    /// Whether it is known who wants which lines: until then none is read, it would be nobody's.
    configured: bool,
    /// Start of the last window of the narrowest monitor, or minute, after which all was flushed at once.
    closed: Timestamp,
    paused: bool,
    /// Says what the host's zone is.
    find_zone: fn() -> HostZone,
    /// The minute in which it was last asked.
    zone_asked: Timestamp,
}

impl Gatherer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        workspace: String,
        host: HostFacts,
        flush_interval: Span,
        guard: Guard,
    ) -> Self {
        let now = shared.clock.now();
        let tailer = Tailer::new(shared.journal().positions(), guard, now);
        Self {
            shared,
            workspace,
            host,
            flush_interval: flush_interval.0,
            tailer,
            monitors: Vec::new(),
            refused: BTreeMap::new(),
            faults: BTreeMap::new(),
            intake: BTreeMap::new(),
            accounted: None,
            gathered: Gathered::default(),
            applying: None,
            last_flush: now,
            begun: now,
            caught_up: false,
            last_discovery: Instant::now(),
            configured: false,
            closed: closed_window(now, MINUTE),
            paused: false,
            find_zone: HostZone::of_this_machine,
            zone_asked: now.floor(MINUTE),
        }
    }

    /// Gathers until it is asked to stop, and then flushes once more.
    pub(crate) fn run(mut self) {
        let mut wait = Duration::ZERO;
        loop {
            let configuration = self.shared.wait(wait);
            if self.shared.is_stopping() {
                break;
            }
            if let Some(configuration) = configuration {
                self.apply(configuration);
            }
            wait = self.round();
        }
        let now = self.shared.clock.now();
        self.flush(now);
        tracing::info!("what was counted is in the journal");
    }

    /// Looks at the files, reads what is new, flushes if it is time; says how long there is nothing to do.
    fn round(&mut self) -> Duration {
        self.look_at_zone();
        let cost = self.discover();
        loop {
            let now = self.shared.clock.now();
            let more = !self.is_paused() && self.read(now);
            self.flush_if_due(now, more);
            if !more || self.shared.is_stopping() {
                break;
            }
            if self.last_discovery.elapsed() >= POLL_EVERY {
                self.discover();
            }
        }
        let now = self.shared.clock.now();
        let grace = Duration::from_millis(GRACE_MILLIS as u64 + 2);
        let until_closed = self.closed.saturating_add(2 * self.narrowest() + grace);
        (cost * POLL_SHARE).clamp(POLL_EVERY, POLL_AT_MOST_EVERY).min(until_closed.since(now).max(POLL_EVERY / 8))
    }

    fn discover(&mut self) -> Duration {
        if !self.configured {
            return Duration::ZERO;
        }
        let begun = Instant::now();
        self.tailer.discover(self.shared.clock.now());
        for fault in self.tailer.take_faults() {
            if let Some(running) = self.monitors.iter_mut().flatten().find(|m| m.name == fault.monitor) {
                running.tail_fault(fault.reason, fault.count, &fault.example);
                running.gap = running.gap.max(fault.gap);
            }
        }
        self.last_discovery = Instant::now();
        begun.elapsed()
    }

    fn read(&mut self, now: Timestamp) -> bool {
        if !self.configured {
            return false;
        }
        let mut feed = Feed { monitors: &mut self.monitors, now };
        let budget = if self.caught_up { BUDGET_BYTES } else { FIRST_BUDGET_BYTES };
        self.tailer.read(budget, now, &mut feed)
    }

    fn is_paused(&mut self) -> bool {
        let full = self.shared.journal().is_full();
        let paused = full || self.gathered.is_stuck();
        if paused != self.paused {
            self.paused = paused;
            match (paused, full) {
                (true, true) => tracing::warn!("the journal is at its limit: reading pauses until the server is back"),
                (true, false) => tracing::warn!("the journal cannot be written: reading pauses until it can"),
                (false, _) => tracing::info!("reading goes on"),
            }
        }
        paused
    }

    /// How long what was read may wait for its record. An agent that has just begun may not live long (it
    /// is killed for want of memory, again and again): what it has caught up with must not be lost with
    /// it, or the next one begins where it began. So records come at once at first, then ever rarer.
    fn flush_every(&self, now: Timestamp) -> Duration {
        let many = self.shared.journal().stats().unacked_records >= MANY_UNACKED;
        let longest = if many { self.flush_interval.max(SLOW_FLUSH) } else { self.flush_interval };
        let lived = if self.caught_up { now.since(self.begun) } else { Duration::ZERO };
        (lived / FLUSH_SHARE).max(QUICK_FLUSH).min(longest)
    }

    /// `more`: there is more to be read.
    fn flush_if_due(&mut self, now: Timestamp, more: bool) {
        let closed = closed_window(now, self.narrowest());
        let window_over = closed > self.closed;
        let pending: usize = self.monitors.iter().flatten().map(|m| m.pipeline.pending_keys()).sum();
        // A clock that was set back must not stop the flushes.
        let first = self.configured && !self.caught_up && !more;
        self.caught_up |= first;
        let due = first || now.since(self.last_flush) >= self.flush_every(now) || now < self.last_flush;
        if window_over || due || pending >= MAX_PENDING_KEYS || self.gathered.is_stuck() || self.applying.is_some() {
            self.flush(now);
            if window_over || closed < self.closed {
                self.closed = closed;
            }
            self.publish();
        }
    }

    /// Length of the narrowest monitor's windows: when one is over, what was counted is told at once. The
    /// faults have windows of a minute.
    fn narrowest(&self) -> Duration {
        self.monitors.iter().flatten().map(Running::width).min().unwrap_or(MINUTE).min(MINUTE)
    }

    /// Once a minute: the host's zone may be changed while the agent runs.
    fn look_at_zone(&mut self) {
        let minute = self.shared.clock.now().floor(MINUTE);
        if minute == self.zone_asked {
            return;
        }
        self.zone_asked = minute;
        let zone = (self.find_zone)();
        if zone == self.host.zone {
            return;
        }
        match zone.problem() {
            None => tracing::info!(zone = zone.name, "the host has another time zone"),
            Some(problem) => tracing::warn!(%problem, "the host's time zone is not known any more"),
        }
        for running in self.monitors.iter_mut().flatten() {
            running.pipeline.host_zone_is(&zone);
        }
        self.host.zone = zone.clone();
        self.shared.zone.send_replace(Some(zone));
    }

    fn publish(&mut self) {
        let mut monitors: Vec<_> =
            self.monitors.iter().flatten().map(|m| m.report(self.tailer.files_of(&m.name))).collect();
        monitors.extend(self.refused.iter().map(|(name, (count, why))| monitors::refused_report(name, *count, why)));
        let on_disk =
            self.monitors.iter().flatten().map(|m| (m.name.clone(), self.tailer.on_disk(&m.name, FILES_TOLD)));
        let (on_disk, paused) = (on_disk.collect(), self.paused);
        self.shared.report(Reports { monitors, on_disk, paused });
    }
}

/// The start of the latest window of this width whose lines have all been written, given writers' buffers.
fn closed_window(now: Timestamp, width: Duration) -> Timestamp {
    Timestamp(now.0 - GRACE_MILLIS).floor(width).saturating_sub(width)
}

/// Lines from the tailer into the monitors.
struct Feed<'a> {
    monitors: &'a mut [Option<Running>],
    now: Timestamp,
}

impl Feed<'_> {
    fn pipeline(&mut self, slot: usize) -> Option<&mut Pipeline> {
        self.monitors.get_mut(slot)?.as_mut().map(|running| &mut running.pipeline)
    }
}

impl Sink for Feed<'_> {
    fn line(&mut self, monitors: &[usize], line: &[u8], cut: bool, path: &Path) {
        let now = self.now;
        for slot in monitors {
            if let Some(pipeline) = self.pipeline(*slot) {
                pipeline.feed(line, cut, path, now);
            }
        }
    }

    fn take_last_time(&mut self, monitor: usize) -> Option<Timestamp> {
        self.pipeline(monitor)?.take_last_event_time()
    }

    fn fault(&mut self, monitor: usize, reason: FaultReason, count: u64, example: &str) {
        if let Some(running) = self.monitors.get_mut(monitor).and_then(Option::as_mut) {
            running.tail_fault(reason, count, example);
        }
    }
}
