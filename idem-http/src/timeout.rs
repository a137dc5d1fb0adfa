//! A time limit over several waits, which reads the clock only once something must be waited for.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout_at};

/// A longer time limit counts as this one, so that no deadline overflows.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_hours(365 * 24);

/// One time limit for all futures that it runs. The time counts from the first of them that is not ready at once.
pub(crate) struct LazyTimeout {
    time: Duration,
    deadline: Option<Instant>,
}

impl LazyTimeout {
    pub(crate) fn new(time: Duration) -> Self {
        Self { time: time.min(MAX_TIMEOUT), deadline: None }
    }

    /// The output of `future`; `None` when the time is over before. A future that is always ready yields to other tasks
    /// now and then, and meets the limit there.
    ///
    /// # Cancel safety
    /// That of `future`.
    pub(crate) async fn run<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = pin!(async {
            consume_budget().await;
            future.await
        });
        if let Poll::Ready(output) = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
            return Some(output);
        }
        let now = Instant::now();
        let deadline = *self.deadline.get_or_insert(now + self.time);
        // A future that yields without waiting for anything never lets a timer fire.
        if now >= deadline {
            return None;
        }
        timeout_at(deadline, future).await.ok()
    }
}
