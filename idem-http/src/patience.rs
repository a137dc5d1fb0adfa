//! A time limit over several waits, whose clock is read only once something must be waited for.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout_at};

/// A time limit past the end of time counts as this.
pub(crate) const YEAR: Duration = Duration::from_hours(365 * 24);

/// So much time for all that is waited for by it. It begins with the first wait.
pub(crate) struct Patience {
    time: Duration,
    until: Option<Instant>,
}

impl Patience {
    pub(crate) fn new(time: Duration) -> Self {
        Self { time: time.min(YEAR), until: None }
    }

    /// What `future` comes to; `None` when the time is over before. What is always ready gives way to others now and
    /// then, and meets the limit there.
    ///
    /// # Cancel safety
    /// That of `future`.
    pub(crate) async fn wait<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = pin!(async {
            consume_budget().await;
            future.await
        });
        if let Poll::Ready(output) = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
            return Some(output);
        }
        let now = Instant::now();
        let until = *self.until.get_or_insert(now + self.time);
        // What gave way without waiting for anything never lets a timer tell.
        if now >= until {
            return None;
        }
        timeout_at(until, future).await.ok()
    }
}
