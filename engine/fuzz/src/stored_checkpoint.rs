//! A checkpoint whose bytes are not as they were, its checksum set right, and any bytes as one: an error, or marks
//! that are stored and loaded as the same.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use nightjar_model::Timestamp;
use nightjar_model::delta::Watermark;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{AwayAgent, Expectation, ExpectedAgent};

use crate::completeness::checkpoint::{decode, encode};
use crate::completeness::Tracker;
use crate::damage::Damage;
use crate::sequences::Sequences;

const HEAD_BYTES: usize = 12;

static BODY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (monitor, agent) = (MonitorKey::new("w", "m"), |id: &str| AgentId(id.into()));
    let mut sequences = Sequences::default();
    sequences.take(&agent("a"), 1, (2, 3), Timestamp(4));
    let there = |id: &str, host: &str| ExpectedAgent { id: agent(id), keys: vec![host.into()] };
    let mut one = Expectation::new(monitor.clone(), Duration::from_secs(60), []);
    one.columns = vec!["$host".into()];
    one.agents = vec![there("a", "h1"), there("b", "h2"), there("c", "h2")];
    let mut tracker = Tracker::default();
    let apply = |tracker: &mut Tracker, at: i64, one: &Expectation| {
        let changes = tracker.changes(std::slice::from_ref(one));
        tracker.apply(Timestamp(at), &changes);
    };
    apply(&mut tracker, 0, &one);
    for (id, through) in [("a", 1), ("a", 300_000), ("b", 200_000)] {
        tracker.watermark(&agent(id), &Watermark::new(monitor.clone(), Timestamp(through)));
    }
    one.agents.truncate(1);
    one.away = vec![AwayAgent { id: agent("b"), left_at: None }];
    apply(&mut tracker, 400_000, &one);
    let bytes = encode(&sequences, &tracker).expect("encoded");
    zstd::stream::decode_all(&bytes[HEAD_BYTES..]).expect("own writing")
});

pub fn check(damage: &Damage, raw: &[u8]) {
    let mut body = BODY.clone();
    damage.apply(&mut body);
    let body = zstd::bulk::compress(&body, 1).expect("compressed");
    let mut bytes = b"NJCP\x01\0\0\0".to_vec();
    bytes.extend(crc32fast::hash(&body).to_le_bytes());
    bytes.extend(body);
    load(&bytes);
    load(raw);
}

fn load(bytes: &[u8]) {
    let path = Path::new("checkpoint");
    if let Ok((sequences, tracker)) = decode(bytes, path) {
        let stored = encode(&sequences, &tracker).expect("encoded");
        let (sequences, tracker) = decode(&stored, path).expect("own writing");
        assert_eq!(encode(&sequences, &tracker).expect("encoded"), stored);
    }
}
