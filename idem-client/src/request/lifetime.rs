//! For how long a key may be sent.

use std::time::{Duration, SystemTime};

use crate::box_error::BoxError;
use crate::clock::unix_seconds;

/// How far a clock may be behind the one that was read at the first sending.
const CLOCKS_DIFFER: u64 = 300;

/// Within which a key may be sent, by the wall clock: it goes on while the machine sleeps, and over restarts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    /// Seconds since 1970.
    pub(crate) first_sent: u64,
    pub(crate) until: u64,
}

impl Lifetime {
    /// In whole seconds, of which there is at least one.
    pub(crate) fn new(now: SystemTime, retention: Duration) -> Self {
        let first_sent = unix_seconds(now);
        Self { first_sent, until: first_sent.saturating_add(retention.as_secs().max(1)) }
    }

    pub(crate) fn is_over(&self, now: SystemTime) -> bool {
        unix_seconds(now) >= self.until
    }

    /// Whether a key that was first sent by another process may be sent still.
    pub(crate) fn check(&self, now: SystemTime) -> Result<(), BoxError> {
        if unix_seconds(now).saturating_add(CLOCKS_DIFFER) < self.first_sent {
            return Err("the clock is behind the time of its first sending: its age cannot be told".into());
        }
        if self.is_over(now) {
            return Err(
                "it is older than the server keeps answers: sent again it might be executed again".into()
            );
        }
        Ok(())
    }

    /// When it is over, as far as this system's time can tell.
    pub(crate) fn until(&self) -> SystemTime {
        at(self.until)
    }
}

/// So many seconds after 1970, or less where the system has no such time.
fn at(seconds: u64) -> SystemTime {
    let times = std::iter::successors(Some(seconds), |seconds| Some(seconds / 2));
    let mut times =
        times.filter_map(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    // The last of them is 1970 itself, which every system has.
    times.next().unwrap_or(SystemTime::UNIX_EPOCH)
}
