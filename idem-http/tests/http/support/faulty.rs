//! A store that fails on demand.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use idem_core::error::Operation;
use idem_core::record::Record;
use idem_core::{
    Capabilities, Claim, Effect, Error, ErrorKind, Expired, Fingerprint, Key, Lease, LockAnswer, Outcome,
    Result, Store,
};
use idem_moka::{MokaConfig, MokaStore};

use super::{Calls, Gate};

/// How a call fails.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The call does nothing, and is answered with this kind of error.
    Refused(ErrorKind),
    /// The first call is refused; those after it are carried out.
    RefusedOnce(ErrorKind),
    /// The call is carried out, and answered with this kind of error.
    Answered(ErrorKind),
    /// The call is never answered.
    Silent,
    /// The call waits for the test, and is then carried out.
    Held(Gate),
}

/// A store in memory whose calls fail as the test says. Clones are the same store.
#[derive(Debug, Clone)]
pub(crate) struct FaultyStore {
    inner: MokaStore,
    faults: Arc<Mutex<HashMap<Operation, Fault>>>,
    locks: Calls,
}

impl FaultyStore {
    pub(crate) fn new() -> Self {
        let inner = MokaStore::new(MokaConfig::default()).unwrap();
        Self { inner, faults: Arc::default(), locks: Calls::default() }
    }

    pub(crate) fn fail(&self, operation: Operation, fault: Fault) {
        self.faults.lock().unwrap().insert(operation, fault);
    }

    pub(crate) fn fail_all(&self, fault: &Fault) {
        use Operation::{Checkpoint, Complete, Get, Lock, Release, Renew, Settled};
        for operation in [Lock, Renew, Checkpoint, Complete, Release, Get, Settled] {
            self.fail(operation, fault.clone());
        }
    }

    pub(crate) fn mend(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// How many locks were answered.
    pub(crate) fn locks(&self) -> usize {
        self.locks.count()
    }

    async fn call<T>(&self, operation: Operation, call: impl Future<Output = Result<T>>) -> Result<T> {
        let fault = self.faults.lock().unwrap().get(&operation).cloned();
        let fail = |kind| Error::new(kind, operation, "as the test says");
        match fault {
            None => call.await,
            Some(Fault::Refused(kind)) => Err(fail(kind)),
            Some(Fault::RefusedOnce(kind)) => {
                self.faults.lock().unwrap().remove(&operation);
                Err(fail(kind))
            }
            Some(Fault::Answered(kind)) => call.await.and(Err(fail(kind))),
            Some(Fault::Silent) => std::future::pending().await,
            Some(Fault::Held(gate)) => {
                gate.pass().await;
                call.await
            }
        }
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockAnswer> {
        let answer = self.call(Operation::Lock, self.inner.lock(key, fingerprint, claim)).await;
        self.locks.add();
        answer
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Effect> {
        self.call(Operation::Renew, self.inner.renew(lease, duration)).await
    }

    async fn checkpoint(
        &self,
        lease: &Lease,
        step: u64,
        progress: Bytes,
        duration: Duration,
    ) -> Result<Effect> {
        self.call(Operation::Checkpoint, self.inner.checkpoint(lease, step, progress, duration)).await
    }

    async fn complete(&self, lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Effect> {
        self.call(Operation::Complete, self.inner.complete(lease, outcome, retention)).await
    }

    async fn release(&self, lease: &Lease) -> Result<Effect> {
        self.call(Operation::Release, self.inner.release(lease)).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        self.call(Operation::Get, self.inner.get(key)).await
    }

    async fn settled(&self, key: &Key, timeout: Duration) -> Result<bool> {
        self.call(Operation::Settled, self.inner.settled(key, timeout)).await
    }

    async fn remove(&self, key: &Key, force: bool) -> Result<bool> {
        self.inner.remove(key, force).await
    }

    async fn expire(&self, budget: usize) -> Result<Expired> {
        self.inner.expire(budget).await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
