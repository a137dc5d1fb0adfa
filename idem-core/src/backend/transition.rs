//! From one atomic step to a whole store.

use std::fmt::Debug;
use std::future::{Future, ready};
use std::pin::Pin;
use std::time::Duration;

use super::decide::{Answer, Call};
use super::lease_control::Asked;
use crate::claim::Claim;
use crate::effect::Effect;
use crate::error::{Operation, Result};
use crate::identity::{Fingerprint, Key};
use crate::lease::{Lease, LockAnswer, Sent};
use crate::record::{Record, Replay};
use crate::scan::{self, Cursor, Page, Scan};
use crate::store::polling::settled_by_polling;
use crate::store::{Capabilities, Expired};

/// What a store on a transactional storage has to implement itself. The calls of [`Store`](crate::Store) follow from
/// it: [`store_from_transition!`](crate::backend::store_from_transition) writes them.
///
/// These calls check the arguments against their limits, take the time before the step, tell the lease what was
/// answered, and trace it. The store need not do any of that.
///
/// Both traits have a `get`, an `expire` and so on: a module that calls the store imports `Store` alone.
///
/// ```
/// # use std::collections::BTreeMap;
/// # use std::sync::{Mutex, PoisonError};
/// use idem_core::backend::{Applied, Call, Change, Sent, StoreClock, Transition, decide, store_from_transition};
/// use idem_core::record::Record;
/// use idem_core::{Capabilities, Expired, Key, Result};
///
/// #[derive(Debug)]
/// struct MapStore {
///     records: Mutex<BTreeMap<Key, Record>>,
///     clock: StoreClock,
/// }
///
/// impl Transition for MapStore {
///     async fn apply(&self, key: &Key, call: Call, _sent: &Sent) -> Result<Applied> {
///         let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
///         let decision = decide(records.get(key), call, self.clock.now());
///         let wrote = decision.change != Change::None;
///         match decision.change {
///             Change::Put(record) => drop(records.insert(*key, record)),
///             Change::Remove => drop(records.remove(key)),
///             Change::None => {}
///         }
///         Ok(Applied { answer: decision.answer, wrote })
///     }
///
///     async fn get(&self, key: &Key) -> Result<Option<Record>> {
///         let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
///         let now = self.clock.now();
///         let record = records.get(key).filter(|record| !record.is_expired(now)).cloned();
///         Ok(record.map(|record| Record { as_of: now, ..record }))
///     }
///
///     async fn expire(&self, budget: usize) -> Result<Expired> {
///         let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
///         let now = self.clock.now();
///         let expired = records.iter().filter(|(_, record)| record.is_expired(now)).map(|(key, _)| *key);
///         let expired: Vec<Key> = expired.collect();
///         expired.iter().take(budget).for_each(|key| drop(records.remove(key)));
///         Ok(Expired { removed: expired.len().min(budget), more: expired.len() > budget })
///     }
///
///     fn sent(&self, _key: &Key) -> Sent {
///         Sent::now(self.clock.source())
///     }
///
///     fn capabilities(&self) -> Capabilities {
///         Capabilities::none()
///     }
/// }
///
/// store_from_transition!(MapStore);
/// ```
pub trait Transition: Debug + Send + Sync + 'static {
    /// Loads the record of `key`, lets [`decide`](crate::backend::decide()) say what `call` does to it, and carries that
    /// out, as one atomic step: no other call on the key comes in between, and either all of it is kept or nothing.
    ///
    /// A store whose sequences rise across the removal of a record sets `min_sequence` of a [`Call::Lock`] first: to 1 more
    /// than the highest sequence that it has given out, to whatever key. The time will not do, since a clock may stand still.
    /// Another store leaves it at 0, and does not claim [`strict_sequence`](Capabilities::strict_sequence).
    /// `sent` was taken before the call began. The call's durations and sizes were checked: whoever makes a call by this
    /// method, and not by those of [`Store`](crate::Store), does that first ([`Call::check`]).
    ///
    /// # Errors
    /// Those of the storage. [`Timeout`](crate::ErrorKind::Timeout) when it is unknown whether the step was made.
    ///
    /// # Cancel safety
    /// A dropped future leaves the record as it was, or as the call would have made it.
    fn apply(&self, key: &Key, call: Call, sent: &Sent) -> impl Future<Output = Result<Applied>> + Send;

    /// [`Store::get`](crate::Store::get): what is kept for `key`, `None` also once it has expired.
    ///
    /// Set [`as_of`](Record::as_of) to the store's time now: the remaining time of a lease is computed from it. If it
    /// were always the time of writing, a lease would never end for those who wait.
    fn get(&self, key: &Key) -> impl Future<Output = Result<Option<Record>>> + Send;

    /// [`Store::expire`](crate::Store::expire): removes at most `budget` expired records.
    fn expire(&self, budget: usize) -> impl Future<Output = Result<Expired>> + Send;

    /// [`Store::capabilities`](crate::Store::capabilities)
    fn capabilities(&self) -> Capabilities;

    /// The moment before a call on `key`, by the clock that counts its lease: `Sent::now(self.clock.source())` where
    /// the store has a [`StoreClock`](crate::backend::StoreClock).
    fn sent(&self, key: &Key) -> Sent;

    /// The largest outcome and the largest checkpoint that the store keeps, in bytes.
    fn max_outcome(&self) -> u64 {
        u64::MAX
    }

    /// [`Store::peek`](crate::Store::peek): a replay from memory.
    fn peek(&self, _key: &Key, _fingerprint: &Fingerprint) -> Option<Replay> {
        None
    }

    /// [`Store::settled`](crate::Store::settled), by polling. A store with [`Waiters`](crate::backend::Waiters) calls
    /// [`Waiters::settled`](crate::backend::Waiters::settled) instead, and wakes them when a [lease
    /// ended](Transition::lease_ended).
    fn settled(&self, key: &Key, timeout: Duration) -> impl Future<Output = Result<bool>> + Send {
        settled_by_polling(|| self.get(key), timeout)
    }

    /// [`Store::scan`](crate::Store::scan), for a store that cannot list its records. One that can claims
    /// [`scans`](Capabilities::scans), and then [`Store::erase`](crate::Store::erase) follows from it. The limit was checked.
    /// `examples/map-store` of the repository has an example.
    fn scan(&self, _scan: &Scan, _after: Option<&Cursor>) -> impl Future<Output = Result<Page>> + Send {
        ready(Err(scan::unsupported()))
    }

    /// [`Store::close`](crate::Store::close), for a store that holds nothing.
    fn close(&self) -> impl Future<Output = Result<()>> + Send {
        ready(Ok(()))
    }

    /// Called after a call by which a lease on `key` was completed, released or removed; not when that call's future was
    /// dropped before it had answered. [`Waiters`](crate::backend::Waiters) look again within 250 ms.
    fn lease_ended(&self, _key: &Key) {}
}

/// What [`Transition::apply`] did.
#[derive(Debug)]
pub struct Applied {
    /// The answer to the caller.
    pub answer: Answer,
    /// Whether the record was changed.
    pub wrote: bool,
}

/// The future of a store's call.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// [`Store::lock`](crate::Store::lock) of a [`Transition`].
///
/// # Errors
/// Those of the call.
pub async fn lock<T: Transition>(
    store: &T,
    key: &Key,
    fingerprint: &Fingerprint,
    claim: &Claim,
) -> Result<LockAnswer> {
    let call = Call::Lock { fingerprint: *fingerprint, claim: *claim, min_sequence: 0 };
    call.check(store.max_outcome())?;
    let sent = store.sent(key);
    store.apply(key, call, &sent).await?.answer.into_lock_answer(*key, *fingerprint, claim, &sent)
}

/// A call that only a holder may make, of a [`Transition`].
///
/// # Errors
/// Those of the call.
pub async fn hold<T: Transition>(store: &T, lease: &Lease, call: Call) -> Result<Effect> {
    call.check(store.max_outcome())?;
    let asked = Asked::of(&call);
    let sent = store.sent(lease.key());
    let Applied { answer, wrote } = store.apply(lease.key(), call, &sent).await?;
    let effect = answer.into_effect()?;
    tracing::trace!(key = %lease.key(), operation = %asked.operation, ?effect);
    asked.tell(lease, effect, wrote, &sent);
    if wrote && matches!(asked.operation, Operation::Complete | Operation::Release) {
        store.lease_ended(lease.key());
    }
    Ok(effect)
}

/// [`Store::scan`](crate::Store::scan) of a [`Transition`].
///
/// # Errors
/// Those of the call.
pub async fn scan<T: Transition>(store: &T, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
    scan.check()?;
    store.scan(scan, after).await
}

/// [`Store::remove`](crate::Store::remove) of a [`Transition`].
///
/// # Errors
/// Those of the call.
pub async fn remove<T: Transition>(store: &T, key: &Key, force: bool) -> Result<bool> {
    let sent = store.sent(key);
    let removed = store.apply(key, Call::Remove { force }, &sent).await?.answer.into_removed()?;
    if removed {
        tracing::debug!(%key, force, "removed");
        store.lease_ended(key);
    }
    Ok(removed)
}
