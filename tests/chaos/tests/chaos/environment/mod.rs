//! What a round runs on: servers, and what stands between them and their callers.

pub(crate) mod postgres;
pub(crate) mod redis;
