//! Logs whose totals are known: by the generator of sample logs where it stands beside the repository,
//! else by a smaller one of our own that writes lines of the same form.

mod own;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use chrono::{Local, NaiveDateTime, TimeZone};
use serde_json::Value;

use super::repository;

/// Lines and sum of costs, by start of the minute (milliseconds) and key.
pub(crate) type Totals = BTreeMap<(i64, String), (u64, i64)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Trade,
    Toll,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    Rename,
    CopyTruncate,
}

/// A log that grows.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) file: PathBuf,
    /// Lines a second.
    pub(crate) rate: u32,
    pub(crate) seconds: u32,
    pub(crate) rotate_bytes: u64,
    pub(crate) rotation: Rotation,
    pub(crate) seed: u64,
}

/// A generator at work; it ends with the test.
pub(crate) enum Generator {
    Sample { child: Child, totals: PathBuf },
    Own(own::Writer),
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Toll => "toll",
        }
    }
}

fn script() -> Option<PathBuf> {
    let script = repository().join("../shared/samples/genlog.py");
    script.is_file().then_some(script)
}

/// Writes a whole file, from `start` (`2026-11-20 12:00:00`, the host's time) on.
pub(crate) fn write(kind: Kind, file: &Path, lines: u32, per_minute: u32, start: &str) -> Totals {
    let Some(script) = script() else { return own::write(kind, file, lines, per_minute, start) };
    let output = Command::new("python3")
        .arg(script)
        .arg(kind.name())
        .arg(file)
        .args(["--lines", &lines.to_string(), "--per-minute", &per_minute.to_string(), "--start", start])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    totals_of(&String::from_utf8(output.stdout).unwrap())
}

impl Generator {
    /// Begins to log trades.
    pub(crate) fn live(live: Live) -> Self {
        let Some(script) = script() else { return Self::Own(own::Writer::start(live)) };
        let totals = live.file.with_extension("totals");
        let mode = if live.rotation == Rotation::Rename { "rename" } else { "copytruncate" };
        let child = Command::new("python3")
            .arg(script)
            .arg("trade")
            .arg(&live.file)
            .args(["--rate", &live.rate.to_string(), "--seconds", &live.seconds.to_string()])
            .args(["--rotate", &live.rotate_bytes.to_string(), "--rotate-mode", mode])
            .args(["--seed", &live.seed.to_string()])
            .arg("--totals")
            .arg(&totals)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self::Sample { child, totals }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        match self {
            Self::Sample { child, .. } => child.try_wait().unwrap().is_none(),
            Self::Own(writer) => writer.is_running(),
        }
    }

    /// Waits for its end; its totals.
    pub(crate) fn finish(mut self) -> Totals {
        match &mut self {
            Self::Sample { child, totals } => {
                let status = child.wait().unwrap();
                assert!(status.success(), "the generator failed");
                totals_of(&std::fs::read_to_string(totals).unwrap())
            }
            Self::Own(writer) => writer.finish(),
        }
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        if let Self::Sample { child, .. } = self {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Start of the minute `2026-11-20 12:00`: the generators write the host's own time, as the agent reads it.
fn minute_start(minute: &str) -> i64 {
    let local = NaiveDateTime::parse_from_str(&format!("{minute}:00"), "%Y-%m-%d %H:%M:%S").unwrap();
    Local.from_local_datetime(&local).earliest().unwrap().timestamp_millis()
}

fn totals_of(text: &str) -> Totals {
    let document: Value = serde_json::from_str(text).unwrap();
    let mut totals = Totals::new();
    for (minute, keys) in document["minutes"].as_object().unwrap() {
        for (key, cell) in keys.as_object().unwrap() {
            totals.insert((minute_start(minute), key.clone()), (cell[0].as_u64().unwrap(), cell[1].as_i64().unwrap()));
        }
    }
    let lines: u64 = totals.values().map(|(lines, _)| lines).sum();
    assert_eq!(lines, document["lines"].as_u64().unwrap());
    totals
}
