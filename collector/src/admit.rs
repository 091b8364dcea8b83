//! What of a record is let through to the engine.
//!
//! A record that cannot have been written by a working agent ends its session. A record that is
//! merely out of date (its monitor was deleted or given to others meanwhile) is taken without the
//! part that has no home any more, which is counted.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use nightjar_model::builtin;
use nightjar_model::delta::{
    Batch, FAULT_KEYS, FAULTS_MONITOR, FAULTS_WIDTH, FaultReason, LINES_FIELD, MonitorDelta, Partial, WindowDelta,
};
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::protocol::{MAX_PAYLOAD_BYTES, decode_gathered, wire};
use nightjar_model::time::Timestamp;

use crate::refusal::Refusal;

/// Whose record it is.
pub(crate) struct Sender<'a> {
    pub(crate) agent: &'a AgentId,
    pub(crate) workspace: &'a str,
    pub(crate) incarnation: u64,
}

/// How many bytes a payload may hold once decompressed, by what its header says; never more than the
/// protocol's limit.
pub(crate) fn payload_bound(payload: &[u8]) -> usize {
    match zstd::zstd_safe::get_frame_content_size(payload) {
        Ok(Some(bytes)) => usize::try_from(bytes).unwrap_or(usize::MAX).min(MAX_PAYLOAD_BYTES),
        _ => MAX_PAYLOAD_BYTES,
    }
}

/// Decompresses and decodes a record.
///
/// # Errors
/// Anything malformed, or over the protocol's limit once decompressed.
pub(crate) fn decode(sender: &Sender<'_>, record: &wire::Record) -> Result<Batch, Refusal> {
    let malformed = |what: String| Refusal::Malformed(format!("record {} is malformed: {what}", record.sequence));
    if let Ok(Some(bytes)) = zstd::zstd_safe::get_frame_content_size(&record.payload)
        && bytes > MAX_PAYLOAD_BYTES as u64
    {
        return Err(malformed(format!("it holds {bytes} bytes; the limit is {MAX_PAYLOAD_BYTES}")));
    }
    let gathered = zstd::bulk::decompress(&record.payload, payload_bound(&record.payload))
        .map_err(|error| malformed(format!("{error} (the limit is {MAX_PAYLOAD_BYTES} bytes)")))?;
    let (deltas, watermarks) = decode_gathered(sender.workspace, &gathered)?;
    if let Some(delta) = deltas.iter().find(|delta| !builtin::has_its_shape(delta)) {
        return Err(malformed(format!("`{}` does not have its columns", delta.monitor.name)));
    }
    Ok(Batch {
        agent: sender.agent.clone(),
        incarnation: sender.incarnation,
        sequence: record.sequence,
        digest: crc32fast::hash(&record.payload),
        deltas,
        watermarks,
    })
}

/// What was left out of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Monitors that are not there.
    pub(crate) monitors: Vec<String>,
    /// Lines of windows that are not kept, by monitor.
    pub(crate) not_kept: BTreeMap<String, u64>,
}

/// Leaves out what belongs to no monitor: none has the name, or the one that has it now was made after the one
/// it was gathered for was deleted. An agent that does not say which one means the one that has the name. Leaves
/// out what is not kept: windows that start outside of what is `kept` of their width. What an agent gathered of
/// one that no longer wants it still counts: it was this agent's when it was logged. Its watermarks do not, nobody
/// waits for them; the others are held to the server's own clock: no window may pass for complete before it is
/// over.
pub(crate) fn filter<'a>(
    batch: &mut Batch,
    now: Timestamp,
    kept: impl Fn(Duration) -> Range<Timestamp>,
    uid: impl Fn(&str) -> Option<&'a str>,
    is_wanted: impl Fn(&str) -> bool,
) -> LeftOut {
    let mut left_out = LeftOut::default();
    batch.deltas.retain_mut(|delta| {
        if builtin::monitor(&delta.monitor.name).is_some() {
            delta.uid = None;
        } else {
            match uid(&delta.monitor.name) {
                Some(known) if delta.uid.as_deref().is_none_or(|told| told == known) => {
                    delta.uid = (!known.is_empty()).then(|| known.to_owned());
                }
                _ => {
                    left_out.monitors.push(delta.monitor.name.clone());
                    return false;
                }
            }
        }
        let (kept, mut lines) = (kept(delta.width), 0);
        delta.windows.retain(|window| {
            let is_kept = kept.contains(&window.start);
            if !is_kept {
                lines += window.partials.first().map_or(0, Partial::count);
            }
            is_kept
        });
        if lines > 0 && builtin::monitor(&delta.monitor.name).is_none() {
            *left_out.not_kept.entry(delta.monitor.name.clone()).or_default() += lines;
        }
        !delta.windows.is_empty()
    });
    batch.watermarks.retain_mut(|watermark| {
        watermark.through = watermark.through.min(now);
        watermark.gap = watermark.gap.map(|until| until.min(now));
        let name = &watermark.monitor.name;
        // What an agent read for one that was deleted meanwhile it did not read for the one that has the name now.
        let known = uid(name).filter(|known| !known.is_empty() && builtin::monitor(name).is_none());
        let is_of_it = watermark.uid.is_none() || known.is_none() || watermark.uid.as_deref() == known;
        watermark.uid = known.map(str::to_owned);
        is_of_it && is_wanted(name)
    });
    left_out
}

/// What the server counts as a fault itself, as an agent would: by monitor and reason, in the minute of `now`.
pub(crate) fn faults(
    workspace: &str,
    host: &str,
    now: Timestamp,
    counts: impl IntoIterator<Item = (String, FaultReason, u64)>,
) -> Option<MonitorDelta> {
    let window = |(monitor, reason, count): (String, FaultReason, u64)| WindowDelta {
        start: now.floor(FAULTS_WIDTH),
        keys: vec![monitor, reason.name().to_owned(), host.to_owned()],
        partials: vec![Partial::lines(count)],
    };
    let windows: Vec<WindowDelta> = counts.into_iter().map(window).collect();
    (!windows.is_empty()).then(|| MonitorDelta {
        monitor: MonitorKey::new(workspace, FAULTS_MONITOR),
        uid: None,
        width: FAULTS_WIDTH,
        group_by: FAULT_KEYS.map(str::to_owned).to_vec(),
        fields: vec![LINES_FIELD.to_owned()],
        windows,
    })
}

#[cfg(test)]
mod tests {
    use nightjar_model::delta::{Number, Watermark};
    use nightjar_model::protocol::encode_gathered;
    use prost::Message;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn kept(_: Duration) -> Range<Timestamp> {
        NOW.saturating_sub(DAY)..NOW.saturating_add(DAY)
    }

    fn delta(monitor: &str, starts: &[Timestamp]) -> MonitorDelta {
        MonitorDelta {
            monitor: MonitorKey::new("w", monitor),
            uid: None,
            width: Duration::from_secs(60),
            group_by: vec![],
            fields: vec![LINES_FIELD.to_owned()],
            windows: starts
                .iter()
                .map(|start| WindowDelta { start: *start, keys: vec![], partials: vec![Partial::lines(1)] })
                .collect(),
        }
    }

    fn sent(deltas: &[MonitorDelta], watermarks: &[Watermark]) -> wire::Record {
        let payload = zstd::bulk::compress(&encode_gathered(deltas, watermarks), 1).unwrap();
        wire::Record { sequence: 3, payload }
    }

    fn decoded(record: &wire::Record) -> Result<Batch, Refusal> {
        decode(&Sender { agent: &AgentId("a".to_owned()), workspace: "w", incarnation: 7 }, record)
    }

    #[test]
    fn what_was_gathered_passes_and_what_belongs_to_no_monitor_is_left_out() {
        let watermark = |monitor: &str, through| Watermark::new(MonitorKey::new("w", monitor), Timestamp(through));
        let record = sent(
            &[delta("mine", &[NOW]), delta("no longer mine", &[NOW]), delta("gone", &[NOW])],
            &[watermark("mine", NOW.0 + 5_000), watermark("no longer mine", 1), watermark("gone", 1)],
        );
        let mut batch = decoded(&record).unwrap();
        assert_eq!((batch.incarnation, batch.sequence), (7, 3));
        let uid = |name: &str| (name != "gone").then_some("");
        let left_out = filter(&mut batch, NOW, kept, uid, |name| name == "mine");
        assert_eq!(left_out.monitors, ["gone"]);
        assert_eq!(batch.deltas, [delta("mine", &[NOW]), delta("no longer mine", &[NOW])]);
        assert_eq!(batch.watermarks, [watermark("mine", NOW.0)], "held to the server's clock");
    }

    #[test]
    fn a_monitor_is_its_uid() {
        let of = |uid: Option<&str>| MonitorDelta { uid: uid.map(str::to_owned), ..delta("m", &[NOW]) };
        let check = |told: Option<&str>, known: &'static str, expected: Option<Option<&str>>| {
            let read = |uid: Option<&str>| Watermark {
                uid: uid.map(str::to_owned),
                ..Watermark::new(MonitorKey::new("w", "m"), NOW)
            };
            let mut batch = decoded(&sent(&[of(told)], &[read(told)])).unwrap();
            let left_out = filter(&mut batch, NOW, kept, |_| Some(known), |_| true);
            assert_eq!(left_out.monitors.is_empty(), expected.is_some());
            assert_eq!(batch.watermarks, expected.map(read).into_iter().collect::<Vec<_>>());
            assert_eq!(batch.deltas, expected.map(of).into_iter().collect::<Vec<_>>());
        };
        check(Some("u1"), "u1", Some(Some("u1")));
        check(None, "u1", Some(Some("u1")));
        // Gathered for one that was deleted meanwhile.
        check(Some("u1"), "u2", None);
        check(None, "", Some(None));
    }

    #[test]
    fn windows_that_are_not_kept_are_left_out_and_counted_as_a_fault() {
        let (far, old) = (NOW.saturating_add(DAY), NOW.saturating_sub(DAY + Duration::from_secs(60)));
        let mut batch = decoded(&sent(&[delta("mine", &[NOW, far, old]), delta("other", &[old])], &[])).unwrap();
        let left_out = filter(&mut batch, NOW, kept, |_| Some(""), |_| true);
        assert_eq!(left_out.not_kept, [("mine".to_owned(), 2), ("other".to_owned(), 1)].into());
        assert_eq!(batch.deltas, [delta("mine", &[NOW])]);
        let counts = left_out.not_kept.into_iter().map(|(monitor, lines)| (monitor, FaultReason::NotKept, lines));
        let faults = faults("w", "h", NOW, counts).unwrap();
        assert!(builtin::has_its_shape(&faults));
        assert_eq!(faults.windows[0].keys, ["mine", "not_kept", "h"]);
        assert_eq!(faults.windows[0].partials, [Partial::lines(2)]);
    }

    #[test]
    fn faults_need_their_own_shape() {
        let mut faults = delta(FAULTS_MONITOR, &[NOW]);
        assert!(matches!(decoded(&sent(&[faults.clone()], &[])), Err(Refusal::Malformed(_))));
        faults.group_by = FAULT_KEYS.map(str::to_owned).to_vec();
        faults.windows[0].keys = vec!["m".into(), "nul_bytes".into(), "h".into()];
        let mut batch = decoded(&sent(&[faults], &[])).unwrap();
        filter(&mut batch, NOW, kept, |_| None, |_| false);
        assert_eq!(batch.deltas.len(), 1, "faults belong to every agent");
    }

    #[test]
    fn garbage_and_bombs_are_refused() {
        for payload in [vec![1, 2, 3], zstd::bulk::compress(&[0xff; 40], 1).unwrap()] {
            assert!(decoded(&wire::Record { sequence: 3, payload }).is_err());
        }
        let bomb = zstd::bulk::compress(&vec![0; MAX_PAYLOAD_BYTES + 1], 19).unwrap();
        assert!(bomb.len() < 100_000);
        let refusal = decoded(&wire::Record { sequence: 3, payload: bomb }).unwrap_err();
        assert!(refusal.to_string().contains("limit"), "{refusal}");
    }

    /// What an agent of the time sent in a session, as `tests/fixtures/session-N`: its messages, each with its
    /// length before it. They are never written again; with `NIGHTJAR_WRITE_FIXTURE=FILE` the present code
    /// writes what it would send.
    #[test]
    fn sessions_of_every_format_are_understood() {
        let cost: Number = [-5, i128::from(u64::MAX) * 9].into_iter().map(nightjar_model::Decimal).collect();
        let mut costs = delta("m", &[Timestamp(0), NOW]);
        costs.group_by = vec!["goods".into(), "$host".into()];
        costs.fields = vec!["*".into(), "cost".into()];
        for (window, cost) in costs.windows.iter_mut().zip([cost, Number::EMPTY]) {
            window.keys = vec!["衣".into(), String::new()];
            window.partials.push(cost.into());
        }
        let deltas = [costs, delta("lines", &[NOW])];
        let told = Watermark::new(MonitorKey::new("w", "m"), NOW);
        let watermarks = [told.clone(), Watermark { gap: Some(Timestamp(9)), ..told }];
        if let Some(file) = std::env::var_os("NIGHTJAR_WRITE_FIXTURE") {
            std::fs::write(file, session(&deltas, &watermarks)).unwrap();
        }
        for recorded in [include_bytes!("../tests/fixtures/session-1").as_slice()] {
            let (mut rest, mut records) = (recorded, 0);
            while !rest.is_empty() {
                let message = wire::FromAgent::decode_length_delimited(&mut rest).unwrap();
                match message.body.unwrap() {
                    wire::from_agent::Body::Hello(hello) => {
                        assert_eq!(
                            (hello.incarnation, hello.last_sequence, hello.facts.unwrap().hostname),
                            (7, 3, "h".into())
                        );
                    }
                    wire::from_agent::Body::Heartbeat(beat) => assert_eq!(beat.monitors[0].faults["bytes_lost"], 2),
                    wire::from_agent::Body::Record(record) => {
                        let batch = decoded(&record).unwrap();
                        assert_eq!(
                            (batch.sequence, &batch.deltas[..], &batch.watermarks[..]),
                            (3, &deltas[..], &watermarks[..])
                        );
                        records += 1;
                    }
                    other => assert!(matches!(other, wire::from_agent::Body::ConfigAck(ack) if ack.version == "v")),
                }
            }
            assert_eq!(records, 1);
        }
    }

    fn session(deltas: &[MonitorDelta], watermarks: &[Watermark]) -> Vec<u8> {
        use wire::from_agent::Body;
        let facts = wire::Facts {
            hostname: "h".into(),
            version: "0".into(),
            labels: [("app".into(), "x".into())].into(),
            ..Default::default()
        };
        let hello =
            wire::Hello { facts: Some(facts), incarnation: 7, last_sequence: 3, now_ms: NOW.0, ..Default::default() };
        let report = wire::MonitorReport {
            monitor: "m".into(),
            lines: 9,
            faults: [("bytes_lost".into(), 2)].into(),
            ..Default::default()
        };
        let beat =
            wire::Heartbeat { now_ms: NOW.0, monitors: vec![report], process: Some(wire::SelfReport::default()) };
        let ack = wire::ConfigAck { version: "v".into(), problems: vec![] };
        let bodies =
            [Body::Hello(hello), Body::ConfigAck(ack), Body::Record(sent(deltas, watermarks)), Body::Heartbeat(beat)];
        bodies
            .into_iter()
            .flat_map(|body| wire::FromAgent { body: Some(body) }.encode_length_delimited_to_vec())
            .collect()
    }
}
