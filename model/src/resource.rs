//! The resource: one document, the same in files, over HTTP, in exports and in the store.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::decode::salvage;
use crate::kinds::Spec;
use crate::names::{DEFAULT_WORKSPACE, resource_name_problem};
use crate::problem::{Problem, Problems};
use crate::time::Timestamp;

pub use crate::kinds::Kind;

/// What every document says of itself. What the server sets is ignored when sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Metadata {
    /// `[a-z0-9-]`, unique per kind and workspace; never changes.
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub workspace: String,
    /// Any text; the name is shown where this is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// `a/b/c`; empty is the top.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub folder: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Set by the server; a deleted and newly made resource gets a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Set by the server: +1 a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
}

/// A whole document, decoded and valid in itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    pub metadata: Metadata,
    pub spec: Spec,
}

/// Which resource: kind, workspace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceKey {
    pub kind: Kind,
    pub workspace: String,
    pub name: String,
}

impl ResourceKey {
    pub fn new(kind: Kind, workspace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, workspace: workspace.into(), name: name.into() }
    }
}

impl std::fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.workspace, self.name)
    }
}

impl Resource {
    /// Decodes and validates a document. `workspace` is where it is sent to; a document that names
    /// another one is refused.
    ///
    /// # Errors
    /// Every problem of the document, each with its path.
    pub fn from_value(value: &Value, workspace: Option<&str>) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::new();
        let resource = Self::read(value, workspace, &mut problems);
        match (resource, problems.into_vec()) {
            (Some(resource), problems) if problems.is_empty() => Ok(resource),
            (_, problems) => Err(problems),
        }
    }

    fn read(value: &Value, workspace: Option<&str>, problems: &mut Problems) -> Option<Self> {
        let Some(document) = value.as_object() else {
            problems.add("", "a document is an object with `kind`, `metadata` and `spec`");
            return None;
        };
        for field in document.keys() {
            // `status` is the server's to say; it is passed over so that what GET shows can be sent back.
            if !["kind", "metadata", "spec", "status"].contains(&field.as_str()) {
                problems.add(field, "unknown field; a document has `kind`, `metadata` and `spec`");
            }
        }
        let empty = Value::Object(Map::new());
        let metadata = salvage::<Metadata>("metadata", document.get("metadata").unwrap_or(&empty), problems).value.map(
            |mut metadata| {
                check_metadata(&mut metadata, workspace, problems);
                metadata
            },
        );
        let kind = match document.get("kind").and_then(Value::as_str) {
            Some(name) => Kind::from_name(name),
            None => {
                problems.add("kind", "is required");
                return None;
            }
        };
        let Some(kind) = kind else {
            problems.add("kind", format!("unknown kind; known are {}", Kind::ALL.map(Kind::name).join(", ")));
            return None;
        };
        let (spec, whole) = Spec::salvage(kind, document.get("spec").unwrap_or(&empty), problems);
        let spec = spec?;
        problems.within("spec", |p| spec.validate_written(p));
        if !whole {
            problems.forget_absences();
        }
        Some(Self { metadata: metadata?, spec })
    }

    pub fn kind(&self) -> Kind {
        self.spec.kind()
    }

    pub fn key(&self) -> ResourceKey {
        ResourceKey::new(self.kind(), &self.metadata.workspace, &self.metadata.name)
    }

    /// The display name, or the name where there is none.
    pub fn title(&self) -> &str {
        if self.metadata.display_name.is_empty() { &self.metadata.name } else { &self.metadata.display_name }
    }

    /// The document as it is shown: secrets as `***`.
    pub fn to_value(&self) -> Value {
        json!({ "kind": self.kind().name(), "metadata": self.metadata, "spec": self.spec.to_value() })
    }
}

fn check_metadata(metadata: &mut Metadata, workspace: Option<&str>, problems: &mut Problems) {
    if let Some(problem) = resource_name_problem(&metadata.name) {
        problems.add("metadata.name", problem);
    }
    match workspace {
        Some(expected) if metadata.workspace.is_empty() => metadata.workspace = expected.to_owned(),
        Some(expected) if metadata.workspace != expected => {
            problems.add(
                "metadata.workspace",
                format!("is `{}`, but the document was sent to `{expected}`", metadata.workspace),
            );
        }
        None if metadata.workspace.is_empty() => metadata.workspace = DEFAULT_WORKSPACE.to_owned(),
        _ => {}
    }
    if metadata.display_name.chars().count() > 200 {
        problems.add("metadata.displayName", "is longer than 200 characters");
    }
    let folder = metadata.folder.trim_matches('/').to_owned();
    metadata.folder = folder;
    if metadata.folder.chars().count() > 200 || metadata.folder.split('/').count() > 8 {
        problems.add("metadata.folder", "is longer than 200 characters or deeper than 8 levels");
    } else if metadata
        .folder
        .split('/')
        .any(|part| part.trim() != part || (part.is_empty() && !metadata.folder.is_empty()))
    {
        problems.add("metadata.folder", "has an empty part, or one that starts or ends with a space");
    }
    if metadata.labels.len() > 64 {
        problems.add("metadata.labels", "holds more than 64 labels");
    }
    for (key, value) in &metadata.labels {
        if key.is_empty() || key.len() > 63 || value.len() > 255 {
            problems
                .add(format!("metadata.labels.{key}"), "a label has a key of 1 to 63 bytes and a value of at most 255");
        }
    }
}
