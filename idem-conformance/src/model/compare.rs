//! Compares records and times of a store with those of the reference.

use std::collections::HashMap;
use std::time::Duration;

use idem_core::clock::Timestamp;
use idem_core::record::{Record, State};
use idem_core::{Key, Lease, Token};
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq};

use super::reference::{Reference, TICK};

/// How durations of the reference translate to durations of the store.
pub(super) struct Clocks {
    pub(super) tick: Duration,
    pub(super) tolerance: Duration,
}

impl Clocks {
    /// `expected` is by the reference.
    pub(super) fn compare(
        &self,
        what: &str,
        said: Duration,
        expected: Duration,
    ) -> Result<(), TestCaseError> {
        let ticks = u32::try_from(expected.as_secs() / TICK.as_secs()).unwrap_or(u32::MAX);
        let expected = self.tick * ticks;
        let apart = said.abs_diff(expected);
        prop_assert!(apart <= self.tolerance, "{what} is {said:?}, it should be {expected:?}");
        Ok(())
    }

    /// Compares two moments, each relative to its own clock's present.
    fn compare_moments(
        &self,
        what: &str,
        said: (Timestamp, Timestamp),
        expected: (Timestamp, Timestamp),
    ) -> Result<(), TestCaseError> {
        let ((said, said_now), (expected, expected_now)) = (said, expected);
        self.compare(what, said.since(said_now), expected.since(expected_now))?;
        self.compare(what, said_now.since(said), expected_now.since(expected))
    }
}

/// Asserts that the store keeps for `key` what the reference keeps.
pub(super) fn compare_record(
    clocks: &Clocks,
    reference: &Reference,
    key: u8,
    said: Option<&Record>,
    tokens: &HashMap<Token, Token>,
) -> Result<(), TestCaseError> {
    let (said, expected) = match (said, reference.record(key)) {
        (None, None) => return Ok(()),
        (Some(said), Some(expected)) => (said, expected),
        (said, expected) => {
            return Err(TestCaseError::fail(format!("{said:?} is on record, it should be {expected:?}")));
        }
    };
    prop_assert_eq!(said.fingerprint, expected.fingerprint);
    prop_assert_eq!(said.attempt, expected.attempt);
    prop_assert_eq!(Some(&said.token), tokens.get(&expected.token));
    let nows = (said.as_of, reference.now());
    let moments = |what, said, expected| clocks.compare_moments(what, (said, nows.0), (expected, nows.1));
    match (&said.state, &expected.state) {
        (State::Locked(said), State::Locked(expected)) => {
            prop_assert_eq!(said.held, expected.held);
            prop_assert_eq!(&said.checkpoint, &expected.checkpoint);
            clocks.compare("the retention", said.retention, expected.retention)?;
            // Nothing depends on when a record was released, only on when it is forgotten.
            if said.held {
                moments("the deadline", said.deadline, expected.deadline)?;
            }
        }
        (State::Completed(said), State::Completed(expected)) => {
            prop_assert_eq!(&said.outcome, &expected.outcome);
            moments("the completion", said.completed_at, expected.completed_at)?;
        }
        (said, expected) => {
            return Err(TestCaseError::fail(format!("{said:?} is on record, it should be {expected:?}")));
        }
    }
    moments("the expiry", said.expires_at(), expected.expires_at())
}

/// Asserts that no holder takes its lease for live longer than the store does.
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
    // Of this key: without strict sequences two keys may have equal tokens.
    for lease in leases.iter().filter(|lease| lease.key() == key && lease.token() == record.token) {
        let believed = lease.remaining();
        prop_assert!(
            believed <= stored + clocks.tolerance,
            "a holder believes in {believed:?} of its lease, the store in {stored:?}"
        );
    }
    Ok(())
}
