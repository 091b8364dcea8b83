//! Figures and alerts: query, `monitor try`, `alert list`.

use std::path::PathBuf;

use anyhow::Context;
use nightjar_agent::scan::{ScanArgs, ScanOutput};
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::Connection;
use super::output::{cell, emit, emit_bytes, json as shown_json, table};

#[derive(Debug, clap::Args)]
pub(crate) struct QueryArgs {
    /// e.g. 'select time, goods, count from monitor."trade-create" order by time desc limit 10'
    sql: String,
    #[arg(long, short = 'o', value_enum, default_value_t)]
    output: QueryOutput,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum QueryOutput {
    #[default]
    Table,
    Json,
    Csv,
    /// An Arrow stream
    Arrow,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum MonitorCommand {
    /// Print the figures that a monitor would yield on log files; needs no server
    Try(TryArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct TryArgs {
    /// A file with a Monitor document; `-` is the standard input
    #[arg(long = "file", short = 'f', value_name = "FILE")]
    monitor: PathBuf,
    /// Which of the file's monitors, where it holds several
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Log files, in this order; `-` is the standard input
    #[arg(required = true, value_name = "LOGFILE")]
    logs: Vec<PathBuf>,
    #[arg(long, short = 'o', value_enum, default_value = "table")]
    output: ScanOutput,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum AlertCommand {
    /// Alerts, newest first
    List(AlertListArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct AlertListArgs {
    /// firing, recovered or closed
    #[arg(long)]
    status: Option<String>,
    #[arg(long)]
    rule: Option<String>,
    #[arg(long)]
    monitor: Option<String>,
    /// P0 to P4
    #[arg(long)]
    level: Option<String>,
    /// Started at or after this time, e.g. 2026-01-31T08:00:00Z
    #[arg(long)]
    since: Option<String>,
    #[arg(long, default_value_t = 100)]
    limit: u32,
    #[arg(long, short = 'o', value_enum, default_value_t)]
    output: AlertOutput,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AlertOutput {
    #[default]
    Table,
    Json,
}

pub(super) async fn query(connection: &Connection, args: QueryArgs) -> anyhow::Result<()> {
    let format = match args.output {
        QueryOutput::Table | QueryOutput::Json => "json",
        QueryOutput::Csv => "csv",
        QueryOutput::Arrow => "arrow",
    };
    let body = json!({ "sql": args.sql, "format": format });
    let request = connection.in_workspace(Method::POST, "sql").json(&body);
    if args.output == QueryOutput::Table {
        // Columns are as wide as their widest value: all must be there.
        let answer: Value = connection.json(request).await?;
        return emit(&rows_table(&answer));
    }
    let mut answer = connection.send(request).await?;
    while let Some(piece) = answer.chunk().await.context("the answer broke off: what was printed is not all of it")? {
        if !emit_bytes(&piece)? {
            return Ok(());
        }
    }
    if args.output == QueryOutput::Json {
        emit("\n")?;
    }
    Ok(())
}

fn rows_table(answer: &Value) -> String {
    let empty = Vec::new();
    let columns: Vec<&str> =
        answer["columns"].as_array().unwrap_or(&empty).iter().filter_map(|column| column["name"].as_str()).collect();
    let rows: Vec<Vec<String>> = answer["rows"]
        .as_array()
        .unwrap_or(&empty)
        .iter()
        .map(|row| columns.iter().map(|column| cell(&row[*column])).collect())
        .collect();
    table(&columns, &rows)
}

pub(super) fn monitor(command: MonitorCommand) -> anyhow::Result<()> {
    let MonitorCommand::Try(args) = command;
    let scan = ScanArgs { monitor: args.monitor, name: args.name, logs: args.logs, output: args.output, threads: None };
    let mut out = Vec::new();
    nightjar_agent::scan::run(scan, &mut out)?;
    emit(&String::from_utf8_lossy(&out))
}

pub(super) async fn alert(connection: &Connection, command: AlertCommand) -> anyhow::Result<()> {
    let AlertCommand::List(args) = command;
    let filter: Vec<(&str, String)> = [
        ("status", args.status),
        ("rule", args.rule),
        ("monitor", args.monitor),
        ("level", args.level.map(|level| level.to_uppercase())),
        ("since", args.since),
        ("limit", Some(args.limit.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    let page: Value = connection.json(connection.in_workspace(Method::GET, "alerts").query(&filter)).await?;
    if args.output == AlertOutput::Json {
        return emit(&shown_json(&page));
    }
    let empty = Vec::new();
    let rows: Vec<Vec<String>> = page["items"]
        .as_array()
        .unwrap_or(&empty)
        .iter()
        .map(|alert| {
            let keys = alert["keys"].as_object().map(|keys| {
                keys.iter().map(|(key, value)| format!("{key}={}", cell(value))).collect::<Vec<_>>().join(" ")
            });
            let mut row: Vec<String> =
                ["startedAt", "level", "status", "rule"].iter().map(|key| cell(&alert[*key])).collect();
            row.push(keys.unwrap_or_default());
            row.push(cell(&alert["summary"]));
            row
        })
        .collect();
    emit(&table(&["STARTED", "LEVEL", "STATUS", "RULE", "KEYS", "SUMMARY"], &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_columns() {
        let answer = json!({
            "columns": [{"name": "time"}, {"name": "count"}],
            "rows": [{"count": 3, "time": "12:00"}, {"time": "12:01", "count": null}],
        });
        assert_eq!(rows_table(&answer), "time   count\n12:00  3\n12:01  -\n");
    }
}
