//! The wall clock, for times that outlive the process and for the dates of servers.

use std::time::{SystemTime, UNIX_EPOCH};

#[expect(clippy::disallowed_methods, reason = "the one place of this crate that asks the system")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// Seconds since 1970; a clock before that counts as 1970.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
