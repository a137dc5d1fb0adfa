//! Compares records and times of a store with those of the reference.

use std::collections::HashMap;
use std::time::Duration;

use idem_core::clock::Timestamp;
use idem_core::record::{Record, State};
use idem_core::{Key, Lease, Token};
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq};

use super::reference::{Reference, TICK};

/// Translates durations of the reference to durations of the store.
pub(super) struct Clocks {
    pub(super) tick: Duration,
    pub(super) tolerance: Duration,
}

impl Clocks {
    /// Compares a duration of the store with `expected`, a duration of the reference.
    pub(super) fn compare(
        &self,
        what: &str,
        actual: Duration,
        expected: Duration,
    ) -> Result<(), TestCaseError> {
        let ticks = u32::try_from(expected.as_secs() / TICK.as_secs()).unwrap_or(u32::MAX);
        let expected = self.tick * ticks;
        let apart = actual.abs_diff(expected);
        prop_assert!(apart <= self.tolerance, "{what} is {actual:?}, it should be {expected:?}");
        Ok(())
    }

    /// Compares two moments, each relative to its own clock's present.
    fn compare_moments(
        &self,
        what: &str,
        actual: (Timestamp, Timestamp),
        expected: (Timestamp, Timestamp),
    ) -> Result<(), TestCaseError> {
        let ((actual, actual_now), (expected, expected_now)) = (actual, expected);
        self.compare(what, actual.since(actual_now), expected.since(expected_now))?;
        self.compare(what, actual_now.since(actual), expected_now.since(expected))
    }
}

/// Asserts that the store keeps for `key` what the reference keeps.
pub(super) fn compare_record(
    clocks: &Clocks,
    reference: &Reference,
    key: u8,
    actual: Option<&Record>,
    tokens: &HashMap<Token, Token>,
) -> Result<(), TestCaseError> {
    let (actual, expected) = match (actual, reference.record(key)) {
        (None, None) => return Ok(()),
        (Some(actual), Some(expected)) => (actual, expected),
        (actual, expected) => {
            return Err(TestCaseError::fail(format!("{actual:?} is on record, it should be {expected:?}")));
        }
    };
    prop_assert_eq!(actual.fingerprint, expected.fingerprint);
    prop_assert_eq!(actual.attempt, expected.attempt);
    prop_assert_eq!(Some(&actual.token), tokens.get(&expected.token));
    let nows = (actual.as_of, reference.now());
    let moments = |what, actual, expected| clocks.compare_moments(what, (actual, nows.0), (expected, nows.1));
    match (&actual.state, &expected.state) {
        (State::Locked(actual), State::Locked(expected)) => {
            prop_assert_eq!(actual.held, expected.held);
            prop_assert_eq!(&actual.checkpoint, &expected.checkpoint);
            clocks.compare("the retention", actual.retention, expected.retention)?;
            // The time of the release does not matter, only the expiry does.
            if actual.held {
                moments("the deadline", actual.deadline, expected.deadline)?;
            }
        }
        (State::Completed(actual), State::Completed(expected)) => {
            prop_assert_eq!(&actual.outcome, &expected.outcome);
            moments("the completion", actual.completed_at, expected.completed_at)?;
        }
        (actual, expected) => {
            return Err(TestCaseError::fail(format!("{actual:?} is on record, it should be {expected:?}")));
        }
    }
    moments("the expiry", actual.expires_at(), expected.expires_at())
}

/// Asserts that no holder believes in its lease for longer than the store does.
pub(super) fn compare_belief(
    clocks: &Clocks,
    key: &Key,
    record: &Record,
    leases: &[Lease],
) -> Result<(), TestCaseError> {
    let State::Locked(locked) = &record.state else { return Ok(()) };
    if !locked.held {
        return Ok(());
    }
    let stored = record.lease_remaining().unwrap_or_default();
    // Only leases of this key: without strict sequences two keys may have equal tokens.
    for lease in leases.iter().filter(|lease| lease.key() == key && lease.token() == record.token) {
        let believed = lease.remaining();
        prop_assert!(
            believed <= stored + clocks.tolerance,
            "a holder believes in {believed:?} of its lease, the store in {stored:?}"
        );
    }
    Ok(())
}
