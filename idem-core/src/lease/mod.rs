//! The lease: the right to run the work of a key, and the answer that grants it.

mod handle;
mod lock_answer;
mod sent;

pub use handle::Lease;
pub use lock_answer::LockAnswer;
pub use sent::Sent;
