//! The times and numbers at which a rule changes its answer, and the highest ones.

use std::time::Duration;

use idem_core::backend::{Answer, Call, decide};
use idem_core::clock::Timestamp;
use idem_core::{Claim, LostReason, Token};

use crate::support::*;

#[test]
fn lease_is_live_to_its_last_microsecond_and_over_at_its_deadline() {
    let before = lock(Some(&locked()), bob(), deadline() - MICRO);
    assert_eq!(before.answer, Answer::InProgress(MICRO));
    assert_eq!(granted(&lock(Some(&locked()), bob(), deadline())).attempt, 2);
}

#[test]
fn own_lease_is_shown_to_its_last_microsecond_and_restarted_at_its_deadline() {
    assert_eq!(granted(&lock(Some(&locked()), alice(), deadline() - MICRO)).valid_for, MICRO);
    assert_eq!(granted(&lock(Some(&locked()), alice(), deadline())).valid_for, LEASE);
}

#[test]
fn completion_is_replayed_to_its_last_microsecond_and_forgotten_at_its_expiry() {
    let before = lock(Some(&completed()), bob(), START + RETENTION - MICRO);
    assert!(matches!(before.answer, Answer::Completed(_)), "{before:?}");
    assert_eq!(granted(&lock(Some(&completed()), bob(), START + RETENTION)).attempt, 1);
}

#[test]
fn checkpoint_is_handed_on_until_the_last_microsecond_of_the_record() {
    let expiry = deadline() + RETENTION;
    assert_eq!(granted(&lock(Some(&locked_with(3)), bob(), expiry - MICRO)).checkpoint, Some(checkpoint(3)));
    assert_eq!(granted(&lock(Some(&locked_with(3)), bob(), expiry)).checkpoint, None);
}

#[test]
fn holder_may_end_its_attempt_until_the_last_microsecond_of_the_record() {
    let expiry = deadline() + RETENTION;
    for call in holder_calls(token(alice())) {
        assert_applied(&decide(Some(&locked()), call.clone(), expiry - MICRO));
        assert_eq!(decide(Some(&locked()), call, expiry), lost(LostReason::Gone));
    }
}

/// A clock may read earlier than the record's times, as after a failover: the lease is live.
#[test]
fn record_from_the_future_is_still_live() {
    let now = Timestamp::from_micros(1);
    assert!(matches!(lock(Some(&locked()), bob(), now).answer, Answer::InProgress(_)));
    assert!(matches!(lock(Some(&completed()), bob(), now).answer, Answer::Completed(_)));
}

#[test]
fn times_stop_at_the_end_of_time() {
    let end = Timestamp::from_micros(u64::MAX);
    let absurd = Claim { owner: alice(), lease: Duration::MAX, retention: Duration::MAX };
    let call = Call::Lock { fingerprint: order(), claim: absurd, min_sequence: 0 };
    let decision = decide(None, call, START);
    assert_eq!(written_lock(&decision).deadline, end);
    assert_eq!(written(&decision).expires_at(), end);

    let call = Call::Renew { token: token(alice()), duration: Duration::MAX };
    assert_eq!(written_lock(&decide(Some(&locked()), call, START)).deadline, end);

    let call = Call::Complete { token: token(alice()), outcome: value("booked"), retention: Duration::MAX };
    assert_eq!(written_completion(&decide(Some(&locked()), call, START)).expires_at, end);
}

#[test]
fn attempts_stop_at_their_highest_number() {
    let mut last = locked();
    last.attempt = u32::MAX;
    assert_eq!(granted(&lock(Some(&last), bob(), deadline())).attempt, u32::MAX);
}

/// At the highest sequence tokens still differ, by their owner.
#[test]
fn sequences_stop_at_their_highest_number() {
    let mut last = locked();
    last.token = Token { sequence: u64::MAX, owner: alice() };
    let decision = lock(Some(&last), bob(), deadline());
    assert_eq!(granted(&decision).token, Token { sequence: u64::MAX, owner: bob() });
    let late = decide(Some(written(&decision)), complete(last.token, value("late")), deadline());
    assert_eq!(late, lost(LostReason::Superseded));
}

#[test]
fn times_are_rounded_up_to_a_microsecond() {
    let call = Call::Renew { token: token(alice()), duration: LEASE + Duration::from_nanos(1) };
    assert_eq!(written_lock(&decide(Some(&locked()), call, START)).deadline, deadline() + MICRO);
}
