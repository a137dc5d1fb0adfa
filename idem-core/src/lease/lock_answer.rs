use std::time::Duration;

use super::handle::Lease;
use crate::record::Replay;

/// The answer to [`Store::lock`](crate::Store::lock).
#[derive(Debug, Clone)]
#[must_use = "only `Acquired` allows the work to run"]
pub enum LockAnswer {
    /// The caller holds the key: it may run the work.
    Acquired(Lease),
    /// Another caller holds the key.
    InProgress {
        /// What is left of that caller's lease. A hint: the holder may renew, complete or die.
        remaining: Duration,
    },
    /// The work ran to its end before; this is its result.
    Completed(Replay),
    /// The key was used for a different request. Nothing of that request is shown.
    FingerprintMismatch,
}
