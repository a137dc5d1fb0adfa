//! Stores that break a promise on purpose: the callers must notice.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use idem_core::record::{Record, Replay};
use idem_core::{
    Capabilities, Claim, Effect, Expired, Fingerprint, Key, Lease, LockAnswer, Outcome, Result, Store,
};
use idem_moka::{MokaConfig, MokaStore};
use tokio::time::{Instant, sleep};

use crate::answers::Judgement;
use crate::caller::Caller;
use crate::flood;
use crate::ledger::Ledger;
use crate::times::{LEASE, STILL_KEPT};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// A live lease is taken away, and its holder is told so.
    LosesLeases,
    /// The same, but the holder is told only once its lease is over.
    LosesLeasesLate,
    ForgetsOutcomes,
    GarblesReplays,
}

#[derive(Debug)]
struct Broken {
    store: MokaStore,
    flaw: Flaw,
}

impl Broken {
    async fn lose(&self, lease: &Lease) -> Result<()> {
        if matches!(self.flaw, Flaw::LosesLeases | Flaw::LosesLeasesLate) {
            self.store.remove(lease.key(), true).await?;
        }
        if self.flaw == Flaw::LosesLeasesLate {
            sleep(LEASE).await;
        }
        Ok(())
    }
}

#[idem_core::backend::async_trait]
impl Store for Broken {
    async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockAnswer> {
        if self.flaw == Flaw::ForgetsOutcomes {
            self.store.remove(key, false).await?;
        }
        Ok(match self.store.lock(key, fingerprint, claim).await? {
            LockAnswer::Completed(replay) if self.flaw == Flaw::GarblesReplays => {
                let outcome = Outcome::Value(Bytes::from_static(b"of another"));
                LockAnswer::Completed(Replay { outcome, ..replay })
            }
            answer => answer,
        })
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Effect> {
        self.lose(lease).await?;
        self.store.renew(lease, duration).await
    }

    async fn checkpoint(
        &self,
        lease: &Lease,
        step: u64,
        progress: Bytes,
        duration: Duration,
    ) -> Result<Effect> {
        self.lose(lease).await?;
        self.store.checkpoint(lease, step, progress, duration).await
    }

    async fn complete(&self, lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Effect> {
        self.lose(lease).await?;
        self.store.complete(lease, outcome, retention).await
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

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Broken {
    fn new(flaw: Flaw) -> Self {
        let store = MokaStore::new(MokaConfig::default()).unwrap_or_else(|error| panic!("{error}"));
        Self { store, flaw }
    }
}

/// A caller of such a store, and the ledger to which it reports.
fn caller(flaw: Flaw) -> (Caller, Arc<Ledger>) {
    let (store, ledger): (Arc<dyn Store>, _) = (Arc::new(Broken::new(flaw)), Arc::new(Ledger::default()));
    (Caller::new(0, &store, &ledger), ledger)
}

fn must<T>(done: Result<T>) -> T {
    done.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn loss_of_a_live_lease_is_reported() {
    for (flaw, violations) in [(Flaw::None, 0), (Flaw::LosesLeases, 1), (Flaw::LosesLeasesLate, 0)] {
        let (mut caller, ledger) = caller(flaw);
        must(caller.long_work().await);
        assert_eq!(ledger.violations().0, violations, "{flaw:?}: {:?}", ledger.violations().1);
        let of_the_flood = must(flood::once(&Broken::new(flaw), "flood").await);
        assert_eq!(
            matches!(of_the_flood, Judgement::Broken(_)),
            violations == 1,
            "{flaw:?}: {of_the_flood:?}"
        );
    }
}

#[tokio::test]
async fn loss_of_a_live_lease_before_a_crash_is_reported() {
    let (mut caller, ledger) = caller(Flaw::LosesLeases);
    // About half of the crashes leave a checkpoint.
    for _ in 0..20 {
        must(caller.crash().await);
    }
    assert_ne!(ledger.violations().0, 0);
}

#[tokio::test]
async fn wrong_answer_to_a_retry_is_reported() {
    for (flaw, violations) in [(Flaw::None, 0), (Flaw::ForgetsOutcomes, 1), (Flaw::GarblesReplays, 1)] {
        let (mut caller, ledger) = caller(flaw);
        must(caller.execute().await);
        must(caller.retry().await);
        assert_eq!(ledger.violations().0, violations, "{flaw:?}: {:?}", ledger.violations().1);
    }
}

/// Past its retention a key may be fresh, but it never has the outcome of another key.
#[tokio::test]
async fn wrong_answer_is_reported_however_late_it_is() {
    for (flaw, violations) in [(Flaw::ForgetsOutcomes, 0), (Flaw::GarblesReplays, 1)] {
        let (mut caller, ledger) = caller(flaw);
        must(caller.execute().await);
        let sent = Instant::now();
        while sent.elapsed() <= STILL_KEPT {
            sleep(Duration::from_millis(10)).await;
        }
        must(caller.retry().await);
        assert_eq!(ledger.violations().0, violations, "{flaw:?}: {:?}", ledger.violations().1);
    }
}
