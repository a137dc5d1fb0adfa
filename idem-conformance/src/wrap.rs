//! Stores that wrap the store of a case.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use idem_core::error::Operation;
use idem_core::record::Record;
use idem_core::scan::{Cursor, Page, Scan};
use idem_core::{
    Capabilities, Claim, Effect, Error, ErrorKind, Expired, Fingerprint, Key, Lease, LockAnswer, Outcome,
    Result, Store,
};

/// The same store, with the default `settled` of the trait.
#[derive(Debug)]
pub(crate) struct Polling {
    store: Arc<dyn Store>,
}

impl Polling {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

/// The same store over a connection that loses answers: the call arrives and takes effect, and its caller gets
/// `Timeout`.
#[derive(Debug)]
pub(crate) struct Lossy {
    store: Arc<dyn Store>,
    lock: AtomicU32,
    complete: AtomicU32,
}

impl Lossy {
    /// Loses the first `lock` answers to `lock`, and the first `complete` answers to `complete`.
    pub(crate) fn new(store: Arc<dyn Store>, lock: u32, complete: u32) -> Self {
        Self { store, lock: AtomicU32::new(lock), complete: AtomicU32::new(complete) }
    }
}

fn lose<T>(left: &AtomicU32, operation: Operation, answer: Result<T>) -> Result<T> {
    let lost = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    match lost {
        Ok(_) => Err(Error::new(ErrorKind::Timeout, operation, "the answer was lost on purpose")),
        Err(_) => answer,
    }
}

macro_rules! store_over_a_store {
    ($name:ident { $($own:tt)* }) => {
        #[async_trait]
        impl Store for $name {
            $($own)*

            async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Effect> {
                self.store.renew(lease, duration).await
            }
            async fn checkpoint(
                &self,
                lease: &Lease,
                step: u64,
                progress: Bytes,
                duration: Duration,
            ) -> Result<Effect> {
                self.store.checkpoint(lease, step, progress, duration).await
            }
            async fn release(&self, lease: &Lease) -> Result<Effect> {
                self.store.release(lease).await
            }
            async fn get(&self, key: &Key) -> Result<Option<Record>> {
                self.store.get(key).await
            }
            async fn remove(&self, key: &Key, force: bool) -> Result<bool> {
                self.store.remove(key, force).await
            }
            async fn expire(&self, budget: usize) -> Result<Expired> {
                self.store.expire(budget).await
            }
            async fn scan(&self, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
                self.store.scan(scan, after).await
            }
            fn capabilities(&self) -> Capabilities {
                self.store.capabilities()
            }
            fn as_any(&self) -> &dyn Any {
                self.store.as_any()
            }
        }
    };
}

store_over_a_store!(Polling {
    async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockAnswer> {
        self.store.lock(key, fingerprint, claim).await
    }
    async fn complete(&self, lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Effect> {
        self.store.complete(lease, outcome, retention).await
    }
});

store_over_a_store!(Lossy {
    async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockAnswer> {
        lose(&self.lock, Operation::Lock, self.store.lock(key, fingerprint, claim).await)
    }
    async fn complete(&self, lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Effect> {
        lose(&self.complete, Operation::Complete, self.store.complete(lease, outcome, retention).await)
    }
    async fn settled(&self, key: &Key, timeout: Duration) -> Result<bool> {
        self.store.settled(key, timeout).await
    }
});
