use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use nightjar_model::delta::{LINES_FIELD, Number, Partial};
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::WindowReader;
use nightjar_model::query::{
    Completeness, CompletenessRun, CompletenessState, Contributor, IncompleteReason, InstanceCompleteness, Progress,
    SeriesWindows, SqlAnswer, SqlFormat, WindowAnswer, WindowQuery,
};
use nightjar_model::{Decimal, Error, Result, Timestamp};

use super::FakeClock;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// The windows of one monitor, grouped by `goods`, with the fields `*` and `cost`. One agent contributes all of it;
/// or, after [`hosts`](MemoryWindows::hosts), one agent to each of some goods.
#[derive(Default)]
pub(crate) struct MemoryWindows {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    windows: BTreeMap<(Timestamp, String), (u64, Number)>,
    complete_through: Option<Timestamp>,
    /// How far it was known when the last agent went.
    last_told: Option<Timestamp>,
    /// By goods: up to when its own agent has read.
    hosts: BTreeMap<String, Option<Timestamp>>,
    /// Windows that can never be complete.
    lost: BTreeSet<Timestamp>,
    /// Windows that nobody was expected to contribute to.
    uncollected: BTreeSet<Timestamp>,
    /// No agent has ever come.
    deserted: bool,
    /// Counts changes of completeness.
    revision: u64,
    broken: bool,
    /// While this key alone is read, so much time passes on the clock.
    slow: Option<(String, Arc<FakeClock>, Duration)>,
    /// Times that were asked for.
    reads: usize,
}

impl MemoryWindows {
    /// Counts one line of `goods` in the minute.
    pub(crate) fn line(&self, minute: Timestamp, goods: &str, cost: Option<&str>) {
        let mut kept = self.lock();
        let (lines, costs) = kept.windows.entry((minute, goods.to_owned())).or_default();
        *lines += 1;
        if let Some(cost) = cost {
            costs.add(Decimal::parse(cost.as_bytes()).expect("a number"));
        }
    }

    pub(crate) fn complete(&self, through: Timestamp) {
        let mut kept = self.change();
        (kept.complete_through, kept.deserted) = (Some(through), false);
        kept.hosts.values_mut().for_each(|host| *host = Some(through));
    }

    /// From now on each of these goods is some agent's own.
    pub(crate) fn hosts(&self, goods: &[&str]) {
        let mut kept = self.change();
        kept.hosts = goods.iter().map(|goods| ((*goods).to_owned(), kept.complete_through)).collect();
    }

    /// All agents have read so far but that of these goods.
    pub(crate) fn complete_but(&self, lost: &str, through: Timestamp) {
        let mut kept = self.change();
        kept.hosts.iter_mut().filter(|(goods, _)| *goods != lost).for_each(|(_, host)| *host = Some(through));
    }

    /// The agent of these goods was taken out.
    pub(crate) fn remove_host(&self, goods: &str) {
        self.change().hosts.remove(goods);
    }

    pub(crate) fn lose(&self, minute: Timestamp) {
        self.change().lost.insert(minute);
    }

    /// Nobody was expected to contribute to the minutes before `until`.
    pub(crate) fn uncollected(&self, from: Timestamp, until: Timestamp) {
        let minutes = std::iter::successors(Some(from), |time| Some(time.saturating_add(MINUTE)));
        self.change().uncollected.extend(minutes.take_while(|time| *time < until));
    }

    /// No agent comes, until minutes are complete again.
    pub(crate) fn desert(&self) {
        let mut kept = self.change();
        kept.last_told = kept.complete_through;
        (kept.complete_through, kept.deserted) = (None, true);
    }

    pub(crate) fn delay(&self, goods: &str, clock: Arc<FakeClock>, by: Duration) {
        self.lock().slow = Some((goods.to_owned(), clock, by));
    }

    pub(crate) fn break_down(&self, broken: bool) {
        self.lock().broken = broken;
    }

    /// How often windows were read.
    pub(crate) fn reads(&self) -> usize {
        self.lock().reads
    }

    fn change(&self) -> std::sync::MutexGuard<'_, Kept> {
        let mut kept = self.lock();
        kept.revision += 1;
        kept
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().expect("no test panicked here")
    }
}

impl Kept {
    /// Up to when those agents have read that the goods are of; of which none is, nobody is expected.
    fn through(&self, accepts: impl Fn(&str) -> bool) -> Option<Timestamp> {
        if self.hosts.is_empty() {
            return self.complete_through;
        }
        self.hosts.iter().filter(|(goods, _)| accepts(goods)).map(|(_, through)| *through).min().flatten()
    }

    fn mark(&self, time: Timestamp, accepts: impl Fn(&str) -> bool) -> Completeness {
        if self.deserted || self.uncollected.contains(&time) {
            let (state, reason) = (CompletenessState::Never, Some(IncompleteReason::NobodyExpected));
            return Completeness { time, state, reason, missing: Vec::new(), missing_count: 0 };
        }
        let through = self.through(&accepts);
        let passed = through.is_some_and(|through| time.saturating_add(MINUTE) <= through);
        let lost = self.lost.contains(&time);
        let behind = |through: &Option<Timestamp>| through.is_none_or(|through| time.saturating_add(MINUTE) > through);
        let missing: Vec<AgentId> = match (passed, lost, self.hosts.is_empty()) {
            (true, false, _) => Vec::new(),
            (_, _, true) => vec![AgentId("agent-7".into())],
            _ => {
                let away = self.hosts.iter().filter(|(goods, through)| accepts(goods) && behind(through));
                away.map(|(goods, _)| AgentId(format!("agent-of-{goods}"))).collect()
            }
        };
        let (state, reason) = match (passed, lost) {
            (true, false) => (CompletenessState::Complete, None),
            (true, true) => (CompletenessState::Never, Some(IncompleteReason::Left)),
            _ => (CompletenessState::Partial, None),
        };
        Completeness { time, state, reason, missing_count: missing.len(), missing }
    }
}

#[async_trait]
impl WindowReader for MemoryWindows {
    async fn windows(&self, query: WindowQuery) -> Result<WindowAnswer> {
        let mut kept = self.lock();
        kept.reads += 1;
        if let Some((goods, clock, by)) = &kept.slow
            && query.filter.get("goods").is_some_and(|keys| keys.accepts(goods))
        {
            clock.advance(*by);
        }
        if kept.broken {
            return Err(Error::unavailable("the engine is out of memory"));
        }
        assert_eq!(query.step, None);
        let by = query.by.clone().expect("alerting says by what");
        let mut series: BTreeMap<Vec<String>, BTreeMap<Timestamp, Vec<Partial>>> = BTreeMap::new();
        for ((minute, goods), partials) in &kept.windows {
            let wanted = query.filter.get("goods").is_none_or(|keys| keys.accepts(goods));
            if !wanted || *minute < query.from || *minute >= query.until {
                continue;
            }
            let keys = by.iter().map(|_| goods.clone()).collect();
            let empty = || vec![Partial::lines(0), Number::EMPTY.into()];
            let merged = series.entry(keys).or_default().entry(*minute).or_insert_with(empty);
            for (to, from) in merged.iter_mut().zip([Partial::lines(partials.0), partials.1.into()]) {
                to.merge(&from).expect("of one kind");
            }
        }
        let wanted = |goods: &str| query.filter.get("goods").is_none_or(|keys| keys.accepts(goods));
        let minutes = || std::iter::successors(Some(query.from), |time| Some(time.saturating_add(MINUTE)));
        let minutes = || minutes().take_while(|time| *time < query.until);
        let completeness = minutes().map(|time| kept.mark(time, wanted)).collect();
        let mut instances = InstanceCompleteness::default();
        if !by.is_empty() && !kept.hosts.is_empty() {
            instances.columns = vec![0];
            for goods in kept.hosts.keys().filter(|goods| wanted(goods)) {
                let run = |time: Timestamp| CompletenessRun {
                    mark: kept.mark(time, |other| other == goods),
                    until: time.saturating_add(MINUTE),
                };
                instances.runs.insert(vec![goods.clone()], minutes().map(run).collect());
            }
        }
        Ok(WindowAnswer {
            by,
            fields: vec![LINES_FIELD.to_owned(), "cost".to_owned()],
            series: series
                .into_iter()
                .map(|(keys, windows)| SeriesWindows { keys, windows: windows.into_iter().collect() })
                .collect(),
            completeness,
            instances,
            kept_from: None,
        })
    }

    async fn progress(&self, _: &MonitorKey) -> Result<Progress> {
        let kept = self.lock();
        let through = kept.through(|_| true);
        let furthest = kept.hosts.values().copied().max().unwrap_or(through).max(kept.last_told);
        Ok(Progress {
            complete_through: through,
            settled_through: through,
            furthest,
            expected: if kept.deserted { 0 } else { kept.hosts.len().max(1) },
            revision: kept.revision,
        })
    }

    async fn contributors(&self, _: &MonitorKey) -> Result<Vec<Contributor>> {
        Err(Error::internal("the room has no business here"))
    }

    async fn sql(&self, _: &str, _: &str, _: SqlFormat) -> Result<SqlAnswer> {
        Err(Error::internal("the room has no business here"))
    }
}
