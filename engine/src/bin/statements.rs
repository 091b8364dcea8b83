//! The process of SQL statements, on its own: what the tests of this crate start.

use std::process::ExitCode;

fn main() -> ExitCode {
    nightjar_engine::serve_statements()
}
