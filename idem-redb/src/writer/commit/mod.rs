//! One write transaction, from its beginning to its commit.

pub(crate) mod application_transaction;
pub(crate) mod batch;
pub(crate) mod step;
pub(crate) mod transactions;
