//! A manifest whose bytes are not as they were, and any bytes as one: an error, or a manifest that is
//! stored and loaded as an equal one.

use std::fs;
use std::sync::LazyLock;

use nightjar_model::names::MonitorKey;
use serde_json::json;
use tempfile::TempDir;

use crate::block::BlockMeta;
use crate::damage::Damage;
use crate::manifest::Manifest;
use crate::tier::Tier;

static DIR: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory"));

/// As it was before there were checkpoints, so that what it held then is read, too.
static BODY: LazyLock<Vec<u8>> = LazyLock::new(|| {
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
    let mut value = serde_json::to_value(&manifest).expect("JSON");
    value["sequences"] = json!({ "a": { "seen": 3, "incarnations": [[1, 2]] } });
    let track = json!({
        "width": 60_000, "agents": { "a": { "since": 60_000, "through": null } }, "settled": 60_000,
        "complete": [[0, 60_000]], "revised": [], "abandoned": [{ "from": 0, "until": 60_000, "agent": "b" }],
    });
    value["completeness"] = json!([[MonitorKey::new("w", "m"), track]]);
    serde_json::to_vec(&value).expect("JSON")
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
        drop(manifest.marks(DIR.path()));
    }
}
