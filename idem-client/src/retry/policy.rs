//! How often and for how long.

use std::time::Duration;

/// How a request is sent again.
///
/// The defaults are made for a server whose lease is 30 s, as that of `idem-http`: a request whose first execution
/// died with its server is still being sent when that lease ends, in all but one case of a thousand.
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
    /// How often a request is sent at most, the first time included. Zero counts as 1, and there is no upper bound but the
    /// [`window`](Self::window). Default: 20.
    pub attempts: usize,
    /// How long all of it may take: hook, attempts and pauses. At most as long as [`retention`](Self::retention).
    /// Default: 2 minutes.
    pub window: Duration,
    /// How long one attempt may take, until its answer is there: the head, or with
    /// [`read_body`](crate::IdempotentClient::read_body) the body too. What is left of the window shortens it, and so does
    /// a timeout of the request or of its client.
    ///
    /// About the server's lease is best. A server that died in silence is found out when its lease is over, so the
    /// next attempt is executed at once. A handler that takes longer does so undisturbed: the next attempt is told to
    /// come again, or waits for it at the server, and gets its answer. Default: 30 s.
    pub attempt_timeout: Duration,
    /// The pause before the second attempt is drawn by chance from between nothing and this; for each further one the
    /// bound is twice as high ("full jitter"). Default: 200 ms.
    pub first_pause: Duration,
    /// The highest bound. `Retry-After` may ask for longer pauses, within the window. Default: 10 s.
    pub longest_pause: Duration,
    /// For how long the server gives the same answer again: past it the same key is a new request. Nothing is sent
    /// again that is older. Default: 24 hours, as `idem-http` has it.
    pub retention: Duration,
    /// How many retries there may be for each request, on the average of the last ten seconds, over all that
    /// this client and its clones send: 0 (none, but for [`retries_per_second`](Self::retries_per_second)) to 1,000. What is
    /// more counts as 1,000; what is less than 0.001, or no number, as 0. This keeps an outage from being multiplied by
    /// those who wait for its end. A request that finds the budget spent is not given up: it pauses once more. Default:
    /// 0.2.
    pub retry_ratio: f32,
    /// How many more of them there may be each second, so that a client with little to do can always try: 0
    /// (none) to 1,000,000, and more counts as that. Where this and the ratio are both 0 nothing is sent again. Default: 10.
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
