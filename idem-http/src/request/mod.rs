//! What the layer takes of a request: its key and scope, its body within bounds, and its fingerprint.

pub(crate) mod body;
pub(crate) mod fingerprint;
pub(crate) mod intake;
pub(crate) mod key;
pub(crate) mod keyed_request;
pub(crate) mod original_uri;
pub(crate) mod pending_handler;
pub(crate) mod scope;
pub(crate) mod unary_methods;
