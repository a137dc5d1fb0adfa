//! The time that the writer waits by.

use idem_core::clock::{Clock, SystemClock};
use std::time::Duration;
/// The writer's own patience follows the system's time, whatever clock the store has.
pub(crate) fn now() -> Duration {
    SystemClock.monotonic()
}
