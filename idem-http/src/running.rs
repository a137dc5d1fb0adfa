//! Waiting for the handlers that are still running.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The requests with a key that are between their lock and their answer. Their clients may be gone.
///
/// A server that shuts down first stops taking requests. It then waits for its connections, for a bounded time since
/// clients may be slow, and then for these requests:
///
/// ```
/// # async fn shut_down(layer: idem_http::IdempotencyLayer) {
/// use std::time::Duration;
///
/// if tokio::time::timeout(Duration::from_secs(30), layer.running().ended()).await.is_err() {
///     eprintln!("{} handlers were cut off; their keys free themselves", layer.running().count());
/// }
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Running(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: AtomicUsize,
    none_left: Notify,
}

impl Running {
    /// How many requests are running now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.count.load(Ordering::Acquire)
    }

    /// Waits until no request is running.
    ///
    /// # Cancel safety
    /// Safe: changes nothing.
    pub async fn ended(&self) {
        loop {
            let none_left = self.0.none_left.notified();
            if self.count() == 0 {
                return;
            }
            none_left.await;
        }
    }

    pub(crate) fn begin(&self) -> RunningGuard {
        self.0.count.fetch_add(1, Ordering::AcqRel);
        RunningGuard(self.clone())
    }
}

/// Counts one request as running until it is dropped.
#[derive(Debug)]
pub(crate) struct RunningGuard(Running);

impl Drop for RunningGuard {
    fn drop(&mut self) {
        let inner = &self.0.0;
        if inner.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            inner.none_left.notify_waiters();
        }
    }
}
