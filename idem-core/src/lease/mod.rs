//! The right to run the work of a key: what a holder has in its hands, and how it got it.

mod handle;
mod lock_answer;
mod sent;

pub use handle::Lease;
pub use lock_answer::LockAnswer;
pub use sent::Sent;
