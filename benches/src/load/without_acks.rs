//! The same store with other choices, in place of the bare backend.

use std::sync::Arc;

use idem_core::{Claim, Effect, Fingerprint, Key, Lease, LockAnswer, Outcome, Owner, Store};

use super::backend::{Place, Raw};
use super::caller::Payload;
use super::fill::fill;
use super::workload::{LEASE, RETENTION, Workload};
use crate::result::Result;

/// A store that is not asked to wait for replicas or standbys, or that has connections of its own.
#[derive(Debug)]
pub struct WithoutAcks(pub Arc<dyn Store>);

impl WithoutAcks {
    async fn ask(&self, key: &Key) -> Result<LockAnswer> {
        Ok(self.0.lock(key, &fingerprint(), &claim()?).await?)
    }

    async fn acquire(&self, key: &Key) -> Result<Lease> {
        match self.ask(key).await? {
            LockAnswer::Acquired(lease) => Ok(lease),
            other => Err(format!("a fresh key answered {other:?}").into()),
        }
    }

    async fn complete(&self, lease: &Lease, payload: &Payload) -> Result<()> {
        match self.0.complete(lease, Outcome::Value(payload.outcome.clone()), RETENTION).await? {
            Effect::Applied => Ok(()),
            Effect::Lost(reason) => Err(format!("a live lease was lost: {reason:?}").into()),
        }
    }
}

fn fingerprint() -> Fingerprint {
    Fingerprint::from_bytes([7; 32])
}

fn claim() -> Result<Claim> {
    Ok(Claim { owner: Owner::random()?, lease: LEASE, retention: RETENTION })
}

impl Raw for WithoutAcks {
    async fn fill(&self, keys: &[Key], record: &Arc<[u8]>) -> Result<()> {
        fill(&self.0, &Arc::from(keys), record.len(), RETENTION).await
    }

    async fn lock(&self, key: &Key, _payload: &Payload) -> Result<()> {
        self.acquire(key).await.map(drop)
    }

    async fn cycle(&self, key: &Key, payload: &Payload) -> Result<()> {
        self.complete(&self.acquire(key).await?, payload).await
    }

    async fn get(&self, key: &Key) -> Result<Option<usize>> {
        match self.ask(key).await? {
            LockAnswer::Completed(replay) => Ok(Some(replay.outcome.size())),
            _ => Ok(None),
        }
    }

    /// Here `lock` decides: the caller that comes first does the work, whichever is marked as the first.
    async fn contend(&self, key: &Key, _first: bool, payload: &Payload) -> Result<Option<usize>> {
        match self.ask(key).await? {
            LockAnswer::Acquired(lease) => self.complete(&lease, payload).await.map(|()| None),
            LockAnswer::Completed(replay) => Ok(Some(replay.outcome.size())),
            _ => Ok(None),
        }
    }

    fn place(&self, _workload: Workload) -> Place {
        Place::Tasks
    }
}
