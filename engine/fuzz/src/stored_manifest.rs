//! A manifest whose bytes are not as they were, and any bytes as one: an error, or a manifest that is
//! stored and loaded as an equal one.

use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use nightjar_model::Timestamp;
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::Expectation;
use tempfile::TempDir;

use crate::block::BlockMeta;
use crate::damage::Damage;
use crate::manifest::Manifest;
use crate::tier::Tier;

static DIR: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory"));

static BODY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (monitor, agent) = (MonitorKey::new("w", "m"), AgentId("a".into()));
    let mut manifest = Manifest::default();
    manifest.blocks.push(BlockMeta {
        id: 1,
        format: 2,
        tier: Tier::Second,
        from: 0,
        until: 9,
        rows: 2,
        bytes: 3,
        created: 4,
        tables: vec![0, 1],
        highest_series: Some(7),
        settled: true,
        quarantined: false,
    });
    manifest.sequences.take(&agent, 1, 2, Timestamp(3));
    let expected = Expectation::new(monitor, Duration::from_secs(60), [agent]);
    manifest.completeness.expect(Timestamp(60_000), &[expected]);
    serde_json::to_vec(&manifest).expect("JSON")
});

/// The checksum is set right, for else nothing comes past it.
pub fn check(damage: &Damage, raw: &[u8]) {
    let mut body = BODY.clone();
    damage.apply(&mut body);
    let mut text = format!("nightjar-manifest 1 {:08x}\n", crc32fast::hash(&body)).into_bytes();
    text.append(&mut body);
    load(&text);
    load(raw);
}

fn load(text: &[u8]) {
    fs::write(DIR.path().join("manifest"), text).expect("written");
    if let Ok(manifest) = Manifest::load(DIR.path()) {
        manifest.store(DIR.path()).expect("stored");
        assert_eq!(Manifest::load(DIR.path()).expect("own writing"), manifest);
    }
}
