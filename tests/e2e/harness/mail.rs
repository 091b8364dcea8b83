//! A real SMTP server, and the mails it took.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Process, repository};

pub(crate) struct Mailbox {
    pub(crate) port: u16,
    python: PathBuf,
    mails: PathBuf,
    server: Option<Process>,
}

impl Mailbox {
    /// One that does not listen yet; `None` where the SMTP server is not installed.
    pub(crate) fn prepare(port: u16, mails: PathBuf) -> Option<Self> {
        let has_smtp = |python: &PathBuf| {
            let asked = Command::new(python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
            asked.is_ok_and(|status| status.success())
        };
        let python = [PathBuf::from("python3"), PathBuf::from("/usr/bin/python3")].into_iter().find(has_smtp)?;
        Some(Self { port, python, mails, server: None })
    }

    pub(crate) fn open(&mut self) {
        let script = repository().join("tests/e2e/harness/mail.py").to_str().unwrap().to_owned();
        let arguments = [script, self.port.to_string(), self.mails.to_str().unwrap().to_owned()];
        let log = self.mails.with_extension("log");
        self.server = Some(Process::start(self.python.clone(), &arguments, &[], &log));
    }

    pub(crate) fn mails(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.mails).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
