//! The calls of the contract.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use idem_core::backend::{Call, LeaseControl as _, Sent};
use idem_core::clock::{SharedClock, SystemClock};
use idem_core::error::Operation;
use idem_core::record::{Checkpoint, Record};
use idem_core::{
    Capabilities, Claim, Effect, Error, ErrorKind, Expired, Fingerprint, Key, Lease, LockAnswer, Outcome,
    Result, Store,
};
use tokio::time::Instant;

use super::alone::Alone;
use super::sweep;
use super::watcher::Watcher;
use crate::batch::{Complete, Get, Lock, Release, Renew, Wait};
use crate::config::postgres_config::PostgresConfig;
use crate::connection::{Connector, Lanes, Link, Listener, Opened, Ownership, Queue};
use crate::error::{Failure, Then};
use crate::schema;

/// A store of idempotency keys in PostgreSQL. Clones are the same store.
#[derive(Debug, Clone)]
pub struct PostgresStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: PostgresConfig,
    clock: SharedClock,
    alone: Arc<Alone>,
    locks: Queue<Lock>,
    reads: Queue<Get>,
    waits: Queue<Wait>,
    completions: Queue<Complete>,
    renewals: Queue<Renew>,
    releases: Queue<Release>,
    listener: Listener,
    /// What the store found when it was opened.
    ownership: Ownership,
    watcher: Arc<Watcher>,
}

impl PostgresStore {
    /// Connects, and creates the schema or brings it up to date unless [`migrate`](PostgresConfig::migrate) is false.
    ///
    /// The store belongs to the runtime that it is opened on.
    ///
    /// # Errors
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for a configuration that cannot work, a server that fails what `sslmode`
    /// asks, or demands fewer standbys than [`acks`](PostgresConfig::acks), a role that lacks rights or is under row-level
    /// security, and, without `migrate`, a schema that is missing or
    /// older; [`Incompatible`](ErrorKind::Incompatible) for a schema of a later version, or with tables that are not the
    /// store's;
    /// [`Unavailable`](ErrorKind::Unavailable) when no server that takes writes can be reached.
    pub async fn open(config: PostgresConfig) -> Result<Self> {
        config.check()?;
        let connector = Connector::new(&config);
        let ownership = prepare(&connector, &config).await?;
        let lanes = || Lanes {
            link: Arc::new(Link::new(connector.clone())),
            aside: Arc::new(Link::new(connector.clone())),
            call_timeout: config.call_timeout,
            response_timeout: config.response_timeout,
        };
        // What holders send does not wait behind the locks of others.
        let (locks, holders) = (lanes(), lanes());
        for link in [&locks.link, &holders.link] {
            link.connection().await.map_err(unavailable)?;
        }
        let (first, others) = ([&locks.link, &holders.link], [&locks.aside, &holders.aside]);
        let watcher = Watcher::start(first, others, config.response_timeout).await;
        let schema = &schema::quoted(&config.schema);
        let inner = Arc::new(Inner {
            clock: Arc::new(SystemClock),
            alone: Arc::new(Alone::new(Arc::clone(&locks.link), schema, config.call_timeout)),
            locks: Queue::start(locks.clone(), schema),
            reads: Queue::start(locks.clone(), schema),
            waits: Queue::start(locks, schema),
            completions: Queue::start(holders.clone(), schema),
            renewals: Queue::start(holders.clone(), schema),
            releases: Queue::start(holders, schema),
            listener: Listener::new(connector.clone()),
            ownership,
            watcher,
            config,
        });
        if inner.config.sweep {
            tokio::spawn(sweep::run(Arc::downgrade(&inner.alone), inner.config.sweep_interval));
        }
        Ok(Self(inner))
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

/// Creates the schema where that is asked for, and refuses one that this code does not work with.
async fn prepare(connector: &Connector, config: &PostgresConfig) -> Result<Ownership> {
    let Opened { mut client, session, ownership, .. } =
        connector.connect(|_| {}).await.map_err(unavailable)?;
    if let Some(lack) = session.lack() {
        return Err(Error::new(ErrorKind::InvalidConfig, Operation::Open, lack.message));
    }
    if config.migrate {
        schema::migrate(&mut client, &config.schema).await?;
    }
    schema::check(&client, &config.schema).await?;
    Ok(ownership)
}

fn unavailable(failure: Failure) -> Error {
    match failure.then {
        Then::Refuse(_) => failure.error(Operation::Open),
        Then::Resend | Then::SetAside | Then::Reconnect => {
            Error::new(ErrorKind::Unavailable, Operation::Open, failure.message)
        }
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
        // Behind a pooler nobody listens.
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
        self.0.alone.remove(key, force).await
    }

    async fn expire(&self, budget: usize) -> Result<Expired> {
        self.0.alone.remove_expired("expire", budget).await
    }

    /// [`durable`](Capabilities::durable) and [`replicated`](Capabilities::replicated) follow the server's settings, as the
    /// store's sessions have them, by a second or so.
    fn capabilities(&self) -> Capabilities {
        let (config, watcher) = (&self.0.config, &self.0.watcher);
        let mut capabilities =
            Capabilities::none().with_shared().with_strict_sequence().with_call_timeout(config.call_timeout);
        if self.0.ownership == Ownership::Own {
            capabilities = capabilities.with_notifies();
        }
        if watcher.is_durable() {
            capabilities = capabilities.with_durable();
        }
        // With `acks` nothing is acknowledged that no standby has, whatever the settings are by now.
        if config.acks > 0 || watcher.is_replicated() {
            capabilities = capabilities.with_replicated();
        }
        capabilities
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
