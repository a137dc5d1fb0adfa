//! The rounds, by the servers that they run on.

pub(crate) mod postgres;
pub(crate) mod redis;
