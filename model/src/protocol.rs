//! The agent protocol (`proto/agents.proto`): generated types, and [`Gathered`](wire::Gathered) to
//! and from [`delta`](crate::delta) with everything checked that an agent could get wrong.

use std::time::Duration;

use prost::Message;

use crate::agents::{AgentFacts, AgentSelf, MonitorReport};
use crate::decimal::Decimal;
use crate::delta::{MonitorDelta, Number, Partial, PartialKind, Watermark, WindowDelta};
use crate::error::{Error, Result};
use crate::names::MonitorKey;
use crate::time::Timestamp;

/// Generated from `proto/agents.proto`.
#[allow(clippy::all, unreachable_pub, reason = "generated")]
pub mod wire {
    tonic::include_proto!("nightjar.agents.v1");
}

/// A decoded record payload holds at most this many bytes; agents cut their records well below.
pub const MAX_PAYLOAD_BYTES: usize = 64 << 20;

/// A gRPC message holds at most this many bytes.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// The uid of a monitor holds at most this many bytes.
pub const MAX_UID_BYTES: usize = 64;

/// A key's value holds at most this many bytes; agents cut longer ones.
pub const MAX_KEY_BYTES: usize = 256;

/// The protocol's version, as `Hello` and `Welcome` tell it. Before it was told, it was 0.
pub const PROTOCOL: u32 = 1;

/// What either side may do beyond version 0; told in `Hello` and `Welcome`.
pub mod capability {
    /// Signing off: `Leave`.
    pub const LEAVE: &str = "leave";
    /// `Hello.gap`, and `Welcome.taken_digest`.
    pub const PAST: &str = "past";
    /// Collecting monitors of types `second` and `second_multi_key`.
    pub const SECOND: &str = "second";
    /// Collecting monitors of type `service_metrics`.
    pub const SERVICE_METRICS: &str = "service_metrics";
    /// Collecting monitors of type `minute_top`.
    pub const MINUTE_TOP: &str = "minute_top";
    /// What this version does.
    pub const ALL: [&str; 5] = [LEAVE, PAST, SECOND, SERVICE_METRICS, MINUTE_TOP];
}

/// Encodes what was gathered, uncompressed.
pub fn encode_gathered(deltas: &[MonitorDelta], watermarks: &[Watermark]) -> Vec<u8> {
    let gathered = wire::Gathered {
        deltas: deltas.iter().map(delta_to_wire).collect(),
        watermarks: watermarks
            .iter()
            .map(|w| wire::MonitorWatermark {
                monitor: w.monitor.name.clone(),
                through_ms: w.through.0,
                gap_until_ms: w.gap.map_or(0, Timestamp::millis),
                gap_from_ms: w.gap_from.map_or(0, |from| from.0),
                uid: w.uid.clone().unwrap_or_default(),
            })
            .collect(),
    };
    gathered.encode_to_vec()
}

/// Decodes what an agent of `workspace` gathered.
///
/// # Errors
/// `InvalidInput` for anything malformed: it must not reach the engine in part.
pub fn decode_gathered(workspace: &str, bytes: &[u8]) -> Result<(Vec<MonitorDelta>, Vec<Watermark>)> {
    let malformed = |what: &str| Error::invalid(format!("malformed record: {what}"), Vec::new());
    let gathered = wire::Gathered::decode(bytes).map_err(|error| malformed(&error.to_string()))?;
    let deltas = gathered
        .deltas
        .into_iter()
        .map(|delta| delta_from_wire(workspace, delta).map_err(|what| malformed(&what)))
        .collect::<Result<_>>()?;
    let watermarks = gathered
        .watermarks
        .into_iter()
        .map(|w| Watermark {
            monitor: MonitorKey::new(workspace, w.monitor),
            through: Timestamp(w.through_ms),
            gap: (w.gap_until_ms != 0).then_some(Timestamp(w.gap_until_ms)),
            gap_from: (w.gap_from_ms != 0).then_some(Timestamp(w.gap_from_ms)),
            uid: (!w.uid.is_empty()).then_some(w.uid),
        })
        .collect();
    Ok((deltas, watermarks))
}

fn delta_to_wire(delta: &MonitorDelta) -> wire::Delta {
    wire::Delta {
        monitor: delta.monitor.name.clone(),
        uid: delta.uid.clone().unwrap_or_default(),
        width_ms: delta.width.as_millis() as u32,
        group_by: delta.group_by.clone(),
        fields: delta.fields.clone(),
        windows: delta
            .windows
            .iter()
            .map(|window| wire::Window {
                start_ms: window.start.0,
                keys: window.keys.clone(),
                figures: (delta.fields.iter().zip(&window.partials))
                    .map(|(field, partial)| partial_to_wire(field, partial))
                    .collect(),
            })
            .collect(),
    }
}

fn delta_from_wire(workspace: &str, delta: wire::Delta) -> Result<MonitorDelta, String> {
    let unfit = || "a delta does not fit its own columns".to_owned();
    let (keys, fields) = (delta.group_by.len(), delta.fields.len());
    if delta.monitor.is_empty()
        || delta.uid.len() > MAX_UID_BYTES
        || delta.width_ms == 0
        || fields == 0
        || fields > 64
        || keys > 16
    {
        return Err(unfit());
    }
    let width = i64::from(delta.width_ms);
    let window = |window: wire::Window| {
        let fits = window.keys.len() == keys && window.figures.len() == fields;
        let aligned = window.start_ms.rem_euclid(width) == 0;
        let short = window.keys.iter().all(|key| key.len() <= MAX_KEY_BYTES);
        if !(fits && aligned && short) {
            return Err(unfit());
        }
        let typed = delta.fields.iter().zip(&window.figures);
        let partials = typed.map(|(field, figures)| partial_from_wire(field, figures)).collect::<Result<_, _>>()?;
        Ok(WindowDelta { start: Timestamp(window.start_ms), keys: window.keys, partials })
    };
    let windows = delta.windows.into_iter().map(window).collect::<Result<_, String>>()?;
    Ok(MonitorDelta {
        monitor: MonitorKey::new(workspace, delta.monitor),
        uid: (!delta.uid.is_empty()).then_some(delta.uid),
        width: Duration::from_millis(u64::from(delta.width_ms)),
        group_by: delta.group_by,
        fields: delta.fields,
        windows,
    })
}

/// Lines and numbers go as agents have always sent them, without a kind, so that older servers read them.
fn partial_to_wire(field: &str, partial: &Partial) -> wire::Figures {
    let kind = partial.kind();
    let untyped = kind == PartialKind::of_untyped(field);
    match partial {
        Partial::Lines(count) if untyped => wire::Figures { count: *count, ..Default::default() },
        Partial::Number(number) if untyped && number.count == 0 => wire::Figures::default(),
        Partial::Number(number) if untyped => wire::Figures {
            count: number.count,
            sum: number.sum.to_bytes(),
            min: number.min.to_bytes(),
            max: number.max.to_bytes(),
            ..Default::default()
        },
        _ => wire::Figures { kind: kind.id(), state: partial.encode(), ..Default::default() },
    }
}

fn partial_from_wire(field: &str, figures: &wire::Figures) -> Result<Partial, String> {
    let unfit = || "a partial has no sound figures".to_owned();
    if figures.kind != 0 {
        let kind = PartialKind::from_id(figures.kind).map_err(|error| error.to_string())?;
        return Partial::decode(kind, &figures.state).map_err(|error| error.to_string());
    }
    if figures.min.is_empty() && figures.max.is_empty() {
        return match PartialKind::of_untyped(field) {
            _ if !figures.sum.is_empty() => Err(unfit()),
            PartialKind::Number if figures.count == 0 => Ok(Number::EMPTY.into()),
            _ => Ok(Partial::Lines(figures.count)),
        };
    }
    let decimal = |bytes: &[u8]| Decimal::from_bytes(bytes).ok_or_else(unfit);
    let number = Number {
        count: figures.count,
        sum: decimal(&figures.sum)?,
        min: decimal(&figures.min)?,
        max: decimal(&figures.max)?,
    };
    if number.count > 0 && number.is_sound() { Ok(number.into()) } else { Err(unfit()) }
}

impl From<&AgentFacts> for wire::Facts {
    fn from(facts: &AgentFacts) -> Self {
        Self {
            hostname: facts.hostname.clone(),
            ip: facts.ip.clone(),
            version: facts.version.clone(),
            os: facts.os.clone(),
            arch: facts.arch.clone(),
            timezone: facts.timezone.clone(),
            timezone_problem: facts.timezone_problem.clone(),
            labels: facts.labels.clone().into_iter().collect(),
        }
    }
}

impl From<wire::Facts> for AgentFacts {
    fn from(facts: wire::Facts) -> Self {
        Self {
            hostname: facts.hostname,
            ip: facts.ip,
            version: facts.version,
            os: facts.os,
            arch: facts.arch,
            timezone: facts.timezone,
            timezone_problem: facts.timezone_problem,
            labels: facts.labels.into_iter().collect(),
        }
    }
}

impl From<wire::MonitorReport> for MonitorReport {
    fn from(report: wire::MonitorReport) -> Self {
        Self {
            monitor: report.monitor,
            files: report.files,
            lines: report.lines,
            faults: report.faults.into_iter().collect(),
            examples: report.examples.into_iter().collect(),
            watermark: (report.watermark_ms != 0).then_some(Timestamp(report.watermark_ms)),
        }
    }
}

impl From<&MonitorReport> for wire::MonitorReport {
    fn from(report: &MonitorReport) -> Self {
        Self {
            monitor: report.monitor.clone(),
            files: report.files,
            lines: report.lines,
            faults: report.faults.clone().into_iter().collect(),
            examples: report.examples.clone().into_iter().collect(),
            watermark_ms: report.watermark.map_or(0, Timestamp::millis),
            on_disk: Vec::new(),
        }
    }
}

impl From<wire::SelfReport> for AgentSelf {
    fn from(report: wire::SelfReport) -> Self {
        Self {
            resident_bytes: report.resident_bytes,
            cpu_millis: report.cpu_millis,
            journal_bytes: report.journal_bytes,
            journal_limit_bytes: report.journal_limit_bytes,
            unacked_records: report.unacked_records,
            paused: report.paused,
        }
    }
}

impl From<&AgentSelf> for wire::SelfReport {
    fn from(process: &AgentSelf) -> Self {
        Self {
            resident_bytes: process.resident_bytes,
            cpu_millis: process.cpu_millis,
            journal_bytes: process.journal_bytes,
            journal_limit_bytes: process.journal_limit_bytes,
            unacked_records: process.unacked_records,
            paused: process.paused,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::partial::{TopRank, TopState};

    proptest! {
        #[test]
        fn deltas_travel(values in proptest::collection::vec((0i64..1000, -1000i64..1000), 0..20)) {
            let windows = values.iter().map(|(minute, value)| {
                let number: Number = (0..value % 3).map(|_| Decimal::from_int(*value)).collect();
                let top = TopState::of_exact(2, TopRank::Sum, [(["x"].as_slice(), 2, Decimal(value.abs().into()))]);
                let partials = vec![Partial::lines(1), number.into(), number.into(), Partial::lines(7), top.into()];
                WindowDelta { start: Timestamp(minute * 60_000), keys: vec![value.to_string()], partials }
            }).collect();
            let delta = MonitorDelta {
                monitor: MonitorKey::new("w", "m"), uid: values.first().map(|(minute, _)| format!("u{minute}")), width: Duration::from_secs(60), group_by: vec!["k".into()],
                fields: ["*", "v", "*", "v", "t"].map(str::to_owned).to_vec(), windows,
            };
            let watermark = Watermark::new(MonitorKey::new("w", "m"), Timestamp(60_000));
            let gap = Watermark { gap: Some(Timestamp(90_000)), gap_from: Some(Timestamp(9)), uid: Some("u".into()), ..watermark.clone() };
            let bytes = encode_gathered(std::slice::from_ref(&delta), &[watermark.clone(), gap.clone()]);
            let (deltas, watermarks) = decode_gathered("w", &bytes).expect("own encoding");
            prop_assert_eq!(deltas, vec![delta]);
            prop_assert_eq!(watermarks, vec![watermark, gap]);
        }

        #[test]
        fn another_kind_is_named_and_unsound_figures_are_refused(kind in 4u32.., count in 1u64..) {
            let refused = |figures: wire::Figures| {
                let window = wire::Window { start_ms: 0, keys: vec![], figures: vec![figures] };
                let delta = wire::Delta {
                    monitor: "m".into(), width_ms: 60_000, fields: vec!["v".into()], windows: vec![window], ..Default::default()
                };
                let gathered = wire::Gathered { deltas: vec![delta], watermarks: vec![] };
                decode_gathered("w", &gathered.encode_to_vec()).expect_err("refused").message
            };
            let later = refused(wire::Figures { kind, state: vec![1], ..Default::default() });
            prop_assert!(later.contains(&format!("kind {kind} ")), "{}", later);
            refused(wire::Figures { kind: 3, state: vec![255], ..Default::default() });
            refused(wire::Figures { count, sum: vec![1], min: vec![2], max: vec![1], ..Default::default() });
            refused(wire::Figures { count, sum: vec![1], ..Default::default() });
            refused(wire::Figures { count: 0, sum: vec![1], min: vec![1], max: vec![1], ..Default::default() });
        }

        #[test]
        fn garbage_is_an_error_not_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _outcome = decode_gathered("w", &bytes);
        }
    }
}
