//! The demo does what the README says, and leaves nothing behind.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{agent_program, server_program};

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_reaches_all_three() {
    agent_program();
    let scratch = tempfile::tempdir().unwrap();
    let (output, errors) = (scratch.path().join("out"), scratch.path().join("err"));
    let mut demo = Command::new(server_program())
        .args(["demo", "--exit-after-alert", "--healthy-for", "3"])
        .env("TMPDIR", scratch.path())
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&output).unwrap())
        .stderr(std::fs::File::create(&errors).unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(240);
    let status = loop {
        if let Some(status) = demo.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > deadline {
            demo.kill().unwrap();
            demo.wait().unwrap();
            break None;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let text = std::fs::read_to_string(&output).unwrap();
    let errors = std::fs::read_to_string(&errors).unwrap();
    assert!(status.is_some_and(|status| status.success()), "{status:?}\n{text}\n{errors}");
    for part in [
        "user admin, password",
        "DingTalk ━━ signature right",
        "Webhook ━━ signature right",
        "Email ━━ accepted",
        "Subject: ",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    assert!(!text.contains("REFUSED"), "{text}");
    let left: Vec<_> = std::fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "left behind: {left:?}");
}
