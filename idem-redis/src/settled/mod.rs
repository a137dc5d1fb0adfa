//! Waiting until a key is settled, by this process or another.

pub(crate) mod subscriptions;
pub(crate) mod until_settled;
