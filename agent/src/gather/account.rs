//! What the agent says of its own work, as windows of the built-in monitors: what it read, and what it
//! could not use.

use nightjar_model::Timestamp;
use nightjar_model::builtin::{self, INTAKE_MONITOR, files_partials};
use nightjar_model::delta::{FAULTS_MONITOR, MonitorDelta, Partial, Watermark, WindowDelta};
use nightjar_model::names::MonitorKey;

use super::{Gatherer, MINUTE, closed_window};

impl Gatherer {
    /// Puts what was read, and what could not be used, beside the figures that were gathered. Answers the
    /// watermarks to tell with them: nothing is put into a minute after the first flush that finds it closed.
    pub(super) fn account(&mut self, now: Timestamp) -> Vec<Watermark> {
        let start = now.floor(MINUTE);
        let through = closed_window(now, MINUTE).saturating_add(MINUTE);
        let collects = !self.refused.is_empty() || self.monitors.iter().any(Option::is_some);
        let closes = collects && self.accounted.is_none_or(|told| through > told);
        let faults = std::mem::take(&mut self.faults).into_iter().filter(|(_, count)| *count > 0);
        let faults: Vec<WindowDelta> = faults
            .map(|((monitor, reason), count)| WindowDelta {
                start,
                keys: vec![monitor, reason.name().to_owned(), self.host.hostname.clone()],
                partials: vec![Partial::lines(count)],
            })
            .collect();
        let read = std::mem::take(&mut self.intake).into_iter();
        let mut intake: Vec<WindowDelta> = read
            .map(|(monitor, intake)| WindowDelta { start, keys: vec![monitor], partials: intake.partials() })
            .collect();
        // What was there before the first look at the files is not known.
        if closes && self.accounted.is_some() {
            let files = self.monitors.iter().flatten().map(|running| WindowDelta {
                start: closed_window(now, MINUTE),
                keys: vec![running.name.clone()],
                partials: files_partials(self.tailer.files_of(&running.name)),
            });
            intake.extend(files);
        }
        for (name, windows) in [(FAULTS_MONITOR, faults), (INTAKE_MONITOR, intake)] {
            let delta = self.built_in(name, windows);
            self.gathered.deltas.extend(delta);
        }
        if !closes {
            return Vec::new();
        }
        self.accounted = Some(through);
        let key = |(name, _)| MonitorKey::new(&self.workspace, name);
        builtin::monitors().map(key).map(|monitor| Watermark::new(monitor, through)).collect()
    }

    fn built_in(&self, name: &str, windows: Vec<WindowDelta>) -> Option<MonitorDelta> {
        let spec = builtin::monitor(name).filter(|_| !windows.is_empty())?;
        Some(MonitorDelta {
            monitor: MonitorKey::new(&self.workspace, name),
            uid: None,
            width: spec.width(),
            group_by: spec.group_by.clone(),
            fields: spec.fields(),
            windows,
        })
    }
}
