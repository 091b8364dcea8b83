//! Passwords: asked for on the terminal, read from the standard input or the environment, never an
//! argument, which every user of the machine can read.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, bail};
use nightjar_model::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The password of who asks.
pub(super) fn existing(prompt: &str) -> anyhow::Result<Secret> {
    match from_environment("NIGHTJAR_PASSWORD") {
        Some(password) => Ok(password),
        None => read(prompt),
    }
}

/// A password for somebody else, asked for twice on a terminal.
pub(super) fn new(prompt: &str) -> anyhow::Result<Secret> {
    if let Some(password) = from_environment("NIGHTJAR_NEW_PASSWORD") {
        return Ok(password);
    }
    let password = read(prompt)?;
    if std::io::stdin().is_terminal() && read("Again: ")? != password {
        bail!("the two passwords are not the same");
    }
    Ok(password)
}

fn from_environment(name: &str) -> Option<Secret> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(Secret::new)
}

/// One line of the standard input; on a terminal without showing it.
fn read(prompt: &str) -> anyhow::Result<Secret> {
    let stdin = std::io::stdin();
    let hidden = if stdin.is_terminal() {
        let mut err = std::io::stderr().lock();
        write!(err, "{prompt}").and_then(|()| err.flush()).context("cannot ask for the password")?;
        Some(Hidden::begin().context("cannot hide what is typed")?)
    } else {
        None
    };
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line).context("cannot read the password");
    if hidden.is_some() {
        eprintln!();
    }
    drop(hidden);
    read?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("no password was given: type it, pipe it in, or set the environment variable");
    }
    Ok(Secret::new(password))
}

/// A terminal that does not show what is typed, for as long as this lives.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> rustix::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0).is_err() {
            eprintln!("nightjar: the terminal could not be set back; type `stty echo`");
        }
    }
}
