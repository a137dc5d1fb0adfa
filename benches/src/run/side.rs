//! The two sides of every comparison, doing the same steps.

use std::hint::black_box;
use std::sync::Arc;

use idem_core::{Effect, Fingerprint, Key, Lease, LockAnswer, Store};

use crate::load::backend::{Place, Raw};
use crate::load::caller::{Caller, fingerprint};
use crate::load::workload::Workload;
use crate::result::Result;

/// One side of a comparison.
pub(crate) trait Side: Send + Sync + 'static {
    fn step(&self, workload: Workload, caller: &mut Caller) -> impl Future<Output = Result<()>> + Send;

    fn place(&self, workload: Workload) -> Place;
}

/// idem, through `dyn Store`, as an application uses it.
pub(crate) struct StoreSide {
    store: Arc<dyn Store>,
    completed: Arc<[Key]>,
    fingerprint: Fingerprint,
}

impl StoreSide {
    /// `completed`: the keys that replays find.
    pub(crate) fn new(store: Arc<dyn Store>, completed: Arc<[Key]>) -> Self {
        Self { store, completed, fingerprint: fingerprint() }
    }

    async fn lock(&self, key: &Key, caller: &mut Caller) -> Result<LockAnswer> {
        Ok(self.store.lock(key, &self.fingerprint, &caller.claim()).await?)
    }

    async fn complete(&self, lease: &Lease, caller: &Caller) -> Result<()> {
        match self.store.complete(lease, caller.outcome(), lease.retention()).await? {
            Effect::Applied => Ok(()),
            Effect::Lost(reason) => Err(format!("a live lease was lost: {reason:?}").into()),
        }
    }

    async fn replay(&self, key: &Key, caller: &mut Caller) -> Result<()> {
        match self.lock(key, caller).await? {
            LockAnswer::Completed(replay) => {
                black_box(replay);
                Ok(())
            }
            other => Err(format!("a completed key answered {other:?}").into()),
        }
    }

    async fn contend(&self, caller: &mut Caller) -> Result<()> {
        let key = caller.storm().key();
        match self.lock(&key, caller).await? {
            LockAnswer::Acquired(lease) => {
                caller.mix.acquired += 1;
                tokio::task::yield_now().await;
                self.complete(&lease, caller).await
            }
            LockAnswer::InProgress { .. } => {
                caller.mix.in_progress += 1;
                Ok(())
            }
            LockAnswer::Completed(replay) => {
                caller.mix.completed += 1;
                caller.storm().replayed();
                black_box(replay);
                Ok(())
            }
            LockAnswer::FingerprintMismatch => Err("a fingerprint does not match itself".into()),
        }
    }
}

impl Side for StoreSide {
    async fn step(&self, workload: Workload, caller: &mut Caller) -> Result<()> {
        match workload {
            Workload::Lock | Workload::Cycle => {
                let key = caller.fresh_key();
                let LockAnswer::Acquired(lease) = self.lock(&key, caller).await? else {
                    return Err("a fresh key was not acquired".into());
                };
                if workload == Workload::Cycle { self.complete(&lease, caller).await } else { Ok(()) }
            }
            Workload::Replay => {
                let key = *caller.pick(&self.completed);
                self.replay(&key, caller).await
            }
            Workload::HotReplay => self.replay(&self.completed[0], caller).await,
            Workload::Contended => self.contend(caller).await,
        }
    }

    fn place(&self, _workload: Workload) -> Place {
        Place::Tasks
    }
}

/// The bare backend.
pub(crate) struct RawSide<R> {
    raw: R,
    kept: Arc<[Key]>,
}

impl<R: Raw> RawSide<R> {
    /// The bare backend itself.
    pub(crate) fn raw(&self) -> &R {
        &self.raw
    }

    /// `kept`: the keys that replays find.
    pub(crate) fn new(raw: R, kept: Arc<[Key]>) -> Self {
        Self { raw, kept }
    }

    async fn replay(&self, key: &Key) -> Result<()> {
        match self.raw.get(key).await? {
            Some(_) => Ok(()),
            None => Err("the bare backend lost a record".into()),
        }
    }

    async fn contend(&self, caller: &Caller) -> Result<()> {
        let (key, first) = caller.storm().key_to_begin();
        if self.raw.contend(&key, first, &caller.payload).await?.is_some() {
            caller.storm().replayed();
        }
        Ok(())
    }
}

impl<R: Raw> Side for RawSide<R> {
    async fn step(&self, workload: Workload, caller: &mut Caller) -> Result<()> {
        match workload {
            Workload::Lock => self.raw.lock(&caller.fresh_key(), &caller.payload).await,
            Workload::Cycle => self.raw.cycle(&caller.fresh_key(), &caller.payload).await,
            Workload::Replay => self.replay(caller.pick(&self.kept)).await,
            Workload::HotReplay => self.replay(&self.kept[0]).await,
            Workload::Contended => self.contend(caller).await,
        }
    }

    fn place(&self, workload: Workload) -> Place {
        self.raw.place(workload)
    }
}
