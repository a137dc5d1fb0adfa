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
use tokio_postgres::types::Type;

use super::sweep;
use crate::batch::{Complete, Get, Lock, Locked, Release, Renew};
use crate::config::postgres_config::PostgresConfig;
use crate::connection::{Connector, Link, Queue};
use crate::error::{Failure, Then};
use crate::schema;

/// A store of idempotency keys in PostgreSQL. Clones are the same store.
#[derive(Debug, Clone)]
pub struct PostgresStore(Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    config: PostgresConfig,
    clock: SharedClock,
    /// For locks and reads.
    link: Arc<Link>,
    locks: Queue<Lock>,
    reads: Queue<Get>,
    completions: Queue<Complete>,
    renewals: Queue<Renew>,
    releases: Queue<Release>,
}

impl PostgresStore {
    /// Connects, and creates the schema or brings it up to date unless [`migrate`](PostgresConfig::migrate) is false.
    ///
    /// # Errors
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for a configuration that cannot work,
    /// [`Incompatible`](ErrorKind::Incompatible) for a schema of a later version,
    /// [`Unavailable`](ErrorKind::Unavailable) when no server that takes writes can be reached.
    pub async fn open(config: PostgresConfig) -> Result<Self> {
        config.check()?;
        let connector = Connector::new(&config);
        let unavailable = |failure: Failure| match failure.what {
            Then::Refuse(_) => failure.error(Operation::Open),
            Then::Resend | Then::Reconnect => {
                Error::new(ErrorKind::Unavailable, Operation::Open, failure.message)
            }
        };
        let mut client = connector.connect().await.map_err(unavailable)?;
        if config.migrate {
            schema::migrate(&mut client, &config.schema).await?;
        }
        schema::check(&client, &config.schema).await?;
        let link = Arc::new(Link::new(connector.clone(), Some(client)));
        // What holders send does not wait behind the locks of others.
        let holders = connector.connect().await.map_err(unavailable)?;
        let holders = Arc::new(Link::new(connector, Some(holders)));
        let (schema, call, response) = (&config.schema, config.call_timeout, config.response_timeout);
        let inner = Arc::new(Inner {
            clock: Arc::new(SystemClock),
            locks: Queue::start(Arc::clone(&link), schema, call, response),
            reads: Queue::start(Arc::clone(&link), schema, call, response),
            completions: Queue::start(Arc::clone(&holders), schema, call, response),
            renewals: Queue::start(Arc::clone(&holders), schema, call, response),
            releases: Queue::start(holders, schema, call, response),
            link,
            config,
        });
        if inner.config.sweep {
            tokio::spawn(sweep::run(Arc::downgrade(&inner), inner.config.sweep_interval));
        }
        Ok(Self(inner))
    }

    fn checked(&self, call: &Call) -> Result<Sent> {
        call.check(self.0.config.max_outcome)?;
        Ok(Sent::now(&self.0.clock))
    }
}

impl Inner {
    pub(super) async fn expire(&self, budget: usize) -> Result<Expired> {
        let statement = format!("SELECT * FROM {}.expire($1)", self.config.schema);
        let budget = i64::try_from(budget).unwrap_or(i64::MAX);
        let swept = async {
            let client = self.link.client().await?;
            let row = client.query_typed_one(&statement, &[(&budget, Type::INT8)]).await?;
            let removed: i64 = row.try_get("removed")?;
            Ok::<_, Failure>(Expired {
                removed: usize::try_from(removed).unwrap_or(0),
                more: row.try_get("more")?,
            })
        };
        swept.await.map_err(|failure| failure.error(Operation::Expire))
    }

    async fn remove(&self, key: &Key, force: bool) -> Result<bool> {
        let statement = format!("SELECT {}.remove($1, $2)", self.config.schema);
        let key: &[u8] = key.storage_key();
        let removed = async {
            let client = self.link.client().await?;
            let row =
                client.query_typed_one(&statement, &[(&key, Type::BYTEA), (&force, Type::BOOL)]).await?;
            Ok::<bool, Failure>(row.try_get(0)?)
        };
        removed.await.map_err(|failure| failure.error(Operation::Remove))
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockAnswer> {
        let call = Call::Lock { fingerprint: *fingerprint, claim: *claim, min_sequence: 0 };
        let sent = self.checked(&call)?;
        let lock = Lock::new(*key, *fingerprint, *claim)?;
        Ok(match self.0.locks.call(lock, Operation::Lock).await? {
            Locked::Acquired(grant) => {
                LockAnswer::Acquired(Lease::granted(*key, *fingerprint, claim, grant, &sent))
            }
            Locked::InProgress(remaining) => LockAnswer::InProgress { remaining },
            Locked::Completed(replay) => LockAnswer::Completed(replay),
            Locked::FingerprintMismatch => LockAnswer::FingerprintMismatch,
        })
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

    async fn remove(&self, key: &Key, force: bool) -> Result<bool> {
        self.0.remove(key, force).await
    }

    async fn expire(&self, budget: usize) -> Result<Expired> {
        self.0.expire(budget).await
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
            .with_durable()
            .with_shared()
            .with_strict_sequence()
            .with_call_timeout(self.0.config.call_timeout)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
