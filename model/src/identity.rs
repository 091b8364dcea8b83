//! People, tokens, roles: who asks, and what they may do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Timestamp;

/// What somebody may do in a workspace; each role may all that the one before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything but secrets, audit and people.
    Viewer,
    /// Also acts on what runs: test-sends, one-off tasks of agents.
    Operator,
    /// Also changes resources.
    Editor,
    /// Also people, tokens, agents, and the audit log of the workspace.
    Admin,
}

/// Who makes a request; what the audit log records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `user:alice`, `token:ci`, `agent:…`, `system`.
    pub name: String,
    /// From where, as the server saw it.
    pub address: Option<String>,
}

impl Actor {
    pub fn system() -> Self {
        Self { name: "system".into(), address: None }
    }
}

/// Somebody whose identity is proved, with what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub actor: Actor,
    pub platform_admin: bool,
    pub roles: BTreeMap<String, Role>,
    /// Which of the user's passwords this rests on, as the store knows it; `None` for tokens. What rests on
    /// one that was changed since is worth nothing.
    pub credential: Option<String>,
}

impl Principal {
    pub fn role_in(&self, workspace: &str) -> Option<Role> {
        if self.platform_admin { Some(Role::Admin) } else { self.roles.get(workspace).copied() }
    }

    pub fn is_admin_anywhere(&self) -> bool {
        self.platform_admin || self.roles.values().any(|role| *role == Role::Admin)
    }
}

/// What somebody may do, whoever it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    pub platform_admin: bool,
    pub roles: BTreeMap<String, Role>,
}

impl Rights {
    pub fn role_in(&self, workspace: &str) -> Option<Role> {
        if self.platform_admin { Some(Role::Admin) } else { self.roles.get(workspace).copied() }
    }

    /// What both may.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let workspaces = self.roles.keys().chain(other.roles.keys());
        let roles = workspaces
            .filter_map(|workspace| {
                let least = self.role_in(workspace)?.min(other.role_in(workspace)?);
                Some((workspace.clone(), least))
            })
            .collect();
        Self { platform_admin: self.platform_admin && other.platform_admin, roles }
    }
}

/// A user as shown; the password never is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub name: String,
    pub display_name: String,
    pub platform_admin: bool,
    pub roles: BTreeMap<String, Role>,
    pub disabled: bool,
    pub created_at: Timestamp,
    pub last_login_at: Option<Timestamp>,
}

/// What makes or changes a user. What is absent stays as it is.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UserChange {
    pub display_name: Option<String>,
    /// At least 8 characters.
    #[schema(value_type = Option<String>)]
    pub password: Option<crate::Secret>,
    pub platform_admin: Option<bool>,
    pub roles: Option<BTreeMap<String, Role>>,
    pub disabled: Option<bool>,
}

/// An API token as shown; its value is shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiToken {
    pub id: String,
    pub name: String,
    pub platform_admin: bool,
    pub roles: BTreeMap<String, Role>,
    pub created_by: String,
    /// Whose token it is, `user:alice` or `system`: it may what its owner may at the time, at most, and ends
    /// with the owner. Null for one of an earlier version whose owner is not known: it is not accepted.
    pub owner: Option<String>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
}

/// What a new API token is to be.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NewApiToken {
    pub name: String,
    pub platform_admin: bool,
    pub roles: BTreeMap<String, Role>,
    pub expires_at: Option<Timestamp>,
}

/// An enrolment token as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnrolmentToken {
    pub id: String,
    pub workspace: String,
    pub note: String,
    /// How often it can still be used; `None` for any number of times.
    pub uses_left: Option<u32>,
    pub created_by: String,
    /// Whose token it is, `user:alice` or `system`: it is accepted while its owner is an admin of the
    /// workspace. Null for one of an earlier version whose owner is not known: it is not accepted.
    pub owner: Option<String>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub used: u32,
}

/// What a new enrolment token is to be.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NewEnrolmentToken {
    pub note: String,
    /// `None`: any number of times.
    pub uses: Option<u32>,
    pub expires_at: Option<Timestamp>,
}

/// One write, as the audit log keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    pub id: i64,
    pub at: Timestamp,
    pub actor: String,
    pub address: Option<String>,
    pub workspace: Option<String>,
    /// `create`, `update`, `delete`, `restore`, `login`, `login_failed`, `enrol`, `revoke`, `task`, `test_send`…
    pub action: String,
    /// Kind of the object: `Monitor`, `User`, `ApiToken`, `Agent`…
    pub kind: String,
    pub name: String,
    /// Secrets shown as `***`.
    pub before: Option<serde_json::Value>,
    pub after: Option<serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(platform_admin: bool, roles: &[(&str, Role)]) -> Rights {
        let roles = roles.iter().map(|(workspace, role)| ((*workspace).to_owned(), *role)).collect();
        Rights { platform_admin, roles }
    }

    #[track_caller]
    fn check(a: &Rights, b: &Rights, expected: &Rights) {
        assert_eq!((&a.and(b), &b.and(a)), (expected, expected));
    }

    #[test]
    fn rights_of_both_are_the_lesser() {
        let all = rights(true, &[]);
        let some = rights(false, &[("a", Role::Admin), ("b", Role::Viewer)]);
        check(&all, &all, &all);
        check(&all, &some, &some);
        check(
            &some,
            &rights(false, &[("a", Role::Editor), ("c", Role::Admin)]),
            &rights(false, &[("a", Role::Editor)]),
        );
        check(&some, &rights(false, &[]), &rights(false, &[]));
    }
}
