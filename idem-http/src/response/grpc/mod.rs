//! What is specific to gRPC: its content type, and its refusals.

pub(crate) mod content_type;
mod details;
pub(crate) mod refusal;
