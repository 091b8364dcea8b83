//! One compiled monitor: lines in, partials of windows out.
//!
//! A line is made readable (`text`), its time is read (`when`), columns are picked as far as they are
//! needed (`pick`), filters are applied, and what is left is added to its window (`windows`). Whatever
//! keeps a line from counting as the monitor meant it to is counted by reason, never fatal.

mod count;
mod gathered;
mod json;
mod key;
mod pick;
mod tally;
mod text;
mod top;
mod when;
mod windows;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use memchr::memchr;
use nightjar_model::builtin::Intake;
use nightjar_model::delta::{FaultReason, MonitorDelta, Partial, WindowDelta};
use nightjar_model::kinds::Document;
use nightjar_model::kinds::monitor::{ColumnFilter, MonitorSpec, Pick, SUCCESS_FIELD, TimeFormat};
use nightjar_model::names::{MonitorKey, OTHER_KEY};
use nightjar_model::{Problem, Problems, Timestamp};

use count::{Condition, Counter, Number};
pub(crate) use count::{FUTURE, Outcome, PAST};
pub(crate) use gathered::Gathered;
pub(crate) use json::{Place as JsonPlace, leaves as json_leaves};
use key::{KeyPart, key_texts, write_key};
use pick::{Columns, Fetch};
pub use tally::PipelineCounters;
use tally::Tally;
use text::{Charset, TextReader};
use top::Top;
use when::{Now, TimeReader};
use windows::Windows;

use crate::zone::{HostZone, Zone};

/// Longer lines are cut here, and counted as such.
pub const MAX_LINE_BYTES: usize = 256 << 10;

/// What a monitor may ask of the host it runs on.
#[derive(Debug, Clone)]
pub struct HostFacts {
    pub labels: BTreeMap<String, String>,
    pub hostname: String,
    pub ip: String,
    /// For times without a zone, where the monitor names none.
    pub zone: HostZone,
}

/// One compiled monitor and what it has gathered.
#[derive(Debug)]
pub struct Pipeline {
    key: MonitorKey,
    width: Duration,
    /// What keeps series apart.
    series_by: Vec<String>,
    fields: Vec<String>,
    /// Of keys; of a Top these are not what keeps series apart.
    parts: Vec<KeyPart>,
    top: Option<Top>,
    text: TextReader,
    counter: Counter,
    tally: Tally,
}

impl HostFacts {
    /// What the machine says of itself, without labels or an address.
    pub fn of_this_machine() -> Self {
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        Self { labels: BTreeMap::new(), hostname, ip: String::new(), zone: HostZone::of_this_machine() }
    }

    fn dimension(&self, name: &str, spec: &MonitorSpec) -> String {
        spec.dimension(name, &self.labels, &self.hostname, &self.ip)
    }
}

impl Pipeline {
    /// # Errors
    /// Everything that is wrong with the monitor, with paths from `spec`.
    pub fn compile(key: MonitorKey, spec: &MonitorSpec, host: &HostFacts) -> Result<Self, Vec<Problem>> {
        Self::build(key, spec, host, false)
    }

    /// As [`compile`](Self::compile), and able to [`examine`](Self::examine) lines.
    pub(crate) fn build(
        key: MonitorKey,
        spec: &MonitorSpec,
        host: &HostFacts,
        every_column: bool,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::new();
        let mut built = None;
        problems.within("spec", |p| {
            spec.validate(p);
            built = p.is_empty().then(|| Self::assemble(key, spec, host, every_column, p));
        });
        match (built, problems.into_vec()) {
            (Some(pipeline), problems) if problems.is_empty() => Ok(pipeline),
            (_, problems) => Err(problems),
        }
    }

    /// Of a valid `spec`.
    fn assemble(
        key: MonitorKey,
        spec: &MonitorSpec,
        host: &HostFacts,
        every_column: bool,
        problems: &mut Problems,
    ) -> Self {
        let column = |name: &str| spec.columns.iter().position(|column| column.name == name);
        let fields = spec.fields();
        let result_column = spec.service.as_ref().and_then(|service| column(&service.result));
        let number = |field: &String| match &spec.service {
            Some(service) if field == SUCCESS_FIELD => {
                Some(Number::Holds(Condition::new(column(&service.result)?, &service.success)))
            }
            _ => column(field).map(Number::Column),
        };
        let top = Top::of(spec);
        let summed: Vec<String> = match top {
            Some(_) => spec.top_column().map(str::to_owned).into_iter().collect(),
            None => fields[1..].to_vec(),
        };
        let numbers: Vec<Number> = summed.iter().filter_map(number).collect();
        let number_columns = summed.iter().filter_map(|field| column(field)).chain(result_column);
        let parts: Vec<KeyPart> = spec
            .group_by
            .iter()
            .filter_map(|name| match name.strip_prefix('$') {
                Some(_) => Some(KeyPart::Fixed(host.dimension(name, spec))),
                None => column(name).map(KeyPart::Column),
            })
            .collect();
        let key_columns: Vec<usize> = parts.iter().filter_map(KeyPart::column).collect();
        let conditions = |filters: &[ColumnFilter]| -> Vec<Condition> {
            filters.iter().filter_map(|filter| Some(Condition::new(column(&filter.column)?, &filter.values))).collect()
        };
        let (include, exclude) = (conditions(&spec.filter.include), conditions(&spec.filter.exclude));
        let source = spec.log();
        let time_column = source.time.column.as_deref().and_then(column);
        let order = [
            time_column.into_iter().collect(),
            include.iter().chain(&exclude).map(|condition| condition.column).collect(),
            key_columns.iter().copied().chain(number_columns).collect(),
            if every_column { (0..spec.columns.len()).collect() } else { Vec::new() },
        ];
        let (columns, mut fetches) = Columns::compile(&spec.columns, &order, problems);
        let mut next_fetch = || if fetches.is_empty() { Fetch::default() } else { fetches.remove(0) };
        let (for_time, for_filter, for_figures, the_rest) = (next_fetch(), next_fetch(), next_fetch(), next_fetch());
        let mut charset = Charset::Auto;
        problems.within("source.log.charset", |p| charset = Charset::compile(&source.charset, p));
        let named = source.time.timezone.as_deref().and_then(Zone::iana);
        let zone_is_named = named.is_some();
        let zone = named.or_else(|| host.zone.zone.clone().ok());
        let mut other = Vec::new();
        write_key(&mut other, key_columns.iter().map(|_| OTHER_KEY.as_bytes()), key_columns.len());
        let width_ms = spec.width().as_millis() as i64;
        let max_keys = if top.is_some() { usize::MAX } else { spec.limits.max_keys as usize };
        let windows = Windows::new(width_ms, numbers.len(), max_keys, other);
        Self {
            key,
            width: spec.width(),
            series_by: spec.series_by().to_vec(),
            fields,
            parts,
            top,
            text: TextReader::new(charset),
            counter: Counter {
                columns,
                for_time,
                for_filter,
                for_figures,
                the_rest,
                time: TimeReader::new(&source.time.format, zone, zone_is_named),
                time_column,
                live: true,
                include,
                exclude,
                key: Vec::new(),
                key_columns,
                result_column,
                numbers,
                windows,
                last_event_time: None,
            },
            tally: Tally::default(),
        }
    }

    /// Takes lines of any age: for files that are read as a whole.
    pub fn of_any_age(mut self) -> Self {
        self.counter.live = false;
        self
    }

    /// Takes one record: raw bytes as read, without the line end. `cut`: its rest was cut off.
    pub fn feed(&mut self, line: &[u8], cut: bool, path: &Path, now: Timestamp) {
        let (line, cut) = trim(line, cut);
        let (text, repairs) = self.text.read(line, cut);
        let outcome = self.counter.take(text, now);
        self.tally.lines(1);
        let repaired = [
            (cut, FaultReason::LineTooLong),
            (repairs.nul, FaultReason::NulBytes),
            (repairs.replaced, FaultReason::InvalidEncoding),
        ];
        for (_, reason) in repaired.into_iter().filter(|(happened, _)| *happened) {
            self.tally.count(reason, path, text);
        }
        self.tally.outcome(&outcome, path, text);
        self.look_at_top();
    }

    /// Takes whole lines, the last with or without its end: the same as to feed each, and faster.
    pub fn feed_block(&mut self, block: &[u8], path: &Path, now: Timestamp) {
        let clean = self.text.is_clean(block);
        let mut lines = 0;
        let mut rest = block;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            if clean && line.len() <= MAX_LINE_BYTES {
                let (line, _) = trim(line, false);
                let outcome = self.counter.take(line, now);
                lines += 1;
                self.tally.outcome(&outcome, path, line);
            } else {
                self.feed(line, false, path, now);
            }
        }
        self.tally.lines(lines);
        self.look_at_top();
    }

    #[inline]
    fn look_at_top(&mut self) {
        if let Some(top) = &mut self.top {
            top.look_at(&mut self.counter.windows, &self.parts);
        }
    }

    /// The partials gathered since the last drain.
    pub fn drain(&mut self) -> Option<MonitorDelta> {
        if self.pending_keys() == 0 {
            return None;
        }
        let mut delta = MonitorDelta {
            monitor: self.key.clone(),
            uid: None,
            width: self.width,
            group_by: self.series_by.clone(),
            fields: self.fields.clone(),
            windows: Vec::new(),
        };
        let (parts, windows) = (&self.parts, &mut self.counter.windows);
        if let Some(top) = &mut self.top {
            top.drain(windows, parts, &mut delta);
            return Some(delta);
        }
        delta.windows.reserve_exact(windows.pending());
        windows.drain(|start, key, lines, numbers| {
            let partials =
                std::iter::once(Partial::lines(lines)).chain(numbers.iter().copied().map(Partial::from)).collect();
            delta.windows.push(WindowDelta { start, keys: key_texts(parts, key), partials });
        });
        Some(delta)
    }

    /// What was wrong since the last call.
    pub fn drain_faults(&mut self) -> Vec<(FaultReason, u64)> {
        self.tally.drain()
    }

    /// What was read since the last call.
    pub fn drain_intake(&mut self) -> Intake {
        self.tally.drain_intake()
    }

    /// Whether lines were left out since the last call for want of the host's zone: they may be of any minute.
    pub(crate) fn take_lacked_zone(&mut self) -> bool {
        self.tally.take_lacked_zone()
    }

    /// When the latest line happened that was taken since the last call.
    pub fn take_last_event_time(&mut self) -> Option<Timestamp> {
        self.counter.last_event_time.take()
    }

    /// Since the start.
    pub fn counters(&self) -> &PipelineCounters {
        self.tally.counters()
    }

    /// Windows × keys that the next drain will yield. Lines of a day may open many windows between two
    /// drains; who feeds drains early when this grows.
    pub fn pending_keys(&self) -> usize {
        match &self.top {
            Some(top) => top.pending(&self.counter.windows),
            None => self.counter.windows.pending(),
        }
    }

    /// Feeds one line and tells what was made of it, and what each column picked.
    /// `now` is what a time without a year is near.
    pub(crate) fn examine(&mut self, line: &str, path: &Path, now: Timestamp) -> (Outcome, Vec<Option<String>>) {
        let (line, cut) = trim(line.as_bytes(), false);
        let (text, repairs) = self.text.read(line, cut);
        let mut outcome = self.counter.take(text, now);
        self.tally.lines(1);
        self.tally.outcome(&outcome, path, text);
        if repairs.nul {
            self.tally.count(FaultReason::NulBytes, path, text);
            outcome.fault = outcome.fault.or(Some(FaultReason::NulBytes));
        }
        (outcome, self.counter.picked(text))
    }

    /// From now on the host's zone is this one.
    pub(crate) fn host_zone_is(&mut self, zone: &HostZone) {
        self.counter.time.host_zone_is(zone.zone.clone().ok());
    }

    /// The names of the formats that times were in so far.
    pub(crate) fn time_formats(&self) -> Vec<&'static str> {
        self.counter.time.seen().names()
    }

    /// The name of the format that the time read last was in.
    pub(crate) fn time_format(&self) -> &'static str {
        self.counter.time.format_name()
    }
}

/// Without the `\r` of its end (of which some writers set two), a byte order mark, and what is over the limit.
#[inline]
fn trim(mut line: &[u8], cut: bool) -> (&[u8], bool) {
    while let [before @ .., b'\r'] = line {
        line = before;
    }
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    if line.len() > MAX_LINE_BYTES { (&line[..MAX_LINE_BYTES], true) } else { (line, cut) }
}

/// Lines of a log as text, read as a monitor with this `charset` reads them, and the name of the encoding.
///
/// # Errors
/// What is wrong with `charset`.
pub(crate) fn readable_lines(bytes: &[u8], charset: &str) -> Result<(Vec<String>, String), String> {
    let mut problems = Problems::new();
    let mut reader = TextReader::new(Charset::compile(charset, &mut problems));
    if let Some(problem) = problems.into_vec().into_iter().next() {
        return Err(problem.message);
    }
    let mut decoded = false;
    let read = |line: &[u8]| {
        let (line, cut) = trim(line, false);
        let (text, repairs) = reader.read(line, cut);
        decoded |= !repairs.replaced && text != line && std::str::from_utf8(line).is_err();
        String::from_utf8_lossy(text).into_owned()
    };
    let lines = bytes.split(|byte| *byte == b'\n').map(read).collect();
    Ok((lines, reader.name(decoded).to_ascii_lowercase()))
}

/// Runs `pick` alone, on each of `lines`.
pub(crate) fn pick_each(pick: &Pick, lines: &[String]) -> Vec<Option<String>> {
    let column = nightjar_model::kinds::monitor::Column { name: "pick".into(), pick: pick.clone(), number: false };
    let (mut columns, fetches) = Columns::compile(&[column], &[vec![0]], &mut Problems::new());
    let each = lines.iter().map(|line| {
        columns.forget();
        fetches.iter().for_each(|fetch| columns.fetch(fetch, line.as_bytes()));
        columns.value(0, line.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned())
    });
    each.collect()
}

/// Whether there is a time in a line, as `auto` reads it.
pub(crate) fn has_time(line: &str) -> bool {
    let now = Now { at: Timestamp(0), live: false };
    TimeReader::new(&TimeFormat::Auto, Zone::iana("UTC"), false).read(line.as_bytes(), now).is_some()
}

#[cfg(test)]
mod tests;
