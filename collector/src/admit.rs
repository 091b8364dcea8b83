//! What of a record is let through to the engine.
//!
//! A record that cannot have been written by a working agent ends its session. A record that is
//! merely out of date (its monitor was deleted or given to others meanwhile) is taken without the
//! part that has no home any more, which is counted.

use std::time::Duration;

use nightjar_model::builtin;
use nightjar_model::delta::Batch;
use nightjar_model::names::AgentId;
use nightjar_model::protocol::{MAX_PAYLOAD_BYTES, decode_gathered, wire};
use nightjar_model::time::Timestamp;

use crate::refusal::Refusal;

/// Windows further ahead of the server's clock than this are dropped: no working clock is that wrong.
const MAX_AHEAD: Duration = Duration::from_secs(24 * 3600);

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
        deltas,
        watermarks,
    })
}

/// What was left out of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Monitors that are not there.
    pub(crate) monitors: Vec<String>,
    /// Windows too far ahead of the server's clock.
    pub(crate) ahead: u64,
}

/// Leaves out what belongs to no monitor: none has the name, or the one that has it now was made after the one
/// it was gathered for was deleted. An agent that does not say which one means the one that has the name. What an
/// agent gathered of one that no longer wants it still counts: it was this agent's when it was logged. Its watermarks do not, nobody waits for them; the
/// others are held to the server's own clock: no window may pass for complete before it is over.
pub(crate) fn filter<'a>(
    batch: &mut Batch,
    now: Timestamp,
    uid: impl Fn(&str) -> Option<&'a str>,
    is_wanted: impl Fn(&str) -> bool,
) -> LeftOut {
    let mut left_out = LeftOut::default();
    let limit = now.saturating_add(MAX_AHEAD);
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
        let before = delta.windows.len();
        delta.windows.retain(|window| window.start <= limit);
        left_out.ahead += (before - delta.windows.len()) as u64;
        !delta.windows.is_empty()
    });
    batch.watermarks.retain_mut(|watermark| {
        watermark.through = watermark.through.min(now);
        watermark.gap = watermark.gap.map(|until| until.min(now));
        is_wanted(&watermark.monitor.name)
    });
    left_out
}

#[cfg(test)]
mod tests {
    use nightjar_model::delta::{
        FAULT_KEYS, FAULTS_MONITOR, LINES_FIELD, MonitorDelta, Number, Partial, Watermark, WindowDelta,
    };
    use nightjar_model::names::MonitorKey;
    use nightjar_model::protocol::encode_gathered;
    use prost::Message;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

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
        let left_out = filter(&mut batch, NOW, |name| (name != "gone").then_some(""), |name| name == "mine");
        assert_eq!(left_out.monitors, ["gone"]);
        assert_eq!(batch.deltas, [delta("mine", &[NOW]), delta("no longer mine", &[NOW])]);
        assert_eq!(batch.watermarks, [watermark("mine", NOW.0)], "held to the server's clock");
    }

    #[test]
    fn a_monitor_is_its_uid() {
        let of = |uid: Option<&str>| MonitorDelta { uid: uid.map(str::to_owned), ..delta("m", &[NOW]) };
        let check = |told: Option<&str>, known: &'static str, kept: Option<Option<&str>>| {
            let mut batch = decoded(&sent(&[of(told)], &[])).unwrap();
            let left_out = filter(&mut batch, NOW, |_| Some(known), |_| true);
            assert_eq!(left_out.monitors.is_empty(), kept.is_some());
            assert_eq!(batch.deltas, kept.map(of).into_iter().collect::<Vec<_>>());
        };
        check(Some("u1"), "u1", Some(Some("u1")));
        check(None, "u1", Some(Some("u1")));
        // Gathered for one that was deleted meanwhile.
        check(Some("u1"), "u2", None);
        check(None, "", Some(None));
    }

    #[test]
    fn windows_of_a_day_to_come_are_left_out() {
        let far = NOW.saturating_add(MAX_AHEAD + Duration::from_secs(60));
        let mut batch = decoded(&sent(&[delta("mine", &[NOW, far])], &[])).unwrap();
        assert_eq!(filter(&mut batch, NOW, |_| Some(""), |_| true), LeftOut { monitors: vec![], ahead: 1 });
        assert_eq!(batch.deltas, [delta("mine", &[NOW])]);
    }

    #[test]
    fn faults_need_their_own_shape() {
        let mut faults = delta(FAULTS_MONITOR, &[NOW]);
        assert!(matches!(decoded(&sent(&[faults.clone()], &[])), Err(Refusal::Malformed(_))));
        faults.group_by = FAULT_KEYS.map(str::to_owned).to_vec();
        faults.windows[0].keys = vec!["m".into(), "nul_bytes".into(), "h".into()];
        let mut batch = decoded(&sent(&[faults], &[])).unwrap();
        filter(&mut batch, NOW, |_| None, |_| false);
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
