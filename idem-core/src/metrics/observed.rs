//! A store whose calls are counted, timed and traced.

use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tracing::Instrument;
use tracing::field::Empty;

use super::counts::{self, Since};
use crate::claim::Claim;
use crate::effect::{Effect, LostReason};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::identity::{Fingerprint, Key, Scope};
use crate::lease::{Lease, LockAnswer};
use crate::record::{Outcome, Record, Replay};
use crate::scan::{Cursor, Erased, Page, Scan};
use crate::store::{Capabilities, Expired, Store};

/// The label for a `lock` that is answered with the key's completion.
const COMPLETED: &str = "completed";

/// Counts, times and traces every call of a store, whatever backend it is.
///
/// The counts are those of [`metrics`](crate::metrics) and need the feature of that name; [`Registry::open`](crate::Registry::open)
/// then puts this around each store. The span of a call is `idem.store`, at the level `TRACE`, with the fields
/// `operation`, `key` (the short digest) and `answer`: never a client's text, an outcome or an error's message.
///
/// [`as_any`](Store::as_any) is that of the store inside, so downcasts still work.
///
/// ```
/// use std::sync::Arc;
/// use idem_core::Store;
/// use idem_core::metrics::Observed;
///
/// fn watched(store: impl Store) -> Arc<dyn Store> {
///     Arc::new(Observed::new(store))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Observed<S> {
    store: S,
}

impl<S: Store> Observed<S> {
    /// The same store, observed.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self { store }
    }

    /// The store inside.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.store
    }
}

#[async_trait]
impl<S: Store> Store for Observed<S> {
    async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockAnswer> {
        let call = self.store.lock(key, fingerprint, claim);
        let answer = observe(Operation::Lock, Some(key), call, lock_outcome).await;
        counts::locked(answer.as_ref().map_or("error", lock_outcome));
        answer
    }

    /// A replay that `peek` finds is counted as the `lock` that it replaces. When it finds none, a `lock` follows and
    /// is counted itself.
    fn peek(&self, key: &Key, fingerprint: &Fingerprint) -> Option<Replay> {
        let sent = Since::now();
        let replay = self.store.peek(key, fingerprint)?;
        let operation = Operation::Lock;
        tracing::trace_span!("idem.store", operation = operation.text(), %key, answer = COMPLETED)
            .in_scope(|| ());
        counts::answered(operation, sent);
        counts::locked(COMPLETED);
        Some(replay)
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Effect> {
        observe_holder(Operation::Renew, lease, self.store.renew(lease, duration)).await
    }

    async fn checkpoint(
        &self,
        lease: &Lease,
        step: u64,
        progress: Bytes,
        duration: Duration,
    ) -> Result<Effect> {
        let call = self.store.checkpoint(lease, step, progress, duration);
        observe_holder(Operation::Checkpoint, lease, call).await
    }

    async fn complete(&self, lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Effect> {
        observe_holder(Operation::Complete, lease, self.store.complete(lease, outcome, retention)).await
    }

    async fn release(&self, lease: &Lease) -> Result<Effect> {
        observe_holder(Operation::Release, lease, self.store.release(lease)).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        let word = |found: &Option<Record>| if found.is_some() { "found" } else { "none" };
        observe(Operation::Get, Some(key), self.store.get(key), word).await
    }

    async fn settled(&self, key: &Key, timeout: Duration) -> Result<bool> {
        let word = |settled: &bool| if *settled { "settled" } else { "not_settled" };
        observe(Operation::Settled, Some(key), self.store.settled(key, timeout), word).await
    }

    async fn remove(&self, key: &Key, force: bool) -> Result<bool> {
        let word = |removed: &bool| if *removed { "removed" } else { "not_removed" };
        observe(Operation::Remove, Some(key), self.store.remove(key, force), word).await
    }

    async fn expire(&self, budget: usize) -> Result<Expired> {
        let word = |expired: &Expired| more_or_done(expired.more);
        let answer = observe(Operation::Expire, None, self.store.expire(budget), word).await;
        if let Ok(expired) = &answer {
            counts::expired(expired.removed as u64);
        }
        answer
    }

    async fn scan(&self, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
        observe(Operation::Scan, None, self.store.scan(scan, after), |page| more_or_done(page.next.is_some()))
            .await
    }

    async fn erase(&self, scope: &Scope, force: bool, after: Option<&Cursor>) -> Result<Erased> {
        let word = |erased: &Erased| more_or_done(erased.next.is_some());
        observe(Operation::Erase, None, self.store.erase(scope, force, after), word).await
    }

    async fn close(&self) -> Result<()> {
        self.store.close().await
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn as_any(&self) -> &dyn Any {
        self.store.as_any()
    }
}

async fn observe_holder(
    operation: Operation,
    lease: &Lease,
    call: impl Future<Output = Result<Effect>> + Send,
) -> Result<Effect> {
    let known = lease.is_lost();
    let answer = observe(operation, Some(lease.key()), call, |answer| fenced(*answer)).await;
    if let Ok(Effect::Lost(reason)) = answer
        && !known
        && is_news(operation, reason)
    {
        counts::lost(lost(reason));
    }
    answer
}

/// Whether the answer says that the lease was lost, rather than ended by its holder: a `release` that was sent again
/// finds nothing to release.
fn is_news(operation: Operation, reason: LostReason) -> bool {
    match reason {
        LostReason::Superseded => true,
        LostReason::Released | LostReason::Gone => operation != Operation::Release,
        LostReason::Completed => false,
    }
}

async fn observe<T>(
    operation: Operation,
    key: Option<&Key>,
    call: impl Future<Output = Result<T>> + Send,
    word: impl Fn(&T) -> &'static str + Send,
) -> Result<T> {
    let name = operation.text();
    let span = tracing::trace_span!(
        "idem.store",
        operation = name,
        key = key.map(tracing::field::display),
        answer = Empty
    );
    let mut watch = Watch { operation, sent: Since::now(), answered: false };
    let answer = call.instrument(span.clone()).await;
    watch.answered(answer.as_ref().err().map(Error::kind));
    span.record("answer", answer.as_ref().map_or_else(|error| error.kind().label(), word));
    answer
}

/// One call, from when it is sent until it is answered or dropped.
struct Watch {
    operation: Operation,
    sent: Since,
    answered: bool,
}

impl Watch {
    fn answered(&mut self, failed: Option<ErrorKind>) {
        self.answered = true;
        counts::answered(self.operation, self.sent);
        if let Some(kind) = failed {
            counts::failed(self.operation, kind.label());
        }
        if failed == Some(ErrorKind::Full) {
            counts::refused();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A caller may stop waiting for a key at any time: that is no failed call.
        if !self.answered && self.operation != Operation::Settled {
            counts::failed(self.operation, "dropped");
        }
    }
}

fn lock_outcome(outcome: &LockAnswer) -> &'static str {
    match outcome {
        LockAnswer::Acquired(_) => "acquired",
        LockAnswer::InProgress { .. } => "in_progress",
        LockAnswer::Completed(_) => COMPLETED,
        LockAnswer::FingerprintMismatch => "fingerprint_mismatch",
    }
}

fn more_or_done(more: bool) -> &'static str {
    if more { "more" } else { "done" }
}

fn fenced(effect: Effect) -> &'static str {
    match effect {
        Effect::Applied => "applied",
        Effect::Lost(reason) => lost(reason),
    }
}

fn lost(reason: LostReason) -> &'static str {
    match reason {
        LostReason::Superseded => "superseded",
        LostReason::Completed => "completed",
        LostReason::Released => "released",
        LostReason::Gone => "gone",
    }
}
