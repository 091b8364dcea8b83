//! The API as a client sees it: the real router over ports that live in memory.

#[path = "api/access.rs"]
mod access;
#[path = "api/documents.rs"]
mod documents;
#[path = "api/edges.rs"]
mod edges;
#[path = "api/figures.rs"]
mod figures;
#[path = "api/installer.rs"]
mod installer;
#[path = "api/runtime.rs"]
mod runtime;
#[path = "api/server.rs"]
mod server;
#[path = "api/sessions.rs"]
mod sessions;
#[path = "api/world.rs"]
mod world;
