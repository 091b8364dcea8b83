//! Passwords: asked for on the terminal, read from the standard input or the environment, never an
//! argument, which every user of the machine can read.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, bail};
use nightjar_model::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

const EXISTING: &str = "NIGHTJAR_PASSWORD";
const NEW: &str = "NIGHTJAR_NEW_PASSWORD";

/// The password of who asks.
pub(super) fn existing(prompt: &str) -> anyhow::Result<Secret> {
    match from_environment(EXISTING) {
        Some(password) => Ok(password),
        None => read(prompt, EXISTING),
    }
}

/// A password for somebody else, asked for twice on a terminal.
pub(super) fn new(prompt: &str) -> anyhow::Result<Secret> {
    if let Some(password) = new_if_set() {
        return Ok(password);
    }
    let password = read(prompt, NEW)?;
    if std::io::stdin().is_terminal() && read("Again: ", NEW)? != password {
        bail!("the two passwords are not the same");
    }
    Ok(password)
}

/// A password for somebody else where one was set in the environment, without asking.
pub(super) fn new_if_set() -> Option<Secret> {
    from_environment(NEW)
}

fn from_environment(name: &str) -> Option<Secret> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(Secret::new)
}

/// One line of the standard input; on a terminal without showing it. `variable` is what could be set instead.
fn read(prompt: &str, variable: &str) -> anyhow::Result<Secret> {
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
        bail!("no password was given: type it, pipe it in, or set {variable}");
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
