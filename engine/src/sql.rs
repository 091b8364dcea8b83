//! SQL over the monitors of one workspace: `SELECT … FROM monitor."name"`, and `minute`, `hour` or `day."name"`.
//!
//! Each statement runs in a process of its own (`statements`, `process` on the server's side; `worker`,
//! `session` on the other), that reads blocks by itself and asks for what is in memory (`host`, `link`, by
//! the messages of `wire`). It has a schema that holds the tables it names, and nothing else: no other
//! files, no other workspace, no statement but a query.

pub(crate) mod near;
pub(crate) mod statements;

mod encode;
mod grouping;
mod host;
mod link;
mod of_time;
mod process;
mod pushdown;
mod rolled;
mod scan;
mod session;
mod table;
mod wire;
mod words;
mod worker;

pub use worker::serve_statements;
