//! What is let through while the disk is full.

pub(crate) mod circuit_breaker;
pub(crate) mod parts;
