//! The rows, as sea-orm sees them. Nothing of this leaves the room.

#![expect(unreachable_pub, reason = "the macros of sea-orm make the columns and keys as public as the row")]

pub(crate) mod agents;
pub(crate) mod alert_events;
pub(crate) mod alerts;
pub(crate) mod api_tokens;
pub(crate) mod audit;
pub(crate) mod enrolment_tokens;
pub(crate) mod notifications;
pub(crate) mod resource_references;
pub(crate) mod resource_versions;
pub(crate) mod resources;
pub(crate) mod rule_states;
pub(crate) mod sessions;
pub(crate) mod settings;
pub(crate) mod users;
pub(crate) mod workspaces;
