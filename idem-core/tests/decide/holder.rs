//! `renew`, `checkpoint`, `complete` and `release`, row by row of their table.

use idem_core::backend::{Answer, Call, Change, decide};
use idem_core::clock::Timestamp;
use idem_core::record::Record;
use idem_core::{Effect, LostReason, Token};

use crate::support::*;

fn impostors() -> [Token; 3] {
    let holder = token(alice());
    [
        Token { owner: bob(), ..holder },
        Token { sequence: holder.sequence + 1, ..holder },
        Token { sequence: holder.sequence - 1, ..holder },
    ]
}

#[test]
fn holder_is_applied_while_its_lease_is_live() {
    for call in holder_calls(token(alice())) {
        assert_applied(&decide(Some(&locked()), call, START));
    }
}

#[test]
fn holder_is_applied_when_its_lease_is_over_and_nobody_took_over() {
    let last_moment = locked().expires_at() - MICRO;
    for now in [deadline(), last_moment] {
        for call in holder_calls(token(alice())) {
            let decision = decide(Some(&locked()), call, now);
            assert_applied(&decision);
            assert_ne!(decision.change, Change::None);
        }
    }
}

#[test]
fn other_token_on_a_locked_record_is_superseded_and_writes_nothing() {
    for now in [START, deadline()] {
        for impostor in impostors() {
            for call in holder_calls(impostor) {
                assert_eq!(decide(Some(&locked()), call, now), lost(LostReason::Superseded));
            }
        }
    }
}

#[test]
fn resent_complete_is_applied_and_the_stored_outcome_stays() {
    let again = complete(token(alice()), value("something else"));
    assert_eq!(decide(Some(&completed()), again, START), unchanged(Answer::Effect(Effect::Applied)));
}

#[test]
fn other_calls_of_the_holder_that_completed_are_lost_as_completed() {
    for call in [renew(token(alice())), save(token(alice()), 9), release(token(alice()))] {
        assert_eq!(decide(Some(&completed()), call, START), lost(LostReason::Completed));
    }
}

#[test]
fn other_token_on_a_completed_record_is_superseded() {
    for impostor in impostors() {
        for call in holder_calls(impostor) {
            assert_eq!(decide(Some(&completed()), call, START), lost(LostReason::Superseded));
        }
    }
}

#[test]
fn holder_that_released_with_a_checkpoint_is_lost_as_released() {
    for call in holder_calls(token(alice())) {
        assert_eq!(decide(Some(&released()), call, START), lost(LostReason::Released));
    }
}

#[test]
fn other_token_on_a_released_record_is_superseded() {
    for impostor in impostors() {
        for call in holder_calls(impostor) {
            assert_eq!(decide(Some(&released()), call, START), lost(LostReason::Superseded));
        }
    }
}

#[test]
fn no_record_is_lost_as_gone() {
    for call in holder_calls(token(alice())) {
        assert_eq!(decide(None, call, START), lost(LostReason::Gone));
    }
}

#[test]
fn record_past_its_retention_is_lost_as_gone() {
    for forgotten in [locked(), released(), completed()] {
        for call in holder_calls(token(alice())) {
            assert_eq!(decide(Some(&forgotten), call, forgotten.expires_at()), lost(LostReason::Gone));
        }
    }
}

#[test]
fn renew_counts_the_lease_from_now() {
    let now = START + MICRO;
    let decision = decide(Some(&locked_with(3)), renew(token(alice())), now);
    let lock = written_lock(&decision);
    assert!(lock.held);
    assert_eq!((lock.deadline, lock.retention), (now + LEASE, RETENTION));
    assert_eq!(lock.checkpoint, Some(checkpoint(3)));
    assert_eq!((written(&decision).token, written(&decision).attempt), (token(alice()), 1));
}

#[test]
fn renew_never_shortens_a_lease() {
    let short = Call::Renew { token: token(alice()), duration: MICRO };
    let decision = decide(Some(&locked()), short, START);
    assert_applied(&decision);
    if let Change::Put(record) = decision.change {
        assert_eq!(record, Record { as_of: START, ..locked() });
    }
}

#[test]
fn checkpoint_of_a_higher_step_is_written_and_renews_the_lease() {
    let now = START + MICRO;
    for before in [locked(), locked_with(8)] {
        let decision = decide(Some(&before), save(token(alice()), 9), now);
        assert_applied(&decision);
        let lock = written_lock(&decision);
        assert!(lock.held);
        assert_eq!((lock.deadline, &lock.checkpoint), (now + LEASE, &Some(checkpoint(9))));
    }
}

#[test]
fn checkpoint_never_shortens_a_lease() {
    let call = Call::Checkpoint { token: token(alice()), checkpoint: checkpoint(9), duration: MICRO };
    assert_eq!(written_lock(&decide(Some(&locked()), call, START)).deadline, deadline());
}

#[test]
fn checkpoint_of_the_same_or_a_lower_step_is_applied_and_writes_nothing() {
    for step in [0, 8, 9] {
        let decision = decide(Some(&locked_with(9)), save(token(alice()), step), START);
        assert_eq!(decision, unchanged(Answer::Effect(Effect::Applied)));
    }
}

#[test]
fn first_checkpoint_may_have_step_zero() {
    let decision = decide(Some(&locked()), save(token(alice()), 0), START);
    assert_eq!(written_lock(&decision).checkpoint, Some(checkpoint(0)));
}

#[test]
fn complete_keeps_token_attempt_and_fingerprint_and_counts_retention_from_now() {
    let now = deadline();
    let decision = decide(Some(&locked_with(3)), complete(token(alice()), value("booked")), now);
    let record = written(&decision);
    assert_eq!((record.token, record.attempt, record.fingerprint), (token(alice()), 1, order()));
    let completed = written_completion(&decision);
    assert_eq!(completed.outcome, value("booked"));
    assert_eq!((completed.completed_at, completed.expires_at), (now, now + RETENTION));
}

#[test]
fn completed_record_lives_at_least_to_its_lease_deadline() {
    let call = Call::Complete { token: token(alice()), outcome: value("booked"), retention: MICRO };
    assert_eq!(written_completion(&decide(Some(&locked()), call, START)).expires_at, deadline());
}

#[test]
fn release_without_a_checkpoint_removes_the_record() {
    assert_eq!(decide(Some(&locked()), release(token(alice())), START).change, Change::Remove);
}

#[test]
fn release_with_a_checkpoint_clears_the_holder_and_keeps_the_record() {
    let now = START + MICRO;
    let decision = decide(Some(&locked_with(3)), release(token(alice())), now);
    assert_applied(&decision);
    let lock = written_lock(&decision);
    assert!(!lock.held);
    assert_eq!(lock.checkpoint, Some(checkpoint(3)));
    assert_eq!(written(&decision).live_lease(now), None);
    assert_eq!(written(&decision).expires_at(), now + RETENTION);
}

#[test]
fn locked_record_lives_until_its_lease_deadline_plus_its_retention() {
    assert_eq!(locked().expires_at(), deadline() + RETENTION);
    assert!(!locked().is_expired(deadline() + RETENTION - MICRO));
    assert!(locked().is_expired(deadline() + RETENTION));
}

#[test]
fn every_written_record_says_when_it_was_decided() {
    let now = START + MICRO;
    let calls = [renew(token(alice())), save(token(alice()), 9), complete(token(alice()), value("booked"))];
    for call in calls {
        assert_eq!(written(&decide(Some(&locked()), call, now)).as_of, now);
    }
    assert_eq!(written(&decide(Some(&locked_with(3)), release(token(alice())), now)).as_of, now);
    assert_eq!(written(&lock(None, alice(), Timestamp::default())).as_of, Timestamp::default());
}
