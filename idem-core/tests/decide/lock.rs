//! `lock`, row by row of its table.

use idem_core::Token;
use idem_core::backend::{Answer, Call, Change, decide};
use idem_core::clock::Timestamp;
use idem_core::record::Replay;

use crate::support::*;

#[test]
fn no_record_is_acquired_as_attempt_one() {
    let decision = lock(None, alice(), START);
    let grant = granted(&decision);
    assert_eq!((grant.attempt, grant.valid_for), (1, LEASE));
    assert_eq!(grant.token, token(alice()));
    assert_eq!(grant.checkpoint, None);
    assert_eq!(written(&decision), &locked());
}

#[test]
fn record_past_its_retention_counts_as_none() {
    for forgotten in [locked(), locked_with(3), released(), completed()] {
        let now = forgotten.expires_at();
        let decision = lock(Some(&forgotten), bob(), now);
        assert_eq!((granted(&decision).attempt, &granted(&decision).checkpoint), (1, &None), "{forgotten:?}");
        assert_eq!(written_lock(&decision).deadline, now + LEASE);
    }
}

#[test]
fn record_past_its_retention_may_be_reused_for_another_request() {
    for forgotten in [locked(), released(), completed()] {
        let decision = lock_other_order(&forgotten, bob(), forgotten.expires_at());
        assert_eq!(written(&decision).fingerprint, other_order(), "{forgotten:?}");
    }
}

#[test]
fn other_fingerprint_is_a_mismatch_while_the_lease_is_live() {
    for owner in [alice(), bob()] {
        let decision = lock_other_order(&locked(), owner, START);
        assert_eq!(decision, unchanged(Answer::FingerprintMismatch));
    }
}

#[test]
fn other_fingerprint_is_a_mismatch_when_the_lease_is_over() {
    for owner in [alice(), bob()] {
        let decision = lock_other_order(&locked(), owner, deadline());
        assert_eq!(decision, unchanged(Answer::FingerprintMismatch));
    }
}

#[test]
fn other_fingerprint_is_a_mismatch_after_a_release_with_a_checkpoint() {
    let decision = lock_other_order(&released(), bob(), START);
    assert_eq!(decision, unchanged(Answer::FingerprintMismatch));
}

#[test]
fn same_owner_gets_its_live_lease_again() {
    let now = START + MICRO;
    let decision = lock(Some(&locked_with(3)), alice(), now);
    let grant = granted(&decision);
    assert_eq!((grant.token, grant.attempt), (token(alice()), 1));
    assert_eq!(grant.checkpoint, Some(checkpoint(3)));
    assert_eq!(grant.valid_for, LEASE.saturating_sub(MICRO));
    assert_eq!(decision.change, Change::None);
}

#[test]
fn other_owner_is_told_in_progress_while_the_lease_is_live() {
    let decision = lock(Some(&locked()), bob(), START + MICRO);
    assert_eq!(decision, unchanged(Answer::InProgress(LEASE.saturating_sub(MICRO))));
}

#[test]
fn same_owner_restarts_its_lease_when_it_is_over() {
    let decision = lock(Some(&locked_with(3)), alice(), deadline());
    let grant = granted(&decision);
    assert_eq!((grant.token, grant.attempt, grant.valid_for), (token(alice()), 1, LEASE));
    assert_eq!(grant.checkpoint, Some(checkpoint(3)));
    let record = written(&decision);
    assert_eq!((record.token, record.attempt), (token(alice()), 1));
    assert_eq!(written_lock(&decision).deadline, deadline() + LEASE);
    assert_eq!(written_lock(&decision).checkpoint, Some(checkpoint(3)));
}

#[test]
fn other_owner_takes_over_when_the_lease_is_over() {
    let decision = lock(Some(&locked_with(3)), bob(), deadline());
    let grant = granted(&decision);
    assert_eq!(grant.token, Token { sequence: deadline().as_micros(), owner: bob() });
    assert_eq!((grant.attempt, grant.valid_for), (2, LEASE));
    assert_eq!(grant.checkpoint, Some(checkpoint(3)));
    let record = written(&decision);
    assert_eq!((record.token, record.attempt), (grant.token, 2));
    let lock = written_lock(&decision);
    assert!(lock.held);
    assert_eq!((lock.deadline, &lock.checkpoint), (deadline() + LEASE, &Some(checkpoint(3))));
}

#[test]
fn other_owner_resumes_at_once_after_a_release_with_a_checkpoint() {
    let decision = lock(Some(&released()), bob(), START);
    let grant = granted(&decision);
    assert_eq!((grant.attempt, &grant.checkpoint), (2, &Some(checkpoint(3))));
    assert!(grant.token.sequence > token(alice()).sequence);
    assert!(written_lock(&decision).held);
}

/// A `lock` that arrives after its own release is a new attempt, never the released one.
#[test]
fn same_owner_begins_a_new_attempt_after_a_release_with_a_checkpoint() {
    let decision = lock(Some(&released()), alice(), START);
    assert_eq!(granted(&decision).attempt, 2);
    assert!(granted(&decision).token.sequence > token(alice()).sequence);
}

#[test]
fn completed_key_is_a_mismatch_for_another_fingerprint() {
    for owner in [alice(), bob()] {
        let decision = lock_other_order(&completed(), owner, START);
        assert_eq!(decision, unchanged(Answer::FingerprintMismatch));
    }
}

#[test]
fn completed_key_answers_with_its_completion() {
    for owner in [alice(), bob()] {
        let replay = Replay {
            outcome: value("booked"),
            completed_at: START,
            expires_at: START + RETENTION,
            token: token(alice()),
        };
        let now = START + RETENTION - MICRO;
        assert_eq!(lock(Some(&completed()), owner, now), unchanged(Answer::Completed(replay)));
    }
}

#[test]
fn takeover_uses_the_lease_and_retention_of_its_own_claim() {
    let mut own = claim(bob());
    own.lease = LEASE * 2;
    own.retention = RETENTION * 3;
    let call = Call::Lock { fingerprint: order(), claim: own, min_sequence: 0 };
    let decision = decide(Some(&locked()), call, deadline());
    assert_eq!(granted(&decision).valid_for, LEASE * 2);
    let lock = written_lock(&decision);
    assert_eq!((lock.deadline, lock.retention), (deadline() + LEASE * 2, RETENTION * 3));
}

#[test]
fn sequence_of_a_first_attempt_is_the_later_of_store_time_and_the_stores_floor() {
    for (floor, expected) in [(0, 1_000_000_000), (1_000_000_001, 1_000_000_001)] {
        let call = Call::Lock { fingerprint: order(), claim: claim(alice()), min_sequence: floor };
        assert_eq!(granted(&decide(None, call, START)).token.sequence, expected);
    }
}

#[test]
fn sequence_of_a_takeover_rises_even_when_store_time_stands_still() {
    let mut ahead = released();
    ahead.token.sequence = START.as_micros() + 500;
    let decision = lock(Some(&ahead), bob(), START);
    assert_eq!(granted(&decision).token.sequence, START.as_micros() + 501);
}

#[test]
fn sequence_of_a_takeover_respects_the_stores_floor() {
    let floor = Timestamp::from_micros(u64::MAX / 2).as_micros();
    let call = Call::Lock { fingerprint: order(), claim: claim(bob()), min_sequence: floor };
    assert_eq!(granted(&decide(Some(&released()), call, START)).token.sequence, floor);
}
