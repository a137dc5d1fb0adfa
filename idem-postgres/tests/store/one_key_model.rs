//! Calls on one key that come together, against the rules.

use std::time::Duration;

use idem_core::backend::{Answer, Call, Change, decide};
use idem_core::record::Record;
use idem_core::{Claim, Effect, Fingerprint, Key, LockAnswer, Store as _};
use idem_postgres::PostgresStore;

use crate::support::{LEASE, RETENTION, answers, claim, config, fingerprint, key, lock, locks, open, value};

const STATES: [State; 5] = [State::None, State::Live, State::Over, State::Released, State::Completed];

/// What is on record for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    None,
    Live,
    Over,
    Released,
    Completed,
}

/// Calls that come together.
#[derive(Debug)]
struct Case {
    state: State,
    key: Key,
    calls: [(Fingerprint, Claim); 3],
}

/// Three calls, each by the record's holder or by one of two others, with the record's fingerprint or with another, on a
/// record in each state.
#[tokio::test]
async fn calls_that_come_together_are_answered_as_one_after_the_other() {
    let store = open(&config().await).await;
    let claims = [claim(), claim(), claim()];
    let cases = cases(&claims);
    let prepare = |case: &Case| tokio::spawn(prepare(store.clone(), case.state, case.key, claims[0]));
    let records = answers(cases.iter().map(prepare).collect::<Vec<_>>()).await;
    let asked: Vec<_> = cases.iter().map(|case| locks(&store, case.key, case.calls)).collect();
    for ((case, record), asked) in cases.iter().zip(records).zip(asked) {
        let answers = answers(asked).await.into_iter().map(Result::unwrap);
        let expected = compare(case, record, answers);
        let stored = store.get(&case.key).await.unwrap().unwrap();
        let of = |record: &Record| (record.token, record.fingerprint, record.attempt);
        assert_eq!(of(&stored), of(&expected), "{case:?}");
    }
}

fn cases(claims: &[Claim; 3]) -> Vec<Case> {
    let other = Fingerprint::builder("test v1").part("other").finish();
    let calls: Vec<_> = claims.iter().flat_map(|claim| [(fingerprint(), *claim), (other, *claim)]).collect();
    let case = |state, number: usize| {
        let call = |place| calls[number / calls.len().pow(place) % calls.len()];
        Case { state, key: key(format!("{state:?}-{number}")), calls: [0, 1, 2].map(call) }
    };
    STATES.iter().flat_map(|state| (0..calls.len().pow(3)).map(|number| case(*state, number))).collect()
}

/// Brings a key into this state, and gives its record.
async fn prepare(store: PostgresStore, state: State, key: Key, mut claim: Claim) -> Option<Record> {
    if state == State::None {
        return None;
    }
    if state == State::Over {
        claim.lease = Duration::from_millis(1);
    }
    let lease = lock(&store, &key, &claim).await;
    let effect = match state {
        State::Completed => store.complete(&lease, value("done"), RETENTION).await,
        State::Released => {
            let effect = store.checkpoint(&lease, 1, "progress".into(), LEASE).await.unwrap();
            assert_eq!(effect, Effect::Applied);
            store.release(&lease).await
        }
        State::None | State::Live | State::Over => Ok(Effect::Applied),
    };
    assert_eq!(effect.unwrap(), Effect::Applied);
    loop {
        let record = store.get(&key).await.unwrap().unwrap();
        if state == State::Live || record.lease_remaining().is_none() {
            return Some(record);
        }
    }
}

/// Compares the answers with the rules, and gives the record that must be there afterwards.
fn compare(case: &Case, mut record: Option<Record>, answers: impl Iterator<Item = LockAnswer>) -> Record {
    let now = record.as_ref().map_or_else(Default::default, |record| record.as_of);
    for ((fingerprint, claim), answer) in case.calls.into_iter().zip(answers) {
        let last = record.as_ref().map(|record| record.token);
        let decision = decide(record.as_ref(), Call::Lock { fingerprint, claim, min_sequence: 1 }, now);
        if let Change::Put(changed) = decision.change {
            record = Some(changed);
        }
        match (&answer, &decision.answer) {
            (LockAnswer::Acquired(lease), Answer::Acquired(grant)) => {
                assert_eq!(lease.token().owner, grant.token.owner, "{case:?}");
                assert_eq!((lease.attempt(), lease.checkpoint()), (grant.attempt, grant.checkpoint.as_ref()));
                assert!(!lease.remaining().is_zero() && lease.remaining() <= LEASE);
                if last == Some(grant.token) {
                    assert_eq!(lease.token(), grant.token, "{case:?}");
                } else {
                    assert!(last.is_none_or(|last| lease.token().sequence > last.sequence), "{case:?}");
                }
                // Which sequence comes next is the server's choice.
                record.as_mut().unwrap().token = lease.token();
            }
            (LockAnswer::InProgress { remaining }, Answer::InProgress(_)) => {
                assert!(!remaining.is_zero() && *remaining <= LEASE);
            }
            (LockAnswer::Completed(replay), Answer::Completed(expected)) => assert_eq!(replay, expected),
            (LockAnswer::FingerprintMismatch, Answer::FingerprintMismatch) => {}
            (answer, expected) => panic!("{case:?}: {answer:?}, it should be {expected:?}"),
        }
    }
    record.unwrap()
}
