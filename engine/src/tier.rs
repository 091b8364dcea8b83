//! Tiers: windows as agents sent them, and what they are rolled up into as they age.
//!
//! A table is of one tier, and so is a block. Each tier has a retention of its own, and a stretch of time by
//! which the rows of its blocks are sorted, so that a reader of a short time finds it close together.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::EngineConfig;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u32)]
pub(crate) enum Tier {
    /// As agents sent them, windows shorter than a minute.
    Second = 1,
    /// As agents sent them, windows of a minute or more. All there was before there were tiers.
    #[default]
    Raw = 2,
    /// Rolled up into minutes.
    Minute = 3,
    Hour = 4,
    Day = 5,
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

impl Tier {
    pub(crate) const ALL: [Self; 5] = [Self::Second, Self::Raw, Self::Minute, Self::Hour, Self::Day];

    /// Of windows as agents send them.
    pub(crate) fn of_width(width_ms: i64) -> Self {
        if width_ms < MINUTE { Self::Second } else { Self::Raw }
    }

    /// What is stored; 0 is [`Tier::Raw`], of before there were tiers.
    pub(crate) fn from_id(id: u32) -> Option<Self> {
        if id == 0 { Some(Self::Raw) } else { Self::ALL.into_iter().find(|tier| *tier as u32 == id) }
    }

    /// The schema in which SQL shows windows of this tier; `monitor` is for those that agents sent.
    pub(crate) const fn schema(self) -> &'static str {
        match self {
            Self::Second | Self::Raw => "monitor",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Whether agents sent its windows.
    pub(crate) fn is_raw(self) -> bool {
        matches!(self, Self::Second | Self::Raw)
    }

    /// Of its windows, in milliseconds; those that agents send are so wide at least.
    pub(crate) const fn width(self) -> i64 {
        match self {
            Self::Second => 1,
            Self::Raw | Self::Minute => MINUTE,
            Self::Hour => HOUR,
            Self::Day => DAY,
        }
    }

    /// Rows are sorted stretch by stretch of so many milliseconds: of 120 windows.
    pub(crate) const fn stretch(self) -> i64 {
        match self {
            Self::Second => 120 * SECOND,
            Self::Raw | Self::Minute => 120 * MINUTE,
            Self::Hour => 120 * HOUR,
            Self::Day => 120 * DAY,
        }
    }

    /// Blocks are merged within slots of so many milliseconds, and deleted with them.
    pub(crate) const fn slot(self) -> i64 {
        match self {
            Self::Second => 6 * HOUR,
            Self::Raw | Self::Minute => DAY,
            Self::Hour => 30 * DAY,
            Self::Day => 360 * DAY,
        }
    }

    /// The time that a fresh block covers, in milliseconds.
    pub(crate) fn span(self, config: &EngineConfig) -> i64 {
        let raw = config.block_span.0.as_millis() as i64;
        match self {
            Self::Second => raw.min(HOUR),
            Self::Raw => raw,
            Self::Minute => DAY,
            Self::Hour => 10 * DAY,
            Self::Day => 120 * DAY,
        }
    }
}

/// How long the windows of each tier are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    second: Duration,
    minute: Duration,
    hour: Duration,
    day: Duration,
}

impl Retention {
    pub(crate) fn new(config: &EngineConfig) -> Self {
        Self {
            second: config.second_retention.0,
            minute: config.retention.0,
            hour: config.hour_retention.0,
            day: config.day_retention.0,
        }
    }

    pub(crate) fn of(&self, tier: Tier) -> Duration {
        match tier {
            Tier::Second => self.second,
            Tier::Raw | Tier::Minute => self.minute,
            Tier::Hour => self.hour,
            Tier::Day => self.day,
        }
    }
}
