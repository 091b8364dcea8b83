//! HTTP: the API and its OpenAPI document, authentication, sessions, the console, the agents' installer.
//!
//! **Owns** routes, who may use them, the translation of HTTP to the ports and back, problem
//! documents, the embedded console.
//!
//! **Never** decides anything about the business: documents are judged by `model` and the store,
//! figures by the engine, alerts by alerting. It keeps no state but short-lived caches.
//!
//! **Entry point**: [`Web::new`] with a [`WebConfig`] and the [`Services`] it is to speak for, then
//! [`Web::serve`].
//!
//! **Data flow**: connection → [`edge`] (request id, limits, headers, panics) → [`auth`] (who asks;
//! denied unless the route's declared access lets them) → [`api`] → a port → JSON or YAML.

mod api;
mod auth;
mod body;
mod client;
mod config;
mod connection;
mod console;
mod edge;
mod installer;
mod openapi;
mod params;
mod places;
mod problem;
mod serve;
mod services;

pub use config::{TlsFiles, WebConfig};
pub use openapi::openapi;
pub use problem::ProblemDocument;
pub use serve::{Web, WebError};
pub use services::{About, Services};
