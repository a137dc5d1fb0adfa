//! The clock of the writer's own waits.

use idem_core::clock::{Clock, SystemClock};
use std::time::Duration;
/// The writer's waits follow the system's time, whatever clock the store has.
pub(crate) fn now() -> Duration {
    SystemClock.monotonic()
}
