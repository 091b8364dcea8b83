//! Users, API tokens, workspaces.

use std::collections::BTreeMap;

use anyhow::bail;
use nightjar_model::identity::Role;
use nightjar_model::{Clock, Secret, Span, SystemClock, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::{Connection, segment};
use super::documents::all_pages;
use super::fleet::items_table;
use super::output::{cell, emit};
use super::password;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user, or change one. A new one's password is asked for, piped in, or taken from
    /// NIGHTJAR_NEW_PASSWORD; one who is there keeps theirs, unless that is set or --new-password is given
    Add(AddArgs),
    List,
    Delete {
        name: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    name: String,
    #[arg(long)]
    display_name: Option<String>,
    /// WORKSPACE=viewer|operator|editor|admin; may be repeated. Those given replace all the user had
    #[arg(long = "role", value_parser = role_in, value_name = "WORKSPACE=ROLE")]
    roles: Vec<(String, Role)>,
    /// May do everything everywhere; `=false` takes that away, and without the option it stays as it is
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    platform_admin: Option<bool>,
    /// Cannot log in, and what they made of sessions and tokens is not accepted; `=false` lets them in again
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    disabled: Option<bool>,
    /// Ask for a new password of one who is there already; ends their sessions
    #[arg(long)]
    new_password: bool,
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
        UserCommand::Add(args) => {
            let path = format!("users/{}", segment(&args.name));
            let password = if args.new_password || !is_there(connection, &args.name).await? {
                Some(password::new(&format!("New password of {}: ", args.name))?)
            } else {
                password::new_if_set()
            };
            let name = args.name.clone();
            let change = change(args, password.as_ref())?;
            let saved: Value = connection.json(connection.request(Method::PUT, &path).json(&change)).await?;
            if change.get("roles").is_some() && saved["platformAdmin"] == true {
                eprintln!(
                    "warning: {name} is a platform admin and may do everything everywhere, whatever the roles; \
                     --platform-admin=false takes that away"
                );
            }
            emit(&format!("user {name} saved\n"))
        }
        UserCommand::List => {
            let users = all_pages(connection, || connection.request(Method::GET, "users")).await?;
            let keys = ["name", "displayName", "platformAdmin", "roles", "disabled", "lastLoginAt"];
            emit(&items_table(
                &users,
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

async fn is_there(connection: &Connection, user: &str) -> anyhow::Result<bool> {
    let users = all_pages(connection, || connection.request(Method::GET, "users")).await?;
    Ok(users.iter().any(|known| known["name"] == user))
}

/// What is to be different about a user; what is not in it stays as it is.
fn change(args: AddArgs, password: Option<&Secret>) -> anyhow::Result<Value> {
    let mut change = serde_json::Map::new();
    if let Some(password) = password {
        change.insert("password".into(), json!(password.expose()));
    }
    if let Some(display_name) = args.display_name {
        change.insert("displayName".into(), json!(display_name));
    }
    if !args.roles.is_empty() {
        change.insert("roles".into(), json!(args.roles.into_iter().collect::<BTreeMap<_, _>>()));
    }
    for (key, wanted) in [("platformAdmin", args.platform_admin), ("disabled", args.disabled)] {
        if let Some(wanted) = wanted {
            change.insert(key.into(), json!(wanted));
        }
    }
    if change.is_empty() {
        bail!(
            "user {} is there already; say what is to change: --role, --display-name, --platform-admin, --disabled or \
             --new-password",
            args.name
        );
    }
    Ok(Value::Object(change))
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
            let tokens = all_pages(connection, || connection.request(Method::GET, "tokens")).await?;
            let keys = ["id", "name", "platformAdmin", "roles", "expiresAt", "lastUsedAt", "owner", "createdBy"];
            let titles = ["ID", "NAME", "PLATFORM ADMIN", "ROLES", "EXPIRES", "LAST USED", "OWNER", "MADE BY"];
            emit(&items_table(&tokens, &titles, &keys))
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
            let workspaces = all_pages(connection, || connection.request(Method::GET, "workspaces")).await?;
            emit(&items_table(&workspaces, &["NAME", "YOUR ROLE"], &["name", "role"]))
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
    use clap::Parser as _;

    use super::*;

    fn args(roles: &[&str]) -> AddArgs {
        AddArgs {
            name: "li-lei".into(),
            display_name: None,
            roles: roles.iter().map(|role| role_in(role).expect("a role")).collect(),
            platform_admin: None,
            disabled: None,
            new_password: false,
        }
    }

    #[test]
    fn a_role_changes_alone() {
        let change = |roles: &[&str], password| change(args(roles), password);
        let roles = json!({ "roles": { "default": "viewer" } });
        assert_eq!(change(&["default=viewer"], None).expect("a change"), roles);
        let password = Secret::new("battery staple");
        let alone = change(&[], Some(&password)).expect("a change");
        assert_eq!(alone, json!({ "password": "battery staple" }));
        let error = change(&[], None).expect_err("nothing to change").to_string();
        assert!(error.contains("li-lei is there already") && error.contains("--new-password"), "{error}");
    }

    #[test]
    fn an_option_that_is_not_given_keeps_what_is() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: AddArgs,
        }
        let change = |options: &[&str]| {
            let line = ["add", "li-lei", "--role", "default=viewer"].iter().chain(options);
            let mut change = change(Line::try_parse_from(line).expect("options").args, None).expect("a change");
            change.as_object_mut().expect("an object").remove("roles");
            change
        };
        assert_eq!(change(&[]), json!({}));
        assert_eq!(change(&["--platform-admin"]), json!({ "platformAdmin": true }));
        assert_eq!(
            change(&["--platform-admin=false", "--disabled"]),
            json!({ "platformAdmin": false, "disabled": true })
        );
        assert_eq!(change(&["--disabled=false"]), json!({ "disabled": false }));
        // A word that follows is not its value.
        assert!(Line::try_parse_from(["add", "li-lei", "--disabled", "false"]).is_err());
    }

    #[test]
    fn roles_and_expiries_are_read() {
        assert_eq!(role_in("default=editor"), Ok(("default".into(), Role::Editor)));
        assert!(role_in("default=king").is_err() && role_in("=admin").is_err() && role_in("admin").is_err());
        assert_eq!(expiry("2026-01-31T08:00:00Z").map(|t| t.to_string()).as_deref(), Ok("2026-01-31T08:00:00Z"));
        assert!(expiry("1h").is_ok_and(|t| t > SystemClock.now()));
        assert!(expiry("soon").is_err());
    }
}
