//! The contract that every backend keeps, and what builds directly on it.

mod capabilities;
mod contract;
mod pointer_impls;
pub(crate) mod polling;
mod settled_wait;

pub use capabilities::{Capabilities, Expired};
pub use contract::Store;
pub use settled_wait::SettledWait;
