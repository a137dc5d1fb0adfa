//! Runs the work of a key once, by the calls of the store contract.

mod acquire;
mod attempt;
mod execution;
mod finish;
mod heartbeat;
mod policy;
mod refresh;
mod resend;
mod store_ext;

pub use execution::{Execution, NoResult};
pub use policy::{OnError, Policy};
pub use store_ext::StoreExt;
