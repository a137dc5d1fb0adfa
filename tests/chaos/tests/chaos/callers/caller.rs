//! Calls to the store, recorded in the history.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::{Grant, LeaseControl, Sent};
use idem_core::clock::SystemClock;
use idem_core::record::{Record, State};
use idem_core::{
    Claim, Effect, Error, ErrorKind, Fingerprint, Key, Lease, LockAnswer, Outcome, Owner, Scope, Store,
};
use idem_redis::RedisStore;
use tokio::time::timeout;

use crate::judge::history::{Answer, Call, Digest, Event, History, Micros, Saved, Token, now, owner};

/// Makes the calls of one worker on one store, and records them.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) history: History,
    pub(crate) worker: u32,
    /// Whether the store confirms replays.
    pub(crate) confirms: bool,
    /// The prefix of the keys of this round.
    pub(crate) label: String,
}

impl Caller {
    pub(crate) fn key(&self, number: u32) -> Key {
        key(&self.label, number)
    }

    /// The name of a key in Redis.
    ///
    /// # Panics
    /// When the store is another one.
    pub(crate) fn redis_key(&self, number: u32) -> String {
        let store: &RedisStore = self.store.as_any().downcast_ref().unwrap();
        store.redis_key(&self.key(number))
    }

    /// The lease, if one was acquired, and the answer.
    pub(crate) async fn lock(
        &self,
        number: u32,
        fingerprint: u8,
        claim: &Claim,
        cancel_after: Option<Duration>,
    ) -> (Option<Lease>, Answer) {
        let key = self.key(number);
        let call = Call::Lock {
            owner: owner(&claim.owner),
            fingerprint,
            retention: u64::try_from(claim.retention.as_micros()).unwrap(),
            confirms: self.confirms,
        };
        let print = Fingerprint::builder("chaos").part([fingerprint]).finish();
        let mut lease = None;
        let answer = self
            .record(number, call, cancel_after, self.store.lock(&key, &print, claim), |outcome| match outcome
            {
                LockAnswer::Acquired(acquired) => {
                    let checkpoint = acquired.checkpoint();
                    let saved = checkpoint
                        .map(|saved| Saved { step: saved.step, bytes: Digest::of(&saved.progress) });
                    let answer = Answer::Acquired {
                        token: acquired.token().into(),
                        attempt: acquired.attempt(),
                        saved,
                        until: valid_until(&acquired),
                    };
                    lease = Some(acquired);
                    answer
                }
                LockAnswer::InProgress { .. } => Answer::InProgress,
                LockAnswer::Completed(replay) => {
                    Answer::Replayed(replay.token.into(), Digest::of_outcome(&replay.outcome))
                }
                LockAnswer::FingerprintMismatch => Answer::Mismatch,
            })
            .await;
        (lease, answer)
    }

    pub(crate) async fn renew(&self, number: u32, lease: &Lease, duration: Duration) -> Answer {
        let call = Call::Renew(lease.token().into());
        self.record(number, call, None, self.store.renew(lease, duration), |effect| {
            effect_answer(lease, effect)
        })
        .await
    }

    pub(crate) async fn checkpoint(
        &self,
        number: u32,
        lease: &Lease,
        step: u64,
        duration: Duration,
    ) -> Answer {
        let token = Token::from(lease.token());
        let progress = Bytes::from(format!("step {step} of {token:?}"));
        let call = Call::Checkpoint(token, Saved { step, bytes: Digest::of(&progress) });
        let sent = self.store.checkpoint(lease, step, progress, duration);
        self.record(number, call, None, sent, |effect| effect_answer(lease, effect)).await
    }

    pub(crate) async fn complete(
        &self,
        number: u32,
        lease: &Lease,
        value: Bytes,
        retention: Duration,
        cancel_after: Option<Duration>,
    ) -> Answer {
        let call = Call::Complete {
            token: lease.token().into(),
            bytes: Digest::of(&value),
            retention: u64::try_from(retention.as_micros()).unwrap(),
        };
        let sent = self.store.complete(lease, Outcome::Value(value), retention);
        self.record(number, call, cancel_after, sent, |effect| effect_answer(lease, effect)).await
    }

    pub(crate) async fn release(&self, number: u32, lease: &Lease, cancel_after: Option<Duration>) -> Answer {
        let call = Call::Release(lease.token().into());
        self.record(number, call, cancel_after, self.store.release(lease), |effect| {
            effect_answer(lease, effect)
        })
        .await
    }

    pub(crate) async fn get(&self, number: u32) -> Answer {
        let key = self.key(number);
        self.record(number, Call::Get, None, self.store.get(&key), |record| match record {
            None => Answer::Nothing,
            Some(Record { token, state: State::Completed(completed), .. }) => {
                Answer::Found(token.into(), Some(Digest::of_outcome(&completed.outcome)))
            }
            Some(record) => Answer::Found(record.token.into(), None),
        })
        .await
    }

    pub(crate) async fn settled(&self, number: u32, longest: Duration) -> Answer {
        let key = self.key(number);
        let call = Call::Settled(u64::try_from(longest.as_micros()).unwrap());
        self.record(number, call, None, self.store.settled(&key, longest), Answer::Settled).await
    }

    /// Awaits `call` and adds it to the history. With `cancel_after`, its future is dropped after that time, as by
    /// a caller that is cancelled.
    async fn record<T>(
        &self,
        key: u32,
        call: Call,
        cancel_after: Option<Duration>,
        sent: impl Future<Output = Result<T, Error>>,
        answer: impl FnOnce(T) -> Answer,
    ) -> Answer {
        let begin = now();
        let result = match cancel_after {
            Some(cancel_after) => timeout(cancel_after, sent).await.ok(),
            None => Some(sent.await),
        };
        let answer = match result {
            None => Answer::Unknown,
            Some(Ok(result)) => answer(result),
            Some(Err(error)) if matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable) => {
                Answer::Unknown
            }
            Some(Err(error)) if error.kind() == ErrorKind::Full => Answer::Full,
            Some(Err(error)) => Answer::Failed(format!("{error:?}")),
        };
        let worker = self.worker;
        self.history.add(Event { worker, key, begin, end: now(), call, answer: answer.clone() });
        answer
    }
}

pub(crate) fn key(label: &str, number: u32) -> Key {
    Key::new(&Scope::new("chaos").unwrap(), format!("{label} {number}")).unwrap()
}

/// An owner that is unique across processes.
pub(crate) fn new_owner() -> Owner {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut bytes = [0; 16];
    // The history keeps only the first half of an owner, so that half must be unique.
    let random = *Owner::random().unwrap().as_bytes();
    bytes[..6].copy_from_slice(&random[..6]);
    bytes[6..8].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes()[6..]);
    bytes[8..].copy_from_slice(&random[8..]);
    Owner::from_bytes(bytes)
}

fn effect_answer(lease: &Lease, effect: Effect) -> Answer {
    match effect {
        Effect::Applied => Answer::Applied { until: valid_until(lease) },
        Effect::Lost(reason) => Answer::Lost(reason.into()),
    }
}

/// Until when `lease` is valid. The clock is read before the remaining time, so that any delay between the two
/// makes the result earlier, never later. 0 for a lease that is over: a lease does not report since when.
fn valid_until(lease: &Lease) -> Micros {
    let now = now();
    let left = lease.remaining();
    if left.is_zero() { 0 } else { now + u64::try_from(left.as_micros()).unwrap() }
}

#[test]
fn a_lease_that_is_already_over_claims_no_time() {
    let sent = Sent::now(&SystemClock::shared());
    let lease_of = |duration| {
        let claim = Claim { owner: new_owner(), lease: duration, retention: Duration::from_secs(1) };
        let token = idem_core::Token { sequence: 1, owner: claim.owner };
        let grant = Grant { token, attempt: 1, checkpoint: None, valid_for: duration };
        Lease::granted(key("lease", 1), Fingerprint::builder("chaos").finish(), &claim, grant, &sent)
    };
    assert!(valid_until(&lease_of(Duration::from_mins(1))) > now());
    std::thread::sleep(Duration::from_millis(2));
    assert_eq!(valid_until(&lease_of(Duration::from_millis(1))), 0);
}
