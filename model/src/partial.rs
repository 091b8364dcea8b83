//! Mergeable partials: what is known of one field of one window of one series.
//!
//! A partial is a *kind* and its state. All kinds merge, travel and are stored through this one registry:
//! a new kind is a variant here, with its state in a file of its own, and nothing else has to know it but
//! who fills it (the agent) and who shows it.
//!
//! Merging is commutative, so that it does not matter in which order the deltas of a window come. It is
//! associative and exact too for the kinds that are ([`PartialKind::is_exact`]); a kind that is bounded
//! carries its error, which holds whatever the order.

mod number;
mod top;

use std::fmt;

pub use number::Number;
pub use top::{TopEntry, TopRank, TopState};

use crate::delta::LINES_FIELD;

/// What a partial is. The number travels and is stored: it is never given to another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum PartialKind {
    /// How many lines.
    Lines = 1,
    /// Count, exact sum, least and greatest of a column's numbers.
    Number = 2,
    /// The keys with the highest figures out of any number of them, with the error of each.
    Top = 3,
}

impl PartialKind {
    pub const ALL: [Self; 3] = [Self::Lines, Self::Number, Self::Top];

    pub const fn id(self) -> u32 {
        self as u32
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Number => "number",
            Self::Top => "top",
        }
    }

    /// # Errors
    /// Names the number of a kind that is not known here: of a later version.
    pub fn from_id(id: u32) -> Result<Self, PartialError> {
        Self::ALL.into_iter().find(|kind| kind.id() == id).ok_or(PartialError::UnknownKind(id))
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The kind of a field of which nothing but the name is known: what was sent and stored before partials
    /// had kinds.
    pub fn of_untyped(field: &str) -> Self {
        if field == LINES_FIELD { Self::Lines } else { Self::Number }
    }

    /// Whether merging loses nothing, however much is merged.
    pub const fn is_exact(self) -> bool {
        match self {
            Self::Lines | Self::Number => true,
            Self::Top => false,
        }
    }
}

/// What is wrong with a partial.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartialError {
    #[error("partials of kind {0} are not known to this version")]
    UnknownKind(u32),
    #[error("a partial of kind `{into}` cannot take one of kind `{from}`", into = into.name(), from = from.name())]
    Mismatch { into: PartialKind, from: PartialKind },
    #[error("the state of a partial of kind `{kind}` is malformed: {reason}", kind = kind.name())]
    Malformed { kind: PartialKind, reason: &'static str },
}

/// A kind and its state. The empty one of a kind changes nothing when it is merged.
#[derive(Clone, PartialEq, Eq)]
pub enum Partial {
    Lines(u64),
    Number(Number),
    Top(Box<TopState>),
}

impl Partial {
    pub const fn lines(count: u64) -> Self {
        Self::Lines(count)
    }

    /// What nothing was merged into yet.
    pub fn empty(kind: PartialKind) -> Self {
        match kind {
            PartialKind::Lines => Self::Lines(0),
            PartialKind::Number => Self::Number(Number::EMPTY),
            PartialKind::Top => Self::Top(Box::default()),
        }
    }

    pub const fn kind(&self) -> PartialKind {
        match self {
            Self::Lines(_) => PartialKind::Lines,
            Self::Number(_) => PartialKind::Number,
            Self::Top(_) => PartialKind::Top,
        }
    }

    /// How many lines, or numbers, are in it: for a bounded kind as many as were fed, whether kept or not.
    pub fn count(&self) -> u64 {
        match self {
            Self::Lines(count) => *count,
            Self::Number(number) => number.count,
            Self::Top(top) => top.count(),
        }
    }

    pub const fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    pub fn as_top(&self) -> Option<&TopState> {
        match self {
            Self::Top(top) => Some(top),
            _ => None,
        }
    }

    /// # Errors
    /// [`PartialError::Mismatch`] for another kind; nothing is changed then.
    #[inline]
    pub fn merge(&mut self, other: &Self) -> Result<(), PartialError> {
        match (self, other) {
            (Self::Lines(count), Self::Lines(more)) => *count = count.saturating_add(*more),
            (Self::Number(number), Self::Number(more)) => number.merge(more),
            (Self::Top(top), Self::Top(more)) => top.merge(more),
            (into, from) => return Err(PartialError::Mismatch { into: into.kind(), from: from.kind() }),
        }
        Ok(())
    }

    /// The state alone; [`Partial::decode`] needs the kind beside it.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Lines(count) => count.to_le_bytes().to_vec(),
            Self::Number(number) => number.encode(),
            Self::Top(top) => top.encode(),
        }
    }

    /// # Errors
    /// [`PartialError::Malformed`] for what [`Partial::encode`] never writes.
    pub fn decode(kind: PartialKind, state: &[u8]) -> Result<Self, PartialError> {
        let malformed = |reason| PartialError::Malformed { kind, reason };
        match kind {
            PartialKind::Lines => {
                let bytes = state.try_into().map_err(|_| malformed("a count has 8 bytes"))?;
                Ok(Self::Lines(u64::from_le_bytes(bytes)))
            }
            PartialKind::Number => Number::decode(state).map(Self::Number).map_err(malformed),
            PartialKind::Top => TopState::decode(state).map(|top| Self::Top(Box::new(top))).map_err(malformed),
        }
    }

    /// Memory it takes beside itself, in bytes.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Lines(_) | Self::Number(_) => 0,
            Self::Top(top) => size_of::<TopState>() + top.heap_bytes(),
        }
    }
}

impl From<Number> for Partial {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl From<TopState> for Partial {
    fn from(top: TopState) -> Self {
        Self::Top(Box::new(top))
    }
}

impl fmt::Debug for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lines(count) => write!(f, "Lines({count})"),
            Self::Number(number) => number.fmt(f),
            Self::Top(top) => top.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
