//! How often, how soon and how long a request is sent again.

pub(crate) mod budget;
pub(crate) mod jitter;
pub(crate) mod policy;
