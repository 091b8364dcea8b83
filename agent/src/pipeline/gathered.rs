//! Pieces of a file counted apart, and put together again as if they had been read in one go.

use nightjar_model::delta::FaultReason;

use super::when::Forms;
use super::windows::Windows;
use super::{Pipeline, PipelineCounters};

/// What a part made of one piece.
#[derive(Debug)]
pub(crate) struct Gathered {
    windows: Windows,
    counters: PipelineCounters,
    times: Forms,
}

impl Pipeline {
    /// Makes this pipeline, compiled of the same monitor, count pieces for `whole`. A part has no limit
    /// on keys: which keys are over it is for the whole to say.
    pub(crate) fn into_part_of(mut self, whole: &Self) -> Self {
        self.counter.windows = whole.counter.windows.sibling(usize::MAX);
        // A piece has few enough keys to count them all; which are the greatest is for the whole to say, too.
        self.top = None;
        self
    }

    /// What a part gathered since the last call; `spare` is reused for what comes next.
    pub(crate) fn take_gathered(&mut self, spare: Option<Gathered>) -> Gathered {
        let mut windows = spare.map_or_else(|| self.counter.windows.sibling(usize::MAX), |spare| spare.windows);
        windows.clear();
        let windows = std::mem::replace(&mut self.counter.windows, windows);
        Gathered { windows, counters: self.tally.take(), times: self.counter.time.seen() }
    }

    /// Adds what a part gathered. Pieces have to come in their order.
    pub(crate) fn absorb(&mut self, gathered: &Gathered) {
        let over_limit = self.counter.windows.merge(&gathered.windows);
        self.tally.absorb(&gathered.counters);
        self.counter.time.saw(gathered.times);
        self.tally.add(FaultReason::KeyOverLimit, over_limit);
        self.look_at_top();
    }
}
