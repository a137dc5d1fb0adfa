//! How often and for how long a request is sent.

use std::time::Duration;

/// How a request is sent again.
///
/// The defaults are made for a server with a lease of 30 s, as `idem-http` has it: a request whose first execution died with
/// its server is still being sent when that lease ends, in all but one case of a thousand.
///
/// ```
/// use std::time::Duration;
/// use idem_client::RetryPolicy;
///
/// let mut patient = RetryPolicy::default();
/// patient.attempts = 100;
/// patient.window = Duration::from_secs(600);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How often a request is sent at most, including the first time. Zero counts as 1. There is no upper bound, except that
    /// the [`window`](Self::window) ends. Default: 20.
    pub attempts: usize,
    /// How long one operation may take: the hook [`persist`](crate::IdempotentClient::persist), all attempts and pauses. A
    /// window longer than the [`retention`](Self::retention) counts as the retention. Default: 2 minutes.
    pub window: Duration,
    /// How long one attempt may take until its answer has arrived: the head, or with
    /// [`read_body`](crate::IdempotentClient::read_body) the body too. An attempt may take less when less of the window is
    /// left, or when the request or its client has a shorter timeout.
    ///
    /// About as long as the server's lease is best. When a server dies without closing its connections, the attempt then ends
    /// when the lease is over, so that the next attempt is executed at once. A handler that takes longer is not disturbed: the
    /// next attempt is told to come back later, or waits for the handler at the server, and gets its answer. Default: 30 s.
    pub attempt_timeout: Duration,
    /// The pause before the second attempt is random between nothing and this bound. The bound doubles with each further
    /// pause ("full jitter"). Default: 200 ms.
    pub first_pause: Duration,
    /// The highest bound of a pause. `Retry-After` may ask for longer pauses, within the window. Default: 10 s.
    pub longest_pause: Duration,
    /// How long the server repeats its answer. After that the same key counts as a new request, so a request that is older is
    /// not sent again. Default: 24 hours, as `idem-http` has it.
    pub retention: Duration,
    /// How many retries there may be for each request, on average over the last ten seconds, counting all requests of this
    /// client and its clones: 0 (none, except for [`retries_per_second`](Self::retries_per_second)) to 1,000. A larger number
    /// counts as 1,000; one below 0.001, and NaN, as 0. This keeps retries from multiplying the load of an outage. A request
    /// that finds the budget exhausted is not given up: it pauses once more. Default: 0.2.
    pub retry_ratio: f32,
    /// How many retries there may be each second in addition, so that a client with few requests can always retry: 0 (none)
    /// to 1,000,000. A larger number counts as 1,000,000. Where this and the ratio are both 0, nothing is sent again.
    /// Default: 10.
    pub retries_per_second: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 20,
            window: Duration::from_mins(2),
            attempt_timeout: Duration::from_secs(30),
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(10),
            retention: Duration::from_hours(24),
            retry_ratio: 0.2,
            retries_per_second: 10,
        }
    }
}
