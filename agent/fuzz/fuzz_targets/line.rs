//! Any bytes as lines of a log, through every kind of pick: nothing panics, every line is accounted
//! for, and a block counts as its lines do.
#![no_main]

use std::cell::RefCell;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use nightjar_agent::pipeline::{HostFacts, Pipeline};
use nightjar_agent::zone::HostZone;
use nightjar_model::Timestamp;
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::names::MonitorKey;

const MONITOR: &str = r#"{
    "type": "minute_multi_key",
    "source": { "log": { "paths": [{ "path": "/x.log" }] } },
    "columns": [
        { "name": "a", "pick": { "split": { "by": ",", "index": 1 } } },
        { "name": "b", "pick": { "between": { "left": "=", "right": "" } } },
        { "name": "c", "pick": { "regex": { "pattern": "(\\w*?)[0-9]" } } },
        { "name": "d", "pick": { "json": { "pointer": "/a/0" } } },
        { "name": "e", "pick": { "split": { "by": "，", "index": 0 } } }
    ],
    "group_by": ["c", "e"],
    "stats": [
        { "name": "s", "fn": "sum", "column": "a" },
        { "name": "m", "fn": "max", "column": "b" },
        { "name": "n", "fn": "min", "column": "d" }
    ]
}"#;

static SPEC: LazyLock<MonitorSpec> = LazyLock::new(|| serde_json::from_str(MONITOR).expect("a monitor"));

fn pipeline() -> Pipeline {
    let host = HostFacts {
        labels: Default::default(),
        hostname: "h".into(),
        ip: String::new(),
        zone: HostZone::named("America/New_York"),
    };
    Pipeline::compile(MonitorKey::new("w", "m"), &SPEC, &host).expect("a valid monitor").of_any_age()
}

thread_local! {
    // Compiled once, for that takes longer than all else; both forget at the same time what they counted.
    static PIPELINES: RefCell<[Pipeline; 2]> = RefCell::new([pipeline(), pipeline()]);
}

fuzz_target!(|bytes: &[u8]| {
    let (path, now) = (Path::new("/x.log"), Timestamp(1_800_000_000_000));
    PIPELINES.with_borrow_mut(|[block, lines]| {
        block.feed_block(bytes, path, now);
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            lines.feed(line.strip_suffix(b"\n").unwrap_or(line), false, path, now);
        }
        assert_eq!(block.counters(), lines.counters());
        assert_eq!(block.drain(), lines.drain());
    });
});
