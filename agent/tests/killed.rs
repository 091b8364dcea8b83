//! An agent that is killed again and again while logs turn quickly: as long as a file is there while some
//! agent lives long enough to read it, none of its lines is lost, and none counts twice.
//!
//! The real binary, without a server: what it counted is in its journal.

#![expect(clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nightjar_agent::journal::Journal;
use nightjar_model::protocol::decode_gathered;
use nightjar_model::{Clock, Decimal, SystemClock};

/// Of shifted generations so many are kept.
const KEPT: u32 = 40;
const LINES: u64 = 50;

struct Stand {
    dir: tempfile::TempDir,
}

impl Stand {
    fn new() -> Self {
        let stand = Self { dir: tempfile::tempdir().unwrap() };
        let spec = serde_json::json!({
            "type": "minute_multi_key",
            "source": { "log": {
                "paths": [{ "path": stand.log() }],
                "start": "beginning",
                "time": { "timezone": "UTC" },
            } },
            "columns": [
                { "name": "k", "pick": { "split": { "by": ",", "index": 1 } } },
                { "name": "v", "pick": { "split": { "by": ",", "index": 2 } } },
            ],
            "group_by": ["k"],
            "stats": [{ "name": "n", "fn": "lines" }, { "name": "s", "fn": "sum", "column": "v" }],
        });
        let configuration = serde_json::json!({
            "version": "1",
            "monitors": [["m", spec.to_string()]],
            "uids": { "m": "u1" },
        });
        fs::create_dir(stand.data()).unwrap();
        fs::write(stand.data().join("config.json"), configuration.to_string()).unwrap();
        let identity = serde_json::json!({ "id": "a-1", "workspace": "w", "key": "k" });
        fs::write(stand.data().join("identity.json"), identity.to_string()).unwrap();
        stand
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("app.log")
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// An agent whose server is not there.
    fn agent(&self) -> Child {
        let told = OpenOptions::new().create(true).append(true).open(self.dir.path().join("agent.out")).unwrap();
        Command::new(env!("CARGO_BIN_EXE_nightjar-agent"))
            .args(["run", "--server", "http://127.0.0.1:9", "--data-dir"])
            .arg(self.data())
            .stdout(Stdio::null())
            .stderr(told)
            .spawn()
            .unwrap()
    }

    /// The agent has begun, and that is in its journal: generations before that were none of its.
    fn wait_for_a_record(&self) {
        let has_record = || {
            let entries = fs::read_dir(self.data().join("journal")).into_iter().flatten().flatten();
            let mut segments = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "seg"));
            segments.any(|segment| segment.metadata().is_ok_and(|metadata| metadata.len() > 0))
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !has_record() {
            assert!(Instant::now() < deadline, "no record: {}", self.told());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn told(&self) -> String {
        fs::read_to_string(self.dir.path().join("agent.out")).unwrap_or_default()
    }

    /// Lines counted, the sum of their numbers, and the bytes told as lost.
    fn counted(&self) -> (u64, Decimal, u64) {
        let journal = Journal::open(&self.data().join("journal"), 256 << 20, 1).unwrap();
        let (mut lines, mut sum, mut lost, mut after) = (0, Decimal::ZERO, 0, 0);
        while let Some(record) = journal.next_after(after).unwrap() {
            after = record.sequence;
            let encoded = zstd::stream::decode_all(record.payload.as_slice()).unwrap();
            let (deltas, _) = decode_gathered("w", &encoded).unwrap();
            for delta in deltas {
                for window in delta.windows {
                    if delta.monitor.name == "m" {
                        lines += window.partials[0].count();
                        sum = sum.saturating_add(window.partials[1].as_number().expect("a number").sum);
                    } else if window.keys.iter().any(|key| key == "bytes_lost") {
                        lost += window.partials[0].count();
                    }
                }
            }
        }
        (lines, sum, lost)
    }
}

/// Writes generations and shifts them, the oldest away, until it is told to stop; how many lines it wrote.
fn turn_logs(log: PathBuf, every: Duration, stop: Arc<AtomicBool>) -> JoinHandle<u64> {
    let generation = |log: &Path, no: u32| PathBuf::from(format!("{}.{no}", log.display()));
    std::thread::spawn(move || {
        let mut written = 0;
        let mut file = File::create(&log).unwrap();
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            for _ in 0..LINES {
                written += 1;
                let stamp = SystemClock.now().to_utc().format("%Y-%m-%d %H:%M:%S");
                writeln!(file, "{stamp},key,{written}").unwrap();
            }
            std::thread::sleep(every.saturating_sub(begun.elapsed()));
            drop(fs::remove_file(generation(&log, KEPT)));
            for no in (1..KEPT).rev() {
                drop(fs::rename(generation(&log, no), generation(&log, no + 1)));
            }
            fs::rename(&log, generation(&log, 1)).unwrap();
            file = File::create(&log).unwrap();
        }
        written
    })
}

/// Kills an agent each time it has lived for `life`, `lives` times, then lets one live.
fn check(life: Duration, lives: u32) {
    let stand = Stand::new();
    // Generations last for four seconds: long enough for any of these agents to begin.
    let every = Duration::from_secs(4) / KEPT;
    let mut agent = stand.agent();
    stand.wait_for_a_record();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = turn_logs(stand.log(), every, stop.clone());
    for _ in 0..lives {
        std::thread::sleep(life);
        agent.kill().unwrap();
        agent.wait().unwrap();
        agent = stand.agent();
    }
    stop.store(true, Ordering::Relaxed);
    let written = writer.join().unwrap();
    let expected = (written * (written + 1) / 2).cast_signed();
    // What is in the files is there until all is counted, and then once more: nothing comes of that.
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut before = None;
    let (lines, sum, lost) = loop {
        std::thread::sleep(Duration::from_millis(1500));
        agent.kill().unwrap();
        agent.wait().unwrap();
        let counted = stand.counted();
        let is_all = counted.0 >= written && before.replace(counted) == Some(counted);
        if is_all || Instant::now() > deadline {
            break counted;
        }
        agent = stand.agent();
    };
    assert_eq!((lines, lost), (written, 0), "lives of {life:?}: lines and bytes lost; {}", stand.told());
    assert_eq!(sum, Decimal::from_int(expected), "lives of {life:?}");
}

#[test]
fn nothing_is_lost_however_short_agents_live() {
    for (life, lives) in [(1200, 10), (400, 25)] {
        check(Duration::from_millis(life), lives);
    }
}
