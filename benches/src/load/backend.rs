//! What the bench file of a backend supplies.

use std::path::Path;
use std::sync::Arc;

use idem_core::{Key, Store};

use crate::load::caller::Payload;
use crate::load::workload::Workload;
use crate::result::Result;

/// One backend: how to get its store, and the bare backend beside it.
pub trait Backend: Sync {
    /// The bare backend.
    type Raw: Raw;

    /// Whether everything is in memory. Growing workloads then get a fresh store and a fresh bare backend for every
    /// round, so that a fast machine does not fill its memory.
    const IN_MEMORY: bool;

    /// A fresh store, with its files, if any, in `directory`, which is empty.
    fn store(&self, directory: &Path) -> impl Future<Output = Result<Arc<dyn Store>>>;

    /// The bare backends to compare with in `workload`, each fresh, with their files in `directory`. The first has the
    /// settings of the store, and the figures are held against it.
    fn baselines(
        &self,
        directory: &Path,
        workload: Workload,
    ) -> impl Future<Output = Result<Vec<Baseline<Self::Raw>>>>;
}

/// One bare backend, and what distinguishes it.
#[derive(Debug)]
pub struct Baseline<R> {
    /// In a few words, for the table; its rows go to `<backend>-against-<name>.json`, the first one's to
    /// `<backend>.json`.
    pub name: &'static str,
    /// The bare backend itself.
    pub raw: R,
}

/// The bare operations of a backend: what an application without idem would do at best for the same step.
pub trait Raw: Send + Sync + 'static {
    /// Keeps `record` under each of `keys`, as fast as possible. Not timed.
    fn fill(&self, keys: &[Key], record: &Arc<[u8]>) -> impl Future<Output = Result<()>> + Send;

    /// Keeps `payload.lock_record` under `key`.
    fn lock(&self, key: &Key, payload: &Payload) -> impl Future<Output = Result<()>> + Send;

    /// Keeps `payload.lock_record` under `key`, then `payload.outcome_record`.
    fn cycle(&self, key: &Key, payload: &Payload) -> impl Future<Output = Result<()>> + Send;

    /// Gets what is kept under `key`, owned by the caller, and says how long it is.
    fn get(&self, key: &Key) -> impl Future<Output = Result<Option<usize>>> + Send;

    /// One of several callers that want `key` at the same time, of which one is the `first`. The first keeps both
    /// records, every other one gets what is there by then. `None` when that is not the `outcome_record` yet.
    fn contend(
        &self,
        key: &Key,
        first: bool,
        payload: &Payload,
    ) -> impl Future<Output = Result<Option<usize>>> + Send {
        async move {
            if first {
                return self.cycle(key, payload).await.map(|()| None);
            }
            // Before that there is nothing, or the lock record.
            Ok(self.get(key).await?.filter(|size| *size == payload.outcome_record.len()))
        }
    }

    /// Where this workload's callers run fastest.
    fn place(&self, workload: Workload) -> Place;
}

/// Where callers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Each is a tokio task.
    Tasks,
    /// Each has a thread to itself: for calls that block.
    Threads,
}
