//! The configuration: its options, how they are read, and what is refused.

pub(crate) mod acks;
pub(crate) mod address;
mod check;
pub(crate) mod deployment;
pub(crate) mod options;
pub(crate) mod redis_config;
