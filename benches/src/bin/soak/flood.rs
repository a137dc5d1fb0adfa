//! One scope that fills the store as fast as it can, with a longer retention than all others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use idem_core::{Claim, ErrorKind, Fingerprint, Key, LockOutcome, Outcome, Owner, Result, Scope, Store};
use tokio::task::yield_now;

use crate::ledger::Ledger;

pub(crate) const CALLERS: usize = 4;
pub(crate) const RETENTION: Duration = Duration::from_secs(6);
const LEASE: Duration = Duration::from_secs(1);
const OUTCOME: usize = 1_024;

pub(crate) async fn run(number: usize, store: Arc<dyn Store>, ledger: Arc<Ledger>, stop: Arc<AtomicBool>) {
    for round in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        match once(&*store, &format!("{number}-{round}")).await {
            Ok(()) => {
                Ledger::count(&ledger.flooded);
                Ledger::count(&ledger.entered);
            }
            Err(error) if error.kind() == ErrorKind::Full => {
                Ledger::count(&ledger.refused);
                // What is refused at once would leave the others no time.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Err(error) => ledger.error(&error),
        }
        yield_now().await;
    }
}

async fn once(store: &dyn Store, client_key: &str) -> Result<()> {
    let key = Key::new(&Scope::new("flood")?, client_key)?;
    let claim = Claim { owner: Owner::random()?, lease: LEASE, retention: RETENTION };
    if let LockOutcome::Acquired(lease) = store.lock(&key, &Fingerprint::from_bytes([7; 32]), &claim).await? {
        let _fenced =
            store.complete(&lease, Outcome::Value(Bytes::from(vec![7; OUTCOME])), RETENTION).await?;
    }
    Ok(())
}
