//! What the server and the process of a statement say to each other, over a pair of sockets.
//!
//! A frame is its length, the length of its head, both `u32` in little-endian order, the head in JSON, and
//! what the head speaks of as bytes: a piece of the answer, a bitmap of series, an Arrow stream.

use std::io::{self, Read};
use std::path::PathBuf;

use nightjar_model::delta::PartialKind;
use nightjar_model::kinds::monitor::{Stat, TopSpec};
use nightjar_model::query::SqlFormat;
use nightjar_model::{Error, ErrorKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::block::BlockMeta;
use crate::completeness::StateSteps;
use crate::rollups::Rolled;
use crate::tier::Tier;

/// Of a frame.
pub(super) const MAX_BYTES: usize = 256 << 20;

/// From the server, in this order: settings, then statement by statement.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    Settings(Settings),
    Statement(Statement),
    /// To the question of that number.
    Reply(u64, Result<Reply, Fault>),
}

/// What holds for every statement of a process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) blocks: PathBuf,
    pub(super) spill: PathBuf,
    pub(super) spill_bytes: u64,
    pub(super) memory_bytes: u64,
    pub(super) threads: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) format: SqlFormat,
    /// What `now()` is, in milliseconds.
    pub(super) now: i64,
    pub(super) row_limit: usize,
}

/// From the process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    Question(u64, Question),
    /// The next bytes of the answer.
    Piece,
    /// The answer is complete. `again`: nothing of the statement is left, another one can run.
    End {
        again: bool,
    },
    Failed {
        fault: Fault,
        again: bool,
    },
}

/// What a statement needs to know. Everything is as of the moment of [`Question::Tables`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Question {
    /// All there are in the workspace.
    Monitors,
    Tables(Vec<String>),
    /// States of the windows that start in `[from, until)`, by key too: of windows of `step`, of those stored
    /// without one.
    Completeness {
        table: String,
        step: Option<i64>,
        from: i64,
        until: i64,
    },
    /// Series with one of these values; the answer is a bitmap.
    Lookup {
        table: String,
        column: String,
        values: Vec<String>,
    },
    /// Values of columns, by series after `after`: of those in the bitmap, of all without one.
    Labels {
        table: String,
        columns: Vec<String>,
        after: Option<u32>,
    },
    /// Rows in memory of one tier, of windows that start in `[from, until)`: of the series in the bitmap, of
    /// all without one.
    Memory {
        table: String,
        tier: Tier,
        from: i64,
        until: i64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Monitors(Vec<MonitorShape>),
    /// In the order asked for; those that are not there are left out.
    Tables(Vec<TableData>),
    Completeness(StateSteps),
    Lookup,
    /// An Arrow stream of `series` and the columns as dictionaries; `more` to be asked for after the last.
    Labels {
        more: bool,
    },
    /// An Arrow stream of batches as in a block, sorted; those of windows from `next` on are still to be asked for.
    Memory {
        next: Option<i64>,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MonitorShape {
    pub(super) name: String,
    /// Of those that everybody has, there is none.
    pub(super) uid: Option<String>,
    pub(super) group_by: Vec<String>,
    pub(super) stats: Vec<Stat>,
    pub(super) top: Option<TopShape>,
}

impl MonitorShape {
    /// The columns that keep series apart: of a Top none, its keys are within its partials.
    pub(super) fn series_by(&self) -> &[String] {
        if self.top.is_some() { &[] } else { &self.group_by }
    }
}

/// Of a Top: which keys are shown, and the field they are in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TopShape {
    pub(super) spec: TopSpec,
    pub(super) field: String,
}

/// A monitor's windows: where they are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TableData {
    pub(super) shape: MonitorShape,
    /// Ids, with the width of their windows in milliseconds.
    pub(super) tables: Vec<(u32, i64)>,
    /// Of all tiers.
    pub(super) blocks: Vec<BlockMeta>,
    pub(super) rolled: Vec<Rolled>,
    /// Tiers and starts of windows in memory, sorted.
    pub(super) memory: Vec<(Tier, i64)>,
    /// By whose values the states of windows differ.
    pub(super) instance_columns: Vec<String>,
    /// Those that the statistics read.
    pub(super) fields: Vec<FieldData>,
    /// Of which kind the partials of each field are.
    #[serde(with = "kinds")]
    pub(super) kinds: Vec<(u32, PartialKind)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FieldData {
    pub(super) id: u32,
    pub(super) name: String,
    #[serde(with = "kind")]
    pub(super) kind: PartialKind,
}

mod kind {
    use super::{Deserialize, Deserializer, PartialKind, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(kind: &PartialKind, to: S) -> Result<S::Ok, S::Error> {
        kind.id().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PartialKind, D::Error> {
        PartialKind::from_id(u32::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

mod kinds {
    use super::{Deserialize, Deserializer, PartialKind, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(kinds: &[(u32, PartialKind)], to: S) -> Result<S::Ok, S::Error> {
        kinds.iter().map(|(field, kind)| (*field, kind.id())).collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(u32, PartialKind)>, D::Error> {
        let kinds = Vec::<(u32, u32)>::deserialize(from)?.into_iter();
        kinds.map(|(field, kind)| Ok((field, PartialKind::from_id(kind).map_err(serde::de::Error::custom)?))).collect()
    }
}

/// An error, as it travels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Fault {
    kind: FaultKind,
    message: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum FaultKind {
    Invalid,
    NotFound,
    TooLarge,
    Unavailable,
    Timeout,
    Internal,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            ErrorKind::InvalidInput => FaultKind::Invalid,
            ErrorKind::NotFound => FaultKind::NotFound,
            ErrorKind::TooLarge => FaultKind::TooLarge,
            ErrorKind::Unavailable => FaultKind::Unavailable,
            ErrorKind::Timeout => FaultKind::Timeout,
            _ => FaultKind::Internal,
        };
        Self { kind, message: error.message }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let kind = match fault.kind {
            FaultKind::Invalid => ErrorKind::InvalidInput,
            FaultKind::NotFound => ErrorKind::NotFound,
            FaultKind::TooLarge => ErrorKind::TooLarge,
            FaultKind::Unavailable => ErrorKind::Unavailable,
            FaultKind::Timeout => ErrorKind::Timeout,
            FaultKind::Internal => ErrorKind::Internal,
        };
        Self::new(kind, fault.message)
    }
}

fn broken(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

/// A whole frame.
pub(super) fn frame(head: &impl Serialize, body: &[u8]) -> io::Result<Vec<u8>> {
    let head = serde_json::to_vec(head)?;
    let bytes = 4 + head.len() + body.len();
    if bytes > MAX_BYTES {
        return Err(broken("a message is too long"));
    }
    let mut frame = Vec::with_capacity(4 + bytes);
    frame.extend_from_slice(&(bytes as u32).to_le_bytes());
    frame.extend_from_slice(&(head.len() as u32).to_le_bytes());
    frame.extend_from_slice(&head);
    frame.extend_from_slice(body);
    Ok(frame)
}

/// Length of the frame that follows these bytes.
pub(super) fn length(prefix: [u8; 4]) -> io::Result<usize> {
    let bytes = u32::from_le_bytes(prefix) as usize;
    if bytes > MAX_BYTES { Err(broken("a message is too long")) } else { Ok(bytes) }
}

/// Head and body of a frame without its length.
pub(super) fn split<T: DeserializeOwned>(mut frame: Vec<u8>) -> io::Result<(T, Vec<u8>)> {
    let short = || broken("a message is cut short");
    let head = frame.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes) as usize).ok_or_else(short)?;
    let end = head.checked_add(4).filter(|end| *end <= frame.len()).ok_or_else(short)?;
    let parsed = serde_json::from_slice(&frame[4..end])?;
    frame.drain(..end);
    Ok((parsed, frame))
}

/// The next message; `None` at the end of the stream.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<(T, Vec<u8>)>> {
    let mut prefix = [0; 4];
    match from.read_exact(&mut prefix) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut frame = vec![0; length(prefix)?];
    from.read_exact(&mut frame)?;
    split(frame).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_as_they_went() {
        let mut stream = frame(&Report::Question(7, Question::Monitors), b"").expect("written");
        stream.extend(frame(&Report::Piece, b"abc").expect("written"));
        let mut from = stream.as_slice();
        let first: (Report, Vec<u8>) = read(&mut from).expect("read").expect("there");
        assert!(matches!(first, (Report::Question(7, Question::Monitors), body) if body.is_empty()));
        let second: (Report, Vec<u8>) = read(&mut from).expect("read").expect("there");
        assert!(matches!(second, (Report::Piece, body) if body == b"abc"));
        assert!(read::<Report>(&mut from).expect("the end").is_none());
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for bytes in
            [&[255, 255, 255, 255][..], &[2, 0, 0, 0, 1, 2], &[4, 0, 0, 0, 9, 0, 0, 0], &[4, 0, 0, 0, 0, 0, 0, 0]]
        {
            assert!(read::<Report>(&mut &*bytes).is_err(), "{bytes:?}");
        }
    }
    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(head in "(\\PC|[{}\\[\\]\",:0-9A-Za-z]){0,200}", tail: Vec<u8>, cut in 0usize..400) {
            let mut bytes = (head.len() as u32).to_le_bytes().to_vec();
            bytes.extend(head.as_bytes());
            bytes.extend(&tail);
            bytes.truncate(cut);
            let (report, order) = (split::<Report>(bytes.clone()), split::<Order>(bytes));
            proptest::prop_assert!(report.is_err() || cut >= 4 + head.len(), "{order:?}");
        }
    }
}
