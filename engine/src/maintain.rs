//! Background work: writing memory to blocks, merging blocks, rolling them up, deleting old ones.
//!
//! Each step holds the turn ([`Shared::turn`](crate::shared::Shared::turn)) while it changes blocks.

pub(crate) mod compact;
pub(crate) mod flush;
pub(crate) mod leavers;
pub(crate) mod retain;
pub(crate) mod rollup;
pub(crate) mod tasks;

#[cfg(test)]
mod tests;
