//! What the layer answers, and what it keeps of a handler's answer for retries.

pub(crate) mod body;
pub(crate) mod capture;
pub(crate) mod codec;
pub(crate) mod expiry;
pub(crate) mod grpc;
pub(crate) mod kept_headers;
pub(crate) mod outcome;
pub mod problem;
pub(crate) mod replies;
pub(crate) mod stored;
pub(crate) mod verdict;
