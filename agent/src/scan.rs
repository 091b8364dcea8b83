//! `nightjar-agent scan`: the figures of a monitor over whole files, in one shot, on all cores.
//!
//! Files are cut into pieces at line ends. Each worker counts a piece with the same code the agent
//! counts lines with, and pieces are put together in their order, so the result is that of reading
//! the files from start to end, also where keys go over their limit. Memory holds a few pieces and the
//! result. Lines of any age count.

mod chunks;
mod crew;
mod print;

use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use nightjar_model::delta::{MonitorDelta, Partial, WindowDelta};
use nightjar_model::kinds::monitor::MonitorSpec;
use nightjar_model::names::MonitorKey;
use nightjar_model::syntax::{parse_documents, problem_lines, text_of};
use nightjar_model::{Clock, Kind, Problem, Resource, SystemClock, Timestamp};

use crate::pipeline::{FUTURE, HostFacts, PAST, Pipeline, PipelineCounters};

/// Options of `nightjar-agent scan`.
#[derive(Debug, Clone, clap::Args)]
pub struct ScanArgs {
    /// A file with a Monitor document (YAML or JSON); `-` is the standard input.
    #[arg(long, short = 'm', value_name = "FILE")]
    pub monitor: PathBuf,
    /// Which of the file's monitors, where it holds several.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The logs to read, in this order; `-` is the standard input.
    #[arg(required = true, value_name = "LOG")]
    pub logs: Vec<PathBuf>,
    #[arg(long, short = 'o', value_enum, default_value_t)]
    pub output: ScanOutput,
    /// Threads to count with; all cores without it.
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ScanOutput {
    /// One object a row.
    #[default]
    Json,
    Table,
}

/// What a scan found.
#[derive(Debug)]
pub struct Scanned {
    /// By time, then keys; `None` where no line counted.
    pub figures: Option<MonitorDelta>,
    pub counters: PipelineCounters,
    /// The names of the formats that times were found in.
    pub time_formats: Vec<&'static str>,
    pub bytes: u64,
}

/// Scans and prints: rows to `out`, a summary with what was wrong to the standard error.
///
/// # Errors
/// The monitor cannot be read or is not valid; a log cannot be read; `out` cannot be written.
pub fn run(args: ScanArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    if is_standard_input(&args.monitor) && args.logs.iter().any(|log| is_standard_input(log)) {
        bail!("the monitor and a log cannot both be `-`: put one of them into a file");
    }
    let spec = read_monitor(&args.monitor, args.name.as_deref())?;
    let host = HostFacts::of_this_machine();
    let needs_zone = spec.log().time.timezone.is_none();
    if let Some(problem) = host.zone.problem().filter(|_| needs_zone) {
        print::warning(&format!(
            "the time zone of this machine is not known, so times that name none are not read; \
             set time.timezone in the monitor ({problem})"
        ));
    }
    let begun = Instant::now();
    let scanned = scan(&spec, &host, &args.logs, args.threads)?;
    let elapsed = begun.elapsed();
    let rows = print::rows(&spec, scanned.figures.as_ref(), args.output, out).context("cannot write the result")?;
    print::summary(&scanned, rows, elapsed, &mut std::io::stderr().lock());
    scanned.untimely(SystemClock.now()).iter().for_each(|text| print::warning(text));
    Ok(())
}

impl Scanned {
    /// What an agent would not have counted at `now` for its time, by the windows.
    fn untimely(&self, now: Timestamp) -> Vec<String> {
        let windows = || self.figures.iter().flat_map(|delta| delta.windows.iter().map(|window| (window, delta.width)));
        let lines = |window: &WindowDelta| window.partials.first().map_or(0, Partial::count);
        let ahead = windows().filter(|(window, _)| window.start > now.saturating_add(FUTURE));
        let behind =
            windows().filter(|(window, width)| window.start.saturating_add(*width) <= now.saturating_sub(PAST));
        let (early, late): (Vec<_>, Vec<_>) = (ahead.collect(), behind.collect());
        let sum = |found: &[(&WindowDelta, _)]| found.iter().map(|(window, _)| lines(window)).sum::<u64>();
        let mut told = Vec::new();
        if let Some(last) = early.iter().map(|(window, _)| window.start).max() {
            told.push(format!(
                "of the lines counted here {} lie in the future, up to {last}: an agent does not count those that are more \
                 than 10 minutes ahead (time_in_future); are time.format and time.timezone right?",
                sum(&early)
            ));
        }
        if let Some(first) = late.iter().map(|(window, _)| window.start).min() {
            told.push(format!(
                "of the lines counted here {} are more than a day old, from {first} on: an agent does not count such lines \
                 (time_too_old)",
                sum(&late)
            ));
        }
        told
    }
}

/// The figures of `spec` over `logs`, on `threads` threads (without a number: all cores).
///
/// # Errors
/// The monitor is not valid, a log cannot be read, or there are too many rows to hold.
pub fn scan(
    spec: &MonitorSpec,
    host: &HostFacts,
    logs: &[PathBuf],
    threads: Option<NonZeroUsize>,
) -> anyhow::Result<Scanned> {
    let compile = || {
        Pipeline::compile(MonitorKey::new("", "scan"), spec, host)
            .map(Pipeline::of_any_age)
            .map_err(|problems| invalid("the monitor", &problems))
    };
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let workers = threads.map_or_else(cores, NonZeroUsize::get);
    let reader = chunks::ChunkReader::new(logs.to_vec(), chunks::CHUNK_BYTES);
    let (mut whole, bytes) = crew::count(reader, compile, workers, SystemClock.now())?;
    let mut figures = whole.drain();
    if let Some(delta) = &mut figures {
        delta.windows.sort_unstable_by(|a, b| (a.start, &a.keys).cmp(&(b.start, &b.keys)));
    }
    Ok(Scanned { figures, counters: whole.counters().clone(), time_formats: whole.time_formats(), bytes })
}

/// Reads the Monitor of a file, `-` being the standard input; documents of other kinds in it are passed over. Where it holds several,
/// `name` says which.
///
/// # Errors
/// It cannot be read, holds no such monitor, or not a valid one: then every problem with its path.
pub fn read_monitor(path: &Path, name: Option<&str>) -> anyhow::Result<MonitorSpec> {
    let (file, text) = if is_standard_input(path) {
        let mut text = Vec::new();
        ("the standard input".to_owned(), std::io::stdin().read_to_end(&mut text).map(|_| text))
    } else {
        (path.display().to_string(), std::fs::read(path))
    };
    let text = text.with_context(|| format!("cannot read {file}"))?;
    let text = text_of(&text).map_err(|problem| invalid(&file, &[problem]))?;
    monitor_of(&file, text, name)
}

/// The Monitor in the `text` of what is called `file`.
fn monitor_of(file: &str, text: &str, name: Option<&str>) -> anyhow::Result<MonitorSpec> {
    let documents = parse_documents(text).map_err(|problems| invalid(file, &problems))?;
    let name_of = |document: &serde_json::Value| document["metadata"]["name"].as_str().unwrap_or("?").to_owned();
    let monitors: Vec<_> = documents
        .iter()
        // What says no kind is taken for a monitor, so that its problems are told.
        .filter(|document| document["kind"].as_str().is_none_or(|kind| kind == Kind::Monitor.name()))
        .filter(|document| name.is_none_or(|name| name_of(document) == name))
        .collect();
    let [monitor] = monitors.as_slice() else {
        let names: Vec<String> = monitors.iter().map(|document| name_of(document)).collect();
        match (names.is_empty(), name) {
            (true, Some(name)) => bail!("{file} holds no {} `{name}`", Kind::Monitor),
            (true, None) => bail!("{file} holds no {}", Kind::Monitor),
            (false, _) => bail!("{file} holds several monitors; choose one with --name: {}", names.join(", ")),
        }
    };
    let resource = Resource::from_value(monitor, None).map_err(|problems| invalid(file, &problems))?;
    resource.spec.as_monitor().cloned().with_context(|| format!("{file} holds no {}", Kind::Monitor))
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn invalid(what: &str, problems: &[Problem]) -> anyhow::Error {
    anyhow::anyhow!("{what} is not valid:{}", problem_lines(problems))
}

#[cfg(test)]
mod tests;
