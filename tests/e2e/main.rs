//! End to end: the real binaries, real files, real sockets.

#![expect(clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

mod harness;

mod agents;
mod alerts;
mod command_line;
mod demo;
mod doors;
mod exactly_once;
mod faults;
mod figures;
mod going_back;
mod install;
mod late;
mod leaving;
mod people;
mod readings;
mod refusals;
mod tls;
