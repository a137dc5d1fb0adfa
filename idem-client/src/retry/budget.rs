//! How many retries there may be in relation to requests: tower's token bucket.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tower::retry::budget::{Budget as _, TpsBudget};

use crate::retry::policy::RetryPolicy;

/// How long a request counts.
const SPAN: Duration = Duration::from_secs(10);

/// Shared by all clones of one client.
pub(crate) struct Budget {
    ratio: f32,
    per_second: u32,
    tokens: Mutex<(TpsBudget, Instant)>,
}

impl Budget {
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        // tower panics on what is outside of these bounds; NaN fails the comparison.
        let ratio = if policy.retry_ratio >= 0.001 { policy.retry_ratio.min(1_000.0) } else { 0.0 };
        let per_second = policy.retries_per_second.min(1_000_000);
        let tokens = TpsBudget::new(SPAN, per_second, ratio);
        Self { ratio, per_second, tokens: Mutex::new((tokens, Instant::now())) }
    }

    /// A request begins.
    pub(crate) fn deposit(&self) {
        self.with(TpsBudget::deposit);
    }

    /// Whether there may be one more retry. Takes its tokens if so.
    pub(crate) fn withdraw(&self) -> bool {
        self.with(TpsBudget::withdraw)
    }

    fn with<T>(&self, ask: impl FnOnce(&TpsBudget) -> T) -> T {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let (budget, used) = &mut *tokens;
        // All of its tokens have expired. Made anew, since tower steps through every second since then: a millisecond a day.
        if used.elapsed() > 2 * SPAN {
            *budget = TpsBudget::new(SPAN, self.per_second, self.ratio);
        }
        *used = Instant::now();
        ask(budget)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("ratio", &self.ratio)
            .field("per_second", &self.per_second)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_rested_goes_on_at_once() {
        tokio::time::pause();
        let budget = Budget::new(&RetryPolicy::default());
        while budget.withdraw() {}
        tokio::time::advance(Duration::from_hours(50 * 365 * 24)).await;
        #[expect(clippy::disallowed_methods, reason = "what is measured is this machine's time")]
        let begun = std::time::Instant::now();
        assert!(budget.withdraw());
        // tower alone: 14 s.
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }

    fn granted(ratio: f32, per_second: u32, requests: usize) -> usize {
        let mut policy = RetryPolicy::default();
        (policy.retry_ratio, policy.retries_per_second) = (ratio, per_second);
        let budget = Budget::new(&policy);
        (0..requests).for_each(|_| budget.deposit());
        (0..10_000).filter(|_| budget.withdraw()).count()
    }

    #[test]
    fn a_fifth_of_the_requests_and_ten_a_second_may_be_sent_again_by_default() {
        let policy = RetryPolicy::default();
        assert_eq!(granted(policy.retry_ratio, policy.retries_per_second, 1_000), 200 + 100);
    }

    #[test]
    fn values_that_make_no_sense_are_the_nearest_that_do() {
        for ratio in [f32::NAN, f32::NEG_INFINITY, -1.0, 0.0, 1e-30] {
            assert_eq!(granted(ratio, 0, 100), 0, "{ratio}");
        }
        assert_eq!(granted(f32::INFINITY, u32::MAX, 1), 10_000);
    }
}
