//! The checkpoint: the sequences taken of each agent and the marks of every monitor, as of a place in the log.
//!
//! One file for each flush, written whole beside the manifest that names it: `NJCP`, the format as u32, the
//! CRC-32 of the rest as u32, both little-endian; then zstd-compressed protobuf. Names of agents and monitors
//! stand in it once, times are relative to where each monitor is settled.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::query::IncompleteReason;
use prost::Message;

use super::Tracker;
use super::holes::{Hole, Holes};
use super::track::{Away, Keys, Member, Track};
use crate::error::{EngineError, Result};
use crate::ranges::Ranges;
use crate::sequences::{Incarnation, Sequences, Taken};

const MAGIC: &[u8; 4] = b"NJCP";
const FORMAT: u32 = 1;
const HEAD_BYTES: usize = 12;
const LEVEL: i32 = 1;
const PREFIX: &str = "checkpoint-";
const SUFFIX: &str = ".marks";

#[derive(Clone, PartialEq, Message)]
struct CheckpointMessage {
    #[prost(string, repeated, tag = "1")]
    strings: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    agents: Vec<AgentMessage>,
    #[prost(message, repeated, tag = "3")]
    tracks: Vec<TrackMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct AgentMessage {
    #[prost(uint32, tag = "1")]
    agent: u32,
    #[prost(int64, tag = "2")]
    seen_ms: i64,
    #[prost(message, repeated, tag = "3")]
    incarnations: Vec<IncarnationMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct IncarnationMessage {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(uint64, tag = "2")]
    last: u64,
    #[prost(fixed32, tag = "3")]
    digest: u32,
}

#[derive(Clone, PartialEq, Message)]
struct TrackMessage {
    #[prost(uint32, tag = "1")]
    workspace: u32,
    #[prost(uint32, tag = "2")]
    monitor: u32,
    #[prost(int64, tag = "3")]
    width_ms: i64,
    #[prost(uint32, repeated, tag = "4")]
    columns: Vec<u32>,
    #[prost(int64, optional, tag = "5")]
    settled_ms: Option<i64>,
    #[prost(int64, optional, tag = "6")]
    furthest_ms: Option<i64>,
    #[prost(message, optional, tag = "7")]
    members: Option<AgentsMessage>,
    #[prost(message, optional, tag = "8")]
    away: Option<AgentsMessage>,
    /// Its `since` and `through` are from where to where.
    #[prost(message, optional, tag = "9")]
    owed: Option<AgentsMessage>,
    #[prost(sint64, repeated, tag = "10")]
    complete: Vec<i64>,
    #[prost(sint64, repeated, tag = "11")]
    revised: Vec<i64>,
    #[prost(sint64, repeated, tag = "12")]
    nameless: Vec<i64>,
    #[prost(message, repeated, tag = "13")]
    holes: Vec<HoleMessage>,
    #[prost(message, repeated, tag = "14")]
    passed: Vec<PassedMessage>,
    /// Of the monitor; empty where nobody said.
    #[prost(string, tag = "15")]
    uid: String,
}

/// Side by side: what belongs to one agent has the same place in each.
#[derive(Clone, PartialEq, Message)]
struct AgentsMessage {
    #[prost(uint32, repeated, tag = "1")]
    agents: Vec<u32>,
    #[prost(sint64, repeated, tag = "2")]
    since: Vec<i64>,
    /// One more than it is from 0 on: 0 is for none.
    #[prost(sint64, repeated, tag = "3")]
    through: Vec<i64>,
    /// As many for each agent as the monitor has instance columns.
    #[prost(uint32, repeated, tag = "4")]
    keys: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct HoleMessage {
    #[prost(sint64, tag = "1")]
    from: i64,
    #[prost(sint64, tag = "2")]
    until: i64,
    #[prost(uint32, tag = "3")]
    agent: u32,
    #[prost(uint32, repeated, tag = "4")]
    keys: Vec<u32>,
    #[prost(uint32, tag = "5")]
    reason: u32,
}

#[derive(Clone, PartialEq, Message)]
struct PassedMessage {
    #[prost(uint32, repeated, tag = "1")]
    keys: Vec<u32>,
    #[prost(sint64, repeated, tag = "2")]
    ranges: Vec<i64>,
}

/// As the log and the checkpoint number them.
pub(crate) const fn reason_number(reason: IncompleteReason) -> u32 {
    match reason {
        IncompleteReason::NobodyExpected => 1,
        IncompleteReason::NotCollected => 2,
        IncompleteReason::Left => 3,
        IncompleteReason::Lost => 4,
        IncompleteReason::RolledBack => 5,
        IncompleteReason::CountedTwice => 6,
    }
}

pub(crate) const fn reason_of(number: u32) -> Option<IncompleteReason> {
    Some(match number {
        1 => IncompleteReason::NobodyExpected,
        2 => IncompleteReason::NotCollected,
        3 => IncompleteReason::Left,
        4 => IncompleteReason::Lost,
        5 => IncompleteReason::RolledBack,
        6 => IncompleteReason::CountedTwice,
        _ => return None,
    })
}

/// Writes checkpoint `number`; it is on disk when this returns, but for its name: that lasts with the manifest's.
pub(crate) fn store(dir: &Path, number: u64, sequences: &Sequences, tracker: &Tracker) -> Result<()> {
    let path = path(dir, number);
    let write = || -> io::Result<()> {
        let mut file = File::create(&path)?;
        file.write_all(&encode(sequences, tracker)?)?;
        file.sync_all()
    };
    write().map_err(|source| {
        remove(&path);
        EngineError::Io { what: "write", path: path.clone(), source }
    })
}

pub(crate) fn load(dir: &Path, number: u64) -> Result<(Sequences, Tracker)> {
    let path = path(dir, number);
    let bytes = fs::read(&path).map_err(EngineError::io("read", &path))?;
    decode(&bytes, &path)
}

/// Deletes a checkpoint that no manifest names any more.
pub(crate) fn delete(dir: &Path, number: u64) {
    remove(&path(dir, number));
}

/// Deletes checkpoints other than the one that the manifest names: what a crash left.
pub(crate) fn delete_others(dir: &Path, named: Option<u64>) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(EngineError::io("list", dir))? {
        let path = entry.map_err(EngineError::io("list", dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(SUFFIX)?.parse().ok());
        if number.is_some_and(|number: u64| Some(number) != named) {
            remove(&path);
        }
    }
    Ok(())
}

pub(crate) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{number:012}{SUFFIX}"))
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, file = %path.display(), "cannot delete a checkpoint that is not needed");
    }
}

/// The bytes of the file.
///
/// # Errors
/// Compression fails for want of memory alone.
pub(crate) fn encode(sequences: &Sequences, tracker: &Tracker) -> io::Result<Vec<u8>> {
    let mut strings = Strings::default();
    let agents = sequences.iter().map(|(agent, taken)| agent_message(&mut strings, agent, taken)).collect();
    let tracks = tracker.iter().map(|(monitor, track)| track_message(&mut strings, monitor, track)).collect();
    let message = CheckpointMessage { strings: strings.into_listed(), agents, tracks };
    let body = zstd::bulk::compress(&message.encode_to_vec(), LEVEL)?;
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// # Errors
/// Bytes that are not a checkpoint, or damaged; `path` is named.
pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<(Sequences, Tracker)> {
    let corrupt = |reason: &str| EngineError::Corrupt { path: path.to_owned(), reason: reason.to_owned() };
    let (head, body) = bytes.split_at_checked(HEAD_BYTES).ok_or_else(|| corrupt("it is cut short"))?;
    let number = |at: usize| head.get(at..at + 4).and_then(|four| Some(u32::from_le_bytes(four.try_into().ok()?)));
    if !head.starts_with(MAGIC) {
        return Err(corrupt("it does not begin as a checkpoint does"));
    }
    match number(4) {
        Some(FORMAT) => {}
        found => {
            let found = found.unwrap_or_default();
            return Err(EngineError::Format { path: path.to_owned(), found, known: FORMAT });
        }
    }
    if number(8) != Some(crc32fast::hash(body)) {
        return Err(corrupt("the checksum does not fit"));
    }
    let text = zstd::stream::decode_all(body).map_err(|error| corrupt(&error.to_string()))?;
    let message = CheckpointMessage::decode(text.as_slice()).map_err(|error| corrupt(&error.to_string()))?;
    read(&message).ok_or_else(|| corrupt("it refers to what is not in it"))
}

/// Texts that stand in a message once and are named by their place.
#[derive(Default)]
pub(crate) struct Strings {
    listed: Vec<String>,
    known: HashMap<String, u32>,
}

impl Strings {
    pub(crate) fn into_listed(self) -> Vec<String> {
        self.listed
    }

    pub(crate) fn add(&mut self, text: &str) -> u32 {
        if let Some(place) = self.known.get(text) {
            return *place;
        }
        let place = self.listed.len() as u32;
        self.listed.push(text.to_owned());
        self.known.insert(text.to_owned(), place);
        place
    }

    fn add_all(&mut self, texts: &[String]) -> Vec<u32> {
        texts.iter().map(|text| self.add(text)).collect()
    }
}

fn agent_message(strings: &mut Strings, agent: &AgentId, taken: &Taken) -> AgentMessage {
    let incarnation = |one: &Incarnation| IncarnationMessage { number: one.number, last: one.last, digest: one.digest };
    AgentMessage {
        agent: strings.add(&agent.0),
        seen_ms: taken.seen,
        incarnations: taken.incarnations.iter().map(incarnation).collect(),
    }
}

fn optional(value: Option<i64>, base: i64) -> i64 {
    value.map_or(0, |value| match value.wrapping_sub(base) {
        relative if relative >= 0 => relative.wrapping_add(1),
        relative => relative,
    })
}

fn from_optional(stored: i64, base: i64) -> Option<i64> {
    match stored {
        0 => None,
        1.. => Some(base.wrapping_add(stored.wrapping_sub(1))),
        _ => Some(base.wrapping_add(stored)),
    }
}

fn track_message(strings: &mut Strings, monitor: &MonitorKey, track: &Track) -> TrackMessage {
    let base = track.settled.unwrap_or(0);
    let (mut members, mut away, mut owed) =
        (AgentsMessage::default(), AgentsMessage::default(), AgentsMessage::default());
    for (agent, member) in track.members.iter() {
        members.agents.push(strings.add(&agent.0));
        members.since.push(member.since.wrapping_sub(base));
        members.through.push(optional(member.through, base));
        members.keys.extend(strings.add_all(&member.keys));
    }
    for (agent, gone) in track.away.iter() {
        away.agents.push(strings.add(&agent.0));
        away.since.push(gone.from.wrapping_sub(base));
        away.through.push(optional(gone.through, base));
        away.keys.extend(strings.add_all(&gone.keys));
    }
    for (agent, (from, until)) in track.owed.iter() {
        owed.agents.push(strings.add(&agent.0));
        owed.since.push(from.wrapping_sub(base));
        owed.through.push(optional(Some(*until), base));
    }
    let hole = |strings: &mut Strings, hole: &Hole| HoleMessage {
        from: hole.from.wrapping_sub(base),
        until: hole.until.wrapping_sub(base),
        agent: strings.add(&hole.agent.0),
        keys: strings.add_all(&hole.keys),
        reason: reason_number(hole.reason),
    };
    TrackMessage {
        workspace: strings.add(&monitor.workspace),
        monitor: strings.add(&monitor.name),
        width_ms: track.width,
        columns: strings.add_all(track.columns()),
        settled_ms: track.settled,
        furthest_ms: track.furthest,
        members: Some(members),
        away: Some(away),
        owed: Some(owed),
        complete: flat(&track.complete, base),
        revised: flat(&track.revised, base),
        nameless: flat(&track.holes.nameless, base),
        holes: track.holes.named.iter().map(|one| hole(strings, one)).collect(),
        passed: (track.passed.iter())
            .map(|(keys, ranges)| PassedMessage { keys: strings.add_all(keys), ranges: flat(ranges, base) })
            .collect(),
        uid: track.uid.as_deref().unwrap_or_default().to_owned(),
    }
}

fn flat(ranges: &Ranges, base: i64) -> Vec<i64> {
    ranges.iter().flat_map(|(from, until)| [from.wrapping_sub(base), until.wrapping_sub(base)]).collect()
}

fn unflat(flat: &[i64], base: i64) -> Ranges {
    let mut ranges = Ranges::default();
    for pair in flat.chunks_exact(2) {
        ranges.insert(base.wrapping_add(pair[0]), base.wrapping_add(pair[1]));
    }
    ranges
}

/// `None` for a reference to what is not there.
fn read(message: &CheckpointMessage) -> Option<(Sequences, Tracker)> {
    let strings = &message.strings;
    let text = |place: u32| strings.get(place as usize);
    // Agents stand in many monitors: each once in memory, too.
    let ids: Vec<Arc<AgentId>> = strings.iter().map(|text| Arc::new(AgentId(text.clone()))).collect();
    let mut agents = Vec::with_capacity(message.agents.len());
    for one in &message.agents {
        let incarnation = |i: &IncarnationMessage| Incarnation { number: i.number, last: i.last, digest: i.digest };
        let incarnations = one.incarnations.iter().map(incarnation).collect();
        agents.push((AgentId(text(one.agent)?.clone()), Taken { seen: one.seen_ms, incarnations }));
    }
    let mut tracks = Vec::with_capacity(message.tracks.len());
    for one in &message.tracks {
        let monitor = MonitorKey::new(text(one.workspace)?.clone(), text(one.monitor)?.clone());
        tracks.push((monitor, read_track(one, strings, &ids)?));
    }
    Some((agents.into_iter().collect(), tracks.into_iter().collect()))
}

fn read_track(message: &TrackMessage, strings: &[String], ids: &[Arc<AgentId>]) -> Option<Track> {
    if message.width_ms <= 0 {
        return None;
    }
    let texts = |places: &[u32]| -> Option<Vec<String>> {
        places.iter().map(|place| strings.get(*place as usize).cloned()).collect()
    };
    let base = message.settled_ms.unwrap_or(0);
    let columns = texts(&message.columns)?;
    let width = columns.len();
    let mut track = Track::new(message.width_ms, columns);
    track.uid = (!message.uid.is_empty()).then(|| Arc::from(message.uid.as_str()));
    let mut known: HashMap<Vec<u32>, Keys> = HashMap::new();
    let mut keys_at = |keys: &[u32], at: usize| -> Option<Keys> {
        let places = keys.get(at * width..(at + 1) * width)?;
        if let Some(keys) = known.get(places) {
            return Some(Arc::clone(keys));
        }
        let keys: Keys = texts(places)?.into();
        known.insert(places.to_vec(), Arc::clone(&keys));
        Some(keys)
    };
    let id = |place: u32| ids.get(place as usize).cloned();
    let members = message.members.as_ref()?;
    for (at, agent) in members.agents.iter().enumerate() {
        let since = base.wrapping_add(*members.since.get(at)?);
        let through = from_optional(*members.through.get(at)?, base);
        track.put(id(*agent)?, Member { since, through, keys: keys_at(&members.keys, at)? });
    }
    let away = message.away.as_ref()?;
    for (at, agent) in away.agents.iter().enumerate() {
        let through = from_optional(*away.through.get(at)?, base);
        let from = base.wrapping_add(*away.since.get(at)?);
        track.away.insert_mut(id(*agent)?, Away { from, through, keys: keys_at(&away.keys, at)? });
    }
    let owed = message.owed.as_ref()?;
    for (at, agent) in owed.agents.iter().enumerate() {
        let until = from_optional(*owed.through.get(at)?, base)?;
        track.owed.insert_mut(id(*agent)?, (base.wrapping_add(*owed.since.get(at)?), until));
    }
    let mut named = Vec::with_capacity(message.holes.len());
    for hole in &message.holes {
        named.push(Hole {
            from: base.wrapping_add(hole.from),
            until: base.wrapping_add(hole.until),
            agent: (*id(hole.agent)?).clone(),
            keys: texts(&hole.keys)?.into(),
            reason: reason_of(hole.reason)?,
        });
    }
    track.holes = Arc::new(Holes { named, nameless: unflat(&message.nameless, base) });
    let passed = message.passed.iter().map(|one| Some((texts(&one.keys)?.into(), unflat(&one.ranges, base))));
    track.passed = Arc::new(passed.collect::<Option<_>>()?);
    (track.settled, track.furthest) = (message.settled_ms, message.furthest_ms);
    (track.complete, track.revised) = (unflat(&message.complete, base), unflat(&message.revised, base));
    Some(track)
}
