//! Connections as they are taken, whatever is spoken on them: how many, from whom, how long in silence.
//!
//! **Owns** the caps of a listener (in all and by address), whom it parts with when they are reached, and the
//! time-outs of a connection on which nothing happens.
//!
//! **Never** reads what is sent, knows who sends it, or decides what counts: `web` and `collector` say
//! when something is under way.
//!
//! **Entry point**: [`Connections::admit`].
//!
//! **Data flow**: a socket → [`Connections`] (a place, or another's, or none) → [`Guarded`], which is read
//! and written like the socket and ends by itself → whoever serves it calls [`Connection::begin`] for what
//! counts, and [`Connection::protect`] while it must not be parted with.
//!
//! The newest gets in: at a cap, one that is only kept alive, else the oldest connection that is not at work makes room,
//! of the address that has the most. Somebody who opens connections without end thus takes them from themselves, and
//! everybody else, also at the same address, still gets an answer.

mod activity;
mod connections;
mod guarded;

pub use activity::{Connection, Protected, UnderWay};
pub use connections::{Connections, Limits};
pub use guarded::Guarded;
