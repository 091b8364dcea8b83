//! What must outlive the process, but for the figures: documents, people, agents, alerts, audit.
//!
//! **Owns** the resource store (documents, versions, references, secrets at rest), users, sessions
//! and tokens, the enrolment and keys of agents, the state and history of alerts with the
//! notification queue, and the audit log. SQLite by default, PostgreSQL by its URL; the code is the
//! same for both.
//!
//! **Never** decides what an alert is, who may do what (it only proves who somebody is), or talks
//! to the network; never hands out a secret but through `ResourceStore::reveal`.
//!
//! **Entry point**: [`Store::open`], then [`Store::bootstrap`]; what other rooms see are the ports
//! `ResourceStore`, `Identities`, `AgentRegistry` and `AlertStore` that [`Store`] answers.
//!
//! **Data flow**: port → one transaction (checks, rows, audit entry) → commit → change listeners.
//! A transaction sees no other writer: SQLite has one writer at a time, PostgreSQL runs them
//! serializable and repeats those that collided.

mod backup;
mod config;
mod error;
mod store;

mod database;
mod migrations;
mod tables;

mod audit;
mod documents;
mod vault;
mod workspaces;

mod people;
mod tokens;

mod enrolment;

mod alerts;

mod pruning;

pub use backup::{CopiedStore, DATABASE, KEY, copy, key_file};
pub use config::StoreConfig;
pub use people::bootstrap::{Bootstrap, Bootstrapped};
pub use store::Store;
