//! Disks that fill up, logs that are torn, servers that are told to stop.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chrono::Local;
use serde_json::json;

use crate::harness::{Stand, skip, wait_for};

async fn watch(stand: &mut Stand) {
    let document = json!({
        "kind": "Monitor",
        "metadata": { "name": "app" },
        "spec": {
            "type": "minute_multi_key",
            "source": { "log": { "paths": [{ "path": stand.path("app.log") }], "start": "beginning" } },
            "columns": [{ "name": "order", "pick": { "split": { "by": ",", "index": 1 } } }],
            "group_by": ["order"],
        },
    });
    stand.apply(json!([document])).await;
    stand.start_agent("agent", &[]).await;
}

/// Lines of this moment, each with a key of its own, so that a record of them is not small.
fn log(stand: &Stand, lines: usize) {
    let now = Local::now().format("%Y-%m-%d %H:%M:%S%.3f");
    let text: String = (0..lines).map(|order| format!("{now},order-{order}\n")).collect();
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(stand.path("app.log")).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

async fn counted(stand: &Stand, lines: u64) {
    wait_for("the lines", Duration::from_secs(60), async || {
        let rows = stand.sql("SELECT sum(count) AS lines FROM monitor.app").await;
        match rows[0]["lines"].as_f64() {
            Some(counted) if counted as u64 == lines => Ok(()),
            other => Err(format!("{other:?} of {lines}")),
        }
    })
    .await;
}

/// Every file under a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_log_loses_nothing_acknowledged() {
    let mut stand = Stand::start().await;
    watch(&mut stand).await;
    log(&stand, 500);
    counted(&stand, 500).await;
    stand.kill_server();

    // As a write that was cut off by the crash leaves it: the start of a record and no end.
    let wal: Vec<PathBuf> = files(&stand.data_dir().join("engine"))
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("wal"))
        .collect();
    let newest = wal.iter().max().expect("a write-ahead log");
    let mut file = std::fs::OpenOptions::new().append(true).open(newest).unwrap();
    file.write_all(&[0x40, 0, 0, 0, 7, 7, 7, 7, 1, 2, 3]).unwrap();
    drop(file);

    stand.start_server().await;
    counted(&stand, 500).await;
    log(&stand, 250);
    counted(&stand, 750).await;
    // And what was written after the tear is found again, too.
    stand.kill_server();
    stand.start_server().await;
    counted(&stand, 750).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_is_quick_and_keeps_everything() {
    let mut stand = Stand::start().await;
    watch(&mut stand).await;
    log(&stand, 100);
    counted(&stand, 100).await;
    let status = stand.stop_server().await;
    assert!(status.success(), "{status}");
    log(&stand, 100);
    stand.start_server().await;
    counted(&stand, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_is_kept_from_the_data() {
    let stand = Stand::start().await;
    let data = stand.data_dir().to_str().unwrap().to_owned();
    let second = stand.nightjar(&["server", "--data-dir", &data, "--http", "127.0.0.1:0", "--agents", "127.0.0.1:0"]);
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && text.contains("in use by another server"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_checked_all_at_once() {
    let stand = Stand::start().await;
    let file = stand.path("nightjar.yaml");
    std::fs::write(&file, "http: nowhere\nengine: { retentoin: 7d }\ncollector: { max_sessions: 0 }\n").unwrap();
    let refused = stand.nightjar(&["check-config", "--config", file.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    assert!(text.contains("http: ") && text.contains("engine.retentoin: "), "{text}");
    std::fs::write(&file, "engine: { retention: 7d }\n").unwrap();
    assert!(stand.nightjar(&["check-config", "--config", file.to_str().unwrap()]).status.success());
}

/// A small file system of its own, unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"]).arg(&at).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }

    /// Fills what is left.
    fn fill(&self) {
        let mut filler = std::fs::File::create(self.0.join("filler")).unwrap();
        for size in [1 << 20, 4096, 1] {
            let block = vec![7; size];
            while filler.write_all(&block).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_loses_nothing() {
    let place = tempfile::Builder::new().prefix("nightjar-disk-").tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(place.path().join("disk")) else {
        return skip("a_full_disk_refuses_and_loses_nothing", "mounting a tmpfs is not permitted");
    };
    let mut stand = Stand::start_with(|stand| stand.set_data_dir(disk.0.join("server"))).await;
    watch(&mut stand).await;
    log(&stand, 100);
    counted(&stand, 100).await;

    disk.fill();
    log(&stand, 5000);
    wait_for("the refusal", Duration::from_secs(60), async || {
        let agents = stand.get("workspaces/default/agents").await;
        match agents["items"][0]["process"]["unackedRecords"].as_u64() {
            Some(waiting) if waiting > 0 => Ok(()),
            other => Err(format!("{other:?} records wait")),
        }
    })
    .await;
    // It still answers, with what it has.
    counted(&stand, 100).await;
    disk.free();
    counted(&stand, 5100).await;
    stand.kill_server();
    stand.start_server().await;
    counted(&stand, 5100).await;
    drop(stand);
    drop(disk);
}
