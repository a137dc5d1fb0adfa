//! The store and its calls.

mod holder;
mod inner;
mod lock;
pub(crate) mod redis_store;
mod remove;
mod scan;
