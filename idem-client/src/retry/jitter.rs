//! Random pauses between attempts: "full jitter".

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use crate::retry::policy::RetryPolicy;

/// The pauses of one operation. They differ between operations, also between those of different processes: requests that
/// failed at the same time must not be retried at the same time.
pub(crate) struct Pauses {
    bounds: ExponentialBackoff,
    longest: Duration,
    random: fastrand::Rng,
}

impl Pauses {
    pub(crate) fn of(policy: &RetryPolicy) -> Self {
        let bounds = ExponentialBuilder::default()
            .with_min_delay(policy.first_pause.min(policy.longest_pause))
            .with_max_delay(policy.longest_pause)
            .without_max_times()
            .build();
        // fastrand's own seed comes from the clock and the thread, and may be equal in machines that start from one image.
        let seed = getrandom::u64().unwrap_or_else(|_| RandomState::new().hash_one(()));
        Self { bounds, longest: policy.longest_pause, random: fastrand::Rng::with_seed(seed) }
    }

    /// The next pause. It is at least as long as the server `asked` for: jitter is added to that, and never shortens it. `None`
    /// when the pause does not fit into the time that is `left`.
    pub(crate) fn next(&mut self, asked: Option<Duration>, left: Duration) -> Option<Duration> {
        let bound = self.bounds.next().unwrap_or(self.longest);
        let asked = asked.unwrap_or(Duration::ZERO);
        // Clients that were told the same pause are spread over half as much on top of it.
        let spread = bound.max(asked / 2);
        let room = left.checked_sub(asked)?;
        if asked.is_zero() {
            let pause = self.up_to(spread);
            return (pause < room).then_some(pause);
        }
        // What the server asked for fits into the time, so the jitter on top must not exceed it.
        (!room.is_zero()).then(|| asked + self.up_to(spread.min(room / 2)))
    }

    fn up_to(&mut self, bound: Duration) -> Duration {
        let nanoseconds = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.random.u64(0..=nanoseconds))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::HashSet;
    use std::process::Command;

    use super::*;

    const ROLE: &str = "IDEM_TEST_ROLE";
    const LEASE: Duration = Duration::from_secs(30);
    const NO_END: Duration = Duration::MAX;

    fn drawn(asked: Option<Duration>) -> Vec<Duration> {
        let mut pauses = Pauses::of(&RetryPolicy::default());
        (0..19).map(|_| pauses.next(asked, NO_END).unwrap()).collect()
    }

    #[test]
    fn pauses_of_two_processes_differ() {
        const TEST: &str = "retry::jitter::tests::pauses_of_two_processes_differ";
        if std::env::var_os(ROLE).is_some() {
            println!("pauses: {:?}", drawn(None));
            return;
        }
        let process = || {
            let mut command = Command::new(std::env::current_exe().unwrap());
            let output = command.args([TEST, "--exact", "--nocapture"]).env(ROLE, "draw").output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            said.lines().find_map(|line| line.split_once("pauses: ")).unwrap().1.to_owned()
        };
        assert_ne!(process(), process());
    }

    #[test]
    fn pauses_of_operations_at_the_same_moment_differ() {
        let all: HashSet<_> = (0..100).map(|_| drawn(None)).collect();
        assert_eq!(all.len(), 100);
    }

    #[test]
    fn a_pause_is_anywhere_between_nothing_and_a_bound_that_doubles() {
        let bounds = [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000].map(Duration::from_millis);
        let mut sums = [Duration::ZERO; 8];
        for _ in 0..1_000 {
            for ((pause, bound), sum) in drawn(None).into_iter().zip(bounds).zip(&mut sums) {
                assert!(pause <= bound);
                *sum += pause;
            }
        }
        for (sum, bound) in sums.into_iter().zip(bounds) {
            // The mean of a thousand pauses: 16 standard deviations around half the bound.
            assert!(sum / 1_000 > bound / 3 && sum / 1_000 < bound * 2 / 3, "{sum:?} {bound:?}");
        }
    }

    #[test]
    fn retry_after_is_a_lower_bound_with_jitter_on_top() {
        for asked in [Duration::from_secs(1), Duration::from_mins(1)] {
            let firsts: HashSet<_> = (0..100).map(|_| drawn(Some(asked))[0]).collect();
            assert!(firsts.len() > 90);
            assert!(firsts.iter().all(|pause| *pause >= asked && *pause <= asked + asked / 2));
            let late = firsts.iter().filter(|pause| **pause > asked + asked / 4).count();
            // Eight standard deviations around half of the pauses.
            assert!((10..=90).contains(&late), "{late}");
        }
    }

    #[test]
    fn a_pause_that_the_server_asks_for_is_made_whenever_it_fits() {
        let (asked, room) = (Duration::from_secs(100), Duration::from_secs(1));
        for _ in 0..100 {
            let mut pauses = Pauses::of(&RetryPolicy::default());
            assert!(pauses.next(Some(asked), asked + room).unwrap() <= asked + room / 2);
            assert_eq!(pauses.next(Some(asked), asked), None);
            assert_eq!(pauses.next(Some(Duration::MAX), asked), None);
        }
    }

    #[test]
    fn few_give_up_before_a_lease_of_30_s_ends() {
        let policy = RetryPolicy::default();
        for asked in [None, Some(Duration::from_secs(1))] {
            let early = (0..20_000).filter(|_| {
                let mut pauses = Pauses::of(&policy);
                let mut elapsed = Duration::ZERO;
                for _ in 1..policy.attempts {
                    match pauses.next(asked, policy.window.saturating_sub(elapsed)) {
                        Some(pause) => elapsed += pause,
                        None => break,
                    }
                }
                elapsed < LEASE
            });
            // Usually none or one.
            let early = early.count();
            assert!(early < 20, "{early} of 20,000");
        }
    }

    #[test]
    fn no_policy_causes_a_panic() {
        for first in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            for longest in [Duration::ZERO, Duration::from_secs(1), Duration::MAX] {
                let mut policy = RetryPolicy::default();
                (policy.first_pause, policy.longest_pause) = (first, longest);
                let mut pauses = Pauses::of(&policy);
                for asked in [None, Some(Duration::ZERO), Some(Duration::from_secs(1)), Some(Duration::MAX)] {
                    for left in [Duration::ZERO, Duration::from_secs(2), Duration::MAX] {
                        let pause = pauses.next(asked, left);
                        assert!(pause.is_none_or(|pause| pause <= left));
                    }
                }
            }
        }
    }
}
