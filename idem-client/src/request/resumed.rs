//! An operation that another process began.

#[cfg(feature = "middleware")]
use reqwest::Request;

use crate::request::key::ClientKey;
use crate::request::lifetime::Lifetime;

/// The same operation, after a restart.
#[derive(Debug, Clone)]
pub(crate) struct Resumed {
    pub(crate) key: ClientKey,
    pub(crate) lifetime: Lifetime,
}

#[cfg(feature = "middleware")]
impl Resumed {
    /// Whether `request` is the one that is resumed: it carries the key in some header.
    pub(crate) fn is_of(&self, request: &Request) -> bool {
        request.headers().values().any(|value| ClientKey::of(value).as_ref() == Some(&self.key))
    }
}
