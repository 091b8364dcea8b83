//! Users, API tokens, workspaces.

use std::collections::BTreeMap;

use nightjar_model::identity::Role;
use nightjar_model::{Clock, Span, SystemClock, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::{Connection, segment};
use super::fleet::items_table;
use super::output::{cell, emit};
use super::password;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user, or change one; the password is asked for, piped in, or taken from NIGHTJAR_NEW_PASSWORD
    Add {
        name: String,
        #[arg(long)]
        display_name: Option<String>,
        /// WORKSPACE=viewer|operator|editor|admin; may be repeated
        #[arg(long = "role", value_parser = role_in, value_name = "WORKSPACE=ROLE")]
        roles: Vec<(String, Role)>,
        /// May do everything everywhere
        #[arg(long)]
        platform_admin: bool,
    },
    List,
    Delete {
        name: String,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum TokenCommand {
    /// Make an API token; prints it and nothing else
    Create {
        name: String,
        /// WORKSPACE=viewer|operator|editor|admin; may be repeated
        #[arg(long = "role", value_parser = role_in, value_name = "WORKSPACE=ROLE")]
        roles: Vec<(String, Role)>,
        /// May do everything everywhere
        #[arg(long)]
        platform_admin: bool,
        /// When it ends: a time such as 2026-01-31T08:00:00Z, or a span from now such as 12h or 90d
        #[arg(long, value_parser = expiry)]
        expires: Option<Timestamp>,
    },
    /// Tokens, without their values
    List,
    Delete {
        id: String,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum WorkspaceCommand {
    List,
    Create { name: String },
}

pub(super) async fn user(connection: &Connection, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Add { name, display_name, roles, platform_admin } => {
            let password = password::new(&format!("New password of {name}: "))?;
            let mut body = json!({ "password": password.expose() });
            if let Some(display_name) = display_name {
                body["displayName"] = json!(display_name);
            }
            if !roles.is_empty() {
                body["roles"] = json!(roles.into_iter().collect::<BTreeMap<_, _>>());
            }
            if platform_admin {
                body["platformAdmin"] = json!(true);
            }
            let request = connection.request(Method::PUT, &format!("users/{}", segment(&name))).json(&body);
            connection.send(request).await?;
            emit(&format!("user {name} saved\n"))
        }
        UserCommand::List => {
            let answer: Value = connection.json(connection.request(Method::GET, "users")).await?;
            let keys = ["name", "displayName", "platformAdmin", "roles", "disabled", "lastLoginAt"];
            emit(&items_table(
                &answer,
                &["NAME", "DISPLAY NAME", "PLATFORM ADMIN", "ROLES", "DISABLED", "LAST LOGIN"],
                &keys,
            ))
        }
        UserCommand::Delete { name } => {
            connection.send(connection.request(Method::DELETE, &format!("users/{}", segment(&name)))).await?;
            emit(&format!("user {name} deleted\n"))
        }
    }
}

pub(super) async fn token(connection: &Connection, command: TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create { name, roles, platform_admin, expires } => {
            let roles: BTreeMap<String, Role> = roles.into_iter().collect();
            let body = json!({ "name": name, "roles": roles, "platformAdmin": platform_admin, "expiresAt": expires });
            let made: Value = connection.json(connection.request(Method::POST, "tokens").json(&body)).await?;
            emit(&format!("{}\n", cell(&made["token"])))
        }
        TokenCommand::List => {
            let answer: Value = connection.json(connection.request(Method::GET, "tokens")).await?;
            let keys = ["id", "name", "platformAdmin", "roles", "expiresAt", "lastUsedAt", "createdBy"];
            let titles = ["ID", "NAME", "PLATFORM ADMIN", "ROLES", "EXPIRES", "LAST USED", "MADE BY"];
            emit(&items_table(&answer, &titles, &keys))
        }
        TokenCommand::Delete { id } => {
            connection.send(connection.request(Method::DELETE, &format!("tokens/{}", segment(&id)))).await?;
            emit(&format!("token {id} deleted\n"))
        }
    }
}

pub(super) async fn workspace(connection: &Connection, command: WorkspaceCommand) -> anyhow::Result<()> {
    match command {
        WorkspaceCommand::List => {
            let answer: Value = connection.json(connection.request(Method::GET, "workspaces")).await?;
            emit(&items_table(&answer, &["NAME", "YOUR ROLE"], &["name", "role"]))
        }
        WorkspaceCommand::Create { name } => {
            let request = connection.request(Method::PUT, &format!("workspaces/{}", segment(&name)));
            let made = connection.send(request).await?.status() == reqwest::StatusCode::CREATED;
            emit(&format!("workspace {name} {}\n", if made { "created" } else { "unchanged" }))
        }
    }
}

fn role_in(text: &str) -> Result<(String, Role), String> {
    let (workspace, role) =
        text.split_once('=').filter(|(workspace, _)| !workspace.is_empty()).ok_or("write WORKSPACE=ROLE")?;
    let role = serde_json::from_value(json!(role)).map_err(|_| "a role is viewer, operator, editor or admin")?;
    Ok((workspace.to_owned(), role))
}

/// A time, or how long from now.
pub(super) fn expiry(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
        .or_else(|| Some(SystemClock.now().saturating_add(Span::parse(text)?.0)))
        .ok_or_else(|| "write a time such as 2026-01-31T08:00:00Z, or a span such as 12h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_expiries_are_read() {
        assert_eq!(role_in("default=editor"), Ok(("default".into(), Role::Editor)));
        assert!(role_in("default=king").is_err() && role_in("=admin").is_err() && role_in("admin").is_err());
        assert_eq!(expiry("2026-01-31T08:00:00Z").map(|t| t.to_string()).as_deref(), Ok("2026-01-31T08:00:00Z"));
        assert!(expiry("1h").is_ok_and(|t| t > SystemClock.now()));
        assert!(expiry("soon").is_err());
    }
}
