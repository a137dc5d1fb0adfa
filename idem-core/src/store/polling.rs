//! Waiting until a key has no live lease by looking again and again.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::Result;
use crate::record::Record;

const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Also how late a waiter can notice what nobody notifies it of, such as a lease that ran out early.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// [`Store::settled`](crate::Store::settled) for a store that notifies nobody; `get` reads the key's record.
pub(crate) async fn settled_by_polling<F>(get: impl Fn() -> F, timeout: Duration) -> Result<bool>
where
    F: Future<Output = Result<Option<Record>>>,
{
    let over = deadline(timeout);
    let mut pause = FIRST_PAUSE;
    loop {
        let Some(remaining) = lease_remaining(get().await?) else { return Ok(true) };
        let left = over.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        sleep(pause.min(remaining).min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What is left of the record's live lease.
pub(crate) fn lease_remaining(record: Option<Record>) -> Option<Duration> {
    record.and_then(|record| record.lease_remaining())
}

/// The end of a timeout. Longer than a year counts as a year, since an `Instant` has an end.
pub(crate) fn deadline(timeout: Duration) -> Instant {
    const YEAR: Duration = Duration::from_hours(365 * 24);
    Instant::now() + timeout.min(YEAR)
}
