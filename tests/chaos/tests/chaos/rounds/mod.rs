//! The rounds, by the servers that they run on, and what they share.

mod paused;
pub(crate) mod postgres;
pub(crate) mod redis;
