//! A pointer to a store is a store.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Capabilities, Claim, Expired, Fenced, Fingerprint, Key, Lease, LockOutcome, Outcome, Record, Result,
    Store,
};

macro_rules! forward_store {
    ($pointer:ty) => {
        #[async_trait]
        impl<S: Store + ?Sized> Store for $pointer {
            async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockOutcome> {
                (**self).lock(key, fingerprint, claim).await
            }
            async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Fenced> {
                (**self).renew(lease, duration).await
            }
            async fn checkpoint(
                &self,
                lease: &Lease,
                step: u64,
                progress: Bytes,
                duration: Duration,
            ) -> Result<Fenced> {
                (**self).checkpoint(lease, step, progress, duration).await
            }
            async fn complete(&self, lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Fenced> {
                (**self).complete(lease, outcome, retention).await
            }
            async fn release(&self, lease: &Lease) -> Result<Fenced> {
                (**self).release(lease).await
            }
            async fn get(&self, key: &Key) -> Result<Option<Record>> {
                (**self).get(key).await
            }
            async fn settled(&self, key: &Key, timeout: Duration) -> Result<bool> {
                (**self).settled(key, timeout).await
            }
            async fn remove(&self, key: &Key, force: bool) -> Result<bool> {
                (**self).remove(key, force).await
            }
            async fn expire(&self, budget: usize) -> Result<Expired> {
                (**self).expire(budget).await
            }
            fn capabilities(&self) -> Capabilities {
                (**self).capabilities()
            }
            fn as_any(&self) -> &dyn Any {
                (**self).as_any()
            }
        }
    };
}

forward_store!(Arc<S>);
forward_store!(Box<S>);
