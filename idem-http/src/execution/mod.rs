//! Running a handler under a lease, from the lock of its key to the answer of its request.

pub(crate) mod attempt;
pub(crate) mod detachable;
pub(crate) mod finish;
mod handler;
mod lease_end;
mod pass_through;
mod run;
mod stage;
mod store_failure;
mod waiting;
