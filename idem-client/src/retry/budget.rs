//! The retry budget: how many retries there may be in relation to requests. It is tower's token bucket.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tower::retry::budget::{Budget as _, TpsBudget};

use crate::retry::policy::RetryPolicy;

/// How long a request counts towards the budget.
const SPAN: Duration = Duration::from_secs(10);

/// The budget, which all clones of a client share.
pub(crate) struct Budget {
    ratio: f32,
    per_second: u32,
    tokens: Mutex<(TpsBudget, Instant)>,
}

impl Budget {
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        // tower panics on values outside these bounds. NaN fails the comparison.
        let ratio = if policy.retry_ratio >= 0.001 { policy.retry_ratio.min(1_000.0) } else { 0.0 };
        let per_second = policy.retries_per_second.min(1_000_000);
        let tokens = TpsBudget::new(SPAN, per_second, ratio);
        Self { ratio, per_second, tokens: Mutex::new((tokens, Instant::now())) }
    }

    /// Counts a new request.
    pub(crate) fn deposit(&self) {
        self.with(TpsBudget::deposit);
    }

    /// Takes the tokens of one retry. Returns whether there were enough.
    pub(crate) fn withdraw(&self) -> bool {
        self.with(TpsBudget::withdraw)
    }

    fn with<T>(&self, use_budget: impl FnOnce(&TpsBudget) -> T) -> T {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let (budget, used) = &mut *tokens;
        // All tokens have expired. The budget is replaced, since tower would step through every second since then, which takes
        // a millisecond for each day.
        if used.elapsed() > 2 * SPAN {
            *budget = TpsBudget::new(SPAN, self.per_second, self.ratio);
        }
        *used = Instant::now();
        use_budget(budget)
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
    async fn a_budget_unused_for_years_answers_at_once() {
        tokio::time::pause();
        let budget = Budget::new(&RetryPolicy::default());
        while budget.withdraw() {}
        tokio::time::advance(Duration::from_hours(50 * 365 * 24)).await;
        #[expect(clippy::disallowed_methods, reason = "what is measured is this machine's time")]
        let begun = std::time::Instant::now();
        assert!(budget.withdraw());
        // tower alone takes 14 s.
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
    fn by_default_a_fifth_of_the_requests_and_ten_a_second_may_be_retried() {
        let policy = RetryPolicy::default();
        assert_eq!(granted(policy.retry_ratio, policy.retries_per_second, 1_000), 200 + 100);
    }

    #[test]
    fn invalid_values_count_as_the_nearest_valid_one() {
        for ratio in [f32::NAN, f32::NEG_INFINITY, -1.0, 0.0, 1e-30] {
            assert_eq!(granted(ratio, 0, 100), 0, "{ratio}");
        }
        assert_eq!(granted(f32::INFINITY, u32::MAX, 1), 10_000);
    }
}
