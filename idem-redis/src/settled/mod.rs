//! Waiting until a key is settled, whichever process holds it.

pub(crate) mod subscriptions;
pub(crate) mod until_settled;
