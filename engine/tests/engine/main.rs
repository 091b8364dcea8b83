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
mod rollups;
mod statements;
mod tables;
mod tops;
mod upkeep;
