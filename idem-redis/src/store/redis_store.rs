//! The store. `protocol/calls.rs` has the requests of its calls and the meaning of the answers.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use idem_core::backend::Call;
use idem_core::clock::SystemClock;
use idem_core::error::Operation;
use idem_core::record::{Checkpoint, Record};
use idem_core::scan::{Cursor, Page, Scan};
use idem_core::{
    Capabilities, Claim, Effect, Expired, Fingerprint, Key, Lease, LockAnswer, Outcome, Result, Store,
};

use crate::config::redis_config::RedisConfig;
use crate::connection::connector::Connector;
use crate::settled::subscriptions::Subscriptions;
use crate::settled::until_settled::Settling;
use crate::store::inner::Inner;
use crate::topology::node::server_time::ServerTime;
use crate::topology::servers::Topology;

/// A store of idempotency keys in Redis. Clones are the same store.
///
/// See the [crate's documentation](crate) for what the store keeps and what may be lost.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

impl RedisStore {
    /// Connects, and refuses servers that may lose data.
    ///
    /// # Errors
    /// [`InvalidConfig`](idem_core::ErrorKind::InvalidConfig) for a configuration that cannot work: a wrong password, a server that
    /// evicts keys or is too old, a cluster where one server is configured or the other way round, acknowledgements
    /// ([`Acks`](crate::Acks)) that no server can give.
    /// [`Unavailable`](idem_core::ErrorKind::Unavailable) for conditions that may pass: no server answers, slots of a cluster
    /// have no master, a master that had a replica has none.
    ///
    /// # Cancel safety
    /// A dropped future leaves nothing behind but connections that end by themselves.
    pub async fn open(config: RedisConfig) -> Result<Self> {
        config.check()?;
        let time = Arc::new(ServerTime::new(SystemClock::shared()));
        let subscriptions = Subscriptions::new(config.max_waiters);
        let connector = Connector::new(&config, subscriptions.listener());
        let topology = Topology::open(&config, connector, Arc::clone(&time))
            .await
            .map_err(|error| error.into_error(Operation::Open, false))?;
        Ok(Self(Arc::new(Inner { config, topology, time, subscriptions })))
    }

    /// The Redis key of `key`'s record, for operators: [`prefix`](RedisConfig::prefix) and 65 characters, of which
    /// the first 22 are the same for all keys of a scope.
    #[must_use]
    pub fn redis_key(&self, key: &Key) -> String {
        self.0.redis_key(key)
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockAnswer> {
        claim.check()?;
        let (answer, sent) = self.0.lock_record(key, fingerprint, claim).await?;
        tracing::trace!(%key, ?answer, "lock");
        answer.into_lock_answer(*key, *fingerprint, claim, &sent)
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Effect> {
        self.0.holder_call(lease, &Call::Renew { token: lease.token(), duration }).await
    }

    async fn checkpoint(
        &self,
        lease: &Lease,
        step: u64,
        progress: Bytes,
        duration: Duration,
    ) -> Result<Effect> {
        let checkpoint = Checkpoint::new(step, progress);
        self.0.holder_call(lease, &Call::Checkpoint { token: lease.token(), checkpoint, duration }).await
    }

    async fn complete(&self, lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Effect> {
        self.0.holder_call(lease, &Call::Complete { token: lease.token(), outcome, retention }).await
    }

    async fn release(&self, lease: &Lease) -> Result<Effect> {
        self.0.holder_call(lease, &Call::Release { token: lease.token() }).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        let redis_key = Bytes::from(self.redis_key(key));
        self.0.call_context(&redis_key).read(key, &redis_key).await
    }

    async fn settled(&self, key: &Key, timeout: Duration) -> Result<bool> {
        let Inner { config, topology, time, subscriptions } = &*self.0;
        let call_timeout = config.call_timeout;
        let settling = Settling { topology, time, subscriptions, call_timeout };
        settling.until_settled(key, self.redis_key(key), timeout).await
    }

    async fn remove(&self, key: &Key, force: bool) -> Result<bool> {
        let removed = self.0.remove_record(key, force).await?;
        if removed {
            tracing::debug!(%key, force, "removed");
        }
        Ok(removed)
    }

    /// Does nothing: Redis itself removes what has expired.
    async fn expire(&self, _budget: usize) -> Result<Expired> {
        Ok(Expired::default())
    }

    async fn scan(&self, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
        self.0.scan(scan, after).await
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::none()
            .with_shared()
            .with_notifies()
            .with_scans()
            .with_call_timeout(self.0.config.call_timeout);
        let capabilities =
            if self.0.topology.is_durable() { capabilities.with_durable() } else { capabilities };
        if self.0.topology.is_replicated() { capabilities.with_replicated() } else { capabilities }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("config", &self.0.config).finish_non_exhaustive()
    }
}
