//! Where agents connect.
//!
//! **Owns** agent sessions, what each agent is told to collect, the admission of what they send
//! (who may contribute to what, sizes, bandwidth, order), one-off tasks, and the live view of the
//! fleet.
//!
//! **Never** stores figures (the engine does), judges them, or knows where a document came from.
//! It acknowledges nothing that the engine has not made durable.
//!
//! **Entry points**: [`Collector::new`], [`Collector::serve`]; [`Fleet`](nightjar_model::ports::Fleet)
//! is implemented on [`Collector`].
//!
//! **Data flow**: `Hello` → [`session`] → `Welcome`, `Config`; `Record` → [`admit`] →
//! [`Intake::take`](nightjar_model::ports::Intake::take) → `Ack`; a changed document or fleet →
//! [`hand_out`] → `Config` to the agents and `expect` to the engine.

mod admit;
mod collector;
mod config;
mod doubles;
mod fleet;
mod hand_out;
mod incoming;
mod live;
mod pace;
mod presence;
mod refusal;
mod service;
mod session;

pub use collector::Collector;
pub use config::{CollectorConfig, TlsFiles, TlsPem};
pub use incoming::sessions_within;
