//! The limits of what a call may ask for.

use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::Call;
use idem_core::backend::limits::{MAX_LEASE, MAX_RETENTION, MIN_DURATION};
use idem_core::error::Operation;
use idem_core::record::Checkpoint;
use idem_core::{Claim, ErrorKind, Outcome, Owner, Token, UnavailableReason};

use crate::support::{claim, fingerprint};

const NANO: Duration = Duration::from_nanos(1);

fn claimed(lease: Duration, retention: Duration) -> Result<(), ErrorKind> {
    Claim { lease, retention, ..claim() }.check().map_err(|error| error.kind())
}

#[test]
fn claim_within_its_limits_is_accepted() {
    assert_eq!(claimed(MIN_DURATION, MIN_DURATION), Ok(()));
    assert_eq!(claimed(MAX_LEASE, MAX_RETENTION), Ok(()));
    assert_eq!(claimed(MAX_LEASE, MAX_LEASE), Ok(()));
}

#[test]
fn lease_outside_its_limits_is_an_invalid_argument() {
    for lease in [Duration::ZERO, MIN_DURATION.saturating_sub(NANO), MAX_LEASE + NANO, Duration::MAX] {
        assert_eq!(claimed(lease, MAX_RETENTION), Err(ErrorKind::InvalidArgument), "{lease:?}");
    }
}

#[test]
fn retention_outside_its_limits_is_an_invalid_argument() {
    for retention in [Duration::ZERO, MIN_DURATION.saturating_sub(NANO), MAX_RETENTION + NANO, Duration::MAX]
    {
        assert_eq!(claimed(MIN_DURATION, retention), Err(ErrorKind::InvalidArgument), "{retention:?}");
    }
}

#[test]
fn retention_shorter_than_the_lease_is_an_invalid_argument() {
    let lease = Duration::from_secs(10);
    assert_eq!(claimed(lease, lease.saturating_sub(NANO)), Err(ErrorKind::InvalidArgument));
    assert_eq!(claimed(lease, lease), Ok(()));
}

#[test]
fn refusal_names_the_value_and_its_limits() {
    let error = Claim { lease: Duration::ZERO, ..claim() }.check().unwrap_err();
    assert_eq!(error.to_string(), "lock: invalid argument: a lease of 0ns is outside 1ms to 86400s");
}

#[test]
fn calls_of_a_holder_are_held_to_the_same_limits() {
    for (duration, retention) in [(Duration::ZERO, Duration::ZERO), (MAX_LEASE + NANO, MAX_RETENTION + NANO)]
    {
        for (call, operation) in [
            (Call::Renew { token: token(), duration }, Operation::Renew),
            (save(Bytes::new(), duration), Operation::Checkpoint),
            (complete(Outcome::Value(Bytes::new()), retention), Operation::Complete),
        ] {
            assert_eq!(call.operation(), operation);
            let error = call.check(1_000).unwrap_err();
            assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidArgument, operation));
        }
    }
}

#[test]
fn lock_is_held_to_its_claim() {
    let claim = Claim { lease: Duration::ZERO, ..claim() };
    let call = Call::Lock { fingerprint: fingerprint(), claim, min_sequence: 0 };
    let error = call.check(1_000).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidArgument, Operation::Lock));
    assert_eq!(call.operation(), Operation::Lock);
}

#[test]
fn outcome_and_checkpoint_are_held_to_the_stores_size() {
    let (fits, too_large) = (Bytes::from(vec![0; 1_000]), Bytes::from(vec![0; 1_001]));
    save(fits.clone(), MIN_DURATION).check(1_000).unwrap();
    complete(Outcome::Value(fits), MIN_DURATION).check(1_000).unwrap();
    for call in [save(too_large.clone(), MIN_DURATION), complete(Outcome::Value(too_large), MIN_DURATION)] {
        let error = call.check(1_000).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::TooLarge, call.operation()));
    }
}

#[test]
fn unavailable_outcome_fits_every_store() {
    complete(Outcome::Unavailable(UnavailableReason::TooLarge), MIN_DURATION).check(0).unwrap();
}

#[test]
fn release_and_remove_have_no_limits() {
    for (call, operation) in [
        (Call::Release { token: token() }, Operation::Release),
        (Call::Remove { force: true }, Operation::Remove),
    ] {
        call.check(0).unwrap();
        assert_eq!(call.operation(), operation);
    }
}

fn token() -> Token {
    Token { sequence: 1, owner: Owner::from_bytes([7; 16]) }
}

fn save(progress: Bytes, duration: Duration) -> Call {
    Call::Checkpoint { token: token(), checkpoint: Checkpoint::new(1, progress), duration }
}

fn complete(outcome: Outcome, retention: Duration) -> Call {
    Call::Complete { token: token(), outcome, retention }
}
