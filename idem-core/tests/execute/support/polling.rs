use std::any::Any;
use std::time::Duration;

use bytes::Bytes;
use idem_core::record::Record;
use idem_core::{
    Capabilities, Claim, Effect, Expired, Fingerprint, Key, Lease, LockAnswer, Outcome, Result, Store,
};

use super::Scripted;

/// The same store with the required methods alone: its `settled` is the trait's own, which polls.
#[derive(Debug)]
pub(crate) struct Polling(pub(crate) Scripted);

#[async_trait::async_trait]
impl Store for Polling {
    async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockAnswer> {
        self.0.lock(key, fingerprint, claim).await
    }
    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Effect> {
        self.0.renew(lease, duration).await
    }
    async fn checkpoint(
        &self,
        lease: &Lease,
        step: u64,
        progress: Bytes,
        duration: Duration,
    ) -> Result<Effect> {
        self.0.checkpoint(lease, step, progress, duration).await
    }
    async fn complete(&self, lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Effect> {
        self.0.complete(lease, outcome, retention).await
    }
    async fn release(&self, lease: &Lease) -> Result<Effect> {
        self.0.release(lease).await
    }
    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        self.0.get(key).await
    }
    async fn remove(&self, key: &Key, force: bool) -> Result<bool> {
        self.0.remove(key, force).await
    }
    async fn expire(&self, budget: usize) -> Result<Expired> {
        self.0.expire(budget).await
    }
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
