//! Whether documents fit what they refer to, and whether what refers to them still fits.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use nightjar_model::kinds::Spec;
use nightjar_model::{Kind, Problems, ResourceKey};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::find;
use super::stored::Stored;
use crate::error::Result;
use crate::tables::{resource_references as references, resources};

/// The documents as they will be: those of the request, and the stored ones that were asked for.
pub(super) struct View {
    known: HashMap<ResourceKey, Option<Spec>>,
}

impl View {
    pub(super) fn of<'a>(written: impl Iterator<Item = (ResourceKey, &'a Spec)>) -> Self {
        Self { known: written.map(|(key, spec)| (key, Some(spec.clone()))).collect() }
    }

    /// Checks one document with `validate_with`. What it looks up is loaded and the check run anew until
    /// it has found all it asks for, because it cannot wait for the database itself.
    pub(super) async fn check(
        &mut self,
        db: &impl ConnectionTrait,
        workspace: &str,
        spec: &Spec,
        problems: &mut Problems,
        at: &str,
    ) -> Result<()> {
        loop {
            let wanted = {
                let wanted = RefCell::new(BTreeSet::new());
                let lookup = |kind: Kind, name: &str| {
                    let key = ResourceKey::new(kind, workspace, name);
                    match self.known.get(&key) {
                        Some(found) => found.clone(),
                        None => {
                            wanted.borrow_mut().insert(key);
                            None
                        }
                    }
                };
                let mut found = Problems::new();
                spec.validate_with(&lookup, &mut found);
                let wanted = wanted.into_inner();
                if wanted.is_empty() {
                    for problem in found.into_vec() {
                        problems.within(at, |p| p.add(problem.path, problem.message));
                    }
                    return Ok(());
                }
                wanted
            };
            for key in wanted {
                let spec = match find(db, &key).await? {
                    Some(stored) => Some(stored.to_resource()?.spec),
                    None => None,
                };
                self.known.insert(key, spec);
            }
        }
    }

    /// Checks what refers to a document that is about to change, but for what is written with it.
    pub(super) async fn check_referrers(
        &mut self,
        db: &impl ConnectionTrait,
        key: &ResourceKey,
        written: &BTreeSet<ResourceKey>,
        problems: &mut Problems,
        at: &str,
    ) -> Result<()> {
        for referrer in referrers(db, key).await? {
            if written.contains(&referrer.stored.key) {
                continue;
            }
            let mut broken = Problems::new();
            let spec = referrer.stored.to_resource()?.spec;
            self.check(db, &key.workspace, &spec, &mut broken, "").await?;
            for problem in broken.into_vec() {
                let ResourceKey { kind, name, .. } = &referrer.stored.key;
                let message = format!(
                    "{kind} `{name}` refers to it and would no longer be valid: {}: {}; change that first, or send both together",
                    problem.path, problem.message
                );
                problems.within(at, |p| p.add("spec", message));
            }
        }
        Ok(())
    }
}

pub(super) struct Referrer {
    pub(super) stored: Stored,
    /// Where it names the document.
    pub(super) path: String,
}

/// What refers to a document, each once, sorted by kind and name.
pub(super) async fn referrers(db: &impl ConnectionTrait, key: &ResourceKey) -> Result<Vec<Referrer>> {
    let rows = references::Entity::find()
        .filter(references::Column::Kind.eq(key.kind.name()))
        .filter(references::Column::Workspace.eq(&key.workspace))
        .filter(references::Column::Name.eq(&key.name))
        .order_by_asc(references::Column::Id)
        .all(db)
        .await?;
    let mut paths = HashMap::new();
    for row in rows {
        paths.entry(row.referrer).or_insert(row.path);
    }
    let mut found = Vec::new();
    for (uid, path) in paths {
        if let Some(row) = resources::Entity::find_by_id(&uid).one(db).await? {
            let stored = Stored::from_current(row)?;
            if stored.key != *key {
                found.push(Referrer { stored, path });
            }
        }
    }
    found.sort_by(|a, b| a.stored.key.cmp(&b.stored.key));
    Ok(found)
}
