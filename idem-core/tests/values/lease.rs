//! What a lease knows of itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::{Call, LeaseControl, Sent};
use idem_core::clock::{ManualClock, SharedClock, Timestamp};
use idem_core::record::{Checkpoint, Completion, Locked, Record, State};
use idem_core::{Effect, Lease, LostReason, Outcome, Owner, Token};

use crate::support::{LEASE, claim, fingerprint, grant, key, lease};

fn clock() -> (ManualClock, SharedClock) {
    let clock = ManualClock::new(Timestamp::from_micros(1_000_000));
    (clock.clone(), Arc::new(clock))
}

fn renewed(held: &Lease, sent: &Sent, duration: Duration) {
    held.answered(&Call::Renew { token: held.token(), duration }, Effect::Applied, true, sent);
}

#[test]
fn validity_counts_from_before_the_call_was_sent() {
    let (hands, clock) = clock();
    let sent = Sent::now(&clock);
    hands.advance(Duration::from_secs(3)); // a slow answer
    assert_eq!(lease(&sent, LEASE).remaining(), Duration::from_secs(7));
}

#[test]
fn remaining_ends_at_zero() {
    let (hands, clock) = clock();
    let held = lease(&Sent::now(&clock), LEASE);
    hands.advance(LEASE.saturating_sub(Duration::from_micros(1)));
    assert_eq!(held.remaining(), Duration::from_micros(1));
    hands.advance(Duration::from_micros(1));
    assert_eq!(held.remaining(), Duration::ZERO);
    hands.advance(LEASE);
    assert_eq!(held.remaining(), Duration::ZERO);
}

#[test]
fn renewal_counts_from_before_it_was_sent_and_applies_to_all_clones() {
    let (hands, clock) = clock();
    let held = lease(&Sent::now(&clock), LEASE);
    let clone = held.clone();
    hands.advance(Duration::from_secs(4));
    let sent = Sent::now(&clock);
    hands.advance(Duration::from_secs(1));
    renewed(&held, &sent, LEASE);
    assert_eq!(clone.remaining(), Duration::from_secs(9));
}

#[test]
fn renewal_never_shortens_a_lease_also_when_it_is_overtaken() {
    let (hands, clock) = clock();
    let held = lease(&Sent::now(&clock), LEASE);
    let early = Sent::now(&clock);
    hands.advance(Duration::from_secs(2));
    renewed(&held, &Sent::now(&clock), LEASE);
    renewed(&held, &early, LEASE);
    renewed(&held, &Sent::now(&clock), Duration::from_millis(1));
    assert_eq!(held.remaining(), LEASE);
}

#[test]
fn completion_is_known_to_all_clones() {
    let (_, clock) = clock();
    let held = lease(&Sent::now(&clock), LEASE);
    let clone = held.clone();
    assert!(!clone.is_completed());
    let complete =
        Call::Complete { token: held.token(), outcome: Outcome::Value(Bytes::new()), retention: LEASE };
    held.answered(&complete, Effect::Applied, true, &Sent::now(&clock));
    assert!(clone.is_completed());
}

#[test]
fn lost_lease_is_over_for_all_clones_whatever_arrives_late() {
    let (_, clock) = clock();
    let held = lease(&Sent::now(&clock), LEASE);
    let clone = held.clone();
    let sent = Sent::now(&clock);
    assert!(!clone.is_lost());
    let release = Call::Release { token: held.token() };
    held.answered(&release, Effect::Lost(LostReason::Superseded), false, &sent);
    renewed(&held, &sent, LEASE);
    assert!(clone.is_lost());
    assert_eq!(clone.remaining(), Duration::ZERO);
}

/// Expected after each call: whether the lease is lost, whether it is completed, and for how long it is valid.
#[test]
fn lease_follows_the_answer_to_each_call() {
    let applied = Effect::Applied;
    let lost = |reason| Effect::Lost(reason);
    let longer = LEASE * 2;
    let token = grant(LEASE).token;
    let renew = Call::Renew { token, duration: longer };
    let save = Call::Checkpoint { token, checkpoint: Checkpoint::new(1, Bytes::new()), duration: longer };
    let complete = Call::Complete { token, outcome: Outcome::Value(Bytes::new()), retention: LEASE };
    let release = Call::Release { token };
    for (call, effect, wrote, expected) in [
        (&renew, applied, true, (false, false, longer)),
        (&save, applied, true, (false, false, longer)),
        (&save, applied, false, (false, false, LEASE)),
        (&complete, applied, true, (false, true, LEASE)),
        (&complete, applied, false, (false, true, LEASE)),
        (&release, applied, true, (false, false, LEASE)),
        (&renew, lost(LostReason::Completed), false, (false, true, LEASE)),
        (&release, lost(LostReason::Completed), false, (false, true, LEASE)),
        (&renew, lost(LostReason::Superseded), false, (true, false, Duration::ZERO)),
        (&save, lost(LostReason::Released), false, (true, false, Duration::ZERO)),
        (&complete, lost(LostReason::Gone), false, (true, false, Duration::ZERO)),
    ] {
        let (_, clock) = clock();
        let sent = Sent::now(&clock);
        let held = lease(&sent, LEASE);
        held.answered(call, effect, wrote, &sent);
        let knows = (held.is_lost(), held.is_completed(), held.remaining());
        assert_eq!(knows, expected, "{call:?} {effect:?} {wrote}");
    }
}

#[test]
fn absurd_duration_is_valid_to_the_end_of_time() {
    let (_, clock) = clock();
    let held = lease(&Sent::now(&clock), Duration::MAX);
    assert_eq!(held.remaining(), Duration::from_micros(u64::MAX));
}

#[test]
fn lease_has_the_values_of_its_claim_and_grant() {
    let (_, clock) = clock();
    let checkpoint = Checkpoint::new(3, Bytes::from_static(b"charged"));
    let mut grant = grant(LEASE);
    grant.attempt = 4;
    grant.checkpoint = Some(checkpoint.clone());
    let token = grant.token;
    let held = Lease::granted(key(), fingerprint(), &claim(), grant, &Sent::now(&clock));
    assert_eq!((*held.key(), *held.fingerprint()), (key(), fingerprint()));
    assert_eq!((held.token(), held.attempt()), (token, 4));
    assert_eq!(held.checkpoint(), Some(&checkpoint));
    assert_eq!(held.retention(), claim().retention);
}

fn record(owner: Owner, state: State) -> Record {
    let token = Token { sequence: 9, owner };
    Record { fingerprint: fingerprint(), token, attempt: 2, state, as_of: Timestamp::from_micros(5) }
}

fn locked(held: bool) -> State {
    State::Locked(Locked {
        held,
        deadline: Timestamp::from_micros(50),
        retention: Duration::from_secs(1),
        checkpoint: None,
    })
}

#[test]
fn lost_answer_is_recovered_from_a_record_that_the_owner_holds() {
    let (_, clock) = clock();
    let record = record(claim().owner, locked(true));
    let held = Lease::recovered(key(), &record, &claim(), &Sent::now(&clock)).unwrap();
    assert_eq!((held.token(), held.attempt()), (record.token, 2));
    assert_eq!(held.remaining(), Duration::ZERO, "good for ending the attempt only");
}

#[test]
fn nothing_is_recovered_from_a_record_that_the_owner_does_not_hold() {
    let (_, clock) = clock();
    let completed = State::Completed(Completion {
        outcome: Outcome::Value(Bytes::new()),
        completed_at: Timestamp::from_micros(5),
        expires_at: Timestamp::from_micros(50),
    });
    let others = Owner::from_bytes([8; 16]);
    let not_held = [
        record(others, locked(true)),
        record(claim().owner, locked(false)),
        record(claim().owner, completed),
    ];
    for record in not_held {
        let recovered = Lease::recovered(key(), &record, &claim(), &Sent::now(&clock));
        assert!(recovered.is_none(), "{record:?}");
    }
}

#[test]
fn owners_are_random() {
    let (one, two) = (Owner::random().unwrap(), Owner::random().unwrap());
    assert_ne!(one, two);
    assert_ne!(one.as_bytes(), &[0; 16]);
}
