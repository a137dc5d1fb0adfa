//! The bodies of requests: how they are read, and how much memory they may hold together.

pub(crate) mod budget;
mod buffer;
pub(crate) mod read;
pub(crate) mod request_body;
