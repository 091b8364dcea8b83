//! Documents in files and folders.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nightjar_model::syntax::{parse_documents, text_of};
use nightjar_model::{Problem, Resource};
use serde_json::Value;

use super::refusal::Refused;

/// The documents of one file, in their order.
#[derive(Debug, Clone)]
pub(super) struct DocumentFile {
    /// As shown: the path, or `-`.
    pub(super) name: String,
    pub(super) documents: Vec<Value>,
}

/// Files as named, and the YAML and JSON files under folders in the order of their paths; `-` is the
/// standard input.
pub(super) fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<DocumentFile>> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut text = Vec::new();
            std::io::stdin().read_to_end(&mut text).context("cannot read the standard input")?;
            files.push(parse("-", &text)?);
        } else if path.is_dir() {
            let mut found = Vec::new();
            walk(path, &mut found)?;
            if found.is_empty() {
                bail!("there is no .yaml, .yml or .json file under {}", path.display());
            }
            found.sort();
            for file in found {
                files.push(read(&file)?);
            }
        } else {
            files.push(read(path)?);
        }
    }
    files.retain(|file| !file.documents.is_empty());
    if files.is_empty() {
        bail!("there is no document in what was given");
    }
    Ok(files)
}

fn read(path: &Path) -> anyhow::Result<DocumentFile> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&path.display().to_string(), &text)
}

fn parse(name: &str, text: &[u8]) -> anyhow::Result<DocumentFile> {
    let parsed = text_of(text).map_err(|problem| vec![problem]).and_then(parse_documents).map_err(|problems| {
        let in_file = |problem: Problem| {
            let separator = if problem.path.is_empty() { "" } else { ": " };
            Problem { path: format!("{name}{separator}{}", problem.path), message: problem.message }
        };
        Refused::local("a file cannot be read", problems.into_iter().map(in_file).collect())
    })?;
    let documents = parsed.into_iter().flat_map(|value| match value {
        Value::Array(documents) => documents,
        document => vec![document],
    });
    Ok(DocumentFile { name: name.to_owned(), documents: documents.collect() })
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden {
            continue;
        }
        let is_document =
            path.extension().and_then(|e| e.to_str()).is_some_and(|e| matches!(e, "yaml" | "yml" | "json"));
        if path.is_dir() && !path.is_symlink() {
            walk(&path, found)?;
        } else if is_document {
            found.push(path);
        }
    }
    Ok(())
}

/// Where in which file a problem of an answer is: `documents[3].spec.x` of all that was sent.
pub(super) fn locate(files: &[DocumentFile], problem: &Problem) -> Problem {
    let total: usize = files.iter().map(|file| file.documents.len()).sum();
    let (index, rest) = match problem.path.strip_prefix("documents[").and_then(|rest| rest.split_once(']')) {
        Some((index, rest)) => (index.parse().unwrap_or(0), rest.trim_start_matches('.')),
        None if total == 1 => (0, problem.path.as_str()),
        None => return problem.clone(),
    };
    let mut before = 0;
    for file in files {
        if index < before + file.documents.len() {
            let of =
                if file.documents.len() == 1 { String::new() } else { format!(" document {}", index - before + 1) };
            let separator = if rest.is_empty() { "" } else { ": " };
            return Problem { path: format!("{}{of}{separator}{rest}", file.name), message: problem.message.clone() };
        }
        before += file.documents.len();
    }
    problem.clone()
}

/// Checks every document as the server will, so that what is plainly wrong is told without one.
pub(super) fn check(files: &[DocumentFile], workspace: &str) -> Result<Vec<Vec<Resource>>, Refused> {
    let mut problems = Vec::new();
    let mut checked = Vec::new();
    for file in files {
        let mut resources = Vec::new();
        for (index, document) in file.documents.iter().enumerate() {
            match Resource::from_value(document, Some(workspace)) {
                Ok(resource) => resources.push(resource),
                Err(found) => problems.extend(found.into_iter().map(|problem| {
                    let path = format!("documents[{index}].{}", problem.path);
                    locate(std::slice::from_ref(file), &Problem { path, message: problem.message })
                })),
            }
        }
        checked.push(resources);
    }
    if problems.is_empty() { Ok(checked) } else { Err(Refused::local("what is not valid was not sent", problems)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, count: usize) -> DocumentFile {
        DocumentFile { name: name.into(), documents: vec![Value::Null; count] }
    }

    fn check(files: &[DocumentFile], path: &str, expected: &str) {
        let problem = Problem { path: path.into(), message: "m".into() };
        assert_eq!(locate(files, &problem).path, expected);
    }

    #[test]
    fn problems_are_told_by_file_and_document() {
        let files = [file("a.yaml", 1), file("b.yaml", 2)];
        check(&files, "documents[0].spec.x", "a.yaml: spec.x");
        check(&files, "documents[2].spec.x", "b.yaml document 2: spec.x");
        check(&files, "documents[9].spec.x", "documents[9].spec.x");
        check(&files[..1], "spec.x", "a.yaml: spec.x");
        check(&files[..1], "", "a.yaml");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_before_anything_is_sent() {
        let refusal = |text: &[u8]| format!("{}", parse("a.yaml", text).expect_err("refused"));
        let told = refusal(b"kind: A\nspec:\n  exclude: [x]\n  exclude: []\n");
        assert!(told.contains("a.yaml: spec.exclude: `exclude` is there twice, in line 3 and in line 4"), "{told}");
        assert!(refusal(b"\xff\xfek\0i\0").contains("save it as UTF-8"));
        let marked = parse("a.yaml", "\u{feff}kind: A\n---\nkind: B\n".as_bytes()).expect("read");
        assert_eq!(marked.documents.len(), 2);
    }

    #[test]
    fn folders_are_read_in_order_and_hidden_files_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        write("b.yaml", "kind: B\n---\nkind: C\n");
        write("a/x.yml", "[{kind: A}]");
        write("a/notes.txt", "not: read");
        write(".git/y.yaml", "not: read");
        write("empty.yaml", "# nothing\n");
        let files = read_all(&[folder.path().to_owned()]).expect("read");
        let kinds: Vec<&str> =
            files.iter().flat_map(|file| &file.documents).filter_map(|document| document["kind"].as_str()).collect();
        assert_eq!(kinds, ["A", "B", "C"]);
    }
}
