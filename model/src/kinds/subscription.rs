//! Subscription: which groups are told of which alerts.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::alert_rule::Level;
use super::{Document, Kind, Reference, references_of};
use crate::problem::Problems;

/// A subscription's `spec`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionSpec {
    /// Contact groups.
    pub to: Vec<String>,
    #[serde(default)]
    pub target: Target,
    #[serde(default)]
    pub levels: Levels,
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// Whose alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Monitor(String),
    Rule(String),
    /// The monitors of an application.
    App(String),
    /// The rules in a folder and the folders under it.
    Folder(String),
    /// Every alert of the workspace. `all: false` is refused.
    All(bool),
}

impl Default for Target {
    fn default() -> Self {
        Self::All(true)
    }
}

/// `all`, or a list of levels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Levels {
    #[default]
    All,
    Only(Vec<Level>),
}

impl Levels {
    pub fn contains(&self, level: Level) -> bool {
        match self {
            Self::All => true,
            Self::Only(levels) => levels.contains(&level),
        }
    }
}

impl Serialize for Levels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::Only(levels) => levels.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Levels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::{Error, SeqAccess, Visitor};
        struct LevelsVisitor;
        impl<'de> Visitor<'de> for LevelsVisitor {
            type Value = Levels;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`all` or a list of P0, P1, P2, P3, P4")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Levels, E> {
                if text == "all" {
                    Ok(Levels::All)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Levels, A::Error> {
                let mut levels = Vec::new();
                while let Some(level) = seq.next_element()? {
                    levels.push(level);
                }
                Ok(Levels::Only(levels))
            }
        }
        deserializer.deserialize_any(LevelsVisitor)
    }
}

impl PartialSchema for Levels {
    fn schema() -> RefOr<Schema> {
        let all = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["all"]));
        let only = ArrayBuilder::new().items(Ref::from_schema_name(<Level as ToSchema>::name())).min_items(Some(1));
        OneOfBuilder::new().item(all).item(only).into()
    }
}

impl ToSchema for Levels {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((<Level as ToSchema>::name().into_owned(), Level::schema()));
    }
}

impl Document for SubscriptionSpec {
    fn validate(&self, problems: &mut Problems) {
        if self.to.is_empty() {
            problems.absent("to", "needs at least one contact group");
        }
        if self.target == Target::All(false) {
            problems.add("target.all", "can only be true; name a monitor, rule, app or folder instead");
        }
        if self.levels == Levels::Only(Vec::new()) {
            problems.absent("levels", "needs at least one level; leave it out for all");
        }
    }

    fn references(&self) -> Vec<Reference> {
        let target = match &self.target {
            Target::Monitor(name) => Some((Kind::Monitor, name, "target.monitor")),
            Target::Rule(name) => Some((Kind::AlertRule, name, "target.rule")),
            Target::App(_) | Target::Folder(_) | Target::All(_) => None,
        };
        references_of(Kind::ContactGroup, "to", &self.to)
            .chain(target.map(|(kind, name, path)| Reference { kind, name: name.clone(), path: path.into() }))
            .collect()
    }
}

fn yes() -> bool {
    true
}
