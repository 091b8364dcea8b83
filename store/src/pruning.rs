//! What keeps the store from growing for ever, but for the history of alerts: how long that is kept is
//! alerting's to say, which asks for it by `AlertStore::prune`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nightjar_model::ports::Reconciler;
use nightjar_model::{Result, Timestamp};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::database::transaction;
use crate::error::StoreError;
use crate::store::Shared;
use crate::tables::audit;
use crate::{documents, enrolment, people};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Tokens that cannot be used any more are still listed this long, so that people see why.
const DEAD_TOKENS_SHOWN: Duration = Duration::from_secs(30 * 24 * 3600);

/// Audit entries dropped in one transaction.
const CHUNK: u64 = 1_000;

pub(crate) fn reconcilers(shared: &Arc<Shared>) -> Vec<Arc<dyn Reconciler>> {
    vec![Arc::new(Sessions(shared.clone())), Arc::new(Audit(shared.clone()))]
}

fn count(what: &'static str, pruned: u64) {
    metrics::counter!("nightjar_store_pruned_total", "what" => what).increment(pruned);
}

fn days_before(now: Timestamp, days: u32) -> Timestamp {
    now.saturating_sub(DAY * days)
}

/// Sessions that have ended, and tokens that long have.
struct Sessions(Arc<Shared>);

#[async_trait]
impl Reconciler for Sessions {
    fn name(&self) -> &'static str {
        "store.sessions"
    }

    fn every(&self) -> Duration {
        HOUR
    }

    async fn activate(&self) -> Result<()> {
        let now = self.0.now();
        let dead = now.saturating_sub(DEAD_TOKENS_SHOWN);
        let (sessions, tokens) = transaction!(self.0.database, "prune-sessions", |tx| {
            let sessions = people::prune_sessions(tx, now).await?;
            let tokens = people::prune_api_tokens(tx, dead).await? + enrolment::prune(tx, dead).await?;
            Ok((sessions, tokens))
        })?;
        count("sessions", sessions);
        count("tokens", tokens);
        Ok(())
    }
}

/// Old audit entries, and versions of documents deleted as long ago.
struct Audit(Arc<Shared>);

#[async_trait]
impl Reconciler for Audit {
    fn name(&self) -> &'static str {
        "store.audit"
    }

    fn every(&self) -> Duration {
        HOUR
    }

    async fn activate(&self) -> Result<()> {
        let before = days_before(self.0.now(), self.0.config.audit_days);
        let versions =
            transaction!(self.0.database, "prune-versions", |tx| documents::prune_deleted(tx, before).await)?;
        count("versions", versions);
        loop {
            let dropped = transaction!(self.0.database, "prune-audit", |tx| drop_entries(tx, before).await)?;
            count("audit", dropped);
            if dropped < CHUNK {
                return Ok(());
            }
        }
    }
}

async fn drop_entries(db: &impl sea_orm::ConnectionTrait, before: Timestamp) -> Result<u64, StoreError> {
    let ids: Vec<i64> = audit::Entity::find()
        .select_only()
        .column(audit::Column::Id)
        .filter(audit::Column::At.lt(before.millis()))
        .limit(CHUNK)
        .into_tuple()
        .all(db)
        .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let dropped = audit::Entity::delete_many().filter(audit::Column::Id.is_in(ids)).exec(db).await?;
    Ok(dropped.rows_affected)
}
