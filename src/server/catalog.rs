//! Definitions of the monitors, kept at hand for the engine: a query must not wait for the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use nightjar_model::ports::{DefinedMonitor, ListQuery, MonitorCatalog, ResourceStore};
use nightjar_model::{Kind, ResourceKey, Result};

type Monitors = Vec<DefinedMonitor>;

pub(super) struct Catalog {
    resources: Arc<dyn ResourceStore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Rises with every change, so that what was read before one is not kept after it.
    generation: u64,
    /// One entry a workspace.
    known: HashMap<String, Monitors>,
}

impl Catalog {
    pub(super) fn new(resources: Arc<dyn ResourceStore>) -> Arc<Self> {
        Arc::new(Self { resources, state: Mutex::default() })
    }

    pub(super) fn resources_changed(&self, keys: &[ResourceKey]) {
        let mut state = self.state();
        for key in keys.iter().filter(|key| key.kind == Kind::Monitor) {
            state.generation += 1;
            state.known.remove(&key.workspace);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl MonitorCatalog for Catalog {
    async fn monitors(&self, workspace: &str) -> Result<Monitors> {
        let generation = {
            let state = self.state();
            if let Some(known) = state.known.get(workspace) {
                return Ok(known.clone());
            }
            state.generation
        };
        let mut monitors = Vec::new();
        let mut query = ListQuery {
            kind: Some(Kind::Monitor),
            workspace: Some(workspace.to_owned()),
            limit: 500,
            ..ListQuery::default()
        };
        loop {
            let page = self.resources.list(&query).await?;
            monitors.extend(page.items.into_iter().filter_map(|resource| {
                let spec = Arc::new(resource.spec.as_monitor()?.clone());
                let uid = resource.metadata.uid.unwrap_or_default();
                Some(DefinedMonitor { name: resource.metadata.name, uid, spec })
            }));
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
        let mut state = self.state();
        // A workspace without monitors is not kept: anybody can ask for names that are none.
        if state.generation == generation && !monitors.is_empty() {
            state.known.insert(workspace.to_owned(), monitors.clone());
        }
        Ok(monitors)
    }
}
