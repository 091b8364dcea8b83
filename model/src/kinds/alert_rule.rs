//! AlertRule: when a monitor's figures are worth waking somebody.

use std::collections::BTreeMap;

use chrono::NaiveTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::monitor::{MonitorType, StatFn};
use super::{Document, Kind, Reference, Spec};
use crate::message_template;
use crate::names::stored_key;
use crate::problem::Problems;
use crate::protocol::MAX_KEY_BYTES;
use crate::time::Span;

/// An alert rule's `spec`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertRuleSpec {
    /// The monitor whose figures are judged.
    pub monitor: String,
    /// Columns named here are judged key by key; the others are merged. Absent: all keys together.
    #[serde(default, rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub where_: BTreeMap<String, KeyMatch>,
    #[serde(default)]
    pub level: Level,
    /// How often, in whole minutes.
    #[serde(default = "one_minute")]
    pub every: Span,
    /// Only then; always without any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<ActiveHours>,
    #[serde(default, rename = "match")]
    pub match_: MatchMode,
    pub conditions: Vec<Condition>,
    #[serde(default, rename = "for")]
    pub for_: Occurrences,
    #[serde(default)]
    pub recover: Recovery,
    #[serde(default)]
    pub no_data: NoData,
    #[serde(default)]
    pub partial_data: PartialData,
    /// How long a check waits for a complete minute.
    #[serde(default = "one_minute")]
    pub max_wait: Span,
    #[serde(default, skip_serializing_if = "Message::is_empty")]
    pub message: Message,
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// Which keys of a column are judged; exactly one of the three.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyMatch {
    /// Every key, each alone. `any: false` is refused.
    Any(bool),
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl KeyMatch {
    pub fn accepts(&self, key: &str) -> bool {
        match self {
            Self::Any(_) => true,
            Self::In(keys) => keys.iter().any(|k| k == key),
            Self::NotIn(keys) => !keys.iter().any(|k| k == key),
        }
    }
}

/// P0 is the gravest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum Level {
    P0,
    P1,
    #[default]
    P2,
    P3,
    P4,
}

impl Level {
    pub const ALL: [Self; 5] = [Self::P0, Self::P1, Self::P2, Self::P3, Self::P4];

    pub const fn name(self) -> &'static str {
        match self {
            Self::P0 => "P0",
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
            Self::P4 => "P4",
        }
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A daily stretch of time. `to` at or before `from` runs over midnight and belongs to the day it
/// starts on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActiveHours {
    /// Every day without any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// `HH:MM`
    #[serde(default = "midnight")]
    pub from: String,
    /// `HH:MM`; `24:00` is the end of the day.
    #[serde(default = "end_of_day")]
    pub to: String,
    /// IANA name; UTC without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MatchMode {
    #[default]
    All,
    Any,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// A statistic of the monitor.
    pub field: String,
    #[serde(default)]
    pub take: Take,
    #[serde(default)]
    pub against: Against,
    pub op: Op,
    pub threshold: f64,
}

/// Which value of the figure. `sum`, `avg`, `min` and `max` are of the last so many minutes; they are
/// merged from the partials, so an average is that of all lines, not of the minutes' averages.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Take {
    /// The minute just closed; not of a monitor that counts by the second.
    Now(Nothing),
    Sum(Span),
    Avg(Span),
    Min(Span),
    Max(Span),
}

impl Default for Take {
    fn default() -> Self {
        Self::Now(Nothing {})
    }
}

impl Take {
    /// How far back it reads; `None` for the one minute of `now`.
    pub fn span(&self) -> Option<Span> {
        match self {
            Self::Now(_) => None,
            Self::Sum(span) | Self::Avg(span) | Self::Min(span) | Self::Max(span) => Some(*span),
        }
    }
}

/// `{}`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    #[default]
    Absolute,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Op {
    #[serde(rename = ">")]
    Above,
    #[serde(rename = ">=")]
    AtLeast,
    #[serde(rename = "<")]
    Below,
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = "==")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
}

impl Op {
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Above => value > threshold,
            Self::AtLeast => value >= threshold,
            Self::Below => value < threshold,
            Self::AtMost => value <= threshold,
            Self::Equal => value == threshold,
            Self::NotEqual => value != threshold,
        }
    }

    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

/// M of the last N checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Occurrences {
    pub times: u32,
    /// As `times` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u32>,
}

impl Occurrences {
    pub fn window(self) -> u32 {
        self.of.unwrap_or(self.times)
    }
}

impl Default for Occurrences {
    fn default() -> Self {
        Self { times: 1, of: None }
    }
}

/// When a firing alert is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recovery {
    /// Checks in a row.
    pub times: u32,
    /// What must hold (all of them) in each of those checks; without any, the rule's conditions must not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl Default for Recovery {
    fn default() -> Self {
        Self { times: 1, conditions: Vec::new() }
    }
}

/// What a minute without any line for the key means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoData {
    /// The state stays as it is. Counts of all keys together are 0, which is data.
    #[default]
    Keep,
    /// It counts as a check that holds.
    Alert,
    /// It counts as a check that does not hold.
    Ok,
}

/// What to do when a minute is still partial after `max_wait`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartialData {
    /// Wait `max_wait`, then leave the minute unjudged, and record that. Conditions that more data
    /// can only confirm (a count or sum already above its threshold) are judged at once.
    #[default]
    Wait,
    /// Judge what is there, as soon as the minute is over and `max_wait` has passed.
    Judge,
}

/// What the notification says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Message {
    /// A minijinja template; it sees `rule`, `level`, `monitor`, `keys`, `values`, `status`, `time`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub link: String,
}

impl Message {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl ActiveHours {
    /// `from` and `to` in minutes of the day.
    pub fn bounds(&self) -> Option<(u32, u32)> {
        Some((minute_of_day(&self.from)?, minute_of_day(&self.to)?))
    }
}

fn minute_of_day(text: &str) -> Option<u32> {
    use chrono::Timelike;
    if text == "24:00" {
        return Some(24 * 60);
    }
    let time = NaiveTime::parse_from_str(text, "%H:%M").ok()?;
    Some(time.hour() * 60 + time.minute())
}

impl AlertRuleSpec {
    fn all_conditions(&self) -> impl Iterator<Item = (String, &Condition)> {
        let firing = self.conditions.iter().enumerate().map(|(i, c)| (format!("conditions[{i}]"), c));
        let recovering =
            self.recover.conditions.iter().enumerate().map(|(i, c)| (format!("recover.conditions[{i}]"), c));
        firing.chain(recovering)
    }

    /// The longest look-back of its conditions.
    pub fn reach(&self) -> Span {
        self.all_conditions().filter_map(|(_, c)| c.take.span()).max().unwrap_or(one_minute()).max(one_minute())
    }
}

impl Document for AlertRuleSpec {
    fn validate(&self, problems: &mut Problems) {
        let minute = one_minute().0.as_millis();
        if self.every.0.is_zero()
            || !self.every.0.as_millis().is_multiple_of(minute)
            || self.every > Span::from_secs(86_400)
        {
            problems.add("every", "must be whole minutes, from 1m to 1d");
        }
        if self.max_wait > Span::from_secs(3600) {
            problems.add("max_wait", "must be at most 1h");
        }
        if self.conditions.is_empty() || self.conditions.len() > 16 {
            problems.absent("conditions", "needs 1 to 16 conditions");
        }
        for (path, condition) in self.all_conditions() {
            if !condition.threshold.is_finite() {
                problems.add(format!("{path}.threshold"), "must be a finite number");
            }
            if let Some(span) = condition.take.span()
                && (span.0.is_zero() || span.0.as_millis() % minute != 0 || span > Span::from_secs(86_400))
            {
                problems.add(format!("{path}.take"), "must be whole minutes, from 1m to 1d");
            }
        }
        if !(1..=60).contains(&self.for_.times) || !(self.for_.times..=60).contains(&self.for_.window()) {
            problems.add("for", "needs 1 <= times <= of <= 60");
        }
        if !(1..=60).contains(&self.recover.times) {
            problems.add("recover.times", "must be from 1 to 60");
        }
        for (column, keys_match) in &self.where_ {
            match keys_match {
                KeyMatch::Any(false) => problems
                    .add(format!("where.{column}.any"), "can only be true; leave the column out to merge its keys"),
                KeyMatch::In(keys) if keys.is_empty() => {
                    problems.absent(format!("where.{column}.in"), "needs at least one key")
                }
                KeyMatch::In(keys) | KeyMatch::NotIn(keys) => {
                    let side = if matches!(keys_match, KeyMatch::In(_)) { "in" } else { "not_in" };
                    for (index, key) in keys.iter().enumerate().filter(|(_, key)| key.len() > MAX_KEY_BYTES) {
                        let path = format!("where.{column}.{side}[{index}]");
                        problems.add(
                            path,
                            format!(
                                "is over {MAX_KEY_BYTES} bytes; such a key is kept as `{}`: write that",
                                stored_key(key)
                            ),
                        );
                    }
                }
                KeyMatch::Any(true) => {}
            }
        }
        if let Err(fault) = message_template::check(&self.message.text) {
            problems.add("message.text", fault.to_string());
        }
        for (index, hours) in self.active.iter().enumerate() {
            let at = |field: &str| format!("active[{index}].{field}");
            if minute_of_day(&hours.from).is_none_or(|minute| minute == 24 * 60) {
                problems.add(at("from"), format!("`{}` is not a time of day such as 09:00", hours.from));
            }
            if minute_of_day(&hours.to).is_none() {
                problems.add(at("to"), format!("`{}` is not a time of day such as 21:00", hours.to));
            }
            if hours.timezone.as_ref().is_some_and(|zone| zone.parse::<chrono_tz::Tz>().is_err()) {
                problems.add(at("timezone"), "is not an IANA time zone such as Asia/Shanghai");
            }
        }
    }

    fn references(&self) -> Vec<Reference> {
        vec![Reference { kind: Kind::Monitor, name: self.monitor.clone(), path: "monitor".into() }]
    }

    fn validate_with(&self, lookup: &dyn Fn(Kind, &str) -> Option<Spec>, problems: &mut Problems) {
        let Some(found) = lookup(Kind::Monitor, &self.monitor) else { return };
        let Some(monitor) = found.as_monitor() else { return };
        if monitor.kind == MonitorType::MinuteTop {
            let text = format!(
                "monitor `{}` is a Top, whose keys no rule can judge yet; judge a monitor of type `minute` or \
                 `minute_multi_key` on the same log",
                self.monitor
            );
            return problems.add("monitor", text);
        }
        let by_the_second = monitor.width() < one_minute().0;
        for (path, condition) in self.all_conditions() {
            // The one window of `now` would be the last second of each minute; nobody means the others to be passed over.
            if by_the_second && matches!(condition.take, Take::Now(_)) {
                problems.add(
                    format!("{path}.take"),
                    format!(
                        "monitor `{}` counts by the second, and `now` is the last second of a minute alone: write \
                         `take: {{ max: 1m }}` for the highest second of each minute, or `sum`, `avg` or `min`",
                        self.monitor
                    ),
                );
            }
            let stat = monitor.stats.iter().find(|stat| stat.name == condition.field);
            if let (Take::Sum(span), Some(stat)) = (&condition.take, stat)
                && matches!(stat.function, StatFn::Avg | StatFn::SuccessRate)
            {
                problems.add(
                    format!("{path}.take.sum"),
                    format!(
                        "`{}` is an average, and a sum of averages says nothing: write `take: {{ avg: {span} }}`, the \
                         average of all lines",
                        condition.field
                    ),
                );
            }
            if stat.is_none() {
                let known: Vec<&str> = monitor.stats.iter().map(|s| s.name.as_str()).collect();
                problems.add(
                    format!("{path}.field"),
                    format!(
                        "monitor `{}` has no statistic `{}`; it has {}",
                        self.monitor,
                        condition.field,
                        known.join(", ")
                    ),
                );
            }
        }
        for column in self.where_.keys().filter(|column| !monitor.group_by.contains(column)) {
            let known = if monitor.group_by.is_empty() { "no column".to_owned() } else { monitor.group_by.join(", ") };
            problems.add(
                format!("where.{column}"),
                format!("monitor `{}` does not group by it; it groups by {known}", self.monitor),
            );
        }
    }
}

fn one_minute() -> Span {
    Span::from_secs(60)
}

fn yes() -> bool {
    true
}

fn midnight() -> String {
    "00:00".into()
}

fn end_of_day() -> String {
    "24:00".into()
}
