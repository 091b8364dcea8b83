//! Counts what was wrong, by reason, with the latest example of each.

use std::collections::BTreeMap;
use std::path::Path;

use nightjar_model::builtin::Intake;
use nightjar_model::delta::FaultReason;

use super::Outcome;
use super::when::Unread;

/// An example holds at most this many bytes.
const EXAMPLE_BYTES: usize = 200;

const REASONS: usize = FaultReason::ALL.len();

/// What a pipeline has seen since its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PipelineCounters {
    pub lines: u64,
    /// Of `lines`.
    pub counted: u64,
    /// Of `lines`: neither counted nor dropped by the filter.
    pub not_understood: u64,
    pub faults: BTreeMap<FaultReason, u64>,
    /// For each reason a recent `path: start of line`, where there is more to say followed by that in parentheses.
    pub examples: BTreeMap<FaultReason, String>,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    counters: PipelineCounters,
    /// Since the last drain.
    pending: [u64; REASONS],
    /// The example of an unreadable time says what to do; one that cannot does not take its place before a drain.
    advised: bool,
    /// What was told of before.
    told: Intake,
    /// Whether there were times for want of whose zone nobody knows their minute, since that was last asked.
    lacked_zone: bool,
}

impl Tally {
    pub(super) fn counters(&self) -> &PipelineCounters {
        &self.counters
    }

    #[inline]
    pub(super) fn lines(&mut self, lines: u64) {
        self.counters.lines += lines;
    }

    #[inline]
    pub(super) fn outcome(&mut self, outcome: &Outcome, path: &Path, line: &[u8]) {
        self.counters.counted += u64::from(outcome.counted);
        if let Some(reason) = outcome.fault {
            self.counters.not_understood += u64::from(!outcome.counted);
            self.lacked_zone |= outcome.unread == Unread::NoZone;
            match outcome.unread.advice() {
                Some(advice) if !self.advised => self.advise(reason, path, line, advice),
                Some(_) => self.add(reason, 1),
                None => self.count(reason, path, line),
            }
        }
        if outcome.over_limit {
            self.count(FaultReason::KeyOverLimit, path, line);
        }
    }

    #[cold]
    pub(super) fn count(&mut self, reason: FaultReason, path: &Path, line: &[u8]) {
        // One example between two drains is recent enough, and costs a flood of bad lines nothing.
        if self.pending[reason as usize] == 0 {
            self.counters.examples.insert(reason, example(path, line));
        }
        self.add(reason, 1);
    }

    #[cold]
    fn advise(&mut self, reason: FaultReason, path: &Path, line: &[u8], advice: &str) {
        self.advised = true;
        self.counters.examples.insert(reason, format!("{} ({advice})", example(path, line)));
        self.add(reason, 1);
    }

    pub(super) fn add(&mut self, reason: FaultReason, count: u64) {
        if count > 0 {
            self.pending[reason as usize] += count;
            *self.counters.faults.entry(reason).or_default() += count;
        }
    }

    pub(super) fn drain(&mut self) -> Vec<(FaultReason, u64)> {
        let pending = std::mem::take(&mut self.pending);
        self.advised = false;
        FaultReason::ALL.into_iter().zip(pending).filter(|(_, count)| *count > 0).collect()
    }

    pub(super) fn take_lacked_zone(&mut self) -> bool {
        std::mem::take(&mut self.lacked_zone)
    }

    /// What was read since the last call.
    pub(super) fn drain_intake(&mut self) -> Intake {
        let PipelineCounters { lines, counted, not_understood, .. } = self.counters;
        let all = Intake { lines, understood: lines - not_understood, counted };
        let told = std::mem::replace(&mut self.told, all);
        Intake {
            lines: all.lines - told.lines,
            understood: all.understood - told.understood,
            counted: all.counted - told.counted,
        }
    }

    /// Everything, as if it had not happened here.
    pub(super) fn take(&mut self) -> PipelineCounters {
        self.pending = [0; REASONS];
        self.advised = false;
        self.told = Intake::default();
        std::mem::take(&mut self.counters)
    }

    /// Adds what another gathered; of examples the first stay.
    pub(super) fn absorb(&mut self, other: &PipelineCounters) {
        self.lines(other.lines);
        self.counters.counted += other.counted;
        self.counters.not_understood += other.not_understood;
        other.faults.iter().for_each(|(reason, count)| self.add(*reason, *count));
        for (reason, example) in &other.examples {
            self.counters.examples.entry(*reason).or_insert_with(|| example.clone());
        }
    }
}

fn example(path: &Path, line: &[u8]) -> String {
    let line = String::from_utf8_lossy(&line[..line.len().min(EXAMPLE_BYTES)]);
    let mut text = format!("{}: {line}", path.display());
    text.truncate(text.floor_char_boundary(EXAMPLE_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_short_and_renewed_after_a_drain() {
        let mut tally = Tally::default();
        let reason = FaultReason::NotANumber;
        for line in ["衣".repeat(100), "second".into()] {
            tally.count(reason, Path::new("/x.log"), line.as_bytes());
        }
        let example = &tally.counters().examples[&reason];
        assert!(example.starts_with("/x.log: 衣") && example.len() <= EXAMPLE_BYTES, "{example}");
        assert_eq!(tally.drain(), [(reason, 2)]);
        tally.count(reason, Path::new("/x.log"), b"third");
        assert_eq!(tally.counters().examples[&reason], "/x.log: third");
        assert_eq!((tally.drain(), tally.drain()), (vec![(reason, 1)], Vec::new()));
        assert_eq!(tally.counters().faults[&reason], 3);
    }

    #[test]
    fn the_example_that_says_what_to_do_is_preferred() {
        let mut tally = Tally::default();
        let outcome = |unread| Outcome { fault: Some(FaultReason::TimeUnreadable), unread, ..Outcome::default() };
        for (unread, line) in [
            (Unread::Absent, "\tat x"),
            (Unread::SharedZone, "10:00 CST"),
            (Unread::NoZone, "10:00"),
            (Unread::Absent, "y"),
        ] {
            tally.outcome(&outcome(unread), Path::new("/x.log"), line.as_bytes());
        }
        let example = &tally.counters().examples[&FaultReason::TimeUnreadable];
        assert!(example.starts_with("/x.log: 10:00 CST (several zones share"), "{example}");
        assert!(example.contains("set time.timezone"), "{example}");
        assert_eq!(tally.drain(), [(FaultReason::TimeUnreadable, 4)]);
    }
}
