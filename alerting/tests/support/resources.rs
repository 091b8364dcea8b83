use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use nightjar_model::identity::{Actor, AuditEntry};
use nightjar_model::kinds::Spec;
use nightjar_model::ports::{Applied, ChangeListener, ListQuery, Page, ResourceStore, WriteOptions};
use nightjar_model::{Error, Resource, ResourceKey, Result, Secret};
use serde::Deserialize;

use super::WORKSPACE;

#[derive(Default)]
pub(crate) struct MemoryResources {
    documents: Mutex<BTreeMap<ResourceKey, Resource>>,
}

impl MemoryResources {
    pub(crate) fn put_yaml(&self, yaml: &str) {
        for document in serde_yaml_ng::Deserializer::from_str(yaml) {
            let value = serde_json::Value::deserialize(document).expect("YAML");
            let mut resource = Resource::from_value(&value, Some(WORKSPACE))
                .unwrap_or_else(|problems| panic!("{problems:?} in {value}"));
            resource.metadata.uid = Some(format!("uid-of-{}", resource.metadata.name));
            self.put(resource);
        }
    }

    pub(crate) fn put(&self, resource: Resource) {
        self.documents.lock().expect("no test panicked here").insert(resource.key(), resource);
    }

    pub(crate) fn change(&self, key: &ResourceKey, change: impl FnOnce(&mut Resource)) {
        change(self.documents.lock().expect("no test panicked here").get_mut(key).expect("the document"));
    }

    pub(crate) fn remove(&self, key: &ResourceKey) {
        self.documents.lock().expect("no test panicked here").remove(key).expect("the document");
    }
}

fn masked(mut resource: Resource) -> Resource {
    let mask = |spec: &mut Spec| spec.visit_secrets(&mut |_, secret| *secret = Secret::new("***"));
    mask(&mut resource.spec);
    resource
}

fn not_here() -> Error {
    Error::internal("the room has no business here")
}

#[async_trait]
impl ResourceStore for MemoryResources {
    async fn get(&self, key: &ResourceKey) -> Result<Resource> {
        self.reveal(key).await.map(masked)
    }

    async fn reveal(&self, key: &ResourceKey) -> Result<Resource> {
        let documents = self.documents.lock().expect("no test panicked here");
        documents.get(key).cloned().ok_or_else(|| Error::not_found(format!("there is no {key}")))
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Resource>> {
        let documents = self.documents.lock().expect("no test panicked here");
        let items = documents.values().filter(|r| query.kind.is_none_or(|kind| kind == r.kind())).cloned();
        Ok(Page { items: items.map(masked).collect(), next: None })
    }

    async fn workspaces(&self) -> Result<Vec<String>> {
        Ok(vec![WORKSPACE.to_owned()])
    }

    async fn apply(&self, _: &Actor, _: Vec<Resource>, _: WriteOptions) -> Result<Vec<Applied>> {
        Err(not_here())
    }

    async fn delete(&self, _: &Actor, _: &ResourceKey, _: WriteOptions) -> Result<()> {
        Err(not_here())
    }

    async fn versions(&self, _: &ResourceKey) -> Result<Vec<Resource>> {
        Err(not_here())
    }

    async fn restore(&self, _: &Actor, _: &ResourceKey, _: i64) -> Result<Resource> {
        Err(not_here())
    }

    fn on_change(&self, _: ChangeListener) {}

    async fn create_workspace(&self, _: &Actor, _: &str) -> Result<()> {
        Err(not_here())
    }

    async fn audit(&self, _: AuditEntry) -> Result<()> {
        Err(not_here())
    }

    async fn audit_log(&self, _: Option<&str>, _: u32, _: Option<&str>) -> Result<Page<AuditEntry>> {
        Err(not_here())
    }
}
