//! Trying picks and monitors: with the agent's own code, so that what is shown is what will be counted.

use nightjar_model::Result;
use nightjar_model::agents::{PickSuggestion, Selection, TrialReport};
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::ports::LineLab;

pub(super) struct AgentLab;

impl LineLab for AgentLab {
    fn derive(&self, lines: &[String], selection: &Selection) -> Result<Vec<PickSuggestion>> {
        nightjar_agent::derive::derive(lines, selection)
    }

    fn try_lines(&self, spec: &MonitorSpec, lines: &[String]) -> Result<TrialReport> {
        nightjar_agent::trial::try_lines(spec, lines)
    }
}
