//! Documents on a server: apply, get, delete, export.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use nightjar_model::Kind;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use super::connection::{Connection, segment};
use super::files::{DocumentFile, check, locate, read_all};
use super::output::{Output, cell, emit, json as shown_json, table, yaml};
use super::refusal::Refused;

#[derive(Debug, clap::Args)]
pub(crate) struct ApplyArgs {
    /// File or folder; `-` is the standard input
    #[arg(long = "file", short = 'f', required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Validate on the server, change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    /// Monitor, alert-rules, webhook…
    #[arg(value_parser = parse_kind)]
    kind: Kind,
    name: Option<String>,
    #[arg(long, short = 'o', value_enum, default_value_t)]
    output: Output,
    /// Only this folder and those under it
    #[arg(long)]
    folder: Option<String>,
    /// key=value; may be repeated
    #[arg(long)]
    label: Vec<String>,
    /// Part of the name or display name
    #[arg(long, short = 'q')]
    search: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArgs {
    #[arg(value_parser = parse_kind)]
    kind: Kind,
    #[arg(required = true)]
    names: Vec<String>,
    /// Only say whether it could be done
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// Only this folder and those under it
    #[arg(long)]
    folder: Option<String>,
    #[arg(long, value_parser = parse_kind)]
    kind: Option<Kind>,
}

#[derive(Debug, Deserialize)]
struct ApplyAnswer {
    results: Vec<ApplyResult>,
}

#[derive(Debug, Deserialize)]
struct ApplyResult {
    kind: String,
    name: String,
    outcome: String,
}

/// Files may refer to each other in any order: those refused are tried again for as long as others
/// get through. Each is written whole or not at all; one that is not valid keeps no other back.
pub(super) async fn apply(connection: &Connection, args: ApplyArgs) -> anyhow::Result<ExitCode> {
    let mut failed = false;
    let mut pending = Vec::new();
    for file in read_all(&args.files)? {
        match check(std::slice::from_ref(&file), &connection.workspace) {
            Ok(_) => pending.push(file),
            Err(refused) => {
                eprint!("{refused}");
                failed = true;
            }
        }
    }
    if args.dry_run && !pending.is_empty() {
        // Together: on an empty server one file's references are in another.
        print_results(&send(connection, &pending, true).await?, " (dry run)")?;
        pending.clear();
    }
    while !pending.is_empty() {
        let before = pending.len();
        let mut refused = Vec::new();
        for file in pending {
            match send(connection, std::slice::from_ref(&file), false).await {
                Ok(results) => print_results(&results, "")?,
                Err(error) => refused.push((file, error.downcast::<Refused>()?)),
            }
        }
        let again = refused.len() < before && refused.iter().any(|(_, refusal)| refusal.status == 422);
        if !again {
            failed |= !refused.is_empty();
            refused.iter().for_each(|(file, refusal)| eprint!("{}: {refusal}", file.name));
            break;
        }
        pending = refused.into_iter().map(|(file, _)| file).collect();
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn send(connection: &Connection, files: &[DocumentFile], dry_run: bool) -> anyhow::Result<Vec<ApplyResult>> {
    let documents: Vec<&Value> = files.iter().flat_map(|file| &file.documents).collect();
    let request = connection.in_workspace(Method::POST, "apply").query(&[("dryRun", dry_run)]).json(&documents);
    match connection.json::<ApplyAnswer>(request).await {
        Ok(answer) => Ok(answer.results),
        Err(error) => Err(match error.downcast::<Refused>() {
            Ok(mut refused) => {
                refused.problems = refused.problems.iter().map(|problem| locate(files, problem)).collect();
                refused.into()
            }
            Err(error) => error,
        }),
    }
}

fn print_results(results: &[ApplyResult], note: &str) -> anyhow::Result<()> {
    let lines: Vec<String> =
        results.iter().map(|result| format!("{}/{} {}{note}\n", result.kind, result.name, result.outcome)).collect();
    emit(&lines.concat())
}

pub(super) async fn get(connection: &Connection, args: GetArgs) -> anyhow::Result<()> {
    let path = args.kind.plural();
    if let Some(name) = args.name {
        let request = connection.in_workspace(Method::GET, &format!("{path}/{}", segment(&name)));
        let document: Value = connection.json(request).await?;
        return emit(&match args.output {
            Output::Json => shown_json(&document),
            Output::Yaml => yaml(&[document]),
            Output::Table => documents_table(&[document]),
        });
    }
    let mut filter: Vec<(&str, String)> = args.label.into_iter().map(|label| ("label", label)).collect();
    filter.extend(args.folder.map(|folder| ("folder", folder)));
    filter.extend(args.search.map(|search| ("q", search)));
    let items = all_pages(connection, || connection.in_workspace(Method::GET, path).query(&filter)).await?;
    emit(&match args.output {
        Output::Json => shown_json(&json!({ "items": items })),
        Output::Yaml => yaml(&items),
        Output::Table if args.kind == Kind::Monitor => monitors_table(&items, &readings(connection).await?),
        Output::Table => documents_table(&items),
    })
}

/// What each monitor reads. A server that does not tell yet is none the worse for it.
async fn readings(connection: &Connection) -> anyhow::Result<Vec<Value>> {
    match all_pages(connection, || connection.in_workspace(Method::GET, "readings")).await {
        Err(error) if error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == 404) => Ok(Vec::new()),
        answer => answer,
    }
}

/// With the state of what each reads, the lines of the last ten minutes and the part understood.
fn monitors_table(items: &[Value], readings: &[Value]) -> String {
    let of = |name: &Value| readings.iter().find(|reading| reading["monitor"] == *name);
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| {
            let metadata = &item["metadata"];
            let reading = of(&metadata["name"]).unwrap_or(&Value::Null);
            let understood = reading["understood"]
                .as_f64()
                .map_or("-".to_owned(), |part| format!("{:.1} %", (part * 10.0).floor() / 10.0));
            vec![
                cell(&metadata["name"]),
                cell(&metadata["folder"]),
                cell(&metadata["displayName"]),
                cell(&reading["state"]),
                cell(&reading["files"]),
                cell(&reading["lines"]),
                understood,
                cell(&metadata["version"]),
                cell(&metadata["updatedAt"]),
                cell(&metadata["updatedBy"]),
            ]
        })
        .collect();
    let titles =
        ["NAME", "FOLDER", "DISPLAY NAME", "READING", "FILES", "LINES 10M", "UNDERSTOOD", "VERSION", "UPDATED", "BY"];
    table(&titles, &rows)
}

/// Every item of a listing, page after page.
pub(super) async fn all_pages(
    connection: &Connection,
    listing: impl Fn() -> RequestBuilder,
) -> anyhow::Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut request = listing().query(&[("limit", "1000")]);
        if let Some(cursor) = &cursor {
            request = request.query(&[("cursor", cursor)]);
        }
        let mut page: Value = connection.json(request).await?;
        match page["items"].take() {
            Value::Array(found) => items.extend(found),
            _ => bail!("the server answered something unexpected; is it another version?"),
        }
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(items),
        }
    }
}

fn documents_table(items: &[Value]) -> String {
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| {
            let metadata = &item["metadata"];
            ["name", "folder", "displayName", "version", "updatedAt", "updatedBy"]
                .map(|key| cell(&metadata[key]))
                .into()
        })
        .collect();
    table(&["NAME", "FOLDER", "DISPLAY NAME", "VERSION", "UPDATED", "BY"], &rows)
}

pub(super) async fn delete(connection: &Connection, args: DeleteArgs) -> anyhow::Result<()> {
    for name in &args.names {
        let path = format!("{}/{}", args.kind.plural(), segment(name));
        connection.send(connection.in_workspace(Method::DELETE, &path).query(&[("dryRun", args.dry_run)])).await?;
        emit(&format!("{}/{name} deleted{}\n", args.kind, if args.dry_run { " (dry run)" } else { "" }))?;
    }
    Ok(())
}

pub(super) async fn export(connection: &Connection, args: ExportArgs) -> anyhow::Result<()> {
    let mut request = connection.in_workspace(Method::GET, "export");
    if let Some(folder) = &args.folder {
        request = request.query(&[("folder", folder)]);
    }
    if let Some(kind) = args.kind {
        request = request.query(&[("kind", kind.name())]);
    }
    emit(&connection.text(request).await?)
}

pub(super) fn parse_kind(text: &str) -> Result<Kind, String> {
    Kind::from_path(text).ok_or_else(|| format!("known kinds are {}", Kind::ALL.map(Kind::plural).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_that_understands_nothing_is_seen_in_the_list() {
        let items =
            [json!({"metadata": {"name": "nginx", "version": 1}}), json!({"metadata": {"name": "new", "version": 2}})];
        let readings = [
            json!({"monitor": "nginx", "state": "not_understood", "files": 2, "lines": 689, "understood": 0.0}),
            json!({"monitor": "other", "state": "reading", "files": 1, "lines": 1, "understood": 99.97}),
        ];
        let shown = monitors_table(&items, &readings);
        let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1][..8], ["nginx", "-", "-", "not_understood", "2", "689", "0.0", "%"], "{shown}");
        assert_eq!(lines[2][..7], ["new", "-", "-", "-", "-", "-", "-"], "{shown}");
        assert!(monitors_table(&items, &[]).contains("nginx"));
    }
}
