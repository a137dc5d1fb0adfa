//! The store: checks, and tells leases. What is sent and what the answers mean is in `calls.rs`.

mod lock;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use idem_core::backend::{Call, LeaseControl};
use idem_core::clock::SystemClock;
use idem_core::error::Operation;
use idem_core::record::{Checkpoint, Record};
use idem_core::{
    Capabilities, Claim, Effect, Error, ErrorKind, Expired, Fingerprint, Key, Lease, LockAnswer, Outcome,
    Result, Store,
};
use tokio::time::Instant;

use crate::connection::dial::Dial;
use crate::protocol::reply::{Reply, Said};
use crate::protocol::{calls, records};
use crate::retry::{Answered, CallError, Errand};
use crate::settled::waiting::Waiting;
use crate::topology::Topology;
use crate::topology::time::ServerTime;
use crate::{RedisConfig, settled};

/// A store of idempotency keys in Redis. Clones are the same store.
///
/// See the [crate's documentation](crate) for what it keeps and what may be lost.
#[derive(Clone)]
pub struct RedisStore(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    config: RedisConfig,
    topology: Arc<Topology>,
    time: Arc<ServerTime>,
    pub(crate) waiting: Waiting,
}

impl RedisStore {
    /// Connects, and refuses servers that may lose what they are given.
    ///
    /// # Errors
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for a configuration that cannot work: a wrong password, a server that
    /// evicts or is too old, a cluster where one server is named or the other way round, acknowledgements
    /// ([`Acks`](crate::Acks)) that nobody can give.
    /// [`Unavailable`](ErrorKind::Unavailable) for what may pass: no server answers, slots of a cluster have no master, a
    /// master that had a replica has none.
    ///
    /// # Cancel safety
    /// A dropped future leaves nothing behind but connections that end by themselves.
    pub async fn open(config: RedisConfig) -> Result<Self> {
        config.check()?;
        let time = Arc::new(ServerTime::new(SystemClock::shared()));
        let waiting = Waiting::new(config.max_waiters);
        let dial = Dial::new(&config, waiting.notified());
        let topology = Topology::open(&config, dial, Arc::clone(&time))
            .await
            .map_err(|fault| fault.into_error(Operation::Open, false))?;
        Ok(Self(Arc::new(Inner { config, topology, time, waiting })))
    }

    /// The Redis key of `key`'s record, for operators: [`prefix`](RedisConfig::prefix) and 65 characters, of which
    /// the first 22 are the same for all keys of a scope.
    #[must_use]
    pub fn redis_key(&self, key: &Key) -> String {
        records::redis_key(&self.0.config.prefix, key)
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.0.topology
    }

    pub(crate) fn call_timeout(&self) -> Duration {
        self.0.config.call_timeout
    }

    /// How long the token of a record is remembered that is removed: what this store and others know of the servers' time
    /// differs by less.
    fn remembered(&self) -> Duration {
        const LEAST: Duration = Duration::from_secs(10);
        LEAST.max(self.0.config.response_timeout)
    }

    pub(crate) fn errand(&self, redis_key: &Bytes) -> Errand<'_> {
        Errand {
            topology: &self.0.topology,
            time: &self.0.time,
            slot: self.0.topology.slot_of(redis_key),
            deadline: Instant::now() + self.0.config.call_timeout,
        }
    }

    /// A call of a holder.
    async fn fenced(&self, lease: &Lease, call: &Call) -> Result<Effect> {
        let operation = call.operation();
        call.check(self.0.config.max_outcome)?;
        let redis_key = Bytes::from(self.redis_key(lease.key()));
        let errand = self.errand(&redis_key);
        let now = match call {
            Call::Complete { .. } => errand.topology.node(errand.slot).ok().and_then(|node| node.now()),
            _ => None,
        };
        let request = calls::of_holder(&redis_key, lease, call, now, self.remembered())?;
        let Answered { reply, sent, unsure } =
            errand.run(&request, calls::is_change).await.map_err(|error| error.into_error(operation))?;
        let answer = calls::read_holder(lease, operation, Said::of(&reply).word, unsure)
            .map_err(|error| error.during(operation))?;
        let Some((effect, wrote)) = answer else {
            return Err(Box::pin(self.damaged(&errand, lease.key(), &redis_key, operation)).await);
        };
        tracing::trace!(key = %lease.key(), %operation, ?effect);
        lease.answered(call, effect, wrote, &sent);
        Ok(effect)
    }

    /// Says what is wrong with a record that a script could not make sense of.
    async fn damaged(
        &self,
        errand: &Errand<'_>,
        key: &Key,
        redis_key: &Bytes,
        operation: Operation,
    ) -> Error {
        match self.read(errand, key, redis_key).await {
            Err(error) => error.during(operation),
            // Changed meanwhile, or damaged where only the script looks.
            Ok(_) => Error::new(ErrorKind::Corrupt, operation, "the record cannot be read"),
        }
    }

    async fn read(&self, errand: &Errand<'_>, key: &Key, redis_key: &Bytes) -> Result<Option<Record>> {
        let answered = errand
            .run(&calls::get(redis_key), |_| false)
            .await
            .map_err(|error| error.into_error(Operation::Get))?;
        calls::read_get(key, &answered.reply)
    }

    async fn delete(&self, errand: &Errand<'_>, redis_key: &Bytes) -> Result<bool, CallError> {
        let request = calls::delete(redis_key);
        let removed = |reply: &Reply| reply.integer().is_some_and(|count| count > 0);
        let answered = errand.run(&request, removed).await?;
        Ok(answered.unsure || removed(&answered.reply))
    }

    async fn remove_record(&self, key: &Key, force: bool) -> Result<bool> {
        let redis_key = Bytes::from(self.redis_key(key));
        let errand = self.errand(&redis_key);
        match errand.run(&calls::remove(&redis_key, force, self.remembered()), calls::is_change).await {
            Ok(Answered { reply, unsure, .. }) => match Said::of(&reply).word {
                b"applied" => return Ok(true),
                b"gone" => return Ok(unsure),
                b"held" => return Ok(false),
                // Damaged, as is what is no record at all.
                _ => {}
            },
            Err(error) if force && error.is_corrupt() => {}
            Err(error) => return Err(error.into_error(Operation::Remove)),
        }
        if force {
            return self
                .delete(&errand, &redis_key)
                .await
                .map_err(|error| error.into_error(Operation::Remove));
        }
        Err(self.damaged(&errand, key, &redis_key, Operation::Remove).await)
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockAnswer> {
        claim.check()?;
        let (answer, sent) = self.lock_record(key, fingerprint, claim).await?;
        tracing::trace!(%key, ?answer, "lock");
        answer.into_lock_answer(*key, *fingerprint, claim, &sent)
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Effect> {
        self.fenced(lease, &Call::Renew { token: lease.token(), duration }).await
    }

    async fn checkpoint(
        &self,
        lease: &Lease,
        step: u64,
        progress: Bytes,
        duration: Duration,
    ) -> Result<Effect> {
        let checkpoint = Checkpoint::new(step, progress);
        self.fenced(lease, &Call::Checkpoint { token: lease.token(), checkpoint, duration }).await
    }

    async fn complete(&self, lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Effect> {
        self.fenced(lease, &Call::Complete { token: lease.token(), outcome, retention }).await
    }

    async fn release(&self, lease: &Lease) -> Result<Effect> {
        self.fenced(lease, &Call::Release { token: lease.token() }).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        let redis_key = Bytes::from(self.redis_key(key));
        self.read(&self.errand(&redis_key), key, &redis_key).await
    }

    async fn settled(&self, key: &Key, timeout: Duration) -> Result<bool> {
        settled::settled(self, key, timeout).await
    }

    async fn remove(&self, key: &Key, force: bool) -> Result<bool> {
        let removed = self.remove_record(key, force).await?;
        if removed {
            tracing::debug!(%key, force, "removed");
        }
        Ok(removed)
    }

    /// Nothing to do: Redis removes what has expired.
    async fn expire(&self, _budget: usize) -> Result<Expired> {
        Ok(Expired::default())
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities =
            Capabilities::none().with_shared().with_notifies().with_call_timeout(self.0.config.call_timeout);
        let capabilities =
            if self.0.topology.is_durable() { capabilities.with_durable() } else { capabilities };
        if self.0.topology.is_replicated() { capabilities.with_replicated() } else { capabilities }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.topology.close();
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("config", &self.0.config).finish_non_exhaustive()
    }
}
