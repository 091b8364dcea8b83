//! Monitors that were deleted: their windows are shown to nobody, and a day later they are deleted too.
//!
//! Which monitors there are is the catalog's to say. What it does not name is noted with the time, in the
//! manifest, so that neither a restart nor a catalog that could not be read costs anybody's windows.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use nightjar_model::Result;
use nightjar_model::builtin;
use nightjar_model::names::MonitorKey;
use nightjar_model::ports::DefinedMonitor;

use super::compact;
use crate::block::Block;
use crate::series::Table;
use crate::shared::Shared;
use crate::wal::record::{Body, Claim};

/// A monitor that was deleted by mistake can be restored for so long.
const GRACE: Duration = Duration::from_secs(86_400);

/// Blocks that are written anew in one go, at most.
const REWRITTEN: usize = 16;

/// Gives what was stored before windows had a uid to the monitors that have the names now, and notes the
/// tables of those that are not there any more.
pub(super) async fn identify(shared: &Arc<Shared>) -> Result<()> {
    let workspaces: BTreeSet<String> = {
        let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
        state.index.tables().map(|(_, table)| table.monitor.workspace.clone()).collect()
    };
    let mut defined: HashMap<String, Vec<DefinedMonitor>> = HashMap::new();
    for workspace in workspaces {
        let monitors = shared.catalog.monitors(&workspace).await?;
        for monitor in &monitors {
            let Some(uid) = monitor.uid() else { continue };
            let key = MonitorKey::new(&workspace, &monitor.name);
            let unclaimed = {
                let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
                state.index.is_unclaimed(&key)
            };
            if unclaimed {
                shared.write(Body::Claim(Claim { monitor: key, uid })).await?;
            }
        }
        defined.insert(workspace, monitors);
    }
    note(shared, &defined).await
}

async fn note(shared: &Arc<Shared>, defined: &HashMap<String, Vec<DefinedMonitor>>) -> Result<()> {
    let known: HashMap<&str, (HashSet<&str>, HashSet<&str>)> = defined
        .iter()
        .map(|(workspace, monitors)| {
            let names = monitors.iter().map(|monitor| monitor.name.as_str()).collect();
            let uids = monitors.iter().map(|monitor| monitor.uid.as_str()).collect();
            (workspace.as_str(), (names, uids))
        })
        .collect();
    // Of a workspace that came meanwhile nothing is known yet.
    let is_leaving = |table: &Table| {
        builtin::monitor(&table.monitor.name).is_none()
            && known.get(table.monitor.workspace.as_str()).is_some_and(|(names, uids)| match &table.uid {
                Some(uid) => !uids.contains(&**uid),
                None => !names.contains(table.monitor.name.as_str()),
            })
    };
    let leaving: BTreeSet<u32> = {
        let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
        state.index.tables().filter(|(_, table)| is_leaving(table)).map(|(id, _)| id).collect()
    };
    let noted = shared.manifest.lock().unwrap_or_else(PoisonError::into_inner).leaving_tables.clone();
    let now = shared.clock.now().0;
    let next: BTreeMap<u32, i64> =
        leaving.into_iter().map(|table| (table, noted.get(&table).copied().unwrap_or(now))).collect();
    if next == noted {
        return Ok(());
    }
    let _turn = shared.turn().await?;
    let committed = shared.commit(move |manifest| {
        manifest.leaving_tables = next;
        Ok(())
    });
    committed.await?.map_or(Ok(()), |error| Err(error.into()))
}

/// Tables whose time is over.
pub(super) fn expired(shared: &Shared) -> BTreeSet<u32> {
    let before = shared.clock.now().saturating_sub(GRACE).0;
    let manifest = shared.manifest.lock().unwrap_or_else(PoisonError::into_inner);
    manifest.leaving_tables.iter().filter(|(_, since)| **since <= before).map(|(table, _)| *table).collect()
}

/// Writes blocks anew that hold something of these tables and something else.
pub(super) async fn rewrite(shared: &Arc<Shared>, tables: &BTreeSet<u32>) -> Result<()> {
    if tables.is_empty() {
        return Ok(());
    }
    let blocks = Arc::clone(&shared.state.read().unwrap_or_else(PoisonError::into_inner).blocks);
    let is_mixed = |block: &&Arc<Block>| {
        let of_them = block.meta.tables.iter().filter(|table| tables.contains(table)).count();
        of_them > 0 && of_them < block.meta.tables.len()
    };
    for block in blocks.iter().filter(is_mixed).take(REWRITTEN) {
        compact::without(shared, Arc::clone(block), tables.clone()).await?;
    }
    Ok(())
}
