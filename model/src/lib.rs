//! The vocabulary every other room speaks.
//!
//! **Owns** resource documents and their validation, names and ids, exact figures and their
//! merges ([`partial`]), the agent protocol ([`protocol`]), error kinds, and the ports (traits)
//! through which rooms meet ([`ports`]).
//!
//! **Never** does IO, holds a runtime, or reads a clock other than through [`time::Clock`].
//!
//! **Entry points**: [`resource::Resource`] for what users write, [`delta::Batch`] for what
//! agents send, [`ports`] for what one room may ask of another.
//!
//! **Data flow**: text → [`syntax`] → [`decode`] → [`kinds`] → `validate` → [`resource::Resource`];
//! lines → (agent) → [`delta::Batch`] → (collector, engine) → [`ports::WindowReader`].

pub mod address;
pub mod agents;
pub mod alert;
pub mod builtin;
pub mod decimal;
pub mod decode;
pub mod delta;
pub mod error;
pub mod identity;
pub mod kinds;
pub mod message_template;
pub mod names;
pub mod partial;
pub mod ports;
pub mod problem;
pub mod protocol;
pub mod query;
pub mod resource;
pub mod secret;
pub mod syntax;
pub mod time;

pub use decimal::Decimal;
pub use error::{Error, ErrorKind, Result};
pub use problem::{Problem, Problems};
pub use resource::{Kind, Metadata, Resource, ResourceKey};
pub use secret::Secret;
pub use time::{Clock, Span, SystemClock, Timestamp};
