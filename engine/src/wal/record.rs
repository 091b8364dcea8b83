//! What a record of the log says: a batch, who is expected to contribute, whose older windows are, or what can
//! never be complete.
//!
//! The completeness of windows follows from these alone, so replaying them gives the same marks again.
//! A record's first byte is its kind, the rest is protobuf.

use std::collections::BTreeMap;
use std::time::Duration;

use nightjar_model::delta::{Batch, MonitorDelta, Watermark};
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{AgentGap, AwayAgent, Expectation, ExpectedAgent};
use nightjar_model::protocol::{MAX_KEY_BYTES, MAX_UID_BYTES, decode_gathered, encode_gathered};
use nightjar_model::{Error, Timestamp};
use prost::Message;

use crate::completeness::Change;
use crate::completeness::checkpoint::{Strings, reason_number, reason_of};

const BATCH: u8 = 1;
/// Who is expected of all monitors: written before changes were.
const EXPECT: u8 = 2;
const CLAIM: u8 = 3;
const CHANGE: u8 = 4;
const GAP: u8 = 5;

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// When the server took it.
    pub(crate) at: Timestamp,
    pub(crate) body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Batch(Batch),
    Expect(Vec<Expectation>),
    Claim(Claim),
    Change(Vec<Change>),
    Gap(AgentGap),
}

/// What was stored under a monitor's name before windows had a uid is of this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) monitor: MonitorKey,
    pub(crate) uid: String,
}

#[derive(Clone, PartialEq, Message)]
struct ClaimMessage {
    #[prost(int64, tag = "1")]
    at_ms: i64,
    #[prost(string, tag = "2")]
    workspace: String,
    #[prost(string, tag = "3")]
    monitor: String,
    #[prost(string, tag = "4")]
    uid: String,
}

#[derive(Clone, PartialEq, Message)]
struct BatchMessage {
    #[prost(int64, tag = "1")]
    at_ms: i64,
    #[prost(string, tag = "2")]
    agent: String,
    #[prost(uint64, tag = "3")]
    incarnation: u64,
    #[prost(uint64, tag = "4")]
    sequence: u64,
    #[prost(message, repeated, tag = "5")]
    parts: Vec<PartMessage>,
    #[prost(fixed32, tag = "6")]
    digest: u32,
}

/// What the batch has for one workspace: the protocol's `Gathered`.
#[derive(Clone, PartialEq, Message)]
struct PartMessage {
    #[prost(string, tag = "1")]
    workspace: String,
    #[prost(bytes = "vec", tag = "2")]
    gathered: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ExpectMessage {
    #[prost(int64, tag = "1")]
    at_ms: i64,
    #[prost(message, repeated, tag = "2")]
    monitors: Vec<ExpectedMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct ExpectedMessage {
    #[prost(string, tag = "1")]
    workspace: String,
    #[prost(string, tag = "2")]
    monitor: String,
    #[prost(uint64, tag = "3")]
    width_ms: u64,
    #[prost(string, repeated, tag = "4")]
    agents: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ChangesMessage {
    #[prost(int64, tag = "1")]
    at_ms: i64,
    /// Agents, workspaces, columns and keys: one agent changes in many monitors.
    #[prost(string, repeated, tag = "2")]
    strings: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    monitors: Vec<ChangeMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct ChangeMessage {
    #[prost(uint32, tag = "1")]
    workspace: u32,
    #[prost(string, tag = "2")]
    monitor: String,
    #[prost(uint64, tag = "3")]
    width_ms: u64,
    #[prost(uint32, repeated, tag = "4")]
    columns: Vec<u32>,
    #[prost(uint32, repeated, tag = "5")]
    joined: Vec<u32>,
    /// As many for each that joined as there are columns.
    #[prost(uint32, repeated, tag = "6")]
    keys: Vec<u32>,
    #[prost(uint32, repeated, tag = "7")]
    away: Vec<u32>,
    /// For each that is away; 0 for one that went without a word.
    #[prost(int64, repeated, tag = "8")]
    left_ms: Vec<i64>,
    #[prost(uint32, repeated, tag = "9")]
    removed: Vec<u32>,
    /// Empty where nobody says.
    #[prost(string, tag = "10")]
    uid: String,
}

#[derive(Clone, PartialEq, Message)]
struct GapMessage {
    #[prost(int64, tag = "1")]
    at_ms: i64,
    #[prost(string, tag = "2")]
    agent: String,
    #[prost(int64, optional, tag = "3")]
    from_ms: Option<i64>,
    #[prost(int64, tag = "4")]
    until_ms: i64,
    #[prost(uint32, tag = "5")]
    reason: u32,
    /// Both empty for every monitor.
    #[prost(string, tag = "6")]
    workspace: String,
    #[prost(string, tag = "7")]
    monitor: String,
}

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match &self.body {
            Body::Batch(batch) => {
                bytes.push(BATCH);
                batch_message(self.at, batch).encode_raw(&mut bytes);
            }
            Body::Expect(expected) => {
                bytes.push(EXPECT);
                let monitors = expected.iter().map(|e| ExpectedMessage {
                    workspace: e.monitor.workspace.clone(),
                    monitor: e.monitor.name.clone(),
                    width_ms: e.width.as_millis() as u64,
                    agents: e.agents.iter().map(|agent| agent.id.0.clone()).collect(),
                });
                ExpectMessage { at_ms: self.at.0, monitors: monitors.collect() }.encode_raw(&mut bytes);
            }
            Body::Claim(claim) => {
                bytes.push(CLAIM);
                let message = ClaimMessage {
                    at_ms: self.at.0,
                    workspace: claim.monitor.workspace.clone(),
                    monitor: claim.monitor.name.clone(),
                    uid: claim.uid.clone(),
                };
                message.encode_raw(&mut bytes);
            }
            Body::Change(changes) => {
                bytes.push(CHANGE);
                changes_message(self.at, changes).encode_raw(&mut bytes);
            }
            Body::Gap(gap) => {
                bytes.push(GAP);
                let message = GapMessage {
                    at_ms: self.at.0,
                    agent: gap.agent.0.clone(),
                    from_ms: gap.from.map(Timestamp::millis),
                    until_ms: gap.until.0,
                    reason: reason_number(gap.reason),
                    workspace: gap.monitor.as_ref().map(|key| key.workspace.clone()).unwrap_or_default(),
                    monitor: gap.monitor.as_ref().map(|key| key.name.clone()).unwrap_or_default(),
                };
                message.encode_raw(&mut bytes);
            }
        }
        bytes
    }

    /// # Errors
    /// What is wrong with the bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (kind, rest) = bytes.split_first().ok_or("an empty record")?;
        match *kind {
            BATCH => {
                let message = BatchMessage::decode(rest).map_err(|error| error.to_string())?;
                let (mut deltas, mut watermarks) = (Vec::new(), Vec::new());
                for part in message.parts {
                    let (d, w) = decode_gathered(&part.workspace, &part.gathered).map_err(|error| error.message)?;
                    deltas.extend(d);
                    watermarks.extend(w);
                }
                let batch = Batch {
                    agent: AgentId(message.agent),
                    incarnation: message.incarnation,
                    sequence: message.sequence,
                    digest: message.digest,
                    deltas,
                    watermarks,
                };
                Ok(Self { at: Timestamp(message.at_ms), body: Body::Batch(batch) })
            }
            EXPECT => {
                let message = ExpectMessage::decode(rest).map_err(|error| error.to_string())?;
                let expected = message.monitors.into_iter().map(|m| {
                    (m.width_ms > 0 && m.width_ms <= u64::from(u32::MAX))
                        .then(|| {
                            let (monitor, width) = (MonitorKey::new(m.workspace, m.monitor), m.width_ms);
                            let agents = m.agents.into_iter().map(AgentId);
                            Expectation::new(monitor, Duration::from_millis(width), agents)
                        })
                        .ok_or_else(|| "a window's width is out of range".to_owned())
                });
                Ok(Self { at: Timestamp(message.at_ms), body: Body::Expect(expected.collect::<Result<_, _>>()?) })
            }
            CLAIM => {
                let message = ClaimMessage::decode(rest).map_err(|error| error.to_string())?;
                let claim = Claim { monitor: MonitorKey::new(message.workspace, message.monitor), uid: message.uid };
                Ok(Self { at: Timestamp(message.at_ms), body: Body::Claim(claim) })
            }
            CHANGE => {
                let message = ChangesMessage::decode(rest).map_err(|error| error.to_string())?;
                let changes = message.monitors.iter().map(|one| change_from(one, &message.strings));
                let changes = changes.collect::<Option<_>>().ok_or("a change refers to what is not in it")?;
                Ok(Self { at: Timestamp(message.at_ms), body: Body::Change(changes) })
            }
            GAP => {
                let message = GapMessage::decode(rest).map_err(|error| error.to_string())?;
                let monitor = MonitorKey::new(message.workspace, message.monitor);
                let gap = AgentGap {
                    agent: AgentId(message.agent),
                    monitor: Some(monitor).filter(|monitor| !monitor.name.is_empty()),
                    from: message.from_ms.map(Timestamp),
                    until: Timestamp(message.until_ms),
                    reason: reason_of(message.reason).ok_or("a gap for an unknown reason")?,
                };
                Ok(Self { at: Timestamp(message.at_ms), body: Body::Gap(gap) })
            }
            other => Err(format!("a record of unknown kind {other}")),
        }
    }
}

fn batch_message(at: Timestamp, batch: &Batch) -> BatchMessage {
    let mut parts: BTreeMap<&str, (Vec<MonitorDelta>, Vec<Watermark>)> = BTreeMap::new();
    let mut workspaces = batch
        .deltas
        .iter()
        .map(|d| &d.monitor)
        .chain(batch.watermarks.iter().map(|w| &w.monitor))
        .map(|m| &m.workspace);
    let encoded = match workspaces.next() {
        None => Vec::new(),
        // An agent belongs to one workspace, so this is the only case there is today.
        Some(first) if workspaces.all(|other| other == first) => {
            vec![PartMessage { workspace: first.clone(), gathered: encode_gathered(&batch.deltas, &batch.watermarks) }]
        }
        Some(_) => {
            for delta in &batch.deltas {
                parts.entry(&delta.monitor.workspace).or_default().0.push(delta.clone());
            }
            for watermark in &batch.watermarks {
                parts.entry(&watermark.monitor.workspace).or_default().1.push(watermark.clone());
            }
            let part = |(workspace, (deltas, watermarks)): (&str, (Vec<_>, Vec<_>))| PartMessage {
                workspace: workspace.to_owned(),
                gathered: encode_gathered(&deltas, &watermarks),
            };
            parts.into_iter().map(part).collect()
        }
    };
    BatchMessage {
        at_ms: at.0,
        agent: batch.agent.0.clone(),
        incarnation: batch.incarnation,
        sequence: batch.sequence,
        parts: encoded,
        digest: batch.digest,
    }
}

fn changes_message(at: Timestamp, changes: &[Change]) -> ChangesMessage {
    let mut strings = Strings::default();
    let monitors = changes.iter().map(|change| {
        let mut keys = Vec::new();
        for agent in &change.joined {
            // One key for each column, whatever came: it is read back by place.
            let padded = (0..change.columns.len()).map(|place| agent.keys.get(place).map_or("", String::as_str));
            keys.extend(padded.map(|key| strings.add(key)));
        }
        ChangeMessage {
            workspace: strings.add(&change.monitor.workspace),
            monitor: change.monitor.name.clone(),
            width_ms: change.width.cast_unsigned(),
            columns: change.columns.iter().map(|column| strings.add(column)).collect(),
            joined: change.joined.iter().map(|agent| strings.add(&agent.id.0)).collect(),
            keys,
            away: change.away.iter().map(|away| strings.add(&away.id.0)).collect(),
            left_ms: change.away.iter().map(|away| away.left_at.map_or(0, Timestamp::millis)).collect(),
            removed: change.removed.iter().map(|agent| strings.add(&agent.0)).collect(),
            uid: change.uid.clone().unwrap_or_default(),
        }
    });
    let monitors = monitors.collect();
    ChangesMessage { at_ms: at.0, strings: strings.into_listed(), monitors }
}

/// `None` for a reference to what is not there, or a width that no window has.
fn change_from(message: &ChangeMessage, strings: &[String]) -> Option<Change> {
    let text = |place: u32| strings.get(place as usize).cloned();
    let agent = |place: u32| text(place).map(AgentId);
    let width = i64::try_from(message.width_ms).ok().filter(|width| (1..=i64::from(u32::MAX)).contains(width))?;
    let columns: Vec<String> = message.columns.iter().map(|place| text(*place)).collect::<Option<_>>()?;
    let joined = message.joined.iter().enumerate().map(|(at, place)| {
        let keys = message.keys.get(at * columns.len()..(at + 1) * columns.len())?;
        let keys = keys.iter().map(|place| text(*place)).collect::<Option<_>>()?;
        Some(ExpectedAgent { id: agent(*place)?, keys })
    });
    let joined = joined.collect::<Option<_>>()?;
    let away = message.away.iter().enumerate().map(|(at, place)| {
        let left = *message.left_ms.get(at)?;
        Some(AwayAgent { id: agent(*place)?, left_at: (left != 0).then_some(Timestamp(left)) })
    });
    Some(Change {
        monitor: MonitorKey::new(text(message.workspace)?, message.monitor.clone()),
        width,
        joined,
        away: away.collect::<Option<_>>()?,
        removed: message.removed.iter().map(|place| agent(*place)).collect::<Option<_>>()?,
        columns,
        uid: (!message.uid.is_empty()).then(|| message.uid.clone()),
    })
}

/// Refuses what [`Record::decode`] would refuse: a record that cannot be read back must not be written.
pub(crate) fn check_batch(batch: &Batch) -> Result<(), Error> {
    let refuse = |what: &str| Err(Error::invalid(format!("malformed batch: {what}"), Vec::new()));
    for delta in &batch.deltas {
        let width = delta.width.as_millis();
        if delta.monitor.name.is_empty() || width == 0 || width > u128::from(u32::MAX) {
            return refuse("a delta needs a monitor, and windows from 1 ms to 49 days");
        }
        if delta.uid.as_ref().is_some_and(|uid| uid.is_empty() || uid.len() > MAX_UID_BYTES) {
            return refuse("a uid has 1 to 64 bytes");
        }
        if !(1..=64).contains(&delta.fields.len()) || delta.group_by.len() > 16 {
            return refuse("a delta has 1 to 64 fields and at most 16 group-by columns");
        }
        for window in &delta.windows {
            if window.keys.len() != delta.group_by.len() || window.partials.len() != delta.fields.len() {
                return refuse("a window does not fit its delta's columns");
            }
            if window.start.0.rem_euclid(width as i64) != 0 {
                return refuse("a window's start is not a multiple of its width");
            }
            if window.keys.iter().any(|key| key.len() > MAX_KEY_BYTES) {
                return refuse("a key is longer than 256 bytes");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nightjar_model::Decimal;
    use nightjar_model::delta::{Number, Partial, WindowDelta};
    use nightjar_model::partial::{TopRank, TopState};
    use nightjar_model::query::IncompleteReason;
    use proptest::prelude::*;

    use super::*;

    fn delta(workspace: &str, values: &[i64]) -> MonitorDelta {
        let windows = values.iter().map(|value| {
            let number: Number = [Decimal::from_int(*value)].into_iter().collect();
            let top = TopState::of_exact(1, TopRank::Count, [(["x"].as_slice(), 2, Decimal((*value).into()))]);
            WindowDelta {
                start: Timestamp(value.rem_euclid(1000) * 60_000),
                keys: vec![value.to_string()],
                partials: vec![Partial::lines(1), number.into(), top.into()],
            }
        });
        MonitorDelta {
            monitor: MonitorKey::new(workspace, "m"),
            uid: values.first().map(|value| format!("u{value}")),
            width: Duration::from_secs(60),
            group_by: vec!["k".into()],
            fields: vec!["*".into(), "v".into(), "t".into()],
            windows: windows.collect(),
        }
    }

    proptest! {
        #[test]
        fn records_travel(a: Vec<i64>, b: Vec<i64>, sequence: u64, two: bool) {
            let mut deltas = vec![delta("a", &a)];
            deltas.extend(two.then(|| delta("b", &b)));
            let watermarks = vec![Watermark { gap: Some(Timestamp(8)), uid: Some("u".into()), ..Watermark::new(MonitorKey::new("a", "m"), Timestamp(7)) }];
            let batch = Batch { agent: AgentId("x".into()), incarnation: 3, sequence, digest: 9, deltas, watermarks };
            prop_assert!(check_batch(&batch).is_ok());
            let record = Record { at: Timestamp(5), body: Body::Batch(batch) };
            prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
        }

        #[test]
        fn garbage_is_an_error_not_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..6) {
            let _outcome = Record::decode(&bytes);
            let mut bytes = bytes;
            bytes.insert(0, kind);
            let _outcome = Record::decode(&bytes);
        }
    }

    #[test]
    fn claims_travel() {
        let claim = Claim { monitor: MonitorKey::new("w", "m"), uid: "u".into() };
        let record = Record { at: Timestamp(1), body: Body::Claim(claim) };
        assert_eq!(Record::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn expectations_travel() {
        let agents = ["a", "b"].map(|id| AgentId(id.into()));
        let expected = Expectation::new(MonitorKey::new("w", "m"), Duration::from_secs(60), agents);
        let record = Record { at: Timestamp(1), body: Body::Expect(vec![expected]) };
        assert_eq!(Record::decode(&record.encode()), Ok(record));
        let change = |monitor: &str| Change {
            monitor: MonitorKey::new("w", monitor),
            uid: (monitor == "n").then(|| "u".into()),
            width: 60_000,
            columns: vec!["$host".into(), "$idc".into()],
            joined: vec![ExpectedAgent { id: AgentId("a".into()), keys: vec!["h".into(), String::new()] }],
            away: [None, Some(Timestamp(7))].map(|left_at| AwayAgent { id: AgentId("b".into()), left_at }).to_vec(),
            removed: vec![AgentId("c".into())],
        };
        let record = Record { at: Timestamp(1), body: Body::Change(vec![change("m"), change("n")]) };
        assert_eq!(Record::decode(&record.encode()), Ok(record));
        let gap = AgentGap {
            agent: AgentId("a".into()),
            monitor: Some(MonitorKey::new("w", "m")),
            from: Some(Timestamp(0)),
            until: Timestamp(9),
            reason: IncompleteReason::RolledBack,
        };
        for gap in [gap.clone(), AgentGap { from: None, monitor: None, ..gap }] {
            let record = Record { at: Timestamp(1), body: Body::Gap(gap) };
            assert_eq!(Record::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn what_could_not_be_read_back_is_refused() {
        let check = |change: fn(&mut MonitorDelta)| {
            let mut delta = delta("w", &[1]);
            change(&mut delta);
            let batch = Batch {
                agent: AgentId("x".into()),
                incarnation: 1,
                sequence: 1,
                digest: 0,
                deltas: vec![delta],
                watermarks: vec![],
            };
            assert!(check_batch(&batch).is_err());
        };
        check(|d| d.fields.clear());
        check(|d| d.width = Duration::ZERO);
        check(|d| d.monitor.name.clear());
        check(|d| d.windows[0].start.0 += 1);
        check(|d| d.windows[0].keys.clear());
        check(|d| d.windows[0].keys[0] = "x".repeat(257));
        check(|d| d.uid = Some(String::new()));
        check(|d| d.uid = Some("u".repeat(65)));
        check(|d| d.group_by = vec![String::new(); 17]);
    }
}
