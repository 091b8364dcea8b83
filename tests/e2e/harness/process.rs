//! A child process that ends with the test.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::server_program;

pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a program with its output appended to `log`. It is tied to this process, so that it ends
    /// even when the test is killed.
    pub(crate) fn start(program: PathBuf, arguments: &[String], environment: &[(String, String)], log: &Path) -> Self {
        let log = OpenOptions::new().append(true).create(true).open(log).unwrap();
        let mut command = Command::new(server_program());
        // What the developer has set must not reach what is tested.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("NIGHTJAR_")) {
            command.env_remove(name);
        }
        // One that is told where it is begins there.
        if let Some((_, directory)) = environment.iter().find(|(name, _)| name == "PWD") {
            command.current_dir(directory);
        }
        let child = command
            .args(["tethered", "--parent", &std::process::id().to_string(), "--"])
            .arg(program)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child }
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.child.id() as i32).expect("a process");
        kill_process(id, signal).unwrap();
    }

    /// SIGTERM, and what it ended with.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < deadline, "the process does not end on SIGTERM");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}
