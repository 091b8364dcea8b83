//! A full disk: batches are refused, nothing acknowledged is lost, and it goes on by itself.

use std::path::Path;
use std::process::Command;

use nightjar_model::ErrorKind;
use nightjar_model::ports::Taken;

use crate::fixture::{Fixture, batch, lines};

/// A file system of 4 MiB, gone with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("tempdir");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(dir.path()).output();
        done.is_ok_and(|output| output.status.success()).then(|| Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "unmounted");
    }
}

#[tokio::test]
async fn refuses_and_goes_on_when_there_is_space_again() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: a small file system cannot be mounted here (needs root)");
        return;
    };
    let mut fixture = Fixture::at(disk.path(), |_| ()).await;
    let entries: Vec<(i64, String)> = (0..400).map(|n| (n % 60, format!("{:0>200}", n % 100))).collect();
    let entries: Vec<(i64, &str, i64)> = entries.iter().map(|(at, key)| (*at, key.as_str(), 1)).collect();
    let mut taken = 0;
    let refused = loop {
        match fixture.take(batch("a", taken + 1, vec![lines(&entries)])).await {
            Ok(outcome) => assert_eq!(outcome, Taken::New),
            Err(error) => break error,
        }
        taken += 1;
        assert!(taken < 1000, "4 MiB hold less than this");
    };
    assert_eq!(refused.kind, ErrorKind::Unavailable, "{refused}");
    assert!(taken > 5);
    // A smaller one may still fit, and is kept.
    if fixture.take(batch("b", 1, vec![lines(&[(0, "small", 1)])])).await.is_ok() {
        assert_eq!(fixture.take(batch("b", 1, vec![])).await.expect("known"), Taken::Repeat);
    }
    let lines_of = |totals: &std::collections::BTreeMap<(i64, String), (u64, nightjar_model::Decimal)>| {
        totals.iter().filter(|((_, key), _)| key != "small").map(|(_, (count, _))| *count).sum::<u64>()
    };
    assert_eq!(lines_of(&fixture.totals().await), taken * 400);
    // As after a power failure with the disk still full.
    let ballast = disk.path().join("ballast");
    drop(std::fs::write(&ballast, vec![0u8; 8 << 20]));
    assert!(fixture.take(batch("a", taken + 1, vec![lines(&entries)])).await.is_err());
    std::fs::remove_file(&ballast).expect("removed");
    fixture.crash_and_open().await;
    assert_eq!(lines_of(&fixture.totals().await), taken * 400);
    // The log becomes blocks, which are smaller, and what was refused is taken.
    fixture.engine().flush().await.expect("flushed");
    assert_eq!(fixture.take(batch("a", taken + 1, vec![lines(&entries)])).await.expect("space again"), Taken::New);
    // Full while it flushes.
    drop(std::fs::write(&ballast, vec![0u8; 8 << 20]));
    assert_eq!(fixture.engine().flush().await.expect_err("full").kind, ErrorKind::Unavailable);
    assert_eq!(lines_of(&fixture.totals().await), (taken + 1) * 400);
    std::fs::remove_file(&ballast).expect("removed");
    fixture.engine().flush().await.expect("flushed");
    fixture.crash_and_open().await;
    assert_eq!(lines_of(&fixture.totals().await), (taken + 1) * 400);
    fixture.crash();
}
