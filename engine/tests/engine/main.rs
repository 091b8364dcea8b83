//! The engine through its ports, on real files.

mod columnar;
mod completeness;
mod conditions;
mod crash;
mod disk_full;
mod fixture;
mod formats;
mod golden;
mod identity;
mod limits;
mod statements;
mod tables;
mod upkeep;
