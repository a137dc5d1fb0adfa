//! How often and for how long.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};

/// How a request is sent again.
///
/// ```
/// use std::time::Duration;
/// use idem_client::RetryPolicy;
///
/// let mut patient = RetryPolicy::default();
/// patient.attempts = 20;
/// patient.window = Duration::from_secs(600);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How often a request is sent at most, the first time included. At least 1. Default: 8.
    pub attempts: usize,
    /// How long all of it may take, the last sending not included: at most for as long as the server keeps its
    /// answers, past which the same key is a new request. Default: 2 minutes.
    pub window: Duration,
    /// The first pause; each further one is twice as long, and up to half of it again by chance. Default: 200 ms.
    pub first_pause: Duration,
    /// The longest pause that is made unasked. `Retry-After` may ask for longer ones, within the window.
    /// Default: 10 s.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 8,
            window: Duration::from_mins(2),
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(10),
        }
    }
}

impl RetryPolicy {
    /// The pauses between sendings, one fewer than there are sendings.
    pub(crate) fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        ExponentialBuilder::default()
            .with_min_delay(self.first_pause)
            .with_max_delay(self.longest_pause)
            .with_max_times(self.attempts.saturating_sub(1))
            .with_jitter()
            .build()
    }
}
