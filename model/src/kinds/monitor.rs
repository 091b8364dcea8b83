//! Monitor: which lines to read, what to pick out of them, and what to count.

mod charset;
mod paths;
mod service;
mod strftime;
mod time;
mod top;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

pub use self::charset::encoding;
use super::Document;
use crate::decimal::Decimal;
use crate::delta::{LINES_FIELD, Number, Partial, PartialKind};
use crate::names::column_name_problem;
use crate::problem::Problems;
use crate::protocol::capability;

pub use service::{SUCCESS_FIELD, ServiceSpec};
pub use strftime::{Field as StrftimeField, Item as StrftimeItem, Strftime};
pub use time::{TimeFormat, TimeSource};
pub use top::{TopFigure, TopSpec};

/// Instance dimensions that can stand wherever a group-by column can.
pub const DIMENSIONS: [&str; 6] = ["$app", "$idc", "$ldc", "$host", "$ip", "$env"];

/// A monitor's `spec`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct MonitorSpec {
    #[serde(rename = "type")]
    pub kind: MonitorType,
    /// The application whose instances collect it: agents with the label `app` of this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Which agents collect it; every agent of the workspace without this and `app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Targets>,
    pub source: Source,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
    #[serde(default, skip_serializing_if = "Filter::is_empty")]
    pub filter: Filter,
    /// Columns, and instance dimensions such as `$host`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    /// Without any, the lines are counted as `count`.
    #[serde(default = "default_stats")]
    pub stats: Vec<Stat>,
    /// Of type `service_metrics`, instead of statistics; which ones it has is shown in `stats`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceSpec>,
    /// Of type `minute_top`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<TopSpec>,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default = "yes")]
    pub enabled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MonitorType {
    /// One figure a minute.
    Minute,
    /// A figure a minute for each combination of the group-by columns.
    MinuteMultiKey,
    /// One figure a second.
    Second,
    /// A figure a second for each combination of the group-by columns.
    SecondMultiKey,
    /// Total, success, failure, success rate and average cost of a service, a minute each, for each
    /// combination of the group-by columns if there are any.
    ServiceMetrics,
    /// The combinations of the group-by columns with the greatest figure of each minute, out of any number.
    MinuteTop,
}

/// Agents by their labels; every entry must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Targets {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub idc: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ldc: Vec<String>,
    /// Host names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    Log(LogSource),
}

/// Log files on the hosts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSource {
    pub paths: Vec<PathPattern>,
    /// `auto` (UTF-8, else GB18030), or any WHATWG label.
    #[serde(default = "auto")]
    pub charset: String,
    #[serde(default)]
    pub time: TimeSource,
    /// Where to begin in a file that is already there when the monitor comes.
    #[serde(default)]
    pub start: StartAt,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartAt {
    #[default]
    End,
    Beginning,
}

/// Which files. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PathPattern {
    /// One file, through its rotations.
    Path(String),
    /// `*`, `?` and `[…]` within one level, `**` across levels.
    Glob(String),
}

/// A named value of a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    pub name: String,
    pub pick: Pick,
    /// Whether it is to be read as a number. Columns that a statistic sums are numbers anyway.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub number: bool,
}

/// Where in a line a column stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    Split(SplitPick),
    Between(BetweenPick),
    Regex(RegexPick),
    Json(JsonPick),
}

/// The part with this index after cutting the line at every `by`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitPick {
    pub by: String,
    /// From 0.
    pub index: u32,
}

/// What stands between two strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BetweenPick {
    /// Empty: from the line's start.
    #[serde(default)]
    pub left: String,
    /// Empty: to the line's end.
    #[serde(default)]
    pub right: String,
    /// Which occurrence of `left`, from 1.
    #[serde(default = "one")]
    pub nth: u32,
}

/// A group of a regular expression's first match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegexPick {
    pub pattern: String,
    /// Number or name; 0 is the whole match.
    #[serde(default = "first_group")]
    pub group: RegexGroup,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum RegexGroup {
    Index(u32),
    Name(String),
}

/// A value of a line that is a JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonPick {
    /// RFC 6901, e.g. `/request/status`.
    pub pointer: String,
}

/// Which lines count: every `include` entry must hold, any `exclude` entry that holds drops the line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<ColumnFilter>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<ColumnFilter>,
}

/// Holds when the column is exactly one of the values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnFilter {
    pub column: String,
    #[serde(rename = "in")]
    pub values: Vec<String>,
}

/// A figure of each window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Stat {
    pub name: String,
    #[serde(rename = "fn")]
    pub function: StatFn,
    /// Required for all but `lines`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatFn {
    Lines,
    Sum,
    Avg,
    Min,
    Max,
    /// Lines whose result is one of those that mean success. Of `service_metrics` alone, as are the next two.
    Success,
    /// The other lines.
    Failure,
    /// Successes in per cent of all; none where there are no lines.
    SuccessRate,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Keys in one window on one agent; the lines of further keys count under `(other)`.
    pub max_keys: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_keys: 10_000 }
    }
}

impl Filter {
    fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }
}

impl PathPattern {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Path(text) | Self::Glob(text) => text,
        }
    }
}

impl MonitorSpec {
    pub fn log(&self) -> &LogSource {
        let Source::Log(log) = &self.source;
        log
    }

    /// Length of a window.
    pub fn width(&self) -> Duration {
        match self.kind {
            MonitorType::Minute
            | MonitorType::MinuteMultiKey
            | MonitorType::ServiceMetrics
            | MonitorType::MinuteTop => Duration::from_secs(60),
            MonitorType::Second | MonitorType::SecondMultiKey => Duration::from_secs(1),
        }
    }

    /// What is stored per window: [`LINES_FIELD`], then each column that a statistic reads, in the
    /// order of the statistics.
    pub fn fields(&self) -> Vec<String> {
        self.typed_fields().into_iter().map(|(name, _)| name).collect()
    }

    /// [`MonitorSpec::fields`], with the kind of the partials of each.
    pub fn typed_fields(&self) -> Vec<(String, PartialKind)> {
        let mut fields = vec![(LINES_FIELD.to_owned(), PartialKind::Lines)];
        if let Some(field) = self.top_field() {
            fields.push((field, PartialKind::Top));
            return fields;
        }
        for (stat, column) in self.stats.iter().filter_map(|stat| Some((stat, stat.field()?))) {
            if !fields.iter().any(|(field, _)| field == column) {
                fields.push((column.to_owned(), stat.kind()));
            }
        }
        fields
    }

    /// What an agent must be able to do to collect it, beyond the protocol's version 0
    /// ([`capability`]).
    pub fn needs(&self) -> Vec<&'static str> {
        match self.kind {
            MonitorType::Minute | MonitorType::MinuteMultiKey => Vec::new(),
            MonitorType::Second | MonitorType::SecondMultiKey => vec![capability::SECOND],
            MonitorType::ServiceMetrics => vec![capability::SERVICE_METRICS],
            MonitorType::MinuteTop => vec![capability::MINUTE_TOP],
        }
    }

    /// The columns that keep series apart: of a Top none, its keys are within its partials.
    pub fn series_by(&self) -> &[String] {
        if self.kind == MonitorType::MinuteTop { &[] } else { &self.group_by }
    }

    /// The columns that keep series apart and are fixed for an agent, such as `$host`.
    pub fn instance_columns(&self) -> Vec<String> {
        self.series_by().iter().filter(|column| DIMENSIONS.contains(&column.as_str())).cloned().collect()
    }

    /// What one of [`DIMENSIONS`] is on a host, for this monitor; empty where nothing says.
    pub fn dimension(&self, name: &str, labels: &BTreeMap<String, String>, hostname: &str, ip: &str) -> String {
        let label = |key: &str| labels.get(key).cloned();
        match name {
            "$app" => label("app").or_else(|| self.app.clone()).unwrap_or_default(),
            "$host" => hostname.to_owned(),
            "$ip" => ip.to_owned(),
            other => label(other.trim_start_matches('$')).unwrap_or_default(),
        }
    }

    /// Whether an agent with these labels and this host name is to collect it.
    pub fn wants(&self, labels: &BTreeMap<String, String>, hostname: &str) -> bool {
        let label_in =
            |key: &str, wanted: &[String]| wanted.is_empty() || labels.get(key).is_some_and(|v| wanted.contains(v));
        let app_fits = self.app.as_ref().is_none_or(|app| labels.get("app") == Some(app));
        app_fits
            && self.targets.as_ref().is_none_or(|targets| {
                targets.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
                    && label_in("env", &targets.env)
                    && label_in("idc", &targets.idc)
                    && label_in("ldc", &targets.ldc)
                    && (targets.hosts.is_empty() || targets.hosts.iter().any(|host| host == hostname))
            })
    }
}

impl Stat {
    /// How many values an average is of: what weighs it when averages are averaged.
    pub fn weight(&self) -> Option<Self> {
        let name = format!("{}_count", self.name);
        (self.function == StatFn::Avg).then(|| Self { name, function: StatFn::Lines, column: self.column.clone() })
    }

    /// The stored field it reads; `None` for lines.
    pub fn field(&self) -> Option<&str> {
        match self.function {
            // Of a column it is how many values there were: no document asks for it, tables show it beside averages.
            StatFn::Lines => self.column.as_deref(),
            StatFn::Success | StatFn::Failure | StatFn::SuccessRate => Some(SUCCESS_FIELD),
            _ => self.column.as_deref(),
        }
    }

    /// The figure of a window from the partial of its field; `None` where there is none (an average
    /// of nothing).
    ///
    /// [`Stat::kind`] says of which kind the partial is; of another one there is no figure.
    pub fn value(&self, partial: &Partial) -> Option<f64> {
        let number = |take: fn(&Number) -> Decimal| partial.as_number().map(|number| take(number).to_f64());
        let any = partial.count() > 0;
        match (self.function, partial) {
            (_, Partial::Top(top)) => self.of_all_keys(top),
            (StatFn::Lines, Partial::Lines(count)) => Some(*count as f64),
            (StatFn::Lines, Partial::Number(number)) if self.column.is_some() => Some(number.count as f64),
            (StatFn::Lines, _) => None,
            (StatFn::Sum, _) => number(|number| number.sum),
            (StatFn::Avg, _) if any => number(|number| number.sum).map(|sum| sum / partial.count() as f64),
            (StatFn::Min, _) if any => number(|number| number.min),
            (StatFn::Max, _) if any => number(|number| number.max),
            (StatFn::Success, _) => number(|number| number.sum),
            (StatFn::Failure, _) => number(|number| number.sum).map(|successes| partial.count() as f64 - successes),
            (StatFn::SuccessRate, _) if any => {
                number(|number| number.sum).map(|successes| successes * 100.0 / partial.count() as f64)
            }
            (StatFn::Avg | StatFn::Min | StatFn::Max | StatFn::SuccessRate, _) => None,
        }
    }

    /// Of which kind the partials are that it reads.
    pub fn kind(&self) -> PartialKind {
        match self.function {
            StatFn::Lines if self.column.is_none() => PartialKind::Lines,
            StatFn::Lines
            | StatFn::Sum
            | StatFn::Avg
            | StatFn::Min
            | StatFn::Max
            | StatFn::Success
            | StatFn::Failure
            | StatFn::SuccessRate => PartialKind::Number,
        }
    }
}

impl Serialize for MonitorSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Wherever one is read, it has the statistics that follow from its `service`.
impl<'de> Deserialize<'de> for MonitorSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut spec = Self::deserialize(deserializer)?;
        spec.complete_service();
        Ok(spec)
    }
}

impl Document for MonitorSpec {
    fn validate(&self, problems: &mut Problems) {
        problems.within("source.log", |p| self.log().validate(p));
        self.validate_columns(problems);
        self.validate_filter(problems);
        self.validate_grouping(problems);
        // Those of a service nobody wrote.
        if self.service.as_ref().is_none_or(|service| self.stats != service.stats()) {
            self.validate_stats(problems);
        }
        self.validate_service(problems);
        self.validate_top(problems);
        if !(1..=100_000).contains(&self.limits.max_keys) {
            problems.add("limits.max_keys", "must be from 1 to 100000");
        }
    }

    fn validate_written(&self, problems: &mut Problems) {
        if let Err(problem) = encoding(&self.log().charset) {
            problems.add("source.log.charset", problem);
        }
        for (index, pattern) in self.log().paths.iter().enumerate() {
            if let Some(problem) = paths::mistaken(pattern).filter(|_| paths::impossible(pattern).is_none()) {
                problems.add(format!("source.log.paths[{index}]"), problem);
            }
        }
    }
}

impl MonitorSpec {
    fn has_column(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }

    fn need_column(&self, path: String, name: &str, problems: &mut Problems) {
        if !self.has_column(name) {
            let known: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).collect();
            problems.absent(
                path,
                format!(
                    "there is no column `{name}`; columns are: {}",
                    if known.is_empty() { "none".into() } else { known.join(", ") }
                ),
            );
        }
    }

    fn validate_columns(&self, problems: &mut Problems) {
        if self.columns.len() > 64 {
            problems.add("columns", "holds more than 64 columns");
        }
        let mut seen = BTreeSet::new();
        for (index, column) in self.columns.iter().enumerate() {
            problems.within(format!("columns[{index}]"), |p| {
                if let Some(problem) = column_name_problem(&column.name) {
                    p.add("name", problem);
                } else if ["time", "completeness"].contains(&column.name.as_str()) {
                    p.add("name", format!("`{}` is a column of every table", column.name));
                } else if !seen.insert(&column.name) {
                    p.add("name", format!("`{}` is there twice", column.name));
                }
                p.within("pick", |p| column.pick.validate(p));
            });
        }
        if let Some(column) = &self.log().time.column {
            self.need_column("source.log.time.column".into(), column, problems);
        }
    }

    fn validate_filter(&self, problems: &mut Problems) {
        for (side, entries) in [("include", &self.filter.include), ("exclude", &self.filter.exclude)] {
            for (index, entry) in entries.iter().enumerate() {
                self.need_column(format!("filter.{side}[{index}].column"), &entry.column, problems);
                if entry.values.is_empty() {
                    problems.absent(format!("filter.{side}[{index}].in"), "needs at least one value");
                }
            }
        }
    }

    fn validate_grouping(&self, problems: &mut Problems) {
        let (single, multi) = match self.kind {
            MonitorType::Second | MonitorType::SecondMultiKey => ("second", "second_multi_key"),
            _ => ("minute", "minute_multi_key"),
        };
        match self.kind {
            MonitorType::MinuteMultiKey | MonitorType::SecondMultiKey if self.group_by.is_empty() => {
                let text = "a multi-key monitor needs at least one column; use type";
                problems.absent("group_by", format!("{text} `{single}` for one figure"));
            }
            MonitorType::Minute | MonitorType::Second if !self.group_by.is_empty() => {
                let text = format!("type `{single}` has one figure a {single}; use `{multi}` to group");
                problems.add("group_by", text);
            }
            _ => {}
        }
        if self.group_by.len() > 10 {
            problems.add("group_by", "holds more than 10 columns");
        }
        let mut seen = BTreeSet::new();
        for (index, name) in self.group_by.iter().enumerate() {
            let path = format!("group_by[{index}]");
            if !seen.insert(name) {
                problems.add(path, format!("`{name}` is there twice"));
            } else if name.starts_with('$') {
                if !DIMENSIONS.contains(&name.as_str()) {
                    problems.add(path, format!("unknown dimension `{name}`; known are {}", DIMENSIONS.join(", ")));
                }
            } else {
                self.need_column(path, name, problems);
            }
        }
    }

    fn validate_stats(&self, problems: &mut Problems) {
        if self.stats.is_empty() || self.stats.len() > 32 {
            problems.absent("stats", "needs 1 to 32 statistics");
        }
        let mut seen = BTreeSet::new();
        for (index, stat) in self.stats.iter().enumerate() {
            problems.within(format!("stats[{index}]"), |p| {
                if let Some(problem) = column_name_problem(&stat.name) {
                    p.add("name", problem);
                } else if ["time", "completeness"].contains(&stat.name.as_str()) || self.group_by.contains(&stat.name) {
                    p.add("name", format!("`{}` is already a column of the table", stat.name));
                } else if !seen.insert(stat.name.to_ascii_lowercase()) {
                    p.add("name", format!("`{}` is there twice", stat.name));
                }
                if stat.function.is_of_services() && self.kind != MonitorType::ServiceMetrics {
                    p.add("fn", "is of monitors of type `service_metrics` alone, which have it without being asked");
                    return;
                }
                match (&stat.function, &stat.column) {
                    (StatFn::Success | StatFn::Failure | StatFn::SuccessRate, _) => {}
                    (StatFn::Lines, Some(_)) => p.add("column", "`lines` counts lines and takes no column"),
                    (StatFn::Lines, None) => {}
                    (_, None) => p.absent("column", "is required: which column to take it of"),
                    // Said of `service.cost`, which it follows from.
                    (_, Some(_)) if self.kind == MonitorType::ServiceMetrics => {}
                    (_, Some(column)) => self.need_column("column".into(), column, p),
                }
            });
        }
    }
}

impl LogSource {
    fn validate(&self, problems: &mut Problems) {
        if self.paths.is_empty() {
            problems.absent("paths", "needs at least one path");
        }
        for (index, pattern) in self.paths.iter().enumerate() {
            if let Some(problem) = paths::impossible(pattern) {
                problems.add(format!("paths[{index}]"), problem);
            }
        }
        problems.within("time", |p| self.time.validate(p));
    }
}

impl Pick {
    fn validate(&self, problems: &mut Problems) {
        match self {
            Self::Split(split) => {
                if split.by.is_empty() {
                    problems.add("split.by", "must not be empty");
                }
                if split.index > 1_000 {
                    problems.add("split.index", "must be at most 1000");
                }
            }
            Self::Between(between) => {
                if between.left.is_empty() && between.right.is_empty() {
                    problems.add("between", "needs `left`, `right` or both");
                }
                if between.nth == 0 || between.nth > 1_000 {
                    problems.add("between.nth", "counts from 1 and is at most 1000");
                }
                if between.left.is_empty() && between.nth > 1 {
                    problems.add("between.nth", "an empty `left` is the line's start, which occurs once");
                }
            }
            Self::Regex(regex) => match Regex::new(&regex.pattern) {
                Err(error) => {
                    problems.add("regex.pattern", format!("is not a regular expression: {}", last_line(&error)))
                }
                Ok(compiled) => match &regex.group {
                    RegexGroup::Index(index) if *index as usize >= compiled.captures_len() => {
                        problems.add(
                            "regex.group",
                            format!("there is no group {index}; the pattern has {}", compiled.captures_len() - 1),
                        );
                    }
                    RegexGroup::Name(name) if !compiled.capture_names().flatten().any(|known| known == name) => {
                        problems.add("regex.group", format!("there is no group named `{name}`"));
                    }
                    _ => {}
                },
            },
            Self::Json(json) => {
                if !json.pointer.starts_with('/') {
                    problems.add("json.pointer", "must start with `/`, e.g. /request/status");
                }
            }
        }
    }
}

fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn auto() -> String {
    "auto".to_owned()
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn first_group() -> RegexGroup {
    RegexGroup::Index(1)
}

pub(super) fn default_stats() -> Vec<Stat> {
    vec![Stat { name: "count".into(), function: StatFn::Lines, column: None }]
}
