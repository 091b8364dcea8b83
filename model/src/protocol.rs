//! The agent protocol (`proto/agents.proto`): generated types, and [`Gathered`](wire::Gathered) to
//! and from [`delta`](crate::delta) with everything checked that an agent could get wrong.

use std::time::Duration;

use prost::Message;

use crate::agents::{AgentFacts, AgentSelf, MonitorReport};
use crate::decimal::Decimal;
use crate::delta::{MonitorDelta, Partial, Watermark, WindowDelta};
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

/// A key's value holds at most this many bytes; agents cut longer ones.
pub const MAX_KEY_BYTES: usize = 256;

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
        .map(|delta| delta_from_wire(workspace, delta).ok_or_else(|| malformed("a delta does not fit its own columns")))
        .collect::<Result<_>>()?;
    let watermarks = gathered
        .watermarks
        .into_iter()
        .map(|w| Watermark {
            monitor: MonitorKey::new(workspace, w.monitor),
            through: Timestamp(w.through_ms),
            gap: (w.gap_until_ms != 0).then_some(Timestamp(w.gap_until_ms)),
        })
        .collect();
    Ok((deltas, watermarks))
}

fn delta_to_wire(delta: &MonitorDelta) -> wire::Delta {
    wire::Delta {
        monitor: delta.monitor.name.clone(),
        width_ms: delta.width.as_millis() as u32,
        group_by: delta.group_by.clone(),
        fields: delta.fields.clone(),
        windows: delta
            .windows
            .iter()
            .map(|window| wire::Window {
                start_ms: window.start.0,
                keys: window.keys.clone(),
                figures: window.partials.iter().map(partial_to_wire).collect(),
            })
            .collect(),
    }
}

fn delta_from_wire(workspace: &str, delta: wire::Delta) -> Option<MonitorDelta> {
    let (keys, fields) = (delta.group_by.len(), delta.fields.len());
    if delta.monitor.is_empty() || delta.width_ms == 0 || fields == 0 || fields > 64 || keys > 16 {
        return None;
    }
    let width = i64::from(delta.width_ms);
    let windows = delta
        .windows
        .into_iter()
        .map(|window| {
            let fits = window.keys.len() == keys && window.figures.len() == fields;
            let aligned = window.start_ms.rem_euclid(width) == 0;
            let short = window.keys.iter().all(|key| key.len() <= MAX_KEY_BYTES);
            let partials = window.figures.iter().map(partial_from_wire).collect::<Option<_>>()?;
            (fits && aligned && short).then_some(WindowDelta {
                start: Timestamp(window.start_ms),
                keys: window.keys,
                partials,
            })
        })
        .collect::<Option<_>>()?;
    Some(MonitorDelta {
        monitor: MonitorKey::new(workspace, delta.monitor),
        width: Duration::from_millis(u64::from(delta.width_ms)),
        group_by: delta.group_by,
        fields: delta.fields,
        windows,
    })
}

fn partial_to_wire(partial: &Partial) -> wire::Figures {
    if partial.count == 0 || partial.min > partial.max {
        // A count of lines: it has no values.
        return wire::Figures { count: partial.count, ..Default::default() };
    }
    wire::Figures {
        count: partial.count,
        sum: int_to_bytes(partial.sum.0),
        min: int_to_bytes(partial.min.0),
        max: int_to_bytes(partial.max.0),
    }
}

fn partial_from_wire(figures: &wire::Figures) -> Option<Partial> {
    if figures.min.is_empty() && figures.max.is_empty() {
        return figures.sum.is_empty().then_some(Partial::lines(figures.count));
    }
    let (min, max) = (bytes_to_int(&figures.min)?, bytes_to_int(&figures.max)?);
    (figures.count > 0 && min <= max).then_some(Partial {
        count: figures.count,
        sum: Decimal(bytes_to_int(&figures.sum)?),
        min: Decimal(min),
        max: Decimal(max),
    })
}

fn int_to_bytes(value: i128) -> Vec<u8> {
    let bytes = value.to_le_bytes();
    let sign = if value < 0 { 0xff } else { 0 };
    let mut length = 16;
    while length > 1 && bytes[length - 1] == sign && (bytes[length - 2] & 0x80) == (sign & 0x80) {
        length -= 1;
    }
    bytes[..length].to_vec()
}

fn bytes_to_int(bytes: &[u8]) -> Option<i128> {
    let last = *bytes.last()?;
    let mut whole = if last & 0x80 != 0 { [0xff; 16] } else { [0; 16] };
    whole.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i128::from_le_bytes(whole))
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

    proptest! {
        #[test]
        fn integers_travel(value: i128) {
            prop_assert_eq!(bytes_to_int(&int_to_bytes(value)), Some(value));
        }

        #[test]
        fn deltas_travel(values in proptest::collection::vec((0i64..1000, -1000i64..1000), 0..20)) {
            let windows = values.iter().map(|(minute, value)| {
                let mut partial = Partial::EMPTY;
                partial.add(Decimal::from_int(*value));
                WindowDelta { start: Timestamp(minute * 60_000), keys: vec![value.to_string()], partials: vec![Partial::lines(1), partial] }
            }).collect();
            let delta = MonitorDelta {
                monitor: MonitorKey::new("w", "m"), width: Duration::from_secs(60), group_by: vec!["k".into()],
                fields: vec!["*".into(), "v".into()], windows,
            };
            let watermark = Watermark::new(MonitorKey::new("w", "m"), Timestamp(60_000));
            let gap = Watermark { gap: Some(Timestamp(90_000)), ..watermark.clone() };
            let bytes = encode_gathered(std::slice::from_ref(&delta), &[watermark.clone(), gap.clone()]);
            let (deltas, watermarks) = decode_gathered("w", &bytes).expect("own encoding");
            prop_assert_eq!(deltas, vec![delta]);
            prop_assert_eq!(watermarks, vec![watermark, gap]);
        }

        #[test]
        fn garbage_is_an_error_not_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _outcome = decode_gathered("w", &bytes);
        }
    }
}
