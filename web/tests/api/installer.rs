//! The installer's script, run for real against a server and into a folder of its own.
