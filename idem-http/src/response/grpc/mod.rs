//! Refusals of gRPC, and how a call is told from other requests.

pub(crate) mod content_type;
mod details;
pub(crate) mod refusal;
