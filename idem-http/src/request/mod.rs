//! What the layer takes from a request: its key and scope, its body within bounds, and its fingerprint.

pub(crate) mod body;
pub(crate) mod fingerprint;
pub(crate) mod key;
pub(crate) mod original_uri;
pub(crate) mod scope;
pub(crate) mod unary_methods;
