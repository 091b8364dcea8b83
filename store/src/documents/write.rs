//! Writing documents: all of a request or nothing, in one transaction with its audit entries.

use std::collections::{BTreeSet, HashMap};

use nightjar_model::identity::Actor;
use nightjar_model::names::resource_name_problem;
use nightjar_model::ports::{Applied, Outcome, WriteOptions};
use nightjar_model::{Error, ErrorKind, Metadata, Problems, Resource, ResourceKey, Timestamp};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::checks::{View, referrers};
use super::history;
use super::stored::{Sealed, Stored, place};
use super::{current, find};
use crate::audit::{self, Act};
use crate::database::transaction;
use crate::error::Result;
use crate::store::Shared;
use crate::tables::{resource_references as references, resources};
use crate::tokens::new_id;
use crate::vault::Vault;
use crate::workspaces;

/// More documents than this in one request are refused.
const MAX_DOCUMENTS: usize = 5_000;

/// More referrers than this are not named one by one.
const NAMED_REFERRERS: usize = 20;

/// A document of a request on its way into the store.
struct Draft {
    key: ResourceKey,
    /// Secrets in clear, the kept ones included.
    resource: Resource,
    secrets: Sealed,
    current: Option<Stored>,
    outcome: Outcome,
}

/// `action` is what the audit log calls it, unless it is a plain `apply`: `create` or `update` then.
pub(super) async fn apply(
    shared: &Shared,
    actor: &Actor,
    documents: &[Resource],
    options: WriteOptions,
    action: &'static str,
) -> Result<Vec<Applied>> {
    if documents.len() > MAX_DOCUMENTS {
        let message =
            format!("{} documents are too many for one request; send at most {MAX_DOCUMENTS}", documents.len());
        return Err(Error::new(ErrorKind::TooLarge, message).into());
    }
    if options.if_match.is_some() && documents.len() != 1 {
        return Err(Error::invalid("If-Match goes with exactly one document", Vec::new()).into());
    }
    let now = shared.now();
    let applied = transaction!(shared.database, action, keep = !options.dry_run, |tx| {
        let mut problems = Problems::new();
        let drafts = draft(tx, &shared.vault, documents, options, &mut problems).await?;
        check(tx, &drafts, &mut problems).await?;
        let problems = problems.into_vec();
        if !problems.is_empty() {
            return Err(Error::invalid(refusal(documents), problems).into());
        }
        let mut applied = Vec::with_capacity(drafts.len());
        for draft in drafts {
            applied.push(store(tx, actor, draft, now, action).await?);
        }
        Ok(applied)
    })?;
    if !options.dry_run {
        let changed: Vec<ResourceKey> =
            applied.iter().filter(|a| a.outcome != Outcome::Unchanged).map(|a| a.resource.key()).collect();
        shared.tell(&changed);
    }
    Ok(applied)
}

pub(super) async fn delete(shared: &Shared, actor: &Actor, key: &ResourceKey, options: WriteOptions) -> Result<()> {
    let now = shared.now();
    transaction!(shared.database, "delete", keep = !options.dry_run, |tx| {
        let stored = current(tx, key).await?;
        check_version(key, Some(&stored), options)?;
        let referrers = referrers(tx, key).await?;
        if !referrers.is_empty() {
            let mut names: Vec<String> = referrers
                .iter()
                .take(NAMED_REFERRERS)
                .map(|r| format!("{} `{}` ({})", r.stored.key.kind, r.stored.key.name, r.path))
                .collect();
            if referrers.len() > NAMED_REFERRERS {
                names.push(format!("{} more", referrers.len() - NAMED_REFERRERS));
            }
            return Err(Error::conflict(format!(
                "{} `{}` cannot be deleted while others refer to it: {}",
                key.kind,
                key.name,
                names.join(", ")
            ))
            .into());
        }
        resources::Entity::delete_by_id(stored.uid()).exec(tx).await?;
        history::mark_deleted(tx, key, Some(now)).await?;
        let before = stored.to_resource().ok().map(|resource| resource.to_value());
        audit::record(tx, actor, now, act("delete", key, before, None)).await
    })?;
    if !options.dry_run {
        shared.tell(std::slice::from_ref(key));
    }
    Ok(())
}

/// The prefix of paths of document `index`.
fn at(documents: usize, index: usize) -> String {
    if documents > 1 { format!("documents[{index}]") } else { String::new() }
}

fn refusal(documents: &[Resource]) -> String {
    match documents {
        [one] => format!("{} `{}` is not valid; nothing was changed", one.kind(), one.metadata.name),
        _ => "some of the documents are not valid; nothing was changed".to_owned(),
    }
}

fn act<'a>(
    action: &'a str,
    key: &'a ResourceKey,
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
) -> Act<'a> {
    Act { action, kind: key.kind.name(), name: &key.name, workspace: Some(&key.workspace), before, after }
}

fn check_version(key: &ResourceKey, current: Option<&Stored>, options: WriteOptions) -> Result<(), Error> {
    let Some(expected) = options.if_match else { return Ok(()) };
    let message = match current.map(Stored::version) {
        Some(version) if version == expected => return Ok(()),
        None if expected == 0 => return Ok(()),
        Some(version) if expected == 0 => {
            format!("{} `{}` exists already, at version {version}", key.kind, key.name)
        }
        Some(version) => {
            format!(
                "{} `{}` is at version {version}, not {expected}; read it again and repeat your change",
                key.kind, key.name
            )
        }
        None => format!("{} `{}` does not exist any more; you have seen version {expected}", key.kind, key.name),
    };
    Err(Error::new(ErrorKind::Stale, message))
}

/// Compares the documents with the store: what each becomes, with its secrets complete.
async fn draft(
    db: &impl ConnectionTrait,
    vault: &Vault,
    documents: &[Resource],
    options: WriteOptions,
    problems: &mut Problems,
) -> Result<Vec<Draft>> {
    let workspaces = workspaces::set(db).await?;
    let mut seen = HashMap::new();
    let mut drafts = Vec::with_capacity(documents.len());
    for (index, document) in documents.iter().enumerate() {
        let key = document.key();
        let stored = find(db, &key).await?;
        check_version(&key, stored.as_ref(), options)?;
        problems.within(at(documents.len(), index), |p| {
            if let Some(problem) = resource_name_problem(&key.name) {
                p.add("metadata.name", problem);
            }
            let metadata = &document.metadata;
            for (path, text) in [("displayName", &metadata.display_name), ("folder", &metadata.folder)] {
                if text.chars().any(char::is_control) {
                    p.add(format!("metadata.{path}"), "holds a control character");
                }
            }
            if !workspaces.contains(&key.workspace) {
                p.add("metadata.workspace", format!("there is no workspace `{}`", key.workspace));
            }
            if let Some(first) = seen.insert(key.clone(), index) {
                p.add("metadata.name", format!("documents[{first}] is the same {} already", key.kind));
            }
        });
        // What cannot be decrypted or read any more can still be replaced, with every secret sent anew.
        let revealed = stored.as_ref().and_then(|stored| stored.reveal(vault).ok());
        let mut resource = document.clone();
        let mut secrets = Sealed::new();
        let mut failed = None;
        let mut kept_paths = Vec::new();
        resource.spec.visit_secrets(&mut |path, secret| {
            let kept = stored.as_ref().and_then(|stored| stored.secrets.get(path));
            if secret.is_empty() {
                return;
            }
            if !secret.is_mask() {
                match vault.seal(&place(&key, path), secret.expose()) {
                    Ok(sealed) => drop(secrets.insert(path.to_owned(), sealed)),
                    Err(error) => failed = Some(error),
                }
                return;
            }
            let opened = kept.and_then(|sealed| Some((sealed, vault.open_sealed(&place(&key, path), sealed)?)));
            match opened {
                Some((sealed, clear)) => {
                    *secret = clear;
                    secrets.insert(path.to_owned(), sealed.clone());
                    kept_paths.push(path.to_owned());
                }
                None => {
                    let why = if kept.is_some() { "the stored one cannot be decrypted" } else { "none is stored" };
                    problems.within(at(documents.len(), index), |p| {
                        p.add(
                            format!("spec.{path}"),
                            format!("`***` keeps the stored value, but {why}; send the value"),
                        );
                    });
                }
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if !kept_paths.is_empty() && !goes_to_the_same(document, &resource, stored.as_ref(), revealed.as_ref()) {
            problems.within(at(documents.len(), index), |p| {
                for path in kept_paths {
                    p.add(
                        format!("spec.{path}"),
                        "`***` keeps the stored value only for the address it was stored with; send the value",
                    );
                }
            });
        }
        let outcome = match (&stored, &revealed) {
            (None, _) => Outcome::Created,
            (Some(_), Some(old)) if same(old, &resource) => Outcome::Unchanged,
            (Some(_), _) => Outcome::Updated,
        };
        drafts.push(Draft { key, resource, secrets, current: stored, outcome });
    }
    Ok(drafts)
}

/// Whether kept secrets would go where they went before: they must not be had by naming another place.
fn goes_to_the_same(
    document: &Resource,
    resource: &Resource,
    stored: Option<&Stored>,
    revealed: Option<&Resource>,
) -> bool {
    match (revealed, stored.map(Stored::to_resource)) {
        (Some(old), _) => old.spec.secrets_go_to() == resource.spec.secrets_go_to(),
        // Some secret of it cannot be decrypted any more: compared as it is shown.
        (None, Some(Ok(old))) => old.spec.secrets_go_to() == document.spec.secrets_go_to(),
        (None, _) => false,
    }
}

/// What users set is the same.
fn same(a: &Resource, b: &Resource) -> bool {
    let (m, n) = (&a.metadata, &b.metadata);
    a.spec == b.spec && m.folder == n.folder && m.display_name == n.display_name && m.labels == n.labels
}

/// Each document in itself and against what it refers to; and those that refer to what changes.
async fn check(db: &impl ConnectionTrait, drafts: &[Draft], problems: &mut Problems) -> Result<()> {
    let mut view = View::of(drafts.iter().map(|draft| (draft.key.clone(), &draft.resource.spec)));
    let written: BTreeSet<ResourceKey> = drafts.iter().map(|draft| draft.key.clone()).collect();
    for (index, draft) in drafts.iter().enumerate() {
        let at = at(drafts.len(), index);
        problems.within(&at, |p| p.within("spec", |p| draft.resource.spec.validate(p)));
        view.check(db, &draft.key.workspace, &draft.resource.spec, problems, &at).await?;
        if draft.outcome == Outcome::Updated {
            view.check_referrers(db, &draft.key, &written, problems, &at).await?;
        }
    }
    Ok(())
}

async fn store(
    db: &impl ConnectionTrait,
    actor: &Actor,
    draft: Draft,
    now: Timestamp,
    action: &str,
) -> Result<Applied> {
    let Draft { key, resource, secrets, current, outcome } = draft;
    if let (Outcome::Unchanged, Some(current)) = (outcome, &current) {
        return Ok(Applied { resource: current.to_resource()?, outcome });
    }
    // A name that was used before goes on counting, so that no version ever stands for two documents.
    let version = history::last_version(db, &key).await?.max(current.as_ref().map_or(0, Stored::version)) + 1;
    let made = current.as_ref().map(|stored| &stored.metadata);
    let stored = Stored {
        metadata: Metadata {
            uid: Some(made.and_then(|m| m.uid.clone()).unwrap_or_else(new_id)),
            version: Some(version),
            created_at: Some(made.and_then(|m| m.created_at).unwrap_or(now)),
            created_by: Some(made.and_then(|m| m.created_by.clone()).unwrap_or_else(|| actor.name.clone())),
            updated_at: Some(now),
            updated_by: Some(actor.name.clone()),
            ..resource.metadata
        },
        spec: resource.spec.to_value(),
        key,
        secrets,
    };
    let row = stored.current_row()?;
    if current.is_some() {
        resources::Entity::update(row).exec_without_returning(db).await?;
    } else {
        resources::Entity::insert(row).exec_without_returning(db).await?;
        history::mark_deleted(db, &stored.key, None).await?;
    }
    history::keep(db, &stored).await?;
    references::Entity::delete_many().filter(references::Column::Referrer.eq(stored.uid())).exec(db).await?;
    let references = resource.spec.references().into_iter().map(|reference| references::ActiveModel {
        id: NotSet,
        referrer: Set(stored.uid().to_owned()),
        kind: Set(reference.kind.name().to_owned()),
        workspace: Set(stored.key.workspace.clone()),
        name: Set(reference.name),
        path: Set(reference.path),
    });
    let references: Vec<_> = references.collect();
    for some in references.chunks(500) {
        references::Entity::insert_many(some.to_vec()).exec_without_returning(db).await?;
    }
    let written = stored.to_resource()?;
    let action = match (action, outcome) {
        ("apply", Outcome::Created) => "create",
        ("apply", _) => "update",
        _ => action,
    };
    let before = current.and_then(|stored| stored.to_resource().ok()).map(|resource| resource.to_value());
    audit::record(db, actor, now, act(action, &stored.key, before, Some(written.to_value()))).await?;
    Ok(Applied { resource: written, outcome })
}
