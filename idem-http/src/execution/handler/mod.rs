//! Calling the handler, and what becomes of its answer.

mod call;
pub(crate) mod handle;
pub(crate) mod handler_run;
mod judge;
mod panic;
mod routing;
