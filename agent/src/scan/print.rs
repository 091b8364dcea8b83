//! Rows for programs and for people.

use std::io::{self, Write};
use std::time::Duration;

use nightjar_model::delta::{MonitorDelta, Number, Partial, WindowDelta};
use nightjar_model::kinds::monitor::{MonitorSpec, Stat, StatFn};
use nightjar_model::partial::TopEntry;
use nightjar_model::{Decimal, Timestamp};
use serde_json::Value;

use super::{ScanOutput, Scanned};

/// One row each: `time`, the group-by columns, the statistics; of a Top one for each key, with the error behind
/// each statistic. Answers how many.
pub(super) fn rows(
    spec: &MonitorSpec,
    figures: Option<&MonitorDelta>,
    output: ScanOutput,
    out: &mut dyn Write,
) -> io::Result<usize> {
    let windows = figures.map_or(&[][..], |delta| &delta.windows);
    match output {
        ScanOutput::Json => {
            let names = figure_names(spec);
            let mut count = 0;
            each_row(spec, windows, |time, keys, figures| {
                count += 1;
                json(spec, &names, time, keys, figures, out)
            })?;
            Ok(count)
        }
        ScanOutput::Table => table(spec, windows, out),
    }
}

fn figure_names(spec: &MonitorSpec) -> Vec<String> {
    let error = |stat: &Stat| spec.top.as_ref().map(|_| stat.error_name());
    spec.stats.iter().flat_map(|stat| std::iter::once(stat.name.clone()).chain(error(stat))).collect()
}

/// Hands each row to `each`: time, keys, figures.
fn each_row(
    spec: &MonitorSpec,
    windows: &[WindowDelta],
    mut each: impl FnMut(Timestamp, &[&str], &[Option<String>]) -> io::Result<()>,
) -> io::Result<()> {
    let fields = spec.fields();
    let place = |stat: &Stat| stat.field().and_then(|name| fields.iter().position(|field| field == name)).unwrap_or(0);
    let places: Vec<usize> = spec.stats.iter().map(place).collect();
    for window in windows {
        if let Some(top) = &spec.top {
            let state = window.partials.iter().find_map(Partial::as_top);
            for entry in state.map_or_else(Vec::new, |state| top.items(state)) {
                let keys: Vec<&str> = entry.key.iter().map(|part| &**part).collect();
                let figures: Vec<_> = spec.stats.iter().flat_map(|stat| of_key(stat, entry)).collect();
                each(window.start, &keys, &figures)?;
            }
            continue;
        }
        let keys: Vec<&str> = window.keys.iter().map(String::as_str).collect();
        let figures: Vec<_> =
            spec.stats.iter().zip(&places).map(|(stat, place)| figure(stat, &window.partials[*place])).collect();
        each(window.start, &keys, &figures)?;
    }
    Ok(())
}

fn json(
    spec: &MonitorSpec,
    names: &[String],
    time: Timestamp,
    keys: &[&str],
    figures: &[Option<String>],
    out: &mut dyn Write,
) -> io::Result<()> {
    write!(out, "{{\"time\":\"{time}\"")?;
    for (name, key) in spec.group_by.iter().zip(keys) {
        write!(out, ",{}:{}", Value::from(name.as_str()), Value::from(*key))?;
    }
    for (name, figure) in names.iter().zip(figures) {
        write!(out, ",{}:{}", Value::from(name.as_str()), figure.as_deref().unwrap_or("null"))?;
    }
    writeln!(out, "}}")
}

/// As written in JSON: exact, but for averages.
fn figure(stat: &Stat, partial: &Partial) -> Option<String> {
    let number = partial.as_number();
    let exact = |take: fn(&Number) -> Decimal| number.filter(|n| n.count > 0).map(|n| take(n).to_string());
    match stat.function {
        StatFn::Lines => Some(partial.count().to_string()),
        StatFn::Sum => number.map(|number| number.sum.to_string()),
        StatFn::Min => exact(|number| number.min),
        StatFn::Max => exact(|number| number.max),
        StatFn::Success | StatFn::Failure => stat.value(partial).map(|lines| format!("{lines:.0}")),
        StatFn::Avg | StatFn::SuccessRate => stat.value(partial).map(|figure| figure.to_string()),
    }
}

/// The figure of a key of a Top and its error, written alike.
fn of_key(stat: &Stat, entry: &TopEntry) -> [Option<String>; 2] {
    match stat.function {
        StatFn::Lines => [Some(entry.count.to_string()), Some(entry.count_error.to_string())],
        StatFn::Sum => [Some(entry.sum.to_string()), Some(entry.sum_error.to_string())],
        _ => {
            let figure = stat.of_key(entry);
            [figure.map(|figure| figure.value.to_string()), figure.map(|figure| figure.error.to_string())]
        }
    }
}

fn table(spec: &MonitorSpec, windows: &[WindowDelta], out: &mut dyn Write) -> io::Result<usize> {
    let names = figure_names(spec);
    let figure_columns = names.len();
    let header: Vec<String> =
        std::iter::once("time".to_owned()).chain(spec.group_by.iter().cloned()).chain(names).collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    each_row(spec, windows, |time, keys, figures| {
        let figures = figures.iter().map(|figure| figure.clone().unwrap_or_else(|| "-".to_owned()));
        let keys = keys.iter().map(|key| (*key).to_owned());
        rows.push(std::iter::once(time.to_string()).chain(keys).chain(figures).collect());
        Ok(())
    })?;
    let lines = || std::iter::once(&header).chain(&rows);
    let widths: Vec<usize> =
        (0..header.len()).map(|at| lines().map(|line| width(&line[at])).max().unwrap_or(0)).collect();
    let first_figure = header.len() - figure_columns;
    for line in lines() {
        let mut text = String::new();
        for (at, cell) in line.iter().enumerate() {
            let gap = " ".repeat(widths[at] - width(cell));
            if at > 0 {
                text.push_str("  ");
            }
            let (before, after) = if at >= first_figure { (gap.as_str(), "") } else { ("", gap.as_str()) };
            text.extend([before, cell, after]);
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(rows.len())
}

/// Columns on a terminal: East Asian wide characters take two.
fn width(text: &str) -> usize {
    let wide = |c: char| {
        matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd)
    };
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}

/// To the standard error.
pub(super) fn warning(text: &str) {
    // A closed terminal is no reason to fail.
    drop(writeln!(std::io::stderr().lock(), "warning: {text}"));
}

/// What was read, how fast, and what was wrong.
pub(super) fn summary(scanned: &Scanned, rows: usize, elapsed: Duration, out: &mut dyn Write) {
    let seconds = elapsed.as_secs_f64().max(1e-6);
    let counters = &scanned.counters;
    let mut text = format!(
        "{} lines, {:.1} MB in {seconds:.3} s ({:.1} million lines/s): {rows} rows\n",
        counters.lines,
        scanned.bytes as f64 / 1e6,
        counters.lines as f64 / seconds / 1e6,
    );
    if !scanned.time_formats.is_empty() {
        text.push_str(&format!("time format: {}\n", scanned.time_formats.join(", ")));
    }
    for (reason, count) in &counters.faults {
        let example = counters.examples.get(reason).map_or(String::new(), |example| format!("  e.g. {example}"));
        text.push_str(&format!("{}: {count}{example}\n", reason.name()));
    }
    // A closed terminal is no reason to fail what has been printed already.
    drop(out.write_all(text.as_bytes()));
}
