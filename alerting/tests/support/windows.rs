use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use nightjar_model::delta::{LINES_FIELD, Number, Partial};
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::WindowReader;
use nightjar_model::query::{
    Completeness, CompletenessState, Contributor, InstanceCompleteness, Progress, SeriesWindows, SqlAnswer, SqlFormat,
    WindowAnswer, WindowQuery,
};
use nightjar_model::{Decimal, Error, Result, Timestamp};

use super::FakeClock;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// The windows of one monitor, grouped by `goods`, with the fields `*` and `cost`.
#[derive(Default)]
pub(crate) struct MemoryWindows {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    windows: BTreeMap<(Timestamp, String), (u64, Number)>,
    complete_through: Option<Timestamp>,
    /// Windows that stay partial whatever passes their end.
    lost: BTreeSet<Timestamp>,
    broken: bool,
    /// While this key alone is read, so much time passes on the clock.
    slow: Option<(String, Arc<FakeClock>, Duration)>,
}

impl MemoryWindows {
    /// Counts one line of `goods` in the minute.
    pub(crate) fn line(&self, minute: Timestamp, goods: &str, cost: Option<&str>) {
        let mut kept = self.kept.lock().expect("no test panicked here");
        let (lines, costs) = kept.windows.entry((minute, goods.to_owned())).or_default();
        *lines += 1;
        if let Some(cost) = cost {
            costs.add(Decimal::parse(cost.as_bytes()).expect("a number"));
        }
    }

    pub(crate) fn complete(&self, through: Timestamp) {
        self.kept.lock().expect("no test panicked here").complete_through = Some(through);
    }

    pub(crate) fn lose(&self, minute: Timestamp) {
        self.kept.lock().expect("no test panicked here").lost.insert(minute);
    }

    pub(crate) fn delay(&self, goods: &str, clock: Arc<FakeClock>, by: Duration) {
        self.kept.lock().expect("no test panicked here").slow = Some((goods.to_owned(), clock, by));
    }

    pub(crate) fn break_down(&self, broken: bool) {
        self.kept.lock().expect("no test panicked here").broken = broken;
    }
}

impl Kept {
    fn mark(&self, time: Timestamp) -> Completeness {
        let passed = self.complete_through.is_some_and(|through| time.saturating_add(MINUTE) <= through);
        let complete = passed && !self.lost.contains(&time);
        Completeness {
            time,
            state: if complete { CompletenessState::Complete } else { CompletenessState::Partial },
            reason: None,
            missing: if complete { Vec::new() } else { vec![AgentId("agent-7".into())] },
            missing_count: usize::from(!complete),
        }
    }
}

#[async_trait]
impl WindowReader for MemoryWindows {
    async fn windows(&self, query: WindowQuery) -> Result<WindowAnswer> {
        let kept = self.kept.lock().expect("no test panicked here");
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
        let mut completeness = Vec::new();
        let mut time = query.from;
        while time < query.until {
            completeness.push(kept.mark(time));
            time = time.saturating_add(MINUTE);
        }
        Ok(WindowAnswer {
            by,
            fields: vec![LINES_FIELD.to_owned(), "cost".to_owned()],
            series: series
                .into_iter()
                .map(|(keys, windows)| SeriesWindows { keys, windows: windows.into_iter().collect() })
                .collect(),
            completeness,
            instances: InstanceCompleteness::default(),
        })
    }

    async fn progress(&self, _: &MonitorKey) -> Result<Progress> {
        let through = self.kept.lock().expect("no test panicked here").complete_through;
        Ok(Progress {
            complete_through: through,
            settled_through: through,
            furthest: through,
            expected: 1,
            revision: through.map_or(0, |through| through.0.unsigned_abs()),
        })
    }

    async fn contributors(&self, _: &MonitorKey) -> Result<Vec<Contributor>> {
        Err(Error::internal("the room has no business here"))
    }

    async fn sql(&self, _: &str, _: &str, _: SqlFormat) -> Result<SqlAnswer> {
        Err(Error::internal("the room has no business here"))
    }
}
