//! Callers that lock and complete keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use idem_benches::Result;
use idem_core::{Claim, Effect, Fingerprint, Key, LockAnswer, Outcome, Owner, Scope, Store};

pub(crate) const CALLERS: usize = 64;
const LEASE: Duration = Duration::from_secs(2);
const RETENTION: Duration = Duration::from_secs(5);
const OUTCOME: usize = 1_024;

pub(crate) async fn run(store: Arc<dyn Store>, stop: Arc<AtomicBool>, cycles: Arc<AtomicU64>) -> Result<()> {
    let (scope, fingerprint) = (Scope::new("bloat")?, Fingerprint::from_bytes([7; 32]));
    let outcome = Outcome::Value(Bytes::from(vec![7; OUTCOME]));
    while !stop.load(Ordering::Relaxed) {
        let owner = Owner::random()?;
        let claim = Claim { owner, lease: LEASE, retention: RETENTION };
        let key = Key::new(&scope, format!("{:032x}", u128::from_be_bytes(*owner.as_bytes())))?;
        let LockAnswer::Acquired(lease) = store.lock(&key, &fingerprint, &claim).await? else {
            return Err("a fresh key was not acquired".into());
        };
        match store.complete(&lease, outcome.clone(), RETENTION).await? {
            Effect::Applied => cycles.fetch_add(1, Ordering::Relaxed),
            Effect::Lost(reason) => return Err(format!("a lease was lost: {reason:?}").into()),
        };
    }
    Ok(())
}
