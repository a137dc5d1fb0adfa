//! Running a handler under a lease, from the lock of its key to the answer of its request.

pub(crate) mod attempt;
pub(crate) mod detachable;
pub(crate) mod finish;
pub(crate) mod handler;
pub(crate) mod lease_end;
pub(crate) mod pass_through;
pub(crate) mod run;
pub(crate) mod stage;
pub(crate) mod store_failure;
pub(crate) mod waiting;
