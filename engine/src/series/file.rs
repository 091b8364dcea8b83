//! The series index on disk: chunks appended at each flush, each complete in itself.
//!
//! `length u32 · crc32 u32 · protobuf`, little-endian, one after the other. The manifest says which file
//! and how many bytes of it count; what is beyond is from a flush that did not finish.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nightjar_model::delta::PartialKind;
use nightjar_model::names::MonitorKey;
use prost::Message;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::{Series, SeriesIndex};
use crate::error::{EngineError, Result};
use crate::tier::Tier;

/// How many bytes of which file count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeriesFile {
    pub(crate) generation: u64,
    pub(crate) bytes: u64,
}

/// What of an index is in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// Tables with an id below,
    pub(crate) tables: u32,
    /// claims of such with a number below,
    #[serde(default)]
    pub(crate) claims: u32,
    pub(crate) fields: u32,
    /// Series with an id below.
    pub(crate) series: u32,
}

const CHUNK_SERIES: usize = 20_000;

#[derive(Clone, PartialEq, Message)]
struct Chunk {
    #[prost(string, repeated, tag = "1")]
    strings: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    tables: Vec<TableMessage>,
    /// Names alone, of before fields had kinds.
    #[prost(string, repeated, tag = "3")]
    untyped_fields: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    series: Vec<SeriesMessage>,
    #[prost(message, repeated, tag = "5")]
    fields: Vec<FieldMessage>,
    #[prost(message, repeated, tag = "6")]
    claims: Vec<ClaimMessage>,
}

/// A table that was stored without a uid has got one.
#[derive(Clone, PartialEq, Message)]
struct ClaimMessage {
    #[prost(uint32, tag = "1")]
    table: u32,
    #[prost(string, tag = "2")]
    uid: String,
}

#[derive(Clone, PartialEq, Message)]
struct FieldMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "2")]
    kind: u32,
}

#[derive(Clone, PartialEq, Message)]
struct TableMessage {
    #[prost(string, tag = "1")]
    workspace: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(int64, tag = "3")]
    width_ms: i64,
    /// Empty while nobody has claimed it.
    #[prost(string, tag = "4")]
    uid: String,
    /// 0 of before there were tiers.
    #[prost(uint32, tag = "5")]
    tier: u32,
    /// Without one it is the next.
    #[prost(uint32, optional, tag = "6")]
    id: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct SeriesMessage {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(uint32, tag = "2")]
    table: u32,
    /// Places in the chunk's strings: a column, its value, and so on.
    #[prost(uint32, repeated, tag = "3")]
    labels: Vec<u32>,
}

impl SeriesIndex {
    /// All there is, as [`Stored`] counts it.
    pub(crate) fn extent(&self) -> Stored {
        Stored { tables: self.next_table, claims: self.claimed, fields: self.fields.len() as u32, series: self.next }
    }

    /// What came after `since`, but for its series.
    fn encode_head(&self, since: Stored) -> Vec<u8> {
        let table = |(id, table): (&u32, &super::Table)| TableMessage {
            workspace: table.monitor.workspace.clone(),
            name: table.monitor.name.clone(),
            width_ms: table.width,
            uid: table.uid.as_deref().unwrap_or_default().to_owned(),
            tier: table.tier as u32,
            id: Some(*id),
        };
        let claim = |(_, table, uid): &(u32, u32, Arc<str>)| ClaimMessage { table: *table, uid: uid.to_string() };
        let field = |(name, kind): &super::Field| FieldMessage { name: name.to_string(), kind: kind.id() };
        let head = Chunk {
            tables: self.tables.range(since.tables..).map(table).collect(),
            // Those of tables that are stored only now are stored with them.
            claims: (self.claims.iter())
                .filter(|(number, table, _)| *number >= since.claims && *table < since.tables)
                .map(claim)
                .collect(),
            fields: self.fields.iter().skip(since.fields as usize).map(field).collect(),
            ..Chunk::default()
        };
        let mut bytes = Vec::new();
        if !(head.tables.is_empty() && head.fields.is_empty() && head.claims.is_empty()) {
            push(&head, &mut bytes);
        }
        bytes
    }

    fn resume(&mut self, stored: Stored) {
        self.next = self.next.max(stored.series);
        self.next_table = self.next_table.max(stored.tables);
        (self.claimed, self.claims) = (stored.claims, Vec::new());
    }

    fn take_chunk(&mut self, chunk: Chunk) -> std::result::Result<(), String> {
        let absent = || "an entry refers to what is not there".to_owned();
        // Of tables in chunks before: they were claimed before another monitor could take their name.
        for claim in chunk.claims {
            let monitor = self.tables.get(&claim.table).ok_or_else(absent)?.monitor.clone();
            self.claim(&monitor, &claim.uid);
        }
        for table in chunk.tables {
            let id = table.id.unwrap_or(self.next_table);
            if id < self.next_table || id == u32::MAX {
                return Err("a table has the id of another".to_owned());
            }
            let tier = Tier::from_id(table.tier).ok_or("a table is of a tier that a later version made")?;
            let uid = (!table.uid.is_empty()).then(|| Arc::from(table.uid));
            self.add_table(id, MonitorKey::new(table.workspace, table.name), uid, table.width_ms, tier);
        }
        for field in chunk.untyped_fields {
            self.field_id(&field, PartialKind::of_untyped(&field));
        }
        for field in chunk.fields {
            let kind = PartialKind::from_id(field.kind).map_err(|error| error.to_string())?;
            self.field_id(&field.name, kind);
        }
        for series in chunk.series {
            self.tables.get(&series.table).ok_or_else(absent)?;
            let mut labels = Vec::with_capacity(series.labels.len() / 2);
            for pair in series.labels.chunks_exact(2) {
                let text = |place: u32| chunk.strings.get(place as usize).ok_or_else(absent);
                labels.push(self.label(series.table, text(pair[0])?, text(pair[1])?));
            }
            // The next id must be a number too.
            series.id.checked_add(1).ok_or("an id is the last that there can be")?;
            self.load(series.id, Arc::new(Series { table: series.table, labels: labels.into() }));
        }
        Ok(())
    }
}

/// What came after `since`, encoded, and what that makes of it. The index is looked at for a moment at a time: whoever
/// adds to it goes on meanwhile, and what they add is after that.
pub(crate) fn encode_since(since: Stored, look: impl Fn(&mut dyn FnMut(&SeriesIndex))) -> (Vec<u8>, Stored) {
    let (mut bytes, mut extent) = (Vec::new(), since);
    look(&mut |index| (bytes, extent) = (index.encode_head(since), index.extent()));
    encode_series(since.series..extent.series, &look, &mut bytes);
    (bytes, extent)
}

/// The same of all there is, where nobody but the caller forgets any.
pub(crate) fn encode_all(look: impl Fn(&mut dyn FnMut(&SeriesIndex))) -> (Vec<u8>, Stored) {
    let (mut bytes, mut extent, mut ids) = (Vec::new(), Stored::default(), RoaringBitmap::new());
    look(&mut |index| {
        (bytes, extent) = (index.encode_head(Stored::default()), index.extent());
        ids = index.without(&RoaringBitmap::new());
    });
    encode_series(ids.into_iter(), &look, &mut bytes);
    (bytes, extent)
}

/// Of these ids, sorted, those that there are.
fn encode_series(
    mut ids: impl Iterator<Item = u32>,
    look: &impl Fn(&mut dyn FnMut(&SeriesIndex)),
    bytes: &mut Vec<u8>,
) {
    loop {
        let wanted: Vec<u32> = ids.by_ref().take(CHUNK_SERIES).collect();
        if wanted.is_empty() {
            return;
        }
        let mut found: Vec<(u32, Arc<Series>)> = Vec::with_capacity(wanted.len());
        look(&mut |index| {
            found.extend(wanted.iter().filter_map(|id| Some((*id, Arc::clone(index.get(*id)?)))));
        });
        if !found.is_empty() {
            push(&chunk(&found), bytes);
        }
    }
}

fn chunk(series: &[(u32, Arc<Series>)]) -> Chunk {
    let mut chunk = Chunk::default();
    let mut places = hashbrown::HashMap::<&str, u32>::new();
    for (id, series) in series {
        let mut labels = Vec::with_capacity(series.labels.len() * 2);
        for text in series.labels.iter().flat_map(|(column, value)| [column, value]) {
            labels.push(*places.entry(text).or_insert_with(|| {
                chunk.strings.push(text.to_string());
                chunk.strings.len() as u32 - 1
            }));
        }
        chunk.series.push(SeriesMessage { id: *id, table: series.table, labels });
    }
    chunk
}

fn push(chunk: &Chunk, bytes: &mut Vec<u8>) {
    let payload = chunk.encode_to_vec();
    bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
    bytes.extend_from_slice(&payload);
}

pub(crate) fn path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("series-{generation:06}.idx"))
}

/// Deletes files of other generations, left by a crash.
pub(crate) fn delete_others(dir: &Path, file: SeriesFile) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(EngineError::io("list", dir))? {
        let found = entry.map_err(EngineError::io("list", dir))?.path();
        let name = found.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("series-") && name.ends_with(".idx") && found != path(dir, file.generation) {
            fs::remove_file(&found).map_err(EngineError::io("delete", &found))?;
        }
    }
    Ok(())
}

/// Reads the index that `file` is about. No id below those of `stored` is given again, also where what had it
/// was forgotten.
pub(crate) fn load(dir: &Path, file: SeriesFile, stored: Stored, max_series: u32) -> Result<SeriesIndex> {
    let mut index = SeriesIndex::new(max_series);
    if file.bytes == 0 {
        index.resume(stored);
        return Ok(index);
    }
    let path = path(dir, file.generation);
    let bytes = fs::read(&path).map_err(EngineError::io("read", &path))?;
    let corrupt = |at: usize, reason: &str| EngineError::Corrupt {
        path: path.clone(),
        reason: format!("{reason} at offset {at}"),
    };
    let length = usize::try_from(file.bytes).unwrap_or(usize::MAX);
    let mut rest = bytes.get(..length).ok_or_else(|| corrupt(bytes.len(), "it is shorter than it was"))?;
    while !rest.is_empty() {
        let at = length - rest.len();
        let chunk = split_chunk(&mut rest).ok_or_else(|| corrupt(at, "the checksum does not fit"))?;
        index.take_chunk(chunk).map_err(|reason| corrupt(at, &reason))?;
    }
    index.resume(stored);
    Ok(index)
}

fn split_chunk(rest: &mut &[u8]) -> Option<Chunk> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let (crc, tail) = tail.split_first_chunk::<4>()?;
    let (payload, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = tail;
    (crc32fast::hash(payload).to_le_bytes() == *crc).then(|| Chunk::decode(payload).ok())?
}

/// Writes `bytes` behind what counts, and answers what counts then.
pub(crate) fn append(dir: &Path, file: SeriesFile, bytes: &[u8]) -> Result<SeriesFile> {
    if bytes.is_empty() {
        return Ok(file);
    }
    let path = path(dir, file.generation);
    let write = || {
        let handle = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        handle.set_len(file.bytes)?;
        handle.write_all_at(bytes, file.bytes)?;
        handle.sync_all()?;
        File::open(dir)?.sync_all()
    };
    write().map_err(EngineError::io("write to", &path))?;
    Ok(SeriesFile { bytes: file.bytes + bytes.len() as u64, ..file })
}

/// Writes the whole index into a file of the next generation.
pub(crate) fn rewrite(dir: &Path, file: SeriesFile, bytes: &[u8]) -> Result<SeriesFile> {
    let next = SeriesFile { generation: file.generation + 1, bytes: bytes.len() as u64 };
    let path = path(dir, next.generation);
    let write = || {
        let mut handle = File::create(&path)?;
        handle.write_all(bytes)?;
        handle.sync_all()?;
        File::open(dir)?.sync_all()
    };
    write().map_err(EngineError::io("write", &path))?;
    Ok(next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn add(index: &mut SeriesIndex, values: &[(u8, u8)]) {
        for (monitor, value) in values {
            let uid = (value % 2 == 0).then(|| format!("{}-{value}", monitor % 9));
            let table =
                index.table_id(&MonitorKey::new("w", (monitor % 9).to_string()), uid.as_deref(), 60_000, Tier::Raw);
            index.field_id(&format!("f{monitor}"), PartialKind::ALL[usize::from(*value) % 3]);
            index.series_id(table, &[("k", &value.to_string())]);
        }
    }

    #[test]
    fn an_id_that_none_can_follow_is_refused() {
        let dir = tempfile::tempdir().expect("tempdir");
        let table =
            TableMessage { workspace: "w".into(), name: "m".into(), width_ms: 60_000, ..TableMessage::default() };
        let check = |id: u32| {
            let series = vec![SeriesMessage { id, table: 0, labels: Vec::new() }];
            let mut bytes = Vec::new();
            push(&Chunk { tables: vec![table.clone()], series, ..Chunk::default() }, &mut bytes);
            let file = rewrite(dir.path(), SeriesFile::default(), &bytes).expect("written");
            load(dir.path(), file, Stored::default(), 10).is_ok()
        };
        assert!(check(u32::MAX - 1));
        assert!(!check(u32::MAX));
    }

    #[test]
    fn one_that_came_again_before_it_was_stored_that_it_is_forgotten_stands_once() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut index = SeriesIndex::new(10);
        add(&mut index, &[(1, 1), (1, 3)]);
        let table = index.tables().next().expect("a table").0;
        let (bytes, stored) = encode_since(Stored::default(), |look| look(&index));
        let file = append(dir.path(), SeriesFile::default(), &bytes).expect("append");
        let (before, _) = index.series_id(table, &[("k", "1")]);
        index.forget(&[before]);
        let (again, _) = index.series_id(table, &[("k", "1")]);
        let (bytes, extent) = encode_since(stored, |look| look(&index));
        let file = append(dir.path(), file, &bytes).expect("append");
        let mut loaded = load(dir.path(), file, extent, 10).expect("load");
        assert_eq!(loaded.len(), 2);
        assert_eq!(loaded.series_id(table, &[("k", "1")]), (again, false));
    }

    #[test]
    fn an_id_that_was_forgotten_is_not_given_again_after_a_restart() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut index = SeriesIndex::new(10);
        add(&mut index, &[(1, 1), (1, 3), (1, 5)]);
        let table = index.tables().next().expect("a table").0;
        let highest = index.series_id(table, &[("k", "5")]).0;
        index.forget(&[highest]);
        let (bytes, extent) = encode_all(|look| look(&index));
        let file = rewrite(dir.path(), SeriesFile::default(), &bytes).expect("written");
        let mut loaded = load(dir.path(), file, extent, 10).expect("load");
        assert!(loaded.series_id(table, &[("k", "7")]).0 > highest);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_was_stored_is_loaded(first: Vec<(u8, u8)>, second: Vec<(u8, u8)>, lost: Vec<u8>) {
            let dir = tempfile::tempdir().expect("tempdir");
            let mut index = SeriesIndex::new(1_000_000);
            add(&mut index, &first);
            let (bytes, stored) = encode_since(Stored::default(), |look| look(&index));
            let mut file = append(dir.path(), SeriesFile::default(), &bytes).expect("append");
            // A flush that did not finish leaves bytes behind.
            append(dir.path(), file, &lost).expect("append");
            add(&mut index, &second);
            file = append(dir.path(), file, &encode_since(stored, |look| look(&index)).0).expect("append");
            let loaded = load(dir.path(), file, index.extent(), 1_000_000).expect("load");
            prop_assert_eq!(encode_all(|look| look(&loaded)), encode_all(|look| look(&index)));
            for ((id, a), (other, b)) in index.tables().zip(loaded.tables()) {
                prop_assert_eq!((id, &a.uid, &a.monitor), (other, &b.uid, &b.monitor));
                prop_assert_eq!(index.tables_of(&a.monitor, None), loaded.tables_of(&a.monitor, None));
            }
        }

        #[test]
        fn garbage_is_an_error_not_a_panic(bytes in proptest::collection::vec(any::<u8>(), 1..200)) {
            let dir = tempfile::tempdir().expect("tempdir");
            fs::write(path(dir.path(), 0), &bytes).expect("write");
            let file = SeriesFile { generation: 0, bytes: bytes.len() as u64 };
            prop_assert!(load(dir.path(), file, Stored::default(), 10).is_err());
        }
    }
}
