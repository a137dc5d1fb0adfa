//! How long a key may be sent.

use std::time::{Duration, SystemTime};

use crate::box_error::BoxError;
use crate::clock::unix_seconds;

/// How many seconds this clock may be behind the one that was read at the first attempt.
const MAX_CLOCK_SKEW: u64 = 300;

/// The time within which a key may be sent. It is kept by the wall clock, which goes on while the machine sleeps, and across
/// restarts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    /// Seconds since 1970, as is `until`.
    pub(crate) first_sent: u64,
    pub(crate) until: u64,
}

impl Lifetime {
    /// A lifetime in whole seconds, and at least one.
    pub(crate) fn new(now: SystemTime, retention: Duration) -> Self {
        let first_sent = unix_seconds(now);
        Self { first_sent, until: first_sent.saturating_add(retention.as_secs().max(1)) }
    }

    pub(crate) fn is_over(&self, now: SystemTime) -> bool {
        unix_seconds(now) >= self.until
    }

    /// Checks that a key that was first sent by another process may still be sent.
    pub(crate) fn check(&self, now: SystemTime) -> Result<(), BoxError> {
        if unix_seconds(now).saturating_add(MAX_CLOCK_SKEW) < self.first_sent {
            return Err("the clock is behind the time of its first sending: its age cannot be told".into());
        }
        if self.is_over(now) {
            return Err(
                "it is older than the server keeps answers: sent again it might be executed again".into()
            );
        }
        Ok(())
    }

    /// When the lifetime is over, as far as this system can represent that time.
    pub(crate) fn until(&self) -> SystemTime {
        at(self.until)
    }
}

/// The time `seconds` after 1970, or an earlier one where the system cannot represent that.
fn at(seconds: u64) -> SystemTime {
    let times = std::iter::successors(Some(seconds), |seconds| Some(seconds / 2));
    let mut times =
        times.filter_map(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    // The last of them is 1970 itself, which every system can represent.
    times.next().unwrap_or(SystemTime::UNIX_EPOCH)
}
