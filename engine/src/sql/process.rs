//! A process that runs statements, seen from the server: started, spoken to, killed.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nightjar_model::{Error, Result};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::wire::{self, Order, Report, Settings};

/// A killed process is gone within moments; who waits longer than this waits for a disk that hangs.
const DEATH: Duration = Duration::from_secs(5);

/// Kept of what a process says as it dies.
const LAST_WORDS: usize = 4096;

#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stream: UnixStream,
    last_words: Arc<Mutex<Vec<u8>>>,
    listening: AbortOnDropHandle<()>,
    spill: PathBuf,
    memory_bytes: u64,
    /// It has run a statement before.
    pub(super) used: bool,
}

impl Process {
    /// Starts one. It inherits nothing: no variables, no files but its end of the sockets.
    pub(super) async fn start(program: &[String], settings: Settings, tasks: &TaskTracker) -> Result<Self> {
        let failed =
            |error: io::Error| Error::unavailable(format!("no process can be started for statements: {error}"));
        std::fs::create_dir_all(&settings.spill).map_err(failed)?;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let (first, rest) = program.split_first().ok_or_else(|| Error::internal("no program runs statements"))?;
        let mut child = Command::new(first)
            .args(rest)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let last_words = Arc::new(Mutex::new(Vec::new()));
        let listening = tasks.spawn(listen(child.stderr.take(), Arc::clone(&last_words)));
        let mut process = Self {
            child,
            stream: UnixStream::from_std(ours).map_err(failed)?,
            last_words,
            listening: AbortOnDropHandle::new(listening),
            spill: settings.spill.clone(),
            memory_bytes: settings.memory_bytes,
            used: false,
        };
        process.send(&Order::Settings(settings), &[]).await.map_err(failed)?;
        Ok(process)
    }

    pub(super) async fn send(&mut self, order: &(impl Serialize + Sync), body: &[u8]) -> io::Result<()> {
        let frame = wire::frame(order, body)?;
        self.stream.write_all(&frame).await
    }

    /// `None` when the process is gone.
    pub(super) async fn receive(&mut self) -> io::Result<Option<(Report, Vec<u8>)>> {
        let mut prefix = [0; 4];
        match self.stream.read_exact(&mut prefix).await {
            Err(error) if is_gone(&error) => return Ok(None),
            read => read?,
        };
        let mut frame = vec![0; wire::length(prefix)?];
        match self.stream.read_exact(&mut frame).await {
            Err(error) if is_gone(&error) => return Ok(None),
            read => read?,
        };
        wire::split(frame).map(Some)
    }

    /// Kills it, and waits until it is gone: what it had is free then.
    pub(super) async fn end(mut self) {
        if tokio::time::timeout(DEATH, self.child.kill()).await.is_err() {
            tracing::error!(process = self.child.id(), "a killed process of a statement does not end");
        }
        let spill = std::mem::take(&mut self.spill);
        // What it spilled may be gigabytes.
        if let Err(error) = tokio::task::spawn_blocking(move || remove(&spill)).await {
            tracing::warn!(%error, "what a statement spilled is left");
        }
    }

    /// Why it ended by itself.
    pub(super) async fn autopsy(mut self) -> Error {
        let status = match tokio::time::timeout(DEATH, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it hangs".to_owned(),
        };
        // All that it said is there once it is gone.
        drop(tokio::time::timeout(DEATH, &mut self.listening).await);
        let words = {
            let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
            String::from_utf8_lossy(&words).into_owned()
        };
        let memory_bytes = self.memory_bytes;
        self.end().await;
        explain(&status, &words, memory_bytes)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.spill.as_os_str().is_empty() {
            remove(&self.spill);
        }
    }
}

fn explain(status: &str, words: &str, memory_bytes: u64) -> Error {
    if words.contains("memory allocation of") {
        return too_much_memory(memory_bytes, "");
    }
    if words.contains("overflowed its stack") {
        return Error::invalid("the statement is nested too deeply: write it in fewer levels", Vec::new());
    }
    if status.contains("SIGKILL") {
        return Error::unavailable("the process of the statement was killed: the machine may be out of memory");
    }
    tracing::warn!(status, words, "the process of a statement ended by itself");
    let said: String = words.lines().next().unwrap_or_default().chars().take(200).collect();
    Error::invalid(
        format!("the statement ended the process that ran it ({status}; {said}): write it another way"),
        Vec::new(),
    )
}

/// A statement over its memory. `why` is what the library said, if anything.
pub(super) fn too_much_memory(memory_bytes: u64, why: &str) -> Error {
    let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
    let mib = memory_bytes >> 20;
    let text = format!(
        "the statement needs more memory than the {mib} MiB that one may have: ask for less time, fewer columns or fewer groups{why}"
    );
    Error::invalid(text, Vec::new())
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

fn remove(spill: &Path) {
    match std::fs::remove_dir_all(spill) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, dir = %spill.display(), "what a statement spilled is left");
        }
        _ => {}
    }
}

async fn listen(from: Option<ChildStderr>, last_words: Arc<Mutex<Vec<u8>>>) {
    let Some(mut from) = from else { return };
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let mut words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend_from_slice(&buffer[..read]);
        let surplus = words.len().saturating_sub(LAST_WORDS);
        words.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use nightjar_model::ErrorKind;

    use super::*;

    #[test]
    fn a_death_is_explained() {
        let check = |status: &str, words: &str, kind: ErrorKind, part: &str| {
            let error = explain(status, words, 64 << 20);
            assert!(error.kind == kind && error.message.contains(part), "{error}");
        };
        let abort = "signal: 6 (SIGABRT)";
        check(abort, "memory allocation of 4096 bytes failed\n", ErrorKind::InvalidInput, "64 MiB");
        check(abort, "\nthread 'x' has overflowed its stack\n", ErrorKind::InvalidInput, "nested too deeply");
        check("signal: 9 (SIGKILL)", "", ErrorKind::Unavailable, "out of memory");
        check("exit status: 101", "thread 'x' panicked", ErrorKind::InvalidInput, "panicked");
    }
}
