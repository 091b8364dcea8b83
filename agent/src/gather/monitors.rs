//! The monitors in force, and putting a new configuration in force: what is refused stops neither the
//! others nor its own earlier form.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nightjar_model::agents::MonitorReport;
use nightjar_model::decode::decode;
use nightjar_model::delta::FaultReason;
use nightjar_model::kinds::Document;
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::names::MonitorKey;
use nightjar_model::{Problem, Problems, Timestamp};

use super::Gatherer;
use crate::pipeline::{HostFacts, Pipeline};
use crate::shared::{Applied, Configuration, Refusal};
use crate::tail::Watch;

/// A monitor that is being collected.
pub(super) struct Running {
    pub(super) name: String,
    /// Empty from servers that do not say.
    pub(super) uid: String,
    /// The document it was made of.
    text: String,
    spec: MonitorSpec,
    pub(super) pipeline: Pipeline,
    /// Up to when its figures in the journal are all there is.
    pub(super) watermark: Option<Timestamp>,
    /// Up to when something was logged that cannot be read any more, and was not told yet.
    pub(super) gap: Option<Timestamp>,
    /// What was wrong with its files, or with a later form of it: since its start, and since the last record.
    faults: BTreeMap<FaultReason, (u64, String)>,
    fresh_faults: BTreeMap<FaultReason, u64>,
}

impl Running {
    fn compile(workspace: &str, name: &str, uid: &str, text: &str, host: &HostFacts) -> Result<Self, Vec<Problem>> {
        let invalid = |message: String| vec![Problem { path: "spec".into(), message }];
        let value = serde_json::from_str(text).map_err(|error| invalid(format!("is not JSON: {error}")))?;
        let mut problems = Problems::new();
        let spec = decode::<MonitorSpec>("spec", &value, &mut problems);
        if let Some(spec) = &spec {
            problems.within("spec", |p| spec.validate(p));
        }
        let problems = problems.into_vec();
        let Some(spec) = spec.filter(|_| problems.is_empty()) else { return Err(problems) };
        let pipeline = Pipeline::compile(MonitorKey::new(workspace, name), &spec, host)?;
        Ok(Self {
            name: name.to_owned(),
            uid: uid.to_owned(),
            text: text.to_owned(),
            spec,
            pipeline,
            watermark: None,
            gap: None,
            faults: BTreeMap::new(),
            fresh_faults: BTreeMap::new(),
        })
    }

    /// Length of its windows.
    pub(super) fn width(&self) -> Duration {
        self.spec.width()
    }

    pub(super) fn tail_fault(&mut self, reason: FaultReason, count: u64, example: &str) {
        let known = self.faults.entry(reason).or_default();
        known.0 += count;
        example.clone_into(&mut known.1);
        *self.fresh_faults.entry(reason).or_default() += count;
    }

    /// Faults since they were last taken.
    pub(super) fn take_faults(&mut self) -> impl Iterator<Item = (FaultReason, u64)> {
        std::mem::take(&mut self.fresh_faults).into_iter().chain(self.pipeline.drain_faults())
    }

    pub(super) fn report(&self, files: u32) -> MonitorReport {
        let counters = self.pipeline.counters();
        let mut faults: BTreeMap<String, u64> = BTreeMap::new();
        let own = self.faults.iter().map(|(reason, (count, _))| (reason, count));
        for (reason, count) in counters.faults.iter().chain(own).filter(|(_, count)| **count > 0) {
            *faults.entry(reason.name().to_owned()).or_default() += count;
        }
        let own = self.faults.iter().map(|(reason, (_, example))| (reason, example));
        let examples = counters.examples.iter().chain(own);
        MonitorReport {
            monitor: self.name.clone(),
            files,
            lines: counters.lines,
            faults,
            examples: examples.map(|(reason, example)| (reason.name().to_owned(), example.clone())).collect(),
            watermark: self.watermark,
        }
    }
}

/// The report of a monitor that is collected in no form.
pub(super) fn refused_report(name: &str, count: u64, why: &str) -> MonitorReport {
    let reason = FaultReason::ConfigRefused.name().to_owned();
    MonitorReport {
        monitor: name.to_owned(),
        faults: [(reason.clone(), count)].into(),
        examples: [(reason, why.to_owned())].into(),
        ..MonitorReport::default()
    }
}

impl Gatherer {
    /// Puts `configuration` in force. Files that are there begin where the monitors say, and that is
    /// journalled before the configuration is acknowledged.
    pub(super) fn apply(&mut self, configuration: Configuration) {
        // What was counted so far belongs to the monitors as they were.
        self.collect();
        let wanted: BTreeSet<&str> = configuration.monitors.iter().map(|(name, _)| name.as_str()).collect();
        for slot in &mut self.monitors {
            if slot.as_ref().is_some_and(|running| !wanted.contains(running.name.as_str())) {
                *slot = None;
            }
        }
        self.refused.clear();
        let mut problems = Vec::new();
        for (name, text) in &configuration.monitors {
            let uid = configuration.uids.get(name).map_or("", String::as_str);
            self.put(name, uid, text, &mut problems);
        }
        let watches = self.monitors.iter().enumerate().filter_map(|(slot, running)| {
            let Running { name, uid, spec, .. } = running.as_ref()?;
            let log = spec.log();
            Some(Watch { monitor: name.clone(), uid: uid.clone(), slot, patterns: log.paths.clone(), start: log.start })
        });
        self.tailer.configure(watches.collect());
        self.configured = true;
        self.discover();
        let (version, count) = (configuration.version, self.monitors.iter().flatten().count());
        tracing::info!(%version, monitors = count, problems = problems.len(), "configuration in force");
        self.applying = Some(Applied { version, problems });
        let now = self.shared.clock.now();
        self.flush(now);
        self.publish();
    }

    fn put(&mut self, name: &str, uid: &str, text: &str, problems: &mut Vec<Refusal>) {
        let slot = self.monitors.iter().position(|r| r.as_ref().is_some_and(|running| running.name == name));
        let current = slot.and_then(|slot| self.monitors.get_mut(slot)?.as_mut());
        if current.as_ref().is_some_and(|running| running.text == text && running.uid == uid) {
            return;
        }
        match Running::compile(&self.workspace, name, uid, text, &self.host) {
            Ok(mut fresh) => {
                if let Some(running) = &current {
                    (fresh.watermark, fresh.gap) = (running.watermark, running.gap);
                }
                let free = slot.or_else(|| self.monitors.iter().position(Option::is_none));
                match free.and_then(|slot| self.monitors.get_mut(slot)) {
                    Some(place) => *place = Some(fresh),
                    None => self.monitors.push(Some(fresh)),
                }
            }
            Err(found) => {
                let why = found.first().map(|p| format!("{}: {}", p.path, p.message)).unwrap_or_default();
                tracing::warn!(monitor = name, %why, "a monitor is refused");
                match current {
                    Some(running) => running.tail_fault(FaultReason::ConfigRefused, 1, &why),
                    None => {
                        self.refused.insert(name.to_owned(), (1, why));
                        *self.faults.entry((name.to_owned(), FaultReason::ConfigRefused)).or_default() += 1;
                    }
                }
                let refusal = |p: Problem| Refusal { monitor: name.to_owned(), path: p.path, message: p.message };
                problems.extend(found.into_iter().map(refusal));
            }
        }
    }
}
