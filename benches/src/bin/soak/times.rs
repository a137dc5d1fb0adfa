//! How long things may take in a soak run.

use std::time::Duration;

pub(crate) const LEASE: Duration = Duration::from_secs(1);
/// A retry that is answered this long after its key's execution was sent must get what was kept.
pub(crate) const STILL_KEPT: Duration = Duration::from_millis(1_500);
/// How long a caller waits for another one.
pub(crate) const WAIT: Duration = Duration::from_secs(10);
