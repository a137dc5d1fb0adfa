//! The contract that every backend keeps.

use std::any::Any;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::capabilities::{Capabilities, Expired};
use super::polling::settled_by_polling;
use crate::claim::Claim;
use crate::effect::Effect;
use crate::error::{Operation, Result};
use crate::identity::{Fingerprint, Key, Scope};
use crate::lease::{Lease, LockAnswer};
use crate::record::{Outcome, Record, Replay};
use crate::scan::{self, Cursor, Erased, Page, Scan};

/// A store of idempotency keys: **for one key, one unexpired lease at a time, one accepted completion, and the same
/// answer for every retry until it expires.**
///
/// # Contract
/// Every call acts on one record in one atomic step, as [`decide`](crate::backend::decide) says. A store keeps what
/// it acknowledged, as far as its [`Capabilities`] go. Store time never runs backwards.
///
/// # Errors
/// An [`Error`](crate::Error) means that the store failed or was misused, never a business result. After
/// [`Timeout`](crate::ErrorKind::Timeout) or [`Unavailable`](crate::ErrorKind::Unavailable) the effect is unknown:
/// send the same call again, with the same owner or lease, and the answer is the truth.
///
/// # Cancel safety
/// Every call is safe to resend and safe to cancel: a dropped future leaves the record as it was, or as the call
/// would have made it, never half.
///
/// # Writing a store
/// Implement [`Transition`](crate::backend::Transition) over your storage, and run `idem-conformance` against it:
/// [`store_from_transition!`](crate::backend::store_from_transition) makes this trait of it.
///
/// Usable as `Arc<dyn Store>` and `Box<dyn Store>`. [`StoreExt`](crate::StoreExt) builds on these calls,
/// [`execute`](crate::StoreExt::execute) above all.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Store`",
    label = "expected a store, such as `RedbStore`, `RedisStore`, `MokaStore` or `Arc<dyn Store>`",
    note = "opening a store may wait and may fail: the store itself is what is left after `.await?`, or after `?`",
    note = "it is given by value: clone it, or put it into an `Arc`"
)]
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// Asks for the right to run the work of `key`.
    ///
    /// # Contract
    /// At most one caller at a time gets [`LockAnswer::Acquired`] while its lease is live. A completed key is
    /// answered with its outcome, another fingerprint with a mismatch. The same `claim.owner` sent again is the same
    /// `lock`: it gets the same token and attempt.
    ///
    /// A `lock` delayed in the network past its own release can leave a lease that nobody holds, until it ends.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a lease or retention outside [`Claim`]'s limits,
    /// [`Full`](crate::ErrorKind::Full) when the store takes no new key.
    ///
    /// # Cancel safety
    /// A dropped future may leave a granted lease behind, which ends by itself. The same claim, sent again, gets that
    /// lease.
    ///
    /// # Example
    /// ```
    /// # async fn example(store: &dyn idem_core::Store) -> idem_core::Result<()> {
    /// use std::time::Duration;
    /// use idem_core::{Claim, Fingerprint, Key, LockAnswer, Outcome, Owner, Scope};
    ///
    /// let key = Key::new(&Scope::new("tenant-7")?, "order-1")?;
    /// let fingerprint = Fingerprint::builder("orders v1").part("buy 3 apples").finish();
    /// let (lease, retention) = (Duration::from_secs(30), Duration::from_hours(24));
    /// let claim = Claim { owner: Owner::random()?, lease, retention };
    /// match store.lock(&key, &fingerprint, &claim).await? {
    ///     LockAnswer::Acquired(lease) => {
    ///         let answer = Outcome::Value("3 apples".into()); // the work
    ///         let _effect = store.complete(&lease, answer, lease.retention()).await?;
    ///     }
    ///     LockAnswer::Completed(replay) => println!("replay {:?}", replay.outcome),
    ///     LockAnswer::InProgress { remaining } => println!("try again in {remaining:?}"),
    ///     LockAnswer::FingerprintMismatch => println!("this key was used for another request"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockAnswer>;

    /// The completion that [`lock`](Store::lock) would answer with, where the store has it in memory.
    ///
    /// # Contract
    /// `None` says nothing: ask by `lock`. `Some` is what `lock` would have answered at this moment to a request with
    /// `fingerprint`. The call changes nothing and waits for nothing: it runs on the caller's thread, so it reads
    /// only what `lock` would read there, in memory. It answers `None` for damage and failures, and `lock` reports
    /// them. [`execute`](crate::StoreExt::execute) peeks before it makes a claim.
    ///
    /// The default answers `None`. A wrapper need not forward the call: a replay then comes from `lock`.
    ///
    /// # Example
    /// ```
    /// # fn example(store: &dyn idem_core::Store, key: &idem_core::Key, fingerprint: &idem_core::Fingerprint) {
    /// if let Some(replay) = store.peek(key, fingerprint) {
    ///     println!("replay {:?}", replay.outcome);
    /// }
    /// # }
    /// ```
    fn peek(&self, _key: &Key, _fingerprint: &Fingerprint) -> Option<Replay> {
        None
    }

    /// Extends the lease to `duration` from now. Never shortens it.
    ///
    /// # Contract
    /// Answers `Applied` also when the lease is over and nobody took over.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a duration outside a lease's limits.
    ///
    /// # Cancel safety
    /// Safe: the lease is as before, or renewed.
    ///
    /// # Example
    /// ```
    /// # async fn example(store: &dyn idem_core::Store, lease: idem_core::Lease) -> idem_core::Result<()> {
    /// let effect = store.renew(&lease, std::time::Duration::from_secs(30)).await?;
    /// println!("{effect:?}"); // `Lost`: stop, another caller may run this
    /// # Ok(())
    /// # }
    /// ```
    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Effect>;

    /// Saves a checkpoint for the attempt that may follow this one, and renews the lease.
    ///
    /// # Contract
    /// Written only when `step` is higher than the stored one. Otherwise the answer is `Applied` and nothing is
    /// written, so calls that overtake one another do no harm. The next attempt gets the bytes in its [`Lease`].
    ///
    /// # Errors
    /// [`TooLarge`](crate::ErrorKind::TooLarge) when `progress` is larger than the store keeps.
    ///
    /// # Cancel safety
    /// Safe: the checkpoint is as before, or as given.
    ///
    /// # Example
    /// ```
    /// # async fn example(store: &dyn idem_core::Store, lease: idem_core::Lease) -> idem_core::Result<()> {
    /// let _effect = store.checkpoint(&lease, 2, "charged".into(), std::time::Duration::from_secs(30)).await?;
    /// # Ok(())
    /// # }
    /// ```
    async fn checkpoint(
        &self,
        lease: &Lease,
        step: u64,
        progress: Bytes,
        duration: Duration,
    ) -> Result<Effect>;

    /// Ends the work: `outcome` is what every retry gets for `retention` from now.
    ///
    /// # Contract
    /// At most one completion is accepted per key until it expires. A second call with the same lease is the same
    /// `complete`: `Applied`, and the stored outcome stays. The record lives at least to its lease deadline.
    ///
    /// # Errors
    /// [`TooLarge`](crate::ErrorKind::TooLarge) when the outcome is larger than the store keeps: the lease is still
    /// held, complete it with [`Outcome::Unavailable`] so that the work never runs again.
    ///
    /// # Cancel safety
    /// Safe: the key is locked as before, or completed.
    ///
    /// The example is that of [`lock`](Store::lock).
    async fn complete(&self, lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Effect>;

    /// Gives the key back without a result: the work did not happen, or may happen again.
    ///
    /// # Contract
    /// Without a checkpoint the record is removed; with one the holder is cleared and the record kept, so that the
    /// next attempt resumes at once. A second `release` changes nothing and answers `Lost` (`Gone` or `Released`).
    /// Either answer means that this lease no longer holds the key.
    ///
    /// # Cancel safety
    /// Safe: the key is held as before, or released.
    ///
    /// # Example
    /// ```
    /// # async fn example(store: &dyn idem_core::Store, lease: idem_core::Lease) -> idem_core::Result<()> {
    /// let _effect = store.release(&lease).await?;
    /// # Ok(())
    /// # }
    /// ```
    async fn release(&self, lease: &Lease) -> Result<Effect>;

    /// What the store keeps for `key`; `None` also when it has expired.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when the bytes are not what was written.
    ///
    /// # Cancel safety
    /// Safe: reads only.
    ///
    /// # Example
    /// ```
    /// # async fn example(store: &dyn idem_core::Store, key: idem_core::Key) -> idem_core::Result<()> {
    /// let attempts = store.get(&key).await?.map_or(0, |record| record.attempt);
    /// # Ok(())
    /// # }
    /// ```
    async fn get(&self, key: &Key) -> Result<Option<Record>>;

    /// Waits until `key` has no live lease (true), or until `timeout` is over (false).
    ///
    /// # Contract
    /// Holds no lock and no thread while it waits. Where the store notifies, a completion ends the wait at once.
    /// Elsewhere it polls, from every 5 ms to every 250 ms; that is the default. True is a hint, since another caller
    /// may lock in the same moment: ask with `lock`.
    ///
    /// # Errors
    /// Those of [`get`](Store::get).
    ///
    /// # Cancel safety
    /// Safe: changes nothing.
    ///
    /// # Example
    /// ```
    /// # async fn example(store: &dyn idem_core::Store, key: idem_core::Key) -> idem_core::Result<()> {
    /// if store.settled(&key, std::time::Duration::from_secs(2)).await? {
    ///     // lock again: it is completed, released, or its holder is gone
    /// }
    /// # Ok(())
    /// # }
    /// ```
    async fn settled(&self, key: &Key, timeout: Duration) -> Result<bool> {
        settled_by_polling(|| self.get(key), timeout).await
    }

    /// Removes the record of `key`, for operators. False: there was none, or its lease is live and `force` was not
    /// given.
    ///
    /// # Contract
    /// The key is as if it had never been used: the next retry runs the work again. That is so for a completed record too,
    /// which needs no `force`. With `force` a running holder loses its lease (`Gone`), and its work may run again; a damaged
    /// record, which may be [`Corrupt`](crate::ErrorKind::Corrupt) without it, goes too.
    ///
    /// # Cancel safety
    /// Safe: the record is as before, or gone.
    ///
    /// # Example
    /// ```
    /// # async fn example(store: &dyn idem_core::Store, key: idem_core::Key) -> idem_core::Result<()> {
    /// let removed: bool = store.remove(&key, false).await?;
    /// # Ok(())
    /// # }
    /// ```
    async fn remove(&self, key: &Key, force: bool) -> Result<bool>;

    /// Removes at most `budget` expired records now. Stores also sweep by themselves.
    ///
    /// # Cancel safety
    /// Safe: some of them are removed.
    ///
    /// # Example
    /// ```
    /// # async fn example(store: &dyn idem_core::Store) -> idem_core::Result<()> {
    /// while store.expire(1_000).await?.more {}
    /// # Ok(())
    /// # }
    /// ```
    async fn expire(&self, budget: usize) -> Result<Expired>;

    /// Lists records: a part of them with each call, behind `after`, which is the [`next`](Page::next) of the call before.
    ///
    /// # Contract
    /// Optional: a store that [`scans`](Capabilities::scans) has it. A call looks at about [`Scan::limit`] records, and
    /// lists those that `scan` wants. So a page may be empty although others follow: the scan is over when `next` is
    /// `None`.
    ///
    /// The pages together are no snapshot, and have no order to rely on. Every record that is kept from the first call to
    /// the last is listed at least once, in its state at that moment. A record that comes or goes meanwhile may be listed or
    /// not. One that changes may be listed twice, or not at all where only some states are wanted. While a cluster moves
    /// slots, a scan may miss records of those. What is listed was on record at its [`as_of`](crate::scan::Entry::as_of).
    ///
    /// A scan need not read outcomes and checkpoints, so it may not notice damage to them: [`get`](Store::get) does. A damaged
    /// record does not end the scan, and is listed as such where its key can be told.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a limit outside its bounds, and for a cursor of another kind
    /// of store or, where the store can tell, of another scope. [`Unsupported`](crate::ErrorKind::Unsupported) where the store
    /// cannot list its records: that is the default.
    ///
    /// # Cancel safety
    /// Safe: reads only. The same cursor can be used again.
    ///
    /// The module [`scan`](crate::scan) has an example.
    async fn scan(&self, _scan: &Scan, _after: Option<&Cursor>) -> Result<Page> {
        Err(scan::unsupported())
    }

    /// Removes records of `scope`: some of them with each call, behind `after`, which is the [`next`](Erased::next) of the
    /// call before. The call that answers `None` there was the last one.
    ///
    /// # Contract
    /// Each record that is there from the first call to the last is removed, as by [`remove`](Store::remove): a retry of
    /// its key runs the work again. Without `force` those stay whose lease is live, and those that the store finds to
    /// be damaged; they are counted, call by call. With `force` running holders lose their leases, and their work may run again. What callers
    /// lock meanwhile may be removed or not, so stop them first where the scope is to end.
    ///
    /// Expired records are not counted. They may be left to [`expire`](Store::expire), which removes them anyway. The scope is
    /// erased when all calls from the first to the last have left nothing; while a cluster moves slots, erase once more.
    ///
    /// One call removes a few hundred records at most, and other callers' calls come in between. Pause after each for as long
    /// as it took, and those wait little longer.
    ///
    /// # Errors
    /// Those of [`scan`](Store::scan) and [`remove`](Store::remove). Records that were removed before stay removed: send the
    /// call again.
    ///
    /// # Cancel safety
    /// Safe: some of the records are removed. The same cursor, sent again, finds the others.
    ///
    /// # Example
    /// ```
    /// # use idem_core::{Scope, Store};
    /// async fn forget(store: &dyn Store, tenant: &Scope) -> idem_core::Result<u64> {
    ///     let (mut removed, mut after) = (0, None);
    ///     loop {
    ///         let erased = store.erase(tenant, false, after.as_ref()).await?;
    ///         removed += erased.removed;
    ///         let Some(next) = erased.next else { return Ok(removed) };
    ///         after = Some(next);
    ///     }
    /// }
    /// ```
    async fn erase(&self, scope: &Scope, force: bool, after: Option<&Cursor>) -> Result<Erased> {
        let page =
            self.scan(&scan::step(scope), after).await.map_err(|error| error.during(Operation::Erase))?;
        scan::erase_page(
            page,
            force,
            |key| async move { self.remove(&key, force).await },
            |key| async move { self.get(&key).await },
        )
        .await
    }

    /// Finishes what was asked before, and lets go of what the store holds: a file, say. To be awaited when a program
    /// ends.
    ///
    /// # Contract
    /// Calls that come later may be [`Closed`](crate::ErrorKind::Closed). Closing twice is closing once. A store that has
    /// nothing to finish, as on Redis or in memory, does nothing: that is the default. A wrapper forwards the call.
    ///
    /// # Errors
    /// Those of what was still to be done. Nothing that was acknowledged is lost by them.
    ///
    /// # Cancel safety
    /// The store closes nevertheless, or stays open.
    ///
    /// # Example
    /// ```
    /// # async fn example(store: std::sync::Arc<dyn idem_core::Store>) -> idem_core::Result<()> {
    /// store.close().await?; // once no `execute` is running
    /// # Ok(())
    /// # }
    /// ```
    async fn close(&self) -> Result<()> {
        Ok(())
    }

    /// What this store promises beyond the contract.
    fn capabilities(&self) -> Capabilities;

    /// Access to what only one backend can do.
    fn as_any(&self) -> &dyn Any;
}
