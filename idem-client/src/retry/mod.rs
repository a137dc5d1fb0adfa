//! How often, how soon and for how long a request is sent again.

pub(crate) mod budget;
pub(crate) mod jitter;
pub(crate) mod policy;
