//! Refusing and probing while the disk is full.

pub(crate) mod circuit_breaker;
pub(crate) mod parts;
