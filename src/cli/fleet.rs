//! The fleet: agents, and the tokens by which it grows.

use nightjar_model::Timestamp;
use nightjar_model::agents::AgentView;
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::{Connection, segment};
use super::documents::all_pages;
use super::output::{Output, cell, emit, json as shown_json, table, yaml};
use super::people::expiry;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum AgentCommand {
    /// Agents and how they are
    List {
        #[arg(long, short = 'o', value_enum, default_value_t)]
        output: Output,
    },
    /// Revoke an agent's key and forget it
    Delete { id: String },
    /// Enrolment tokens
    #[command(subcommand)]
    Token(EnrolmentCommand),
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum EnrolmentCommand {
    /// Make a token; prints it and nothing else
    Create {
        /// How many agents may enrol with it; any number without this
        #[arg(long)]
        uses: Option<u32>,
        /// When it ends: a time such as 2026-01-31T08:00:00Z, or a span from now such as 12h or 7d
        #[arg(long, value_parser = expiry)]
        expires: Option<Timestamp>,
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Tokens, without their values
    List,
    /// Revoke a token; agents enrolled with it stay
    Delete { id: String },
}

pub(super) async fn run(connection: &Connection, command: AgentCommand) -> anyhow::Result<()> {
    match command {
        AgentCommand::List { output } => list(connection, output).await,
        AgentCommand::Delete { id } => {
            let path = format!("agents/{}", segment(&id));
            connection.send(connection.in_workspace(Method::DELETE, &path)).await?;
            emit(&format!("agent {id} deleted\n"))
        }
        AgentCommand::Token(EnrolmentCommand::Create { uses, expires, note }) => {
            let body = json!({ "uses": uses, "expiresAt": expires, "note": note });
            let made: Value =
                connection.json(connection.in_workspace(Method::POST, "enrolment-tokens").json(&body)).await?;
            emit(&format!("{}\n", cell(&made["token"])))
        }
        AgentCommand::Token(EnrolmentCommand::List) => {
            let tokens = all_pages(connection, || connection.in_workspace(Method::GET, "enrolment-tokens")).await?;
            let keys = ["id", "note", "usesLeft", "used", "expiresAt", "createdBy"];
            emit(&items_table(&tokens, &["ID", "NOTE", "USES LEFT", "USED", "EXPIRES", "MADE BY"], &keys))
        }
        AgentCommand::Token(EnrolmentCommand::Delete { id }) => {
            let path = format!("enrolment-tokens/{}", segment(&id));
            connection.send(connection.in_workspace(Method::DELETE, &path)).await?;
            emit(&format!("enrolment token {id} deleted\n"))
        }
    }
}

async fn list(connection: &Connection, output: Output) -> anyhow::Result<()> {
    let items = all_pages(connection, || connection.in_workspace(Method::GET, "agents")).await?;
    emit(&match output {
        Output::Json => shown_json(&json!({ "items": items })),
        Output::Yaml => yaml(&[json!({ "items": items })]),
        Output::Table => {
            let agents: Vec<AgentView> = serde_json::from_value(Value::Array(items))?;
            agents_table(&agents)
        }
    })
}

fn agents_table(agents: &[AgentView]) -> String {
    let rows: Vec<Vec<String>> = agents.iter().map(row).collect();
    table(&["ID", "HOST", "IP", "HEALTH", "VERSION", "LAST SEEN", "LABELS", "REASONS"], &rows)
}

fn row(agent: &AgentView) -> Vec<String> {
    let labels: Vec<String> = agent.facts.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    vec![
        agent.id.to_string(),
        agent.facts.hostname.clone(),
        agent.facts.ip.clone(),
        serde_json::to_value(agent.health).map(|health| cell(&health)).unwrap_or_default(),
        agent.facts.version.clone(),
        agent.last_seen_at.map_or("-".to_owned(), |at| at.to_string()),
        labels.join(","),
        agent.reasons.join("; "),
    ]
}

/// Items of a listing, one to a row.
pub(super) fn items_table(items: &[Value], titles: &[&str], keys: &[&str]) -> String {
    let rows: Vec<Vec<String>> = items.iter().map(|item| keys.iter().map(|key| cell(&item[*key])).collect()).collect();
    table(titles, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_of_the_fleet_has_a_title() {
        let agents: Vec<AgentView> = serde_json::from_value(json!([{
            "id": "a1", "workspace": "default", "health": "lost", "reasons": ["not seen for 2m", "no key"],
            "facts": { "hostname": "shop-1", "ip": "10.0.0.1", "version": "1.2.3", "os": "linux", "arch": "x86_64",
                "timezone": "UTC", "labels": { "app": "shop" } },
            "enrolledAt": "2026-03-01T12:00:00Z", "lastSeenAt": null, "clockSkewMs": 0,
            "configApplied": null, "configWanted": "c1", "monitors": [], "process": {},
        }]))
        .expect("agents");
        let expected = "ID  HOST    IP        HEALTH  VERSION  LAST SEEN  LABELS    REASONS\n\
                        a1  shop-1  10.0.0.1  lost    1.2.3    -          app=shop  not seen for 2m; no key\n";
        assert_eq!(agents_table(&agents), expected);
    }
}
