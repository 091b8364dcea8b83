//! Sample logs whose totals are known.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use chrono::{Local, NaiveDateTime, TimeZone};
use serde_json::Value;

use super::repository;

/// Lines and sum of costs, by start of the minute (milliseconds) and key.
pub(crate) type Totals = BTreeMap<(i64, String), (u64, i64)>;

/// The generator at work on a live log; it ends with the test.
pub(crate) struct Generator {
    child: Child,
    totals: PathBuf,
}

impl Generator {
    /// Where the generator is, unless it is not on this machine.
    pub(crate) fn script() -> Option<PathBuf> {
        let places = [repository().join("../shared/samples/genlog.py"), repository().join("shared/samples/genlog.py")];
        places.into_iter().find(|place| place.is_file())
    }

    /// A whole file at once; its totals.
    pub(crate) fn write(script: &Path, kind: &str, file: &Path, arguments: &[&str]) -> Totals {
        let output = Command::new("python3").arg(script).arg(kind).arg(file).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        totals_of(&String::from_utf8(output.stdout).unwrap())
    }

    /// A log that grows until its time is over.
    pub(crate) fn live(script: &Path, kind: &str, file: &Path, arguments: &[&str]) -> Self {
        let totals = file.with_extension("totals");
        let child = Command::new("python3")
            .arg(script)
            .arg(kind)
            .arg(file)
            .args(arguments)
            .arg("--totals")
            .arg(&totals)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, totals }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end; its totals.
    pub(crate) fn finish(mut self) -> Totals {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the generator failed");
        totals_of(&std::fs::read_to_string(&self.totals).unwrap())
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn totals_of(text: &str) -> Totals {
    let document: Value = serde_json::from_str(text).unwrap();
    let mut totals = Totals::new();
    for (minute, keys) in document["minutes"].as_object().unwrap() {
        // The generator writes the host's own time, as the agent reads it.
        let local = NaiveDateTime::parse_from_str(&format!("{minute}:00"), "%Y-%m-%d %H:%M:%S").unwrap();
        let start = Local.from_local_datetime(&local).earliest().unwrap().timestamp_millis();
        for (key, cell) in keys.as_object().unwrap() {
            totals.insert((start, key.clone()), (cell[0].as_u64().unwrap(), cell[1].as_i64().unwrap()));
        }
    }
    let lines: u64 = totals.values().map(|(lines, _)| lines).sum();
    assert_eq!(lines, document["lines"].as_u64().unwrap());
    totals
}
