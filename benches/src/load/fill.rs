//! Filling a store with completed records, outside any measured time.

use std::sync::Arc;
use std::time::Duration;

use idem_core::{Claim, Effect, Key, LockAnswer, Outcome, Owner, Store};
use tokio::task::JoinSet;

use crate::load::caller::Fresh;
use crate::load::caller::{fingerprint, outcome};
use crate::load::workload::LEASE;
use crate::result::Result;

const CALLERS: usize = 256;

/// This many fresh keys.
#[must_use]
pub fn keys(count: usize) -> Arc<[Key]> {
    let mut fresh = Fresh::new();
    (0..count).map(|_| fresh.key()).collect()
}

/// Locks and completes every one of `keys` with an outcome of `bytes` of its own, kept for `retention`.
pub async fn fill(
    store: &Arc<dyn Store>,
    keys: &Arc<[Key]>,
    bytes: usize,
    retention: Duration,
) -> Result<()> {
    let mut callers = JoinSet::new();
    for first in 0..CALLERS.min(keys.len()) {
        let (store, keys) = (Arc::clone(store), Arc::clone(keys));
        callers.spawn(async move {
            for key in keys.iter().skip(first).step_by(CALLERS) {
                complete(&*store, key, bytes, retention).await?;
            }
            Ok(())
        });
    }
    callers.join_all().await.into_iter().collect()
}

async fn complete(store: &dyn Store, key: &Key, bytes: usize, retention: Duration) -> Result<()> {
    let claim = Claim { owner: Owner::from_bytes([3; 16]), lease: LEASE.min(retention), retention };
    let LockAnswer::Acquired(lease) = store.lock(key, &fingerprint(), &claim).await? else {
        return Err("a fresh key was not acquired".into());
    };
    match store.complete(&lease, Outcome::Value(outcome(bytes)), retention).await? {
        Effect::Applied => Ok(()),
        Effect::Lost(reason) => Err(format!("a lease was lost while filling: {reason:?}").into()),
    }
}
