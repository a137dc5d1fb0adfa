//! Booking with idem: the payment and the completion of its key in one transaction.

pub(crate) mod postgres;
pub(crate) mod redb;

use std::time::Duration;

use idem_core::typed::encode_value;
use idem_core::{Execution, Lease, OnError, Outcome, Policy, Store, StoreExt as _, Transacted};
use serde::{Deserialize, Serialize};

use crate::answer::Reply;
use crate::request::Request;
use crate::serve::Desk;
use crate::{Failure, Result};

/// How long the keys of a killed worker stay locked. Short, because the next worker waits for that long. A living worker
/// renews its leases.
const LEASE: Duration = Duration::from_millis(300);
const RETENTION: Duration = Duration::from_hours(24);

/// How often to try while another caller has the key. Each try waits for longer than a lease.
const TRIES: usize = 10;

/// A store, and books in whose transaction it completes keys.
pub(crate) trait BooksAndStore: Clone + Send + Sync + 'static {
    type Store: Store;

    fn store(&self) -> &Self::Store;

    /// Books `request` as number `booking` and completes the key of `lease` with `receipt`: both or neither.
    fn book(
        &self,
        lease: &Lease,
        request: Request,
        booking: u64,
        receipt: Outcome,
    ) -> impl Future<Output = Result<(), Unbooked>> + Send;

    fn close(self) -> impl Future<Output = Result<()>> + Send;
}

#[derive(Clone)]
pub(crate) struct Idempotent<B> {
    books: B,
    policy: Policy,
}

/// What a client gets for its payment, and every retry again.
#[derive(Debug, Serialize, Deserialize)]
struct Receipt {
    booking: u64,
}

/// Why an attempt has no receipt.
#[derive(Debug)]
pub(crate) enum Unbooked {
    /// Another attempt has taken over, or there was no answer in time. The store knows the result, so ask again.
    AskAgain(String),
    /// The books or the store failed.
    Failed(Failure),
}

impl<B: BooksAndStore> Idempotent<B> {
    fn new(books: B) -> Self {
        // An attempt that fails releases its key. That is safe: its booking is part of the transaction, which did not
        // commit; where that is not known, the key is released only if it was not completed.
        let policy = Policy::new(LEASE, RETENTION).wait(LEASE * 4).on_error(OnError::Release);
        Self { books, policy }
    }

    /// One attempt, under `lease`.
    async fn attempt(&self, lease: Lease, request: Request) -> Result<Receipt, Unbooked> {
        // The sequence rises from attempt to attempt: a payment that was booked twice would have two numbers.
        let booking = lease.token().sequence;
        let receipt = Receipt { booking };
        let outcome = Outcome::Value(encode_value(&receipt)?);
        self.books.book(&lease, request, booking, outcome).await?;
        Ok(receipt)
    }
}

impl<B: BooksAndStore> Desk for Idempotent<B> {
    async fn pay(&self, request: &Request) -> Result<Reply> {
        let (key, fingerprint) = (request.key()?, request.fingerprint());
        let mut last = String::new();
        for _ in 0..TRIES {
            let work = |lease| self.attempt(lease, request.clone());
            last = match self.books.store().execute(&key, &fingerprint, &self.policy, work).await? {
                Execution::Executed(receipt) => return Ok(Reply::Booked(receipt.booking)),
                Execution::Replayed(receipt) => return Ok(Reply::Replayed(receipt.booking)),
                Execution::FingerprintMismatch => return Ok(Reply::Refused),
                Execution::Failed(Unbooked::Failed(error)) => return Err(error),
                Execution::Failed(Unbooked::AskAgain(why)) => why,
                // Another caller has the key, or the result is not known yet.
                other => format!("{other:?}"),
            };
        }
        Err(format!("no receipt in {TRIES} tries, the last one: {last}").into())
    }

    async fn close(self) -> Result<()> {
        self.books.close().await
    }
}

/// Whether the transaction was committed.
fn committed<E>(transacted: Transacted<E>) -> Result<(), Unbooked>
where
    Unbooked: From<E>,
{
    match transacted {
        // Nothing else completes this lease, so the attempt's receipt is the one on record.
        Transacted::Applied | Transacted::AlreadyCompleted => Ok(()),
        Transacted::Lost(reason) => Err(Unbooked::AskAgain(format!("lost: {reason:?}"))),
        Transacted::RolledBack(error) => Err(error.into()),
    }
}

impl From<idem_core::Error> for Unbooked {
    fn from(error: idem_core::Error) -> Self {
        if error.kind().is_transient() {
            Self::AskAgain(error.to_string())
        } else {
            Self::Failed(error.into())
        }
    }
}

impl From<Failure> for Unbooked {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
