//! One compiled monitor: lines in, partials of windows out.
//!
//! A line is made readable (`text`), its time is read (`when`), columns are picked as far as they are
//! needed (`pick`), filters are applied, and what is left is added to its window (`windows`). Whatever
//! keeps a line from counting as the monitor meant it to is counted by reason, never fatal.

mod gathered;
mod json;
mod pick;
mod tally;
mod text;
mod when;
mod windows;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use chrono_tz::Tz;
use memchr::memchr;
use nightjar_model::delta::{FaultReason, MonitorDelta, Partial, WindowDelta};
use nightjar_model::kinds::Document;
use nightjar_model::kinds::monitor::{ColumnFilter, MonitorSpec, Pick, TimeFormat};
use nightjar_model::names::{MonitorKey, OTHER_KEY};
use nightjar_model::protocol::MAX_KEY_BYTES;
use nightjar_model::{Decimal, Problem, Problems, Timestamp};

pub(crate) use gathered::Gathered;
pub(crate) use json::{Place as JsonPlace, leaves as json_leaves};
use pick::{Columns, Fetch};
pub use tally::PipelineCounters;
use tally::Tally;
use text::{Charset, TextReader};
use when::TimeReader;
use windows::Windows;

/// Longer lines are cut here, and counted as such.
pub const MAX_LINE_BYTES: usize = 256 << 10;

/// A line this far ahead of the agent's clock does not count.
const FUTURE: Duration = Duration::from_secs(10 * 60);

/// A line this far behind the agent's clock does not count.
const PAST: Duration = Duration::from_secs(24 * 60 * 60);

/// What a monitor may ask of the host it runs on.
#[derive(Debug, Clone)]
pub struct HostFacts {
    pub labels: BTreeMap<String, String>,
    pub hostname: String,
    pub ip: String,
    /// For times without a zone, where the monitor names none.
    pub zone: Tz,
}

/// One compiled monitor and what it has gathered.
#[derive(Debug)]
pub struct Pipeline {
    key: MonitorKey,
    width: Duration,
    group_by: Vec<String>,
    fields: Vec<String>,
    parts: Vec<KeyPart>,
    text: TextReader,
    core: Core,
    tally: Tally,
}

/// What became of one line.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    pub(crate) time: Option<Timestamp>,
    /// False without a fault: the filter dropped it.
    pub(crate) counted: bool,
    pub(crate) fault: Option<FaultReason>,
    pub(crate) over_limit: bool,
}

/// Where the value of a group-by column comes from.
#[derive(Debug)]
enum KeyPart {
    Column(usize),
    /// A dimension of the host.
    Fixed(String),
}

/// Everything between a readable line and its window.
#[derive(Debug)]
struct Core {
    columns: Columns,
    for_time: Fetch,
    for_filter: Fetch,
    for_figures: Fetch,
    /// Of all columns; only where lines are examined.
    the_rest: Fetch,
    time: TimeReader,
    time_column: Option<usize>,
    /// Lines are judged by the agent's clock as they come.
    live: bool,
    include: Vec<Condition>,
    exclude: Vec<Condition>,
    key_columns: Vec<usize>,
    key: Vec<u8>,
    number_columns: Vec<usize>,
    windows: Windows,
    last_event_time: Option<Timestamp>,
}

/// Holds when the column is one of the values.
#[derive(Debug)]
struct Condition {
    column: usize,
    /// Sorted.
    values: Vec<Vec<u8>>,
}

impl HostFacts {
    /// What the machine says of itself, without labels or an address.
    pub fn of_this_machine() -> Self {
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        let named = std::env::var("TZ").ok().and_then(|name| name.trim_start_matches(':').parse().ok());
        let zone = named.or_else(|| iana_time_zone::get_timezone().ok()?.parse().ok()).unwrap_or(Tz::UTC);
        Self { labels: BTreeMap::new(), hostname, ip: String::new(), zone }
    }

    fn dimension(&self, name: &str, spec: &MonitorSpec) -> String {
        let label = |key: &str| self.labels.get(key).cloned();
        match name {
            "$app" => label("app").or_else(|| spec.app.clone()).unwrap_or_default(),
            "$host" => self.hostname.clone(),
            "$ip" => self.ip.clone(),
            other => label(other.trim_start_matches('$')).unwrap_or_default(),
        }
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
        let number_columns: Vec<usize> = fields.iter().skip(1).filter_map(|field| column(field)).collect();
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
            key_columns.iter().chain(&number_columns).copied().collect(),
            if every_column { (0..spec.columns.len()).collect() } else { Vec::new() },
        ];
        let (columns, mut fetches) = Columns::compile(&spec.columns, &order, problems);
        let mut next_fetch = || if fetches.is_empty() { Fetch::default() } else { fetches.remove(0) };
        let (for_time, for_filter, for_figures, the_rest) = (next_fetch(), next_fetch(), next_fetch(), next_fetch());
        let mut charset = Charset::Auto;
        problems.within("source.log.charset", |p| charset = Charset::compile(&source.charset, p));
        let zone = source.time.timezone.as_deref().and_then(|name| name.parse().ok()).unwrap_or(host.zone);
        let mut other = Vec::new();
        write_key(&mut other, key_columns.iter().map(|_| OTHER_KEY.as_bytes()), key_columns.len());
        let width_ms = spec.width().as_millis() as i64;
        let windows = Windows::new(width_ms, number_columns.len(), spec.limits.max_keys as usize, other);
        Self {
            key,
            width: spec.width(),
            group_by: spec.group_by.clone(),
            fields,
            parts,
            text: TextReader::new(charset),
            core: Core {
                columns,
                for_time,
                for_filter,
                for_figures,
                the_rest,
                time: TimeReader::new(source.time.format, zone),
                time_column,
                live: true,
                include,
                exclude,
                key: Vec::new(),
                key_columns,
                number_columns,
                windows,
                last_event_time: None,
            },
            tally: Tally::default(),
        }
    }

    /// Takes lines of any age: for files that are read as a whole.
    pub fn of_any_age(mut self) -> Self {
        self.core.live = false;
        self
    }

    /// Takes one record: raw bytes as read, without the line end. `cut`: its rest was cut off.
    pub fn feed(&mut self, line: &[u8], cut: bool, path: &Path, now: Timestamp) {
        let (line, cut) = trim(line, cut);
        let (text, repairs) = self.text.read(line, cut);
        let outcome = self.core.take(text, now);
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
                let outcome = self.core.take(line, now);
                lines += 1;
                self.tally.outcome(&outcome, path, line);
            } else {
                self.feed(line, false, path, now);
            }
        }
        self.tally.lines(lines);
    }

    /// The partials gathered since the last drain.
    pub fn drain(&mut self) -> Option<MonitorDelta> {
        if self.core.windows.pending() == 0 {
            return None;
        }
        let mut windows = Vec::with_capacity(self.core.windows.pending());
        let parts = &self.parts;
        self.core.windows.drain(|start, key, lines, numbers| {
            let partials = std::iter::once(Partial::lines(lines)).chain(numbers.iter().copied()).collect();
            windows.push(WindowDelta { start, keys: key_texts(parts, key), partials });
        });
        Some(MonitorDelta {
            monitor: self.key.clone(),
            width: self.width,
            group_by: self.group_by.clone(),
            fields: self.fields.clone(),
            windows,
        })
    }

    /// What was wrong since the last call.
    pub fn drain_faults(&mut self) -> Vec<(FaultReason, u64)> {
        self.tally.drain()
    }

    /// When the latest line that was taken happened.
    pub fn last_event_time(&self) -> Option<Timestamp> {
        self.core.last_event_time
    }

    /// Since the start.
    pub fn counters(&self) -> &PipelineCounters {
        self.tally.counters()
    }

    /// Windows × keys that the next drain will yield. Lines of a day may open many windows between two
    /// drains; who feeds drains early when this grows.
    pub fn pending_keys(&self) -> usize {
        self.core.windows.pending()
    }

    /// Feeds one line and tells what was made of it, and what each column picked.
    pub(crate) fn examine(&mut self, line: &str, path: &Path) -> (Outcome, Vec<Option<String>>) {
        let (line, cut) = trim(line.as_bytes(), false);
        let (text, repairs) = self.text.read(line, cut);
        let mut outcome = self.core.take(text, Timestamp(0));
        self.tally.lines(1);
        self.tally.outcome(&outcome, path, text);
        if repairs.nul {
            self.tally.count(FaultReason::NulBytes, path, text);
            outcome.fault = outcome.fault.or(Some(FaultReason::NulBytes));
        }
        (outcome, self.core.picked(text))
    }
}

impl Core {
    #[inline]
    fn take(&mut self, line: &[u8], now: Timestamp) -> Outcome {
        self.columns.forget();
        let clock = self.live.then_some(now);
        let time = match self.time_column {
            None => self.time.read(line, clock),
            Some(column) => {
                self.columns.fetch(&self.for_time, line);
                self.columns.value(column, line).and_then(|value| self.time.read(value, clock))
            }
        };
        let fault = |reason| Outcome { time, fault: Some(reason), ..Outcome::default() };
        if !self.include.is_empty() || !self.exclude.is_empty() {
            self.columns.fetch(&self.for_filter, line);
            match self.passes(line) {
                Some(true) => {}
                Some(false) => {
                    self.last_event_time =
                        time.filter(|time| !self.live || untimely(*time, now).is_none()).or(self.last_event_time);
                    return Outcome { time, ..Outcome::default() };
                }
                None if time.is_some() => return fault(FaultReason::ColumnMissing),
                None => {}
            }
        }
        let Some(event_time) = time else { return fault(FaultReason::TimeUnreadable) };
        if self.live
            && let Some(reason) = untimely(event_time, now)
        {
            return fault(reason);
        }
        self.last_event_time = time;
        self.columns.fetch(&self.for_figures, line);
        let at = match self.key_columns.as_slice() {
            [column] => match self.columns.value(*column, line) {
                Some(value) => self.windows.count_line(event_time, cut_key(value)),
                None => return fault(FaultReason::ColumnMissing),
            },
            [] => self.windows.count_line(event_time, b""),
            columns => {
                let mut values = columns.iter().map_while(|column| self.columns.value(*column, line));
                if !write_key(&mut self.key, values.by_ref(), columns.len()) {
                    return fault(FaultReason::ColumnMissing);
                }
                self.windows.count_line(event_time, &self.key)
            }
        };
        let mut outcome = Outcome { time, counted: true, fault: None, over_limit: at.over_limit };
        for (number, column) in self.number_columns.iter().enumerate() {
            match self.columns.value(*column, line).and_then(parse_number) {
                Some(value) => self.windows.add(at, number, value),
                None => outcome.fault = Some(FaultReason::NotANumber),
            }
        }
        outcome
    }

    /// Whether the filter lets the line pass; `None` where a column it asks for is missing.
    fn passes(&self, line: &[u8]) -> Option<bool> {
        for (conditions, wanted) in [(&self.include, true), (&self.exclude, false)] {
            for condition in conditions {
                let value = self.columns.value(condition.column, line)?;
                if condition.holds(value) != wanted {
                    return Some(false);
                }
            }
        }
        Some(true)
    }

    fn picked(&mut self, line: &[u8]) -> Vec<Option<String>> {
        self.columns.forget();
        for fetch in [&self.for_time, &self.for_filter, &self.for_figures, &self.the_rest] {
            self.columns.fetch(fetch, line);
        }
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        (0..self.columns.count()).map(|column| self.columns.value(column, line).map(text)).collect()
    }
}

impl Condition {
    fn new(column: usize, values: &[String]) -> Self {
        let mut values: Vec<Vec<u8>> = values.iter().map(|value| value.clone().into_bytes()).collect();
        values.sort_unstable();
        Self { column, values }
    }

    fn holds(&self, value: &[u8]) -> bool {
        self.values.binary_search_by(|known| known.as_slice().cmp(value)).is_ok()
    }
}

impl KeyPart {
    fn column(&self) -> Option<usize> {
        match self {
            Self::Column(column) => Some(*column),
            Self::Fixed(_) => None,
        }
    }
}

/// What is wrong with an event time given the agent's clock.
#[inline]
fn untimely(time: Timestamp, now: Timestamp) -> Option<FaultReason> {
    if time > now.saturating_add(FUTURE) {
        Some(FaultReason::TimeInFuture)
    } else if time < now.saturating_sub(PAST) {
        Some(FaultReason::TimeTooOld)
    } else {
        None
    }
}

/// Without `\r`, a byte order mark, and what is over the limit.
#[inline]
fn trim(line: &[u8], cut: bool) -> (&[u8], bool) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    if line.len() > MAX_LINE_BYTES { (&line[..MAX_LINE_BYTES], true) } else { (line, cut) }
}

/// At most [`MAX_KEY_BYTES`], ending where a character does.
#[inline]
fn cut_key(value: &[u8]) -> &[u8] {
    if value.len() <= MAX_KEY_BYTES {
        return value;
    }
    let is_start = |at: &usize| value[*at] & 0xC0 != 0x80;
    let end = (0..=MAX_KEY_BYTES).rev().find(is_start).unwrap_or(MAX_KEY_BYTES);
    &value[..end]
}

/// Writes the key of `count` columns: the value of one, else each behind its length. False where
/// there are not as many values.
fn write_key<'a>(key: &mut Vec<u8>, values: impl Iterator<Item = &'a [u8]>, count: usize) -> bool {
    key.clear();
    let mut written = 0;
    for value in values.map(cut_key) {
        if count > 1 {
            key.extend_from_slice(&(value.len() as u16).to_le_bytes());
        }
        key.extend_from_slice(value);
        written += 1;
    }
    written == count
}

/// The values of the group-by columns from a key as [`write_key`] wrote it.
fn key_texts(parts: &[KeyPart], key: &[u8]) -> Vec<String> {
    let several = parts.iter().filter_map(KeyPart::column).count() > 1;
    let mut rest = key;
    let mut next = || match rest.split_first_chunk::<2>() {
        Some((length, following)) if several => {
            let (value, following) = following.split_at(usize::from(u16::from_le_bytes(*length)).min(following.len()));
            rest = following;
            value
        }
        _ => std::mem::take(&mut rest),
    };
    let text = |value: &[u8]| {
        // Only a replacement can make it longer than it was.
        let text = String::from_utf8_lossy(value);
        String::from_utf8_lossy(cut_key(text.as_bytes())).into_owned()
    };
    parts
        .iter()
        .map(|part| match part {
            KeyPart::Fixed(value) => text(value.as_bytes()),
            KeyPart::Column(_) => text(next()),
        })
        .collect()
}

/// As [`Decimal::parse`], with a short way for the few digits that most figures have.
#[inline]
fn parse_number(text: &[u8]) -> Option<Decimal> {
    if !(1..=9).contains(&text.len()) {
        return Decimal::parse(text);
    }
    let mut value = 0u32;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Decimal::parse(text);
        }
        value = value * 10 + u32::from(digit);
    }
    Some(Decimal::from_int(i64::from(value)))
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

/// The first time in a line, as `auto` reads it.
pub(crate) fn first_time(line: &str) -> Option<Timestamp> {
    TimeReader::new(TimeFormat::Auto, Tz::UTC).read(line.as_bytes(), None)
}

#[cfg(test)]
mod tests;
