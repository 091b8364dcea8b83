//! The monitors that every workspace has without anybody writing them. They are figures like any other:
//! tables, charts, rules. Users' names cannot start with `_`.
//!
//! - [`FAULTS_MONITOR`]: what agents could not use, by monitor, reason and host.
//! - [`INTAKE_MONITOR`]: what agents read, by monitor: lines, how many of them were understood and counted,
//!   and how many files they were read from.
//!
//! Lines are put into the minute in which they were read: of many it is not known when they were written.

use std::sync::{Arc, LazyLock};

use crate::decimal::Decimal;
use crate::delta::{FAULT_KEYS, FAULTS_MONITOR, MonitorDelta, Number, Partial};
use crate::kinds::monitor::{
    Column, Filter, Limits, LogSource, MonitorSpec, MonitorType, Pick, Source, SplitPick, StartAt, Stat, StatFn,
    TimeSource,
};

/// What was read for each monitor.
pub const INTAKE_MONITOR: &str = "_intake";

/// Group-by column of [`INTAKE_MONITOR`].
pub const INTAKE_KEYS: [&str; 1] = ["monitor"];

/// 100 for each line that was understood, 0 for each other: its average is the part understood, in percent.
/// What a filter drops was understood.
const UNDERSTOOD: &str = "understood";
/// 1 for each line that was counted, 0 for each other.
const COUNTED: &str = "counted";
/// Once a minute from each agent: files that it reads.
const FILES: &str = "files";

static MONITORS: LazyLock<[(&'static str, Arc<MonitorSpec>); 2]> = LazyLock::new(|| {
    let faults = spec(&FAULT_KEYS, &[("count", StatFn::Lines, None)]);
    let intake = spec(
        &INTAKE_KEYS,
        &[
            ("lines", StatFn::Lines, None),
            ("understood", StatFn::Avg, Some(UNDERSTOOD)),
            ("counted", StatFn::Sum, Some(COUNTED)),
            ("files", StatFn::Max, Some(FILES)),
            ("files_least", StatFn::Min, Some(FILES)),
        ],
    );
    [(FAULTS_MONITOR, Arc::new(faults)), (INTAKE_MONITOR, Arc::new(intake))]
});

/// All of them, as if they had been written.
pub fn monitors() -> impl Iterator<Item = (&'static str, &'static Arc<MonitorSpec>)> {
    MONITORS.iter().map(|(name, spec)| (*name, spec))
}

/// The one of this name, if it is one.
pub fn monitor(name: &str) -> Option<&'static Arc<MonitorSpec>> {
    monitors().find(|(known, _)| *known == name).map(|(_, spec)| spec)
}

/// Whether what an agent sent under a built-in monitor's name has its columns.
pub fn has_its_shape(delta: &MonitorDelta) -> bool {
    monitor(&delta.monitor.name).is_none_or(|spec| {
        delta.group_by == spec.group_by && delta.fields == spec.fields() && delta.width == spec.width()
    })
}

/// What was read for one monitor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Intake {
    pub lines: u64,
    /// At most `lines`.
    pub understood: u64,
    /// At most `understood`.
    pub counted: u64,
}

impl Intake {
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    pub fn add(&mut self, more: &Self) {
        self.lines += more.lines;
        self.understood += more.understood;
        self.counted += more.counted;
    }

    /// As a window of [`INTAKE_MONITOR`].
    pub fn partials(&self) -> Vec<Partial> {
        vec![
            Partial::lines(self.lines),
            share(self.understood, self.lines, 100).into(),
            share(self.counted, self.lines, 1).into(),
            Number::EMPTY.into(),
        ]
    }

    /// From such a window.
    pub fn from_partials(partials: &[Partial]) -> Self {
        let sum = |at: usize| {
            let number = partials.get(at).and_then(Partial::as_number);
            number.map_or(0, |number| number.sum.to_f64().round() as u64)
        };
        Self { lines: partials.first().map_or(0, Partial::count), understood: sum(1) / 100, counted: sum(2) }
    }
}

/// The window of [`INTAKE_MONITOR`] that says how many files an agent reads.
pub fn files_partials(files: u32) -> Vec<Partial> {
    let mut read = Number::EMPTY;
    read.add(Decimal::from_int(i64::from(files)));
    vec![Partial::lines(0), Number::EMPTY.into(), Number::EMPTY.into(), read.into()]
}

/// The most files that one agent read, from such a window; `None` where no agent said.
pub fn files_of(partials: &[Partial]) -> Option<f64> {
    let files = partials.get(3).and_then(Partial::as_number)?;
    (files.count > 0).then(|| files.max.to_f64())
}

/// Why a minute's figures say nothing of what was logged, if so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Blindness {
    /// Lines were read, and none of them was understood.
    NotUnderstood,
    /// No agent read any file.
    NoFile,
}

impl Blindness {
    /// Of a window of [`INTAKE_MONITOR`].
    pub fn of(partials: &[Partial]) -> Option<Self> {
        let intake = Intake::from_partials(partials);
        match files_of(partials) {
            _ if intake.lines > 0 => (intake.understood == 0).then_some(Self::NotUnderstood),
            Some(0.0) => Some(Self::NoFile),
            _ => None,
        }
    }
}

/// `of` values, each `value` or 0, `some` of them `value`.
fn share(some: u64, of: u64, value: i64) -> Number {
    if of == 0 {
        return Number::EMPTY;
    }
    let value_if = |is: bool| Decimal::from_int(if is { value } else { 0 });
    Number {
        count: of,
        sum: Decimal(value_if(true).0.saturating_mul(i128::from(some))),
        min: value_if(some == of),
        max: value_if(some > 0),
    }
}

fn spec(keys: &[&str], stats: &[(&str, StatFn, Option<&str>)]) -> MonitorSpec {
    let owned = |name: &&str| (*name).to_owned();
    let fields = stats.iter().filter_map(|(_, _, column)| column.as_ref());
    let column = |(index, name): (usize, &&str)| Column {
        name: (*name).to_owned(),
        pick: Pick::Split(SplitPick { by: ",".into(), index: index as u32 }),
        number: false,
    };
    let mut names: Vec<&str> = keys.to_vec();
    for field in fields {
        if !names.contains(field) {
            names.push(field);
        }
    }
    MonitorSpec {
        kind: MonitorType::MinuteMultiKey,
        app: None,
        targets: None,
        // Agents count these themselves, of no log.
        source: Source::Log(LogSource {
            paths: Vec::new(),
            charset: "utf-8".into(),
            time: TimeSource::default(),
            start: StartAt::default(),
        }),
        columns: names.iter().enumerate().map(column).collect(),
        filter: Filter::default(),
        group_by: keys.iter().map(owned).collect(),
        stats: stats
            .iter()
            .map(|(name, function, column)| Stat {
                name: (*name).to_owned(),
                function: *function,
                column: column.map(str::to_owned),
            })
            .collect(),
        service: None,
        top: None,
        limits: Limits::default(),
        enabled: true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::delta::LINES_FIELD;

    #[test]
    fn their_fields_are_what_agents_send() {
        let intake = monitor(INTAKE_MONITOR).expect("built in");
        assert_eq!(intake.fields(), [LINES_FIELD, UNDERSTOOD, COUNTED, FILES]);
        assert_eq!(Intake::default().partials().len(), intake.fields().len());
        assert_eq!(files_partials(1).len(), intake.fields().len());
        let faults = monitor(FAULTS_MONITOR).expect("built in");
        assert_eq!(
            (faults.fields(), faults.group_by.clone()),
            (vec![LINES_FIELD.to_owned()], FAULT_KEYS.map(str::to_owned).to_vec())
        );
        assert!(monitor("_other").is_none());
    }

    proptest! {
        #[test]
        fn what_agents_read_adds_up(pieces in prop::collection::vec((0u64..50, 0u64..50, 0u64..50, prop::option::of(0u32..3)), 1..6)) {
            let mut all = Intake::default();
            let mut merged = Intake::default().partials();
            let mut most = None;
            for (lost, filtered, counted, files) in pieces {
                let intake = Intake { lines: lost + filtered + counted, understood: filtered + counted, counted };
                all.add(&intake);
                merged.iter_mut().zip(intake.partials()).for_each(|(into, partial)| into.merge(&partial).expect("of one kind"));
                if let Some(files) = files {
                    most = most.max(Some(files));
                    merged.iter_mut().zip(files_partials(files)).for_each(|(into, partial)| into.merge(&partial).expect("of one kind"));
                }
            }
            prop_assert_eq!(Intake::from_partials(&merged), all);
            prop_assert_eq!(files_of(&merged), most.map(f64::from));
            let stats = &monitor(INTAKE_MONITOR).expect("built in").stats;
            if all.lines > 0 {
                let percent = all.understood as f64 * 100.0 / all.lines as f64;
                prop_assert!((stats[1].value(&merged[1]).expect("an average") - percent).abs() < 1e-9);
            }
            let expected = match (all.lines, most) {
                (0, Some(0)) => Some(Blindness::NoFile),
                (0, _) => None,
                _ => (all.understood == 0).then_some(Blindness::NotUnderstood),
            };
            prop_assert_eq!(Blindness::of(&merged), expected);
        }
    }
}
