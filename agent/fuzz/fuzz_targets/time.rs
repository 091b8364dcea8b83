//! Any bytes as lines with times, in every format: nothing panics, and what a reader remembers of one line
//! changes nothing in what it makes of the next.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use nightjar_agent::pipeline::{HostFacts, Pipeline};
use nightjar_agent::zone::{HostZone, Zone};
use nightjar_model::Timestamp;
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::names::MonitorKey;

const FORMATS: [&str; 8] = [
    "auto",
    "syslog",
    "revert",
    "epoch",
    "time_of_day",
    "chinese",
    "strftime:%a, %d %b %Y %I:%M:%S%.f %p %Z",
    "strftime:%y%j%k%M%S%f%z",
];

static SPECS: LazyLock<Vec<MonitorSpec>> = LazyLock::new(|| {
    let spec = |format: &&str| {
        serde_json::from_value(serde_json::json!({
            "type": "minute",
            "source": { "log": { "paths": [{ "path": "/x.log" }], "time": { "format": format } } },
        }))
        .expect("a monitor")
    };
    FORMATS.iter().map(spec).collect()
});

fn pipeline(format: usize) -> Pipeline {
    let host = HostFacts {
        labels: Default::default(),
        hostname: "h".into(),
        ip: String::new(),
        zone: HostZone::named("America/New_York"),
    };
    Pipeline::compile(MonitorKey::new("w", "m"), &SPECS[format], &host).expect("a valid monitor").of_any_age()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, lines)) = bytes.split_first() else { return };
    let format = usize::from(*first) % FORMATS.len();
    let (path, now) = (Path::new("/x.log"), Timestamp(1_795_744_814_000));
    let mut remembers = pipeline(format);
    for line in lines.split(|b| *b == b'\n').take(8) {
        remembers.feed(line, false, path, now);
        let mut fresh = pipeline(format);
        fresh.feed(line, false, path, now);
        assert_eq!(remembers.drain(), fresh.drain());
    }
    // The same bytes as a zone file and as a rule.
    let _ = Zone::tzif(lines);
    let _ = std::str::from_utf8(lines).ok().and_then(Zone::posix);
});
