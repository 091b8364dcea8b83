//! Rows for programs and for people.

use std::io::{self, Write};
use std::time::Duration;

use nightjar_model::Decimal;
use nightjar_model::delta::{MonitorDelta, Number, Partial, WindowDelta};
use nightjar_model::kinds::monitor::{MonitorSpec, Stat, StatFn};
use serde_json::Value;

use super::{ScanOutput, Scanned};

/// One row each: `time`, the group-by columns, the statistics.
pub(super) fn rows(
    spec: &MonitorSpec,
    figures: Option<&MonitorDelta>,
    output: ScanOutput,
    out: &mut dyn Write,
) -> io::Result<()> {
    let fields = spec.fields();
    let place = |stat: &Stat| stat.field().and_then(|name| fields.iter().position(|field| field == name)).unwrap_or(0);
    let stats: Vec<(&Stat, usize)> = spec.stats.iter().map(|stat| (stat, place(stat))).collect();
    let windows = figures.map_or(&[][..], |delta| &delta.windows);
    match output {
        ScanOutput::Json => windows.iter().try_for_each(|window| json(spec, &stats, window, out)),
        ScanOutput::Table => table(spec, &stats, windows, out),
    }
}

fn json(spec: &MonitorSpec, stats: &[(&Stat, usize)], window: &WindowDelta, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{{\"time\":\"{}\"", window.start)?;
    for (name, key) in spec.group_by.iter().zip(&window.keys) {
        write!(out, ",{}:{}", Value::from(name.as_str()), Value::from(key.as_str()))?;
    }
    for (stat, place) in stats {
        let figure = figure(stat, &window.partials[*place]);
        write!(out, ",{}:{}", Value::from(stat.name.as_str()), figure.as_deref().unwrap_or("null"))?;
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

fn table(spec: &MonitorSpec, stats: &[(&Stat, usize)], windows: &[WindowDelta], out: &mut dyn Write) -> io::Result<()> {
    let names = std::iter::once("time")
        .chain(spec.group_by.iter().map(String::as_str))
        .chain(stats.iter().map(|(stat, _)| stat.name.as_str()));
    let header: Vec<String> = names.map(str::to_owned).collect();
    let rows: Vec<Vec<String>> = windows
        .iter()
        .map(|window| {
            let figures = stats
                .iter()
                .map(|(stat, place)| figure(stat, &window.partials[*place]).unwrap_or_else(|| "-".to_owned()));
            std::iter::once(window.start.to_string()).chain(window.keys.iter().cloned()).chain(figures).collect()
        })
        .collect();
    let lines = || std::iter::once(&header).chain(&rows);
    let widths: Vec<usize> =
        (0..header.len()).map(|at| lines().map(|line| width(&line[at])).max().unwrap_or(0)).collect();
    let first_figure = header.len() - stats.len();
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
    Ok(())
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
pub(super) fn summary(scanned: &Scanned, elapsed: Duration, out: &mut dyn Write) {
    let seconds = elapsed.as_secs_f64().max(1e-6);
    let rows = scanned.figures.as_ref().map_or(0, |delta| delta.windows.len());
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
