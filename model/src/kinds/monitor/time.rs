//! How the lines of a source say when they happened.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use super::strftime::Strftime;
use crate::problem::Problems;

/// What stands before a pattern.
const STRFTIME: &str = "strftime:";

/// How a line says when it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeSource {
    pub format: TimeFormat,
    /// The column that holds the time; without one it is looked for in the line's first 128 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// IANA name, for times without a zone of their own; the host's without one. It also says what an
    /// abbreviation that several zones share, such as CST, stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// A format of times, written as its name. Each reads a fraction of a second behind `.` or `,`, a half of
/// the day (AM, PM, 上午, 下午), and the zone or offset that follows the time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum TimeFormat {
    /// Whichever of the others the line has, but `time_of_day`, `strftime` and `arrival`.
    #[default]
    Auto,
    /// `2016-12-13 10:00:14`
    Normal,
    /// `2016-12-13T10:00:14.123+08:00`
    Iso8601,
    /// `2026/11/27 10:00:14`: nginx's error log, Go.
    Nginx,
    /// `27/Nov/2026:10:00:14 +0800`, `08/May/2017 01:13:52`: access logs.
    Apache,
    /// `Fri Nov 27 10:00:14 2026`: Apache's error log, git, C, `date`.
    Asctime,
    /// `Nov 27 10:00:14`: RFC 3164, or an RFC 3339 time as in RFC 5424.
    Syslog,
    /// `May 08 01:13:52`
    MonthFirst,
    /// `May 08 2017 01:13:52`, `Nov 27, 2026 10:00:14 AM`
    #[doc(alias = "month_first_2")]
    MonthFirstYear,
    /// `05-25-2017 18:28:42`, month first.
    Revert,
    /// `25-05-2017 18:28:42`, day first.
    DayFirst,
    /// `27-Nov-2026 10:00:14.123`: Tomcat, PHP.
    Tomcat,
    /// `27 Nov 2026 10:00:14.123`: redis, RFC 5322.
    Redis,
    /// `I1127 10:00:14.123456`
    Klog,
    /// `20261127 100014`, `20261127T100014.123Z`, `20261127-10:00:14`
    Compact,
    /// `2026年11月27日 10时00分14秒`
    Chinese,
    /// Milliseconds since 1970: `1476064860000`.
    Long,
    /// Seconds since 1970, with or without a fraction: `1476064860`, `1476064860.123`.
    ShortLong,
    /// Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their digits.
    Epoch,
    /// `10:00:14.123`, of the last day on which that is not ahead of the agent's clock: only where lines are
    /// read as they are written.
    TimeOfDay,
    /// A pattern of strftime.
    Strftime(Strftime),
    /// When the agent reads the line.
    Arrival,
}

impl TimeFormat {
    /// Every format that a name alone says, with an example of each.
    pub const NAMED: [(Self, &str, &str); 21] = [
        (Self::Auto, "auto", ""),
        (Self::Normal, "normal", "2016-12-13 10:00:14"),
        (Self::Iso8601, "iso8601", "2016-12-13T10:00:14.123+08:00"),
        (Self::Nginx, "nginx", "2026/11/27 10:00:14"),
        (Self::Apache, "apache", "27/Nov/2026:10:00:14 +0800"),
        (Self::Asctime, "asctime", "Fri Nov 27 10:00:14 2026"),
        (Self::Syslog, "syslog", "Nov 27 10:00:14"),
        (Self::MonthFirst, "month_first", "May 08 01:13:52"),
        (Self::MonthFirstYear, "month_first_2", "May 08 2017 01:13:52"),
        (Self::Revert, "revert", "05-25-2017 18:28:42"),
        (Self::DayFirst, "day_first", "25-05-2017 18:28:42"),
        (Self::Tomcat, "tomcat", "27-Nov-2026 10:00:14.123"),
        (Self::Redis, "redis", "27 Nov 2026 10:00:14.123"),
        (Self::Klog, "klog", "I1127 10:00:14.123456"),
        (Self::Compact, "compact", "20261127 100014"),
        (Self::Chinese, "chinese", "2026年11月27日 10时00分14秒"),
        (Self::Long, "long", "1476064860000"),
        (Self::ShortLong, "short_long", "1476064860"),
        (Self::Epoch, "epoch", "1476064860.123"),
        (Self::TimeOfDay, "time_of_day", "10:00:14.123"),
        (Self::Arrival, "arrival", ""),
    ];

    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Strftime(pattern) => format!("{STRFTIME}{}", pattern.as_str()).into(),
            named => {
                let known = Self::NAMED.iter().find(|(format, _, _)| format == named);
                known.map_or("auto", |(_, name, _)| name).into()
            }
        }
    }
}

impl fmt::Display for TimeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl FromStr for TimeFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(pattern) = text.strip_prefix(STRFTIME) {
            return pattern.parse().map(Self::Strftime);
        }
        let known = Self::NAMED.iter().find(|(_, name, _)| *name == text);
        known.map(|(format, _, _)| format.clone()).ok_or_else(|| {
            let names: Vec<&str> = Self::NAMED.iter().map(|(_, name, _)| *name).collect();
            let hint = if text.contains('%') { format!("; a pattern begins with `{STRFTIME}`") } else { String::new() };
            format!("unknown time format `{text}`; known are {} and {STRFTIME}%…{hint}", names.join(", "))
        })
    }
}

impl Serialize for TimeFormat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

impl<'de> Deserialize<'de> for TimeFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for TimeFormat {
    fn schema() -> RefOr<Schema> {
        let names: Vec<String> = Self::NAMED
            .iter()
            .map(
                |(_, name, example)| {
                    if example.is_empty() { format!("`{name}`") } else { format!("`{name}` ({example})") }
                },
            )
            .collect();
        let description = format!("One of {}, or `{STRFTIME}` with a pattern behind it.", names.join(", "));
        let object = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
        Schema::Object(object.description(Some(description)).examples(["auto", "strftime:%d/%b/%Y %H:%M:%S"]).build())
            .into()
    }
}

impl ToSchema for TimeFormat {}

impl Default for TimeSource {
    fn default() -> Self {
        Self { format: TimeFormat::Auto, column: None, timezone: None }
    }
}

impl TimeSource {
    pub(super) fn validate(&self, problems: &mut Problems) {
        if let Some(zone) = &self.timezone
            && zone.parse::<chrono_tz::Tz>().is_err()
        {
            problems.add("timezone", format!("`{zone}` is not an IANA time zone such as Asia/Shanghai"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_its_name() {
        for (format, name, _) in TimeFormat::NAMED {
            assert_eq!(name.parse(), Ok(format.clone()));
            assert_eq!(serde_json::to_value(&format).unwrap(), name);
            assert_eq!(serde_json::from_value::<TimeFormat>(name.into()).unwrap(), format);
        }
        let pattern: TimeFormat = "strftime:%d/%b/%Y %H:%M:%S".parse().unwrap();
        assert_eq!(pattern.to_string(), "strftime:%d/%b/%Y %H:%M:%S");
    }

    #[test]
    fn what_is_unknown_is_told_with_what_is_known() {
        let error = "%Y-%m-%d".parse::<TimeFormat>().unwrap_err();
        assert!(error.contains("auto, normal") && error.ends_with("a pattern begins with `strftime:`"), "{error}");
        assert!("strftime:%Q".parse::<TimeFormat>().is_err());
    }
}
