//! What the server may ask to be done once: a look at files, bounded in size and time, never more
//! than the agent's user may see and less than that where [`Guard`] says so.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use nightjar_model::Timestamp;
use nightjar_model::agents::{AgentTask, AgentTaskResult, FileEntry, FileListing, FilePreview};
use nightjar_model::kinds::monitor::{MonitorSpec, PathPattern};
use nightjar_model::protocol::wire::{self, from_agent};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::guard::Guard;
use crate::pipeline::{HostFacts, readable_lines};
use crate::tail::{MAX_FILES_PER_PATTERN, expand, open_regular};
use crate::trial;
use crate::zone::HostZone;

const AT_ONCE: usize = 4;
const MAX_ENTRIES: usize = 5000;
const MAX_LINES: usize = 1000;
/// Read from the end of a file at most.
const TAIL_BYTES: u64 = 1 << 20;
/// A shown line is cut at so many characters.
const MAX_LINE_CHARS: usize = 4096;
const LONGEST: Duration = Duration::from_secs(60);
const DEFAULT: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct TaskRunner {
    guard: Guard,
    host: HostFacts,
    places: Arc<Semaphore>,
    tracker: TaskTracker,
}

impl TaskRunner {
    pub(crate) fn new(guard: Guard, host: HostFacts) -> Self {
        Self { guard, host, places: Arc::new(Semaphore::new(AT_ONCE)), tracker: TaskTracker::new() }
    }

    /// Does what is asked, in the background, and answers through `out`.
    pub(super) fn start(&self, request: wire::TaskRequest, out: mpsc::Sender<wire::FromAgent>) {
        let runner = self.clone();
        let span = tracing::info_span!("task", id = %request.id);
        let work = async move {
            let (result_json, error) = match runner.answer(&request).await {
                Ok(result) => (result, String::new()),
                Err(error) => (String::new(), error),
            };
            let answer = wire::TaskAnswer { id: request.id, result_json, error };
            let message = wire::FromAgent { body: Some(from_agent::Body::TaskAnswer(answer)) };
            if out.send(message).await.is_err() {
                tracing::debug!("the session ended before the answer");
            }
        };
        self.tracker.spawn(work.instrument(span));
    }

    async fn answer(&self, request: &wire::TaskRequest) -> Result<String, String> {
        let task: AgentTask = serde_json::from_str(&request.task_json)
            .map_err(|error| format!("a task this agent does not know: {error}"))?;
        // Given back when the work has really ended, not when its time is up.
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| format!("the agent is busy with {AT_ONCE} other tasks; try again"))?;
        let limit = match request.timeout_ms {
            0 => DEFAULT,
            millis => Duration::from_millis(u64::from(millis)).min(LONGEST),
        };
        let (guard, host) = (self.guard.clone(), self.host.clone());
        let work = self.tracker.spawn_blocking(move || {
            let result = perform(&guard, &host, &task);
            drop(place);
            result
        });
        match tokio::time::timeout(limit, work).await {
            Ok(Ok(Ok(result))) => serde_json::to_string(&result).map_err(|error| error.to_string()),
            Ok(Ok(Err(error))) => Err(error),
            Ok(Err(_)) => Err("the task failed on the agent; its log says why".into()),
            Err(_) => Err(format!("not done within {} s", limit.as_secs())),
        }
    }

    /// Waits a little for what is under way.
    pub(super) async fn close(&self) {
        self.tracker.close();
        if tokio::time::timeout(Duration::from_secs(1), self.tracker.wait()).await.is_err() {
            tracing::warn!("a task is still under way; it is abandoned");
        }
    }
}

fn perform(guard: &Guard, host: &HostFacts, task: &AgentTask) -> Result<AgentTaskResult, String> {
    match task {
        AgentTask::ListFiles { root, limit } => {
            list(guard, Path::new(root), *limit as usize).map(AgentTaskResult::Files).map_err(|e| explain(root, &e))
        }
        AgentTask::PreviewFile { path, lines, charset } => {
            preview(guard, Path::new(path), *lines as usize, charset).map(AgentTaskResult::Preview)
        }
        AgentTask::TryMonitor { spec, lines } => {
            let lines = lines_for(guard, spec, (*lines as usize).min(MAX_LINES))?;
            // The zone may have been changed since the agent started.
            let host = HostFacts { zone: HostZone::of_this_machine(), ..host.clone() };
            trial::try_lines_on(&host, spec, &lines).map(AgentTaskResult::Trial).map_err(|error| error.to_string())
        }
    }
}

fn explain(path: impl std::fmt::Display, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or directory on this host".to_owned(),
        io::ErrorKind::NotADirectory => "it is not a directory".to_owned(),
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_some() => {
            "the agent's user may not read it; let its group read it, or run the agent as a user who may".to_owned()
        }
        _ => error.to_string(),
    };
    format!("{path}: {why}")
}

fn absolute(path: &Path) -> io::Result<()> {
    if path.is_absolute() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "the path must be absolute"))
}

fn list(guard: &Guard, root: &Path, limit: usize) -> io::Result<FileListing> {
    absolute(root)?;
    guard.check(root)?;
    let limit = limit.clamp(1, MAX_ENTRIES);
    let mut listing = FileListing { root: root.to_string_lossy().into_owned(), ..FileListing::default() };
    // Sorted before it is cut, so that the same part is shown each time; bounded all the same.
    let mut paths: Vec<PathBuf> =
        fs::read_dir(root)?.take(MAX_ENTRIES * 4).filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    listing.truncated = paths.len() > limit;
    for path in paths.into_iter().take(limit) {
        let Ok(metadata) = path.metadata() else { continue };
        let directory = metadata.is_dir();
        let readable = rustix::fs::access(&path, rustix::fs::Access::READ_OK).is_ok();
        if !directory && !metadata.is_file() {
            continue;
        }
        let since = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        listing.files.push(FileEntry {
            path: path.to_string_lossy().into_owned(),
            directory,
            readable,
            size_bytes: metadata.len(),
            modified_at: since.map(|since| Timestamp(since.as_millis() as i64)),
        });
    }
    Ok(listing)
}

fn preview(guard: &Guard, path: &Path, lines: usize, charset: &str) -> Result<FilePreview, String> {
    let (bytes, size_bytes) = end_of(guard, path).map_err(|error| explain(path.display(), &error))?;
    let (lines, charset) = last_lines(&bytes, lines.clamp(1, MAX_LINES), charset)?;
    Ok(FilePreview { path: path.to_string_lossy().into_owned(), lines, charset, size_bytes })
}

/// The whole lines in the last part of a file.
fn end_of(guard: &Guard, path: &Path) -> io::Result<(Vec<u8>, u64)> {
    absolute(path)?;
    let (file, metadata): (File, _) = open_regular(path)?;
    guard.check_open(&file, path)?;
    let size = metadata.len();
    let from = size.saturating_sub(TAIL_BYTES);
    let mut bytes = vec![0; (size - from) as usize];
    let mut got = 0;
    while got < bytes.len() {
        match file.read_at(&mut bytes[got..], from + got as u64)? {
            0 => break,
            n => got += n,
        }
    }
    bytes.truncate(got);
    if from > 0 {
        let first = memchr::memchr(b'\n', &bytes).map_or(0, |at| at + 1);
        bytes.drain(..first);
    }
    Ok((bytes, size))
}

/// The last lines as text, and the name of the encoding they were read in.
fn last_lines(bytes: &[u8], count: usize, charset: &str) -> Result<(Vec<String>, String), String> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if bytes.is_empty() {
        return Ok((Vec::new(), charset.to_owned()));
    }
    let from = memchr::memrchr_iter(b'\n', bytes).nth(count - 1).map_or(0, |at| at + 1);
    let (lines, encoding) = readable_lines(&bytes[from..], charset)?;
    let shown = |line: String| line.chars().take(MAX_LINE_CHARS).collect();
    Ok((lines.into_iter().map(shown).collect(), encoding))
}

/// The last lines of the files that a monitor reads, the latest file's last.
fn lines_for(guard: &Guard, spec: &MonitorSpec, count: usize) -> Result<Vec<String>, String> {
    let log = spec.log();
    let mut paths: BTreeSet<PathBuf> = BTreeSet::new();
    for pattern in &log.paths {
        match pattern {
            PathPattern::Path(path) => {
                paths.insert(path.into());
            }
            PathPattern::Glob(glob) => paths.extend(expand(glob, MAX_FILES_PER_PATTERN).paths),
        }
    }
    if paths.is_empty() {
        return Err("no file on this host matches the monitor's paths".into());
    }
    let modified = |path: &PathBuf| path.metadata().and_then(|metadata| metadata.modified()).ok();
    let mut paths: Vec<PathBuf> = paths.into_iter().collect();
    paths.sort_by_key(|path| std::cmp::Reverse(modified(path)));
    let mut lines: Vec<String> = Vec::new();
    let mut failure = None;
    for path in paths.iter().take(20) {
        let wanted = count.saturating_sub(lines.len());
        if wanted == 0 {
            break;
        }
        match preview(guard, path, wanted, &log.charset) {
            Ok(preview) => {
                let mut earlier = preview.lines;
                earlier.append(&mut lines);
                lines = earlier;
            }
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) if lines.is_empty() => Err(error),
        _ => Ok(lines),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(guard: &Guard, task: &AgentTask) -> Result<AgentTaskResult, String> {
        perform(guard, &HostFacts::of_this_machine(), task)
    }

    fn preview_of(path: &Path, lines: u32) -> AgentTask {
        AgentTask::PreviewFile { path: path.to_string_lossy().into_owned(), lines, charset: "auto".into() }
    }

    #[test]
    fn shows_the_end_of_a_file_in_its_encoding() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let (gbk, _, _) = encoding_rs::GBK.encode("一\n衣服\r\n食品\n");
        fs::write(&path, &gbk).unwrap();
        let Ok(AgentTaskResult::Preview(preview)) = task(&Guard::default(), &preview_of(&path, 2)) else { panic!() };
        assert_eq!((preview.lines, preview.charset.as_str()), (vec!["衣服".to_owned(), "食品".into()], "gb18030"));
        // Line by line, as it will be counted.
        fs::write(&path, [&gbk[..], "衣服,".as_bytes(), b"\xb4\xed\xce\xf3\n"].concat()).unwrap();
        let Ok(AgentTaskResult::Preview(preview)) = task(&Guard::default(), &preview_of(&path, 2)) else { panic!() };
        assert_eq!(preview.lines[0], "食品");
        assert!(preview.lines[1].starts_with("衣服,\u{fffd}"), "{:?}", preview.lines);
        fs::write(&path, "x".repeat(3 << 20) + "\nlast\n").unwrap();
        let Ok(AgentTaskResult::Preview(preview)) = task(&Guard::default(), &preview_of(&path, 9)) else { panic!() };
        assert_eq!((preview.lines, preview.size_bytes), (vec!["last".to_owned()], (3 << 20) + 6));
    }

    #[test]
    fn refuses_secrets_and_what_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("identity.json"), "key").unwrap();
        std::os::unix::fs::symlink(data.join("identity.json"), dir.path().join("link.log")).unwrap();
        let guard = Guard::new(&data);
        for (path, wanted) in [
            (data.join("identity.json"), "never read"),
            (dir.path().join("link.log"), "never read"),
            ("/proc/self/environ".into(), "never read"),
            (dir.path().into(), "it is a directory"),
            ("relative.log".into(), "must be absolute"),
            (dir.path().join("absent"), "no such file"),
        ] {
            let error = task(&guard, &preview_of(&path, 5)).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn lists_a_directory_up_to_a_limit() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("b.log"), "12345").unwrap();
        fs::write(dir.path().join("c.log"), "").unwrap();
        let root = dir.path().to_string_lossy().into_owned();
        let Ok(AgentTaskResult::Files(listing)) =
            task(&Guard::default(), &AgentTask::ListFiles { root: root.clone(), limit: 2 })
        else {
            panic!()
        };
        let seen: Vec<_> = listing.files.iter().map(|f| (f.path.rsplit('/').next().unwrap(), f.size_bytes)).collect();
        assert!(listing.truncated && listing.files[0].directory && listing.files[1].readable);
        assert_eq!(seen[1], ("b.log", 5));
    }

    #[test]
    fn tries_a_monitor_on_the_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.log"), "2026-11-20 12:00:00,a,1\n2026-11-20 12:00:01,b,2\n").unwrap();
        let spec = serde_json::json!({
            "type": "minute_multi_key",
            "source": { "log": { "paths": [ { "glob": format!("{}/*.log", dir.path().display()) } ] } },
            "columns": [ { "name": "k", "pick": { "split": { "by": ",", "index": 1 } } } ],
            "group_by": ["k"],
        });
        let spec: MonitorSpec = serde_json::from_value(spec).unwrap();
        let wanted = AgentTask::TryMonitor { spec: Box::new(spec), lines: 100 };
        let Ok(AgentTaskResult::Trial(report)) = task(&Guard::default(), &wanted) else { panic!() };
        assert_eq!((report.lines.len(), report.rows.len()), (2, 2), "{report:?}");
    }
}
