//! Conformance kit.

mod cases;
mod executing;
mod harness;
mod holder;
mod list;
mod macros;
mod model;
mod need;
mod run;
mod trial;
mod wrap;

pub use cases::{CASES, Case};
pub use harness::{Harness, LARGEST_OUTCOME, Time, Unsupported};
pub use model::run_model;
pub use need::Need;
pub use run::check;
#[doc(hidden)]
pub use run::{Fresh, fresh, list_excluded, run};
