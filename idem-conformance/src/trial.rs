//! One run of one case: the harness, and helpers for the cases.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::{Grant, LeaseControl, Sent};
use idem_core::clock::{Clock as _, SystemClock, Timestamp};
use idem_core::record::{Record, Replay, State};
use idem_core::{
    Claim, Effect, Fingerprint, Key, Lease, LockAnswer, LostReason, Outcome, Owner, Policy, Result, Scope,
    Store, Token,
};

use crate::harness::{Harness, Time, Unsupported};

/// The lease that a case asks for, in ticks.
pub(crate) const LEASE: u32 = 10;
/// The retention that a case asks for, in ticks.
pub(crate) const RETENTION: u32 = 30;

/// One run of one case. Errors of the store are panics here: a case that expects an error calls the store directly.
pub(crate) struct Trial {
    harness: Box<dyn Harness>,
}

/// Time.
impl Trial {
    pub(crate) fn new(harness: Box<dyn Harness>) -> Self {
        Self { harness }
    }

    pub(crate) fn time(&self) -> Time {
        self.harness.time()
    }

    pub(crate) fn ticks(&self, ticks: u32) -> Duration {
        self.time().tick() * ticks
    }

    pub(crate) async fn advance(&self, ticks: u32) {
        self.time().advance(self.ticks(ticks)).await;
    }

    /// Lets time pass until a lease that was granted just now is over.
    pub(crate) async fn outlast_lease(&self) {
        self.advance(LEASE + 1).await;
    }

    /// Lets time pass until a locked record whose lease was granted just now has expired.
    pub(crate) async fn outlast_record(&self) {
        self.advance(LEASE + RETENTION + 1).await;
    }

    /// Sets only the wall clock, forward or back.
    pub(crate) fn step_wall_clock(&self, ticks: i32) {
        let Time::Manual(clock) = self.time() else { panic!("this case needs a clock that can be set") };
        let step = self.ticks(ticks.unsigned_abs());
        clock.set_wall(if ticks < 0 { clock.wall() - step } else { clock.wall() + step });
    }

    /// As [`assert_time`](Self::assert_time), for moments.
    #[track_caller]
    pub(crate) fn assert_near(&self, found: Timestamp, expected: Timestamp) {
        self.assert_time(found.since(expected).max(expected.since(found)), Duration::ZERO);
    }

    /// Asserts that `found` is `expected`, as exactly as the store's clock can be read.
    #[track_caller]
    pub(crate) fn assert_time(&self, found: Duration, expected: Duration) {
        let apart = found.abs_diff(expected);
        assert!(apart <= self.time().tolerance(), "{found:?} should be {expected:?}");
    }
}

/// The harness.
impl Trial {
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.harness.store()
    }

    pub(crate) fn largest_outcome(&self) -> usize {
        self.harness.largest_outcome()
    }

    pub(crate) async fn reopen(&mut self) {
        must("reopen", self.harness.reopen().await);
    }

    pub(crate) async fn another(&mut self) -> Arc<dyn Store> {
        must("another", self.harness.another().await)
    }

    pub(crate) async fn corrupt(&mut self, key: &Key) {
        must("corrupt", self.try_corrupt(key).await);
    }

    pub(crate) async fn try_corrupt(&mut self, key: &Key) -> Result<(), Unsupported> {
        self.harness.corrupt(key).await
    }
}

/// Values.
impl Trial {
    #[expect(clippy::unused_self, reason = "reads as a key of this trial's store")]
    pub(crate) fn key(&self, client_key: &str) -> Key {
        key_in(b"conformance", client_key)
    }

    /// A claim with a new owner.
    pub(crate) fn claim(&self) -> Claim {
        Claim { owner: owner(), lease: self.ticks(LEASE), retention: self.ticks(RETENTION) }
    }

    /// A lease with `token`, which need not have been granted.
    pub(crate) fn lease_with(&self, lease: &Lease, token: Token) -> Lease {
        let claim = Claim { owner: token.owner, ..self.claim() };
        let grant = Grant { token, attempt: lease.attempt(), checkpoint: None, valid_for: self.ticks(LEASE) };
        let sent = Sent::now(&SystemClock::shared());
        Lease::granted(*lease.key(), *lease.fingerprint(), &claim, grant, &sent)
    }
}

/// Calls.
impl Trial {
    pub(crate) fn policy(&self) -> Policy {
        Policy::new(self.ticks(LEASE), self.ticks(RETENTION))
    }

    pub(crate) async fn lock(&self, key: &Key, claim: &Claim) -> LockAnswer {
        self.lock_for(key, &fingerprint(), claim).await
    }

    pub(crate) async fn lock_for(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> LockAnswer {
        must("lock", self.store().lock(key, fingerprint, claim).await)
    }

    /// Locks `key` for a new owner, which must succeed.
    pub(crate) async fn acquire(&self, key: &Key) -> Lease {
        self.lock(key, &self.claim()).await.expect_acquired()
    }

    /// Outlasts a lease that was granted just now, and then locks `key` for a new owner.
    pub(crate) async fn take_over(&self, key: &Key) -> Lease {
        self.outlast_lease().await;
        self.acquire(key).await
    }

    pub(crate) async fn renew(&self, lease: &Lease, ticks: u32) -> Effect {
        must("renew", self.store().renew(lease, self.ticks(ticks)).await)
    }

    /// A checkpoint that asks for a lease as long as the first one.
    pub(crate) async fn checkpoint(&self, lease: &Lease, step: u64, progress: &'static [u8]) -> Effect {
        let progress = Bytes::from_static(progress);
        must("checkpoint", self.store().checkpoint(lease, step, progress, self.ticks(LEASE)).await)
    }

    pub(crate) async fn complete(&self, lease: &Lease, outcome: Outcome) -> Effect {
        must("complete", self.store().complete(lease, outcome, self.ticks(RETENTION)).await)
    }

    pub(crate) async fn release(&self, lease: &Lease) -> Effect {
        must("release", self.store().release(lease).await)
    }

    pub(crate) async fn remove(&self, key: &Key, force: bool) -> bool {
        must("remove", self.store().remove(key, force).await)
    }

    pub(crate) async fn get(&self, key: &Key) -> Option<Record> {
        must("get", self.store().get(key).await)
    }

    /// The record of `key`, which must exist.
    pub(crate) async fn record(&self, key: &Key) -> Record {
        let Some(record) = self.get(key).await else { panic!("there should be a record") };
        record
    }

    /// Asserts that the record of `key` equals `before`, except for the time at which it was read.
    pub(crate) async fn assert_unchanged(&self, key: &Key, before: Option<&Record>) {
        let now = self.get(key).await;
        assert!(self.same(before, now.as_ref()), "{now:?} should be as before: {before:?}");
    }

    fn same(&self, before: Option<&Record>, now: Option<&Record>) -> bool {
        let (Some(before), Some(now)) = (before, now) else { return before.is_none() && now.is_none() };
        let near = |one: Timestamp, other: Timestamp| {
            one.since(other).max(other.since(one)) <= self.time().tolerance()
        };
        let same_state = match (&before.state, &now.state) {
            (State::Locked(before), State::Locked(now)) => {
                near(before.deadline, now.deadline)
                    && (before.held, before.retention, &before.checkpoint)
                        == (now.held, now.retention, &now.checkpoint)
            }
            (State::Completed(before), State::Completed(now)) => {
                near(before.completed_at, now.completed_at)
                    && near(before.expires_at, now.expires_at)
                    && before.outcome == now.outcome
            }
            _ => false,
        };
        same_state
            && (before.fingerprint, before.token, before.attempt) == (now.fingerprint, now.token, now.attempt)
    }
}

pub(crate) fn owner() -> Owner {
    must("random", Owner::random())
}

pub(crate) fn key_in(scope: impl AsRef<[u8]>, client_key: &str) -> Key {
    must("key", Scope::new(scope).and_then(|scope| Key::new(&scope, client_key)))
}

/// The fingerprint of the requests of a case.
pub(crate) fn fingerprint() -> Fingerprint {
    Fingerprint::builder("conformance v1").part("the same request").finish()
}

/// The fingerprint of another request that reuses a key.
pub(crate) fn other_fingerprint() -> Fingerprint {
    Fingerprint::builder("conformance v1").part("another request").finish()
}

pub(crate) fn value(bytes: &'static [u8]) -> Outcome {
    Outcome::Value(Bytes::from_static(bytes))
}

/// The value of a call that must not fail.
#[track_caller]
pub(crate) fn must<T, E: Debug>(call: &str, answer: Result<T, E>) -> T {
    answer.unwrap_or_else(|error| panic!("`{call}` failed: {error:?}"))
}

/// Runs `future` up to its first wait.
pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

pub(crate) trait ExpectLock {
    fn expect_acquired(self) -> Lease;
    fn expect_completed(self) -> Replay;
    fn expect_in_progress(self) -> Duration;
    fn expect_mismatch(self);
}

impl ExpectLock for LockAnswer {
    #[track_caller]
    fn expect_acquired(self) -> Lease {
        let Self::Acquired(lease) = self else { panic!("{self:?} should be Acquired") };
        lease
    }

    #[track_caller]
    fn expect_completed(self) -> Replay {
        let Self::Completed(replay) = self else { panic!("{self:?} should be Completed") };
        replay
    }

    #[track_caller]
    fn expect_in_progress(self) -> Duration {
        let Self::InProgress { remaining } = self else { panic!("{self:?} should be InProgress") };
        remaining
    }

    #[track_caller]
    fn expect_mismatch(self) {
        assert!(matches!(self, Self::FingerprintMismatch), "{self:?} should be FingerprintMismatch");
    }
}

pub(crate) trait ExpectEffect {
    fn expect_applied(self);
    fn expect_lost(self, reason: LostReason);
}

impl ExpectEffect for Effect {
    #[track_caller]
    fn expect_applied(self) {
        assert_eq!(self, Self::Applied);
    }

    #[track_caller]
    fn expect_lost(self, reason: LostReason) {
        assert_eq!(self, Self::Lost(reason));
    }
}
