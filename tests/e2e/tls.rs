//! TLS towards agents and people, and the warning where there is none.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::{Process, Stand, free_port, server_program, skip, wait_for};

/// A certificate for 127.0.0.1 and its key; `None` without openssl.
fn certificate(directory: &Path, name: &str) -> Option<(PathBuf, PathBuf)> {
    let (cert, key) = (directory.join(format!("{name}.pem")), directory.join(format!("{name}.key")));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args([
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .arg("-out")
        .arg(&cert)
        .arg("-keyout")
        .arg(&key)
        .output();
    made.is_ok_and(|output| output.status.success()).then_some((cert, key))
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_check_the_servers_certificate() {
    let place = tempfile::tempdir().unwrap();
    let made = (certificate(place.path(), "own"), certificate(place.path(), "other"));
    let (Some((cert, key)), Some((other, _))) = made else {
        return skip("agents_check_the_servers_certificate", "openssl is not installed");
    };
    let stand = Stand::start_with(|stand| {
        stand.set("NIGHTJAR_COLLECTOR_TLS__CERT", cert.to_str().unwrap());
        stand.set("NIGHTJAR_COLLECTOR_TLS__KEY", key.to_str().unwrap());
    })
    .await;
    let url = format!("https://127.0.0.1:{}", stand.agents_port);
    let start = async |name: &str, trust: [&str; 2]| {
        let token = stand.enrolment_token().await;
        let data = stand.path(name);
        let arguments =
            ["run", "--server", &url, "--token", &token, "--data-dir", data.to_str().unwrap(), trust[0], trust[1]];
        let arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
        Process::start(crate::harness::agent_program(), &arguments, &[], &stand.path(&format!("{name}.log")))
    };
    let enrolled = async || stand.get("workspaces/default/agents").await["items"].as_array().unwrap().len();

    let mut wrong = start("wrong", ["--ca-file", other.to_str().unwrap()]).await;
    wait_for("the refusal", Duration::from_secs(30), async || {
        let log = stand.log_text("wrong.log").to_lowercase();
        if wrong.ended().is_some() || log.contains("certificate") { Ok(()) } else { Err(log) }
    })
    .await;
    assert_eq!(enrolled().await, 0, "an agent trusted a server it does not know");
    drop(wrong);

    let _right = start("right", ["--ca-file", cert.to_str().unwrap()]).await;
    let digest =
        Command::new("openssl").args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(&cert).output().unwrap();
    let digest = String::from_utf8(digest.stdout).unwrap();
    let fingerprint = digest.trim().split('=').nth(1).unwrap().replace(':', "").to_lowercase();
    let _pinned = start("pinned", ["--fingerprint", &fingerprint]).await;
    wait_for("both agents", Duration::from_secs(30), async || match enrolled().await {
        2 => Ok(()),
        count => Err(format!("{count} agents\n{}\n{}", stand.log_text("right.log"), stand.log_text("pinned.log"))),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn https_works_and_clear_text_beyond_loopback_is_warned_of() {
    let place = tempfile::tempdir().unwrap();
    let Some((cert, key)) = certificate(place.path(), "own") else {
        return skip("https_works_and_clear_text_beyond_loopback_is_warned_of", "openssl is not installed");
    };
    let (http, agents, log) = (free_port(), free_port(), place.path().join("server.log"));
    let arguments = [
        "server".to_owned(),
        "--data-dir".to_owned(),
        place.path().join("data").to_str().unwrap().to_owned(),
        "--http".to_owned(),
        format!("0.0.0.0:{http}"),
        "--agents".to_owned(),
        format!("0.0.0.0:{agents}"),
    ];
    let tls = [("NIGHTJAR_WEB_TLS__CERT", cert.to_str().unwrap()), ("NIGHTJAR_WEB_TLS__KEY", key.to_str().unwrap())];
    let environment = tls.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let _server = Process::start(server_program(), &arguments, &environment, &log);
    wait_for("HTTPS", Duration::from_secs(60), async || {
        let asked = Command::new("curl")
            .args(["-fsS", "--cacert", cert.to_str().unwrap(), &format!("https://127.0.0.1:{http}/-/ready")])
            .output()
            .unwrap();
        if asked.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&asked.stderr).into_owned()) }
    })
    .await;
    let text = std::fs::read_to_string(&log).unwrap();
    let warnings: Vec<&str> = text.lines().filter(|line| line.contains("without TLS beyond loopback")).collect();
    assert_eq!(warnings.len(), 1, "{text}");
    assert!(warnings[0].contains("agents"), "{}", warnings[0]);
}
