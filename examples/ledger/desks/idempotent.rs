//! Booking with idem: the payment and the completion of its key in one transaction.

use std::path::Path;
use std::time::Duration;

use idem_core::typed::encode_value;
use idem_core::{Execution, Lease, OnError, Outcome, Policy, StoreExt};
use idem_redb::{RedbStore, Transacted};
use serde::{Deserialize, Serialize};

use crate::answer::Reply;
use crate::books::book;
use crate::request::Request;
use crate::serve::Desk;
use crate::{Failure, Result};

/// How long the keys of a killed worker stay locked. Short, because the next worker waits for that long. A living worker
/// renews its leases.
const LEASE: Duration = Duration::from_millis(300);
const RETENTION: Duration = Duration::from_hours(24);

/// How often to try while another caller has the key. Each try waits for longer than a lease.
const TRIES: usize = 10;

#[derive(Debug, Clone)]
pub(crate) struct Idempotent {
    store: RedbStore,
    policy: Policy,
}

/// What a client gets for its payment, and every retry again.
#[derive(Debug, Serialize, Deserialize)]
struct Receipt {
    booking: u64,
}

/// Why an attempt has no receipt.
#[derive(Debug)]
enum Unbooked {
    /// Another attempt has taken over, or the store gave no answer in time. The store knows the result, so ask again.
    AskAgain(String),
    /// The books or the store failed.
    Failed(Failure),
}

impl Idempotent {
    pub(crate) async fn open(file: &Path) -> Result<Self> {
        let store = RedbStore::open(file).await?;
        // An attempt that fails releases its key. That is safe: its booking is part of the transaction, which did not
        // commit.
        let policy = Policy::new(LEASE, RETENTION).wait(LEASE * 4).on_error(OnError::Release);
        Ok(Self { store, policy })
    }

    /// One attempt, under `lease`.
    async fn attempt(&self, lease: Lease, request: Request) -> Result<Receipt, Unbooked> {
        // The sequence rises from attempt to attempt: a payment that was booked twice would have two numbers.
        let booking = lease.token().sequence;
        let receipt = Receipt { booking };
        let outcome = Outcome::Value(encode_value(&receipt)?);
        let booked = self.store.complete_with(&lease, move |txn| {
            book(txn, &request, booking)?;
            Ok(outcome)
        });
        match booked.await? {
            // Nothing else completes this lease, so this receipt is the one on record.
            Transacted::Applied | Transacted::AlreadyCompleted => Ok(receipt),
            Transacted::Lost(reason) => Err(Unbooked::AskAgain(format!("lost: {reason:?}"))),
            Transacted::RolledBack(error) => Err(Unbooked::Failed(error)),
        }
    }
}

impl Desk for Idempotent {
    async fn pay(&self, request: &Request) -> Result<Reply> {
        let (key, fingerprint) = (request.key()?, request.fingerprint());
        let mut last = String::new();
        for _ in 0..TRIES {
            let work = |lease| self.attempt(lease, request.clone());
            last = match self.store.execute(&key, &fingerprint, &self.policy, work).await? {
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
        Ok(self.store.close().await?)
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
