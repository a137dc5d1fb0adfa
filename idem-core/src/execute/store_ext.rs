//! Runs the work of a key once, by the calls of the store contract.

use std::any::type_name;
use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::attempt::execute;
use super::execution::{Execution, ended};
use super::finish::Retained;
use super::policy::Policy;
use crate::error::Result;
use crate::identity::{Fingerprint, Key};
use crate::lease::Lease;
use crate::metrics;
use crate::record::Outcome;
use crate::scan::{Expiry, Scan, Stats};
use crate::store::Store;
use crate::typed::{self, decode_value};

/// What builds on the contract, for every [`Store`], `dyn Store` included.
pub trait StoreExt: Store {
    /// Locks `key`, runs `work` once, renews the lease while it runs, and completes the key with its result.
    ///
    /// # Contract
    /// - `work` begins only under a live lease: when less than half of the lease is left as its answer comes, it is
    ///   renewed first. [`Policy::renew_for`] bounds how long the lease is kept alive. The renewals run beside the work
    ///   in the same task, so work that blocks its thread blocks them too. A lost lease does not stop the work, which
    ///   can look at [`Lease::is_lost`] and [`Lease::remaining`].
    /// - The result is kept with [`encode_value`](crate::typed::encode_value) and read back before it is answered: what is
    ///   answered here is what every replay answers. A result that is too large for the store, or that cannot be encoded
    ///   or read back, is answered here as it is and recorded as unavailable, so that it never runs again.
    /// - Work that completed the key itself (in its own transaction, say) is accepted: the answer comes from the
    ///   record. Such work should answer `Err` when it got no answer to its completion.
    /// - When `work` answers `Err`, the policy's [`OnError`](crate::OnError) is followed, and the record is read where
    ///   that does not already show whether the work had completed its key. If it had, the outcome that it kept is the
    ///   answer; otherwise the answer is [`Failed`](Execution::Failed). The answer is also `Failed` when the record
    ///   cannot be read; a retry with the same key then shows whether the work had completed it.
    /// - A `lock` of unknown effect is sent again, and then released as far as the store can be reached. A `complete`
    ///   of unknown effect is sent again and never released, since the work is done; the same holds when the store was
    ///   full. Both are sent again for [`Policy::resend_for`]. If the effect of the `complete` is still unknown then,
    ///   the answer is [`Unknown`](Execution::Unknown).
    /// - A store that was [`Full`](crate::ErrorKind::Full) is sent the result again only while more than half of the
    ///   lease is left. It is then sent a note, once: the work has run, and its result could not be kept. Once the note
    ///   is kept, the answer is the same as for a result that is too large: a retry gets
    ///   [`Unavailable`](Execution::Unavailable) and does not run the work again.
    /// - A renewal that fails is sent again until the lease is over, unless it failed by a misuse or because the store
    ///   was closed. After a [transient](crate::ErrorKind::is_transient) error it is sent again to the end of
    ///   [`Policy::renew_for`].
    /// - When the record was gone, so that the lease was lost, the completion is tried once more under the same owner.
    ///   It is accepted when nobody else has begun.
    ///
    /// # Errors
    /// The store's own, while the work has not run. After it has run, a store failure is [`Execution::Unknown`].
    /// [`Incompatible`](crate::ErrorKind::Incompatible) when the result on record is not a `T`.
    ///
    /// # Panics
    /// When `work` panics. Its lease then ends by itself, as after a crash.
    ///
    /// # Cancel safety
    /// Dropping the future drops `work` where it stands and leaves the lease to end by itself, because nobody
    /// knows what the work had done: a retry before that is told `InProgress`, one after it is a new attempt.
    /// The record is never half written. To let work outlive its caller, run `execute` in a task of its own.
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    /// use idem_core::{Execution, Fingerprint, Key, Policy, Scope, Store, StoreExt};
    ///
    /// async fn pay(store: &dyn Store, client_key: &str, cents: u64) -> idem_core::Result<String> {
    ///     let key = Key::new(&Scope::new("tenant-7")?, client_key)?;
    ///     let fingerprint = Fingerprint::builder("payments v1").part(cents.to_le_bytes()).finish();
    ///     let policy = Policy::new(Duration::from_secs(30), Duration::from_secs(24 * 3600));
    ///     let execution = store
    ///         .execute(&key, &fingerprint, &policy, |_lease| async move {
    ///             Ok::<_, std::io::Error>(format!("charged {cents} cents"))
    ///         })
    ///         .await?;
    ///     Ok(match execution {
    ///         Execution::Executed(receipt) | Execution::Replayed(receipt) => receipt,
    ///         other => format!("{other:?}"),
    ///     })
    /// }
    /// ```
    fn execute<T, E, F, W>(
        &self,
        key: &Key,
        fingerprint: &Fingerprint,
        policy: &Policy,
        work: F,
    ) -> impl Future<Output = Result<Execution<T, E>>> + Send
    where
        T: Serialize + DeserializeOwned + Send + Sync,
        E: Send,
        F: FnOnce(Lease) -> W + Send,
        W: Future<Output = Result<T, E>> + Send,
    {
        let shown = *key;
        let encode = move |value: T| {
            let (value, kept) = typed::kept(value);
            let outcome = kept.map_or_else(
                |(reason, error)| {
                    let (error, result) = (error.as_dyn(), type_name::<T>());
                    tracing::error!(key = %shown, result, error, "the result is not kept; a retry will be told so");
                    Outcome::Unavailable(reason)
                },
                Outcome::Value,
            );
            (value, Retained::new(outcome, policy.retention))
        };
        execute(self, key, fingerprint, policy, work, encode, |bytes| decode_value(&bytes))
    }

    /// [`execute`](StoreExt::execute) for work that cannot fail.
    ///
    /// ```
    /// use std::time::Duration;
    /// use idem_core::{Fingerprint, Key, NoResult, Policy, Scope, Store, StoreExt};
    ///
    /// async fn draw(store: &dyn Store, client_key: &str) -> Result<u64, Box<dyn std::error::Error>> {
    ///     let key = Key::new(&Scope::new("tenant-7")?, client_key)?;
    ///     let fingerprint = Fingerprint::builder("lottery v1").finish();
    ///     let policy = Policy::new(Duration::from_secs(30), Duration::from_secs(24 * 3600));
    ///     let drawn = store.execute_infallible(&key, &fingerprint, &policy, |_lease| async { 17_u64 }).await?;
    ///     Ok(drawn.into_result()?)
    /// }
    /// ```
    fn execute_infallible<T, F, W>(
        &self,
        key: &Key,
        fingerprint: &Fingerprint,
        policy: &Policy,
        work: F,
    ) -> impl Future<Output = Result<Execution<T, Infallible>>> + Send
    where
        T: Serialize + DeserializeOwned + Send + Sync,
        F: FnOnce(Lease) -> W + Send,
        W: Future<Output = T> + Send,
    {
        self.execute(key, fingerprint, policy, |lease| {
            let work = work(lease);
            async move { Ok(work.await) }
        })
    }

    /// [`execute`](StoreExt::execute) for work that makes its [`Outcome`] itself, bytes and all.
    ///
    /// Contract, errors and cancel safety are those of `execute`. An executed or replayed outcome is always
    /// [`Outcome::Value`]; an unavailable one that was replayed is [`Execution::Unavailable`].
    fn execute_outcome<E, F, W>(
        &self,
        key: &Key,
        fingerprint: &Fingerprint,
        policy: &Policy,
        work: F,
    ) -> impl Future<Output = Result<Execution<Outcome, E>>> + Send
    where
        E: Send,
        F: FnOnce(Lease) -> W + Send,
        W: Future<Output = Result<Outcome, E>> + Send,
    {
        // Does not call `execute_with_retention`: a future around the work would take its room twice.
        let encode = |outcome: Outcome| (outcome.clone(), Retained::new(outcome, policy.retention));
        execute(self, key, fingerprint, policy, work, encode, |bytes| Ok(Outcome::Value(bytes)))
    }

    /// [`execute_outcome`](StoreExt::execute_outcome) for work that also says how long its outcome is replayed, counted
    /// from when it is kept: a refusal for an hour, say, and a payment for a month. A retention outside the limits of
    /// [`Claim`](crate::Claim) counts as the nearest one within; the record lives at least to its lease's deadline.
    /// Contract, errors and cancel safety are those of `execute`; the policy's retention is that of the lock.
    ///
    /// ```
    /// use std::time::Duration;
    /// use idem_core::{Fingerprint, Key, Outcome, Policy, Result, Store, StoreExt};
    ///
    /// async fn pay(store: &dyn Store, key: &Key, fingerprint: &Fingerprint, policy: &Policy) -> Result<()> {
    ///     let declined = async { (Outcome::Value("declined".into()), Duration::from_secs(3600)) };
    ///     let work = |_lease| async { Ok::<_, std::io::Error>(declined.await) };
    ///     let _execution = store.execute_with_retention(key, fingerprint, policy, work).await?;
    ///     Ok(())
    /// }
    /// ```
    fn execute_with_retention<E, F, W>(
        &self,
        key: &Key,
        fingerprint: &Fingerprint,
        policy: &Policy,
        work: F,
    ) -> impl Future<Output = Result<Execution<Outcome, E>>> + Send
    where
        E: Send,
        F: FnOnce(Lease) -> W + Send,
        W: Future<Output = Result<(Outcome, Duration), E>> + Send,
    {
        let encode =
            |(outcome, retention): (Outcome, Duration)| (outcome.clone(), Retained::new(outcome, retention));
        execute(self, key, fingerprint, policy, work, encode, |bytes| Ok(Outcome::Value(bytes)))
    }

    /// Counts what the store holds, by scanning all of it. Completed records that expire `within` this time count as expiring.
    ///
    /// The call scans in small steps, between which other calls come, and takes longer the more the store holds. A record that
    /// the scan lists twice counts twice. A program that shows progress adds the [pages](crate::scan::Page) to [`Stats`]
    /// itself.
    ///
    /// # Errors
    /// Those of [`Store::scan`].
    ///
    /// # Cancel safety
    /// Safe: reads only.
    ///
    /// The example is that of [`Stats`].
    fn record_stats(&self, within: Duration) -> impl Future<Output = Result<Stats>> + Send {
        async move {
            let (scan, mut after) = (Scan::all().with_expiry(Expiry::Either), None);
            let mut stats = Stats::new(within);
            loop {
                let page = self.scan(&scan, after.as_ref()).await?;
                stats.add(&page);
                after = page.next;
                if after.is_none() {
                    return Ok(stats);
                }
            }
        }
    }

    /// What [`execute_outcome`](StoreExt::execute_outcome) would replay, if [`Store::peek`] has it. For callers whose
    /// execution needs costly preparation that a replay does not need.
    ///
    /// Never waits and never fails. `Some` is counted and traced as the execution it replaces. `None` says nothing
    /// about the key: execute then, with [`Policy::peek_first`] off, so that the store is not asked a second time.
    ///
    /// ```
    /// # use idem_core::{Fingerprint, Key, Outcome, Store, StoreExt};
    /// # fn prepare() {}
    /// fn replay(store: &dyn Store, key: &Key, fingerprint: &Fingerprint) -> Option<Outcome> {
    ///     let outcome = store.peek_replay(key, fingerprint);
    ///     if outcome.is_none() {
    ///         prepare();
    ///     }
    ///     outcome
    /// }
    /// ```
    fn peek_replay(&self, key: &Key, fingerprint: &Fingerprint) -> Option<Outcome> {
        let asked = metrics::Since::now();
        let outcome = self.peek(key, fingerprint)?.outcome;
        metrics::waited(asked);
        let word = ended::<(), Infallible>(&Ok(match outcome {
            Outcome::Value(_) => Execution::Replayed(()),
            Outcome::Unavailable(reason) => Execution::Unavailable(reason),
        }));
        tracing::debug_span!("idem.execute", %key, outcome = word).in_scope(|| ());
        Some(outcome)
    }
}

impl<S: Store + ?Sized> StoreExt for S {}
