//! A request with its key, and what of it is kept for a restart.

mod conversion;
mod kept_body;
pub(crate) mod key;
pub(crate) mod lifetime;
pub(crate) mod outgoing_request;
pub(crate) mod resumed;
mod secrets;
mod wire;
