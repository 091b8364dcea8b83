//! What `apply` would change, as lines of YAML.

use std::path::PathBuf;

use nightjar_model::syntax::to_yaml;
use nightjar_model::{Metadata, Resource};
use reqwest::Method;
use serde_json::Value;

use super::connection::{Connection, segment};
use super::files::{check, read_all};
use super::output::emit;
use super::refusal::Refused;

/// Lines around a change.
const CONTEXT: usize = 3;

#[derive(Debug, clap::Args)]
pub(crate) struct DiffArgs {
    /// File or folder; `-` is the standard input
    #[arg(long = "file", short = 'f', required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
}

/// Whether anything differs. Secrets are not compared: the server does not show them.
pub(super) async fn run(connection: &Connection, args: DiffArgs) -> anyhow::Result<bool> {
    let files = read_all(&args.files)?;
    let wanted = check(&files, &connection.workspace)?;
    let mut differs = false;
    for resource in wanted.into_iter().flatten() {
        let key = resource.key();
        let path = format!("{}/{}", key.kind.plural(), segment(&key.name));
        let stored = match connection.json::<Value>(connection.in_workspace(Method::GET, &path)).await {
            Ok(value) => Some(value),
            Err(error) if error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == 404) => None,
            Err(error) => return Err(error),
        };
        let stored = match stored {
            Some(value) => match Resource::from_value(&value, Some(&connection.workspace)) {
                Ok(stored) => text(stored),
                Err(_) => to_yaml(&value),
            },
            None => String::new(),
        };
        let changes = lines(&stored, &text(resource));
        if !changes.is_empty() {
            differs = true;
            emit(&format!(
                "--- {}/{} on the server\n+++ {}/{} in the file\n{changes}",
                key.kind, key.name, key.kind, key.name
            ))?;
        }
    }
    Ok(differs)
}

/// With defaults filled in, without what the server sets.
fn text(resource: Resource) -> String {
    let Metadata { name, display_name, folder, labels, .. } = resource.metadata;
    let metadata = Metadata { name, display_name, folder, labels, ..Metadata::default() };
    to_yaml(&Resource { metadata, ..resource }.to_value())
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Change<'a> {
    Same(&'a str),
    Gone(&'a str),
    New(&'a str),
}

/// A unified diff without line numbers; empty if nothing differs.
fn lines(old: &str, new: &str) -> String {
    let changes = compare(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>());
    let is_change = |change: &Change<'_>| !matches!(change, Change::Same(_));
    let near = |at: usize| {
        let from = at.saturating_sub(CONTEXT);
        changes[from..(at + CONTEXT + 1).min(changes.len())].iter().any(is_change)
    };
    let mut text = String::new();
    let mut skipped = false;
    for (at, change) in changes.iter().enumerate() {
        if !near(at) {
            skipped = true;
            continue;
        }
        if skipped {
            text.push_str("@@\n");
            skipped = false;
        }
        let (mark, line) = match change {
            Change::Same(line) => (' ', line),
            Change::Gone(line) => ('-', line),
            Change::New(line) => ('+', line),
        };
        text.extend([mark]);
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// By the longest common subsequence; documents are short.
fn compare<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Change<'a>> {
    let mut common = vec![vec![0u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] =
                if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut changes = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            changes.push(Change::Same(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            changes.push(Change::Gone(old[i]));
            i += 1;
        } else {
            changes.push(Change::New(new[j]));
            j += 1;
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_stand_among_their_neighbours() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\n";
        let new = "a\nb\nc\nd\ne\nF\ng\nh\ni\n";
        assert_eq!(lines(old, new), "@@\n c\n d\n e\n-f\n+F\n g\n h\n+i\n");
        assert_eq!(lines(old, old), "");
        assert_eq!(lines("", "a\n"), "+a\n");
    }
}
