//! How many sendings again there may be for so many requests: tower's token bucket.

use std::time::Duration;

use tower::retry::budget::{Budget as _, TpsBudget};

use crate::RetryPolicy;

/// How long a request counts.
const SPAN: Duration = Duration::from_secs(10);

/// Shared by all who send through one client.
#[derive(Debug)]
pub(crate) struct Budget(TpsBudget);

impl Budget {
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        // tower panics on what is outside of these bounds; NaN fails the comparison.
        let ratio = if policy.retry_ratio >= 0.001 { policy.retry_ratio.min(1_000.0) } else { 0.0 };
        Self(TpsBudget::new(SPAN, policy.retries_per_second.min(1_000_000), ratio))
    }

    /// A request begins.
    pub(crate) fn deposit(&self) {
        self.0.deposit();
    }

    /// Whether one may be sent again; if so it is paid for.
    pub(crate) fn withdraw(&self) -> bool {
        self.0.withdraw()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
