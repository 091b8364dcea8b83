//! The `nightjar-agent` program: reads log files on a host and turns lines into exact figures.
//!
//! **Owns** tailing, compiled monitors (pick, filter, count), the journal that makes the way to the
//! server exactly-once, the session with the server, one-off tasks, and `scan`.
//!
//! **Never** decides what a figure means, stores more than its journal, listens on a port, or needs
//! to be root.
//!
//! **Entry points**: [`run()`] for the whole agent; [`scan`] for files at once; [`trial`] and
//! [`derive`] for trying monitors on lines at hand; [`cli`] is the command line.
//!
//! **Data flow**: [`tail`] → [`pipeline`] → (`gather`, every flush, together with the positions)
//! [`journal`] → `session` → collector. One thread gathers, one task talks; they meet in `shared`.
//! [`zone`] says what a local time is in UTC.

pub mod cli;
mod config;
pub mod derive;
mod durable;
mod error;
mod gather;
pub mod guard;
mod host;
mod identity;
pub mod journal;
pub mod pipeline;
mod run;
pub mod scan;
mod session;
mod shared;
pub mod tail;
pub mod trial;
pub mod zone;

pub use config::AgentConfig;
pub use error::AgentError;
pub use run::{leave, run, run_with};
