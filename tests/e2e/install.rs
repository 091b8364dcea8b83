//! The one command that installs an agent, run again, and undone.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Stand, agent_program, wait_for};

/// Ends the installed agent should the test fail before it does.
struct Installed(PathBuf);

impl Installed {
    fn process(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.0.join("var/lib/nightjar-agent/agent.pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        if let Some(process) = self.process() {
            kill_process(process, Signal::KILL).ok();
        }
    }
}

fn install(stand: &Stand, prefix: &Path, arguments: &str) -> Output {
    let command = format!(
        "curl -fsSL http://127.0.0.1:{}/install-agent.sh | sh -s -- --prefix {} {arguments}",
        stand.http,
        prefix.display()
    );
    Command::new("sh").args(["-c", &command]).output().unwrap()
}

fn succeeded(output: &Output) {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_installs_again_and_removes() {
    agent_program();
    let stand = Stand::start().await;
    let installed = Installed(stand.path("prefix"));
    let refused = install(&stand, &installed.0, "--token wrong");
    assert!(!refused.status.success());
    assert!(!installed.0.join("bin/nightjar-agent").exists(), "installed with a wrong token");

    let token = format!("--token {}", stand.enrolment_token().await);
    succeeded(&install(&stand, &installed.0, &format!("{token} --label app=trade")));
    let connected = async || {
        let agents = stand.get("workspaces/default/agents").await;
        match agents["items"].as_array().unwrap().as_slice() {
            [agent] if agent["health"] == "healthy" && agent["facts"]["labels"]["app"] == "trade" => Ok(()),
            _ => Err(agents.to_string()),
        }
    };
    wait_for("the installed agent", Duration::from_secs(30), connected).await;
    let original = std::fs::read(agent_program()).unwrap();
    assert!(std::fs::read(installed.0.join("bin/nightjar-agent")).unwrap() == original, "another binary was installed");

    // Once more, with a token that is used up: nothing to do, and the same agent with the same label.
    succeeded(&install(&stand, &installed.0, &token));
    wait_for("the same agent", Duration::from_secs(30), connected).await;
    assert!(installed.process().is_some());

    succeeded(&install(&stand, &installed.0, "--uninstall --purge"));
    assert!(!installed.0.join("bin/nightjar-agent").exists());
    assert!(installed.process().is_none(), "the agent's pid file is left");
    let left = stand.get("workspaces/default/agents").await;
    assert_eq!(left["items"].as_array().map(Vec::len), Some(0), "the server still has it: {left}");
}
