//! A pointer to a store is a store.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::capabilities::{Capabilities, Expired};
use super::contract::Store;
use crate::claim::Claim;
use crate::effect::Effect;
use crate::error::Result;
use crate::identity::{Fingerprint, Key, Scope};
use crate::lease::{Lease, LockAnswer};
use crate::record::{Outcome, Record, Replay};
use crate::scan::{Cursor, Erased, Page, Scan};

macro_rules! forward_store {
    ($pointer:ty) => {
        #[async_trait]
        impl<S: Store + ?Sized> Store for $pointer {
            // Written out, here and in `complete`, to return the store's own future without another box around it: this
            // saves one allocation in each of the two calls that every execution makes.
            fn lock<'s, 'k, 'f, 'c, 'a>(
                &'s self,
                key: &'k Key,
                fingerprint: &'f Fingerprint,
                claim: &'c Claim,
            ) -> Pin<Box<dyn Future<Output = Result<LockAnswer>> + Send + 'a>>
            where
                's: 'a,
                'k: 'a,
                'f: 'a,
                'c: 'a,
                Self: 'a,
            {
                (**self).lock(key, fingerprint, claim)
            }
            fn peek(&self, key: &Key, fingerprint: &Fingerprint) -> Option<Replay> {
                (**self).peek(key, fingerprint)
            }
            async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Effect> {
                (**self).renew(lease, duration).await
            }
            async fn checkpoint(
                &self,
                lease: &Lease,
                step: u64,
                progress: Bytes,
                duration: Duration,
            ) -> Result<Effect> {
                (**self).checkpoint(lease, step, progress, duration).await
            }
            fn complete<'s, 'l, 'a>(
                &'s self,
                lease: &'l Lease,
                outcome: Outcome,
                retention: Duration,
            ) -> Pin<Box<dyn Future<Output = Result<Effect>> + Send + 'a>>
            where
                's: 'a,
                'l: 'a,
                Self: 'a,
            {
                (**self).complete(lease, outcome, retention)
            }
            async fn release(&self, lease: &Lease) -> Result<Effect> {
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
            async fn scan(&self, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
                (**self).scan(scan, after).await
            }
            async fn erase(&self, scope: &Scope, force: bool, after: Option<&Cursor>) -> Result<Erased> {
                (**self).erase(scope, force, after).await
            }
            async fn close(&self) -> Result<()> {
                (**self).close().await
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
