//! The calls of the contract.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use idem_core::backend::{Call, LeaseControl as _, Sent};
use idem_core::clock::SharedClock;
use idem_core::error::Operation;
use idem_core::record::{Checkpoint, Record};
use idem_core::scan::{Cursor, Erased, Page, Scan};
use idem_core::{
    Capabilities, Claim, Effect, Expired, Fingerprint, Key, Lease, LockAnswer, Outcome, Result, Scope, Store,
};
use tokio::time::Instant;

use super::operator_calls::OperatorCalls;
use super::watcher::Watcher;
use crate::batch::{Complete, Get, Lock, Release, Renew, Wait};
use crate::config::postgres_config::PostgresConfig;
use crate::connection::{Listener, Ownership, Queue};

/// A store of idempotency keys in PostgreSQL. Clones are the same store.
#[derive(Debug, Clone)]
pub struct PostgresStore(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) config: PostgresConfig,
    pub(super) clock: SharedClock,
    pub(super) operator_calls: Arc<OperatorCalls>,
    pub(super) locks: Queue<Lock>,
    pub(super) reads: Queue<Get>,
    pub(super) waits: Queue<Wait>,
    pub(super) completions: Queue<Complete>,
    pub(super) renewals: Queue<Renew>,
    pub(super) releases: Queue<Release>,
    pub(super) listener: Listener,
    /// What the store found when it was opened; always `Lent` on a pool.
    pub(super) ownership: Ownership,
    pub(super) watcher: Arc<Watcher>,
    /// Whether it hears when a commit does not wait for its standbys any longer.
    pub(super) hears_cancelled_waits: bool,
}

impl PostgresStore {
    pub(crate) fn clock(&self) -> &SharedClock {
        &self.0.clock
    }

    pub(crate) fn config(&self) -> &PostgresConfig {
        &self.0.config
    }

    /// A renewal whose answer the lease is not told.
    pub(crate) async fn renew_silently(&self, lease: &Lease, duration: Duration) -> Result<Effect> {
        let renewed = self.0.renewals.call(Renew::new(lease, duration), Operation::Renew).await?;
        Ok(renewed.effect)
    }

    /// Checks a call's arguments, and notes when it is sent.
    pub(crate) fn checked(&self, call: &Call) -> Result<Sent> {
        call.check(self.0.config.max_outcome)?;
        Ok(Sent::now(&self.0.clock))
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockAnswer> {
        let call = Call::Lock { fingerprint: *fingerprint, claim: *claim, min_sequence: 0 };
        let sent = self.checked(&call)?;
        let lock = Lock::new(*key, *fingerprint, *claim)?;
        let found = self.0.locks.call(lock, Operation::Lock).await?;
        found.answer(*fingerprint, *claim)?.into_lock_answer(*key, *fingerprint, claim, &sent)
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Effect> {
        let call = Call::Renew { token: lease.token(), duration };
        let sent = self.checked(&call)?;
        let renewed = self.0.renewals.call(Renew::new(lease, duration), Operation::Renew).await?;
        lease.answered(&call, renewed.effect, renewed.changed, &sent);
        Ok(renewed.effect)
    }

    async fn checkpoint(
        &self,
        lease: &Lease,
        step: u64,
        progress: Bytes,
        duration: Duration,
    ) -> Result<Effect> {
        let checkpoint = Checkpoint::new(step, progress);
        let call = Call::Checkpoint { token: lease.token(), checkpoint: checkpoint.clone(), duration };
        let sent = self.checked(&call)?;
        let renew = Renew::checkpoint(lease, checkpoint, duration)?;
        let renewed = self.0.renewals.call(renew, Operation::Checkpoint).await?;
        lease.answered(&call, renewed.effect, renewed.changed, &sent);
        Ok(renewed.effect)
    }

    async fn complete(&self, lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Effect> {
        let call = Call::Complete { token: lease.token(), outcome: outcome.clone(), retention };
        let sent = self.checked(&call)?;
        let complete = Complete::new(lease, outcome, retention)?;
        let effect = self.0.completions.call(complete, Operation::Complete).await?;
        lease.answered(&call, effect, effect == Effect::Applied, &sent);
        Ok(effect)
    }

    async fn release(&self, lease: &Lease) -> Result<Effect> {
        let call = Call::Release { token: lease.token() };
        let sent = self.checked(&call)?;
        let effect = self.0.releases.call(Release(lease.clone()), Operation::Release).await?;
        lease.answered(&call, effect, effect == Effect::Applied, &sent);
        Ok(effect)
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        self.0.reads.call(Get(*key), Operation::Get).await
    }

    async fn settled(&self, key: &Key, timeout: Duration) -> Result<bool> {
        let begun = Instant::now();
        // Behind a pooler, and on a pool, nobody listens.
        if self.0.ownership == Ownership::Own {
            self.0.listener.start();
            // A hint: where it cannot be noted, the look tells why, or the waiter looks every now and then.
            let _noted =
                tokio::time::timeout(timeout, self.0.waits.call(Wait(*key), Operation::Settled)).await;
        }
        let left = timeout.saturating_sub(begun.elapsed());
        self.0.listener.waiters().settled(self, key, left).await
    }

    async fn remove(&self, key: &Key, force: bool) -> Result<bool> {
        self.0.operator_calls.remove(key, force).await
    }

    async fn expire(&self, budget: usize) -> Result<Expired> {
        self.0.operator_calls.remove_expired("expire", budget).await
    }

    async fn scan(&self, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
        self.0.operator_calls.scan(scan, after).await
    }

    async fn erase(&self, scope: &Scope, force: bool, after: Option<&Cursor>) -> Result<Erased> {
        self.0.operator_calls.erase(scope, force, after).await
    }

    /// [`durable`](Capabilities::durable) and [`replicated`](Capabilities::replicated) follow the server's settings, as the
    /// store's sessions have them, by a second or so.
    fn capabilities(&self) -> Capabilities {
        let (config, watcher) = (&self.0.config, &self.0.watcher);
        let mut capabilities = Capabilities::none()
            .with_shared()
            .with_strict_sequence()
            .with_scans()
            .with_call_timeout(config.call_timeout);
        if self.0.ownership == Ownership::Own {
            capabilities = capabilities.with_notifies();
        }
        if watcher.is_durable() {
            capabilities = capabilities.with_durable();
        }
        // What is not heard is not promised. With `acks` nothing is acknowledged that no standby has, whatever the settings are by now.
        if config.acks > 0 || (self.0.hears_cancelled_waits && watcher.is_replicated()) {
            capabilities = capabilities.with_replicated();
        }
        capabilities
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
