//! The application: a payment desk that charges a card, once per key.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use idem_core::{Execution, Fingerprint, Key, Owner, Policy, Scope, Store, StoreExt};

use crate::Result;

/// How a charge ended for its caller: with the receipt, or with one of idem's other answers.
pub(crate) type Charged = Execution<String, Infallible>;

/// Charges cards, and counts the charges.
#[derive(Clone)]
pub(crate) struct Desk {
    /// Part of every key of this run, so that it can use a file that an earlier run has left.
    run: String,
    charges: Arc<AtomicUsize>,
}

impl Desk {
    pub(crate) fn new() -> Result<Self> {
        let mut run = String::new();
        for byte in Owner::random()?.as_bytes() {
            write!(run, "{byte:02x}")?;
        }
        Ok(Self { run, charges: Arc::default() })
    }

    /// The key of one order. The scope says whose key it is: no other tenant can reach this one's receipts.
    pub(crate) fn key(&self, order: &str) -> Result<Key> {
        Ok(Key::new(&Scope::new("tenant-7")?, format!("{order}-{}", self.run))?)
    }

    /// Charges `cents` for `order`, or returns the answer of an earlier call with the same key.
    pub(crate) async fn charge(&self, store: &dyn Store, order: &str, cents: u64) -> Result<Charged> {
        let policy = Policy::new(Duration::from_secs(30), Duration::from_hours(24)) // lease, retention
            .wait(Duration::from_secs(20)); // for the result of another caller that is running the work
        let work = |_lease| async move {
            let nth = self.charges.fetch_add(1, Ordering::SeqCst) + 1;
            // As slow as a card network, so that others arrive meanwhile.
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(format!("receipt {nth}: charged {cents} cents"))
        };
        Ok(store.execute(&self.key(order)?, &request(cents), &policy, work).await?)
    }

    /// How often a card was really charged.
    pub(crate) fn charges(&self) -> usize {
        self.charges.load(Ordering::SeqCst)
    }
}

/// What a request asks for, so that a key that comes back with another amount is noticed.
pub(crate) fn request(cents: u64) -> Fingerprint {
    Fingerprint::builder("promises charge v1").part(cents.to_le_bytes()).finish()
}
