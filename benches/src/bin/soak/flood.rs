//! One scope that fills the store as fast as it can, with a longer retention than the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use idem_core::{
    Claim, Effect, ErrorKind, Fingerprint, Key, LockAnswer, Outcome, Owner, Result, Scope, Store,
};
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::answers::{self, Judgement};
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
            Ok(judgement) => {
                ledger.holds(judgement);
                Ledger::count(&ledger.flooded);
                Ledger::count(&ledger.entered);
            }
            Err(error) if error.kind() == ErrorKind::Full => {
                Ledger::count(&ledger.refused);
                // Retrying at once would leave the others no processor time.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Err(error) => ledger.error(&error),
        }
        yield_now().await;
    }
}

pub(crate) async fn once(store: &dyn Store, client_key: &str) -> Result<Judgement> {
    let key = Key::new(&Scope::new("flood")?, client_key)?;
    let claim = Claim { owner: Owner::random()?, lease: LEASE, retention: RETENTION };
    let sent = Instant::now();
    let lease = match store.lock(&key, &Fingerprint::from_bytes([7; 32]), &claim).await? {
        LockAnswer::Acquired(lease) => lease,
        other => return Ok(Judgement::Broken(format!("a fresh key of the flood was answered {other:?}"))),
    };
    let outcome = Outcome::Value(Bytes::from(vec![7; OUTCOME]));
    Ok(match store.complete(&lease, outcome, RETENTION).await? {
        Effect::Applied => Judgement::Holds,
        Effect::Lost(reason) => answers::lost(reason, sent + LEASE, Instant::now()),
    })
}
