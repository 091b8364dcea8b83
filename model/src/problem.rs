//! A problem in a document: where, and what is wrong with it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One thing wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Where in the document, e.g. `spec.columns[2].pick.split.index`.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Gathers the problems of one document, so that all are reported at once.
#[derive(Debug, Default)]
pub struct Problems {
    prefix: String,
    /// With whether it is an absence.
    found: Vec<(Problem, bool)>,
}

impl Problems {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a problem at `path`, relative to the place [`Problems::within`] has descended to.
    pub fn add(&mut self, path: impl AsRef<str>, message: impl Into<String>) {
        self.push(path.as_ref(), message.into(), false);
    }

    /// Adds the problem that something is not there. Of a document parts of which could not be read
    /// nothing is known to be missing, so [`Problems::forget_absences`] takes it back.
    pub fn absent(&mut self, path: impl AsRef<str>, message: impl Into<String>) {
        self.push(path.as_ref(), message.into(), true);
    }

    pub fn forget_absences(&mut self) {
        self.found.retain(|(_, absence)| !absence);
    }

    fn push(&mut self, path: &str, message: String, absence: bool) {
        let path = join(&self.prefix, path);
        self.found.push((Problem { path, message }, absence));
    }

    /// Runs `check` with every path it reports placed under `path`.
    pub fn within(&mut self, path: impl AsRef<str>, check: impl FnOnce(&mut Self)) {
        let outer = self.prefix.clone();
        self.prefix = join(&outer, path.as_ref());
        check(self);
        self.prefix = outer;
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub fn into_vec(self) -> Vec<Problem> {
        self.found.into_iter().map(|(problem, _)| problem).collect()
    }
}

fn join(prefix: &str, path: &str) -> String {
    match (prefix.is_empty(), path.is_empty()) {
        (true, _) => path.to_owned(),
        (_, true) => prefix.to_owned(),
        _ if path.starts_with('[') => format!("{prefix}{path}"),
        _ => format!("{prefix}.{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_nest() {
        let mut problems = Problems::new();
        problems.within("spec", |p| p.within("columns", |p| p.within("[2]", |p| p.add("name", "is empty"))));
        assert_eq!(problems.into_vec()[0].path, "spec.columns[2].name");
    }
}
