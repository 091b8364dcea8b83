//! Enrolled agents and their keys.

use std::time::Duration;

use nightjar_model::agents::{AgentFacts, AgentRecord, Enrolled};
use nightjar_model::identity::Actor;
use nightjar_model::names::AgentId;
use nightjar_model::{Error, ErrorKind, Secret, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::json;
use subtle::ConstantTimeEq;

use super::enrolment_tokens;
use crate::audit::{self, Act};
use crate::database::transaction;
use crate::error::{Result, StoreError};
use crate::store::Shared;
use crate::tables::agents::{self, Column, Model};
use crate::tokens;

/// `last_seen_at` is this exact: agents call often, and each write is one on the disk.
const SIGHT_NOTED: Duration = Duration::from_secs(15);

/// More than an honest agent says of itself.
const MAX_FACTS_BYTES: usize = 16 * 1024;

pub(super) async fn enrol(
    shared: &Shared,
    token: &Secret,
    facts: &AgentFacts,
    address: Option<&str>,
) -> Result<Enrolled> {
    let facts_text = write_facts(facts)?;
    let id = AgentId(tokens::new_id());
    let key = tokens::new_token(tokens::AGENT)?;
    let key_hash = tokens::hash(&key).ok_or_else(unknown)?;
    let now = shared.now();
    let enrolled = transaction!(shared.database, "enrol", |tx| {
        let token = enrolment_tokens::use_once(tx, token, now).await?;
        let row = Model {
            id: id.0.clone(),
            workspace: token.workspace.clone(),
            key_hash: key_hash.clone(),
            facts: facts_text.clone(),
            enrolled_at: now.millis(),
            last_seen_at: None,
            left_at: None,
        };
        agents::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
        let actor = Actor { name: format!("agent:{id}"), address: address.map(str::to_owned) };
        let after = Some(json!({ "facts": facts, "enrolmentToken": token.id }));
        let workspace = Some(token.workspace.as_str());
        let act = Act { action: "enrol", kind: "Agent", name: &id.0, workspace, before: None, after };
        audit::record(tx, &actor, now, act).await?;
        Ok(token.workspace)
    });
    let result = if enrolled.is_ok() { "ok" } else { "failed" };
    metrics::counter!("nightjar_store_enrolments_total", "result" => result).increment(1);
    Ok(Enrolled { workspace: enrolled?, id, key })
}

pub(super) async fn authenticate(db: &impl ConnectionTrait, id: &AgentId, key: &Secret) -> Result<AgentRecord> {
    let row = agents::Entity::find_by_id(&id.0).one(db).await?.ok_or_else(unknown)?;
    let hash = tokens::hash(key).ok_or_else(unknown)?;
    if !bool::from(hash.as_bytes().ct_eq(row.key_hash.as_bytes())) {
        return Err(unknown());
    }
    record(row)
}

pub(super) async fn seen(shared: &Shared, id: &AgentId, facts: &AgentFacts, at: Timestamp) -> Result<()> {
    let facts = write_facts(facts)?;
    let row = agents::Entity::find_by_id(&id.0).one(shared.database.read()).await?.ok_or_else(unknown)?;
    let lately = row.last_seen_at.is_some_and(|last| at.since(Timestamp(last)) < SIGHT_NOTED);
    if lately && row.facts == facts && row.left_at.is_none() {
        return Ok(());
    }
    transaction!(shared.database, "agent-seen", |tx| {
        let noted = agents::Entity::update_many()
            .col_expr(Column::Facts, Expr::value(facts.clone()))
            .col_expr(Column::LastSeenAt, Expr::value(at.millis()))
            .col_expr(Column::LeftAt, Expr::value(None::<i64>))
            .filter(Column::Id.eq(&id.0))
            .exec(tx)
            .await?;
        if noted.rows_affected == 1 { Ok(()) } else { Err(unknown()) }
    })
}

pub(super) async fn left(shared: &Shared, id: &AgentId, at: Timestamp) -> Result<()> {
    transaction!(shared.database, "agent-left", |tx| {
        let noted = agents::Entity::update_many()
            .col_expr(Column::LastSeenAt, Expr::value(at.millis()))
            .col_expr(Column::LeftAt, Expr::value(at.millis()))
            .filter(Column::Id.eq(&id.0))
            .exec(tx)
            .await?;
        if noted.rows_affected == 1 { Ok(()) } else { Err(unknown()) }
    })
}

pub(super) async fn all(db: &impl ConnectionTrait, workspace: Option<&str>) -> Result<Vec<AgentRecord>> {
    let mut query = agents::Entity::find().order_by_asc(Column::Workspace).order_by_asc(Column::Id);
    if let Some(workspace) = workspace {
        query = query.filter(Column::Workspace.eq(workspace));
    }
    query.all(db).await?.into_iter().map(record).collect()
}

pub(super) async fn delete(shared: &Shared, actor: &Actor, workspace: &str, id: &AgentId) -> Result<()> {
    let now = shared.now();
    transaction!(shared.database, "delete-agent", |tx| {
        let row = agents::Entity::find_by_id(&id.0).filter(Column::Workspace.eq(workspace)).one(tx).await?;
        let row =
            row.ok_or_else(|| Error::not_found(format!("there is no agent `{id}` in workspace `{workspace}`")))?;
        agents::Entity::delete_by_id(&id.0).exec(tx).await?;
        let before = Some(json!({ "facts": record(row)?.facts }));
        let workspace = Some(workspace);
        let act = Act { action: "revoke", kind: "Agent", name: &id.0, workspace, before, after: None };
        audit::record(tx, actor, now, act).await
    })
}

fn record(row: Model) -> Result<AgentRecord> {
    let corrupt = |error| StoreError::Corrupt(format!("agent {}", row.id), error);
    Ok(AgentRecord {
        facts: serde_json::from_str(&row.facts).map_err(corrupt)?,
        id: AgentId(row.id),
        workspace: row.workspace,
        enrolled_at: Timestamp(row.enrolled_at),
        last_seen_at: row.last_seen_at.map(Timestamp),
        left_at: row.left_at.map(Timestamp),
    })
}

fn write_facts(facts: &AgentFacts) -> Result<String> {
    let text = serde_json::to_string(facts).map_err(|error| StoreError::Internal(error.to_string()))?;
    if text.len() > MAX_FACTS_BYTES {
        let message =
            format!("what the agent says of itself is longer than {MAX_FACTS_BYTES} bytes; give it fewer labels");
        return Err(Error::new(ErrorKind::TooLarge, message).into());
    }
    Ok(text)
}

fn unknown() -> StoreError {
    Error::unauthenticated("the agent or its key is not known here; it may have been deleted: enrol it anew").into()
}
