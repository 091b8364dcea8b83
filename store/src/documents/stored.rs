//! A document as it lies in a row: secrets masked in the spec, and sealed beside it.

use std::collections::BTreeMap;

use nightjar_model::kinds::Spec;
use nightjar_model::{Error, ErrorKind, Kind, Metadata, Problems, Resource, ResourceKey, Timestamp};
use sea_orm::ActiveValue::{NotSet, Set};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Result, StoreError};
use crate::tables::{resource_versions, resources};
use crate::vault::Vault;

/// Path of each secret, relative to `spec` → sealed value.
pub(super) type Sealed = BTreeMap<String, String>;

#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) key: ResourceKey,
    /// With all that the server sets.
    pub(super) metadata: Metadata,
    /// Secrets masked.
    pub(super) spec: Value,
    pub(super) secrets: Sealed,
}

/// The place a secret is sealed for.
pub(super) fn place(key: &ResourceKey, path: &str) -> String {
    format!("{key} {path}")
}

macro_rules! from_row {
    ($row:expr) => {{
        let row = $row;
        let what = format!("{} {}/{}", row.kind, row.workspace, row.name);
        let kind = Kind::from_name(&row.kind)
            .ok_or_else(|| StoreError::Internal(format!("{what} is of a kind this version does not know")))?;
        Ok(Stored {
            key: ResourceKey::new(kind, &row.workspace, &row.name),
            spec: json(&what, &row.spec)?,
            secrets: json(&what, &row.secrets)?,
            metadata: Metadata {
                labels: json(&what, &row.labels)?,
                name: row.name,
                workspace: row.workspace,
                display_name: row.display_name,
                folder: row.folder,
                uid: Some(row.uid),
                version: Some(row.version),
                created_at: Some(Timestamp(row.created_at)),
                created_by: Some(row.created_by),
                updated_at: Some(Timestamp(row.updated_at)),
                updated_by: Some(row.updated_by),
            },
        })
    }};
}

impl Stored {
    pub(super) fn from_current(row: resources::Model) -> Result<Self> {
        from_row!(row)
    }

    pub(super) fn from_version(row: resource_versions::Model) -> Result<Self> {
        from_row!(row)
    }

    pub(super) fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(super) fn version(&self) -> i64 {
        self.metadata.version.unwrap_or_default()
    }

    /// Secrets masked.
    pub(super) fn to_resource(&self) -> Result<Resource> {
        let mut problems = Problems::new();
        let spec = Spec::decode(self.key.kind, &self.spec, &mut problems);
        match (spec, problems.into_vec()) {
            (Some(spec), problems) if problems.is_empty() => Ok(Resource { metadata: self.metadata.clone(), spec }),
            (_, problems) => Err(StoreError::Refused(Error {
                kind: ErrorKind::Internal,
                message: format!("the stored {} does not fit this version of the server", self.key),
                problems,
            })),
        }
    }

    /// With secrets in clear.
    pub(super) fn reveal(&self, vault: &Vault) -> Result<Resource> {
        let mut resource = self.to_resource()?;
        let mut failed = None;
        resource.spec.visit_secrets(&mut |path, secret| {
            if !secret.is_mask() {
                return;
            }
            match self.secrets.get(path).and_then(|sealed| vault.open_sealed(&place(&self.key, path), sealed)) {
                Some(clear) => *secret = clear,
                None => failed = Some(path.to_owned()),
            }
        });
        match failed {
            None => Ok(resource),
            Some(path) => {
                Err(Error::internal(format!("the secret spec.{path} of {} cannot be decrypted; set it anew", self.key))
                    .into())
            }
        }
    }

    pub(super) fn current_row(&self) -> Result<resources::ActiveModel> {
        let metadata = &self.metadata;
        Ok(resources::ActiveModel {
            uid: Set(self.uid().to_owned()),
            kind: Set(self.key.kind.name().to_owned()),
            workspace: Set(self.key.workspace.clone()),
            name: Set(self.key.name.clone()),
            version: Set(self.version()),
            display_name: Set(metadata.display_name.clone()),
            folder: Set(metadata.folder.clone()),
            labels: Set(text(&metadata.labels)?),
            spec: Set(self.spec.to_string()),
            secrets: Set(text(&self.secrets)?),
            created_at: Set(metadata.created_at.unwrap_or_default().millis()),
            created_by: Set(metadata.created_by.clone().unwrap_or_default()),
            updated_at: Set(metadata.updated_at.unwrap_or_default().millis()),
            updated_by: Set(metadata.updated_by.clone().unwrap_or_default()),
        })
    }

    pub(super) fn version_row(&self) -> Result<resource_versions::ActiveModel> {
        let row = self.current_row()?;
        Ok(resource_versions::ActiveModel {
            id: NotSet,
            uid: row.uid,
            kind: row.kind,
            workspace: row.workspace,
            name: row.name,
            version: row.version,
            display_name: row.display_name,
            folder: row.folder,
            labels: row.labels,
            spec: row.spec,
            secrets: row.secrets,
            created_at: row.created_at,
            created_by: row.created_by,
            updated_at: row.updated_at,
            updated_by: row.updated_by,
            deleted_at: Set(None),
        })
    }
}

fn json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(what.to_owned(), error))
}

fn text(value: &BTreeMap<String, String>) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Internal(error.to_string()))
}
