//! A request with a key, from its header to the lock of its key.

pub(crate) mod keyed_request;
pub(crate) mod pending_handler;
pub(crate) mod unread;
