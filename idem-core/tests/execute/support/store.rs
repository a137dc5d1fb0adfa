use std::any::Any;
use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::{Call, Change, Decision, LeaseControl, Sent, StoreClock, Waiters, decide};
use idem_core::clock::SharedClock;
use idem_core::error::Operation;
use idem_core::record::{Checkpoint, Record};
use idem_core::{
    Capabilities, Claim, Effect, ErrorKind, Expired, Fingerprint, Key, Lease, LockAnswer, Outcome, Result,
    Store,
};
use tokio::time::{Instant, sleep};

use super::script::{Fault, Script};
use super::{TokioClock, pend_once};

/// The largest outcome that the store keeps.
pub(crate) const MAX_BYTES: u64 = 1_000;

/// A store in memory that fails as its script says, is pending once before and once after each effect, and notes every
/// call. Clones are the same store.
#[derive(Debug, Clone)]
pub(crate) struct Scripted(Arc<Inner>);

/// What another caller does between the effect of a call and its answer.
#[derive(Default)]
struct Meanwhile(Mutex<HashMap<Operation, Act>>);

type Act = Box<dyn FnOnce(&Scripted) + Send>;

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

#[derive(Debug)]
struct Inner {
    clock: SharedClock,
    time: StoreClock,
    begun: Instant,
    records: Mutex<HashMap<Key, Record>>,
    script: Mutex<Script>,
    calls: Mutex<Vec<(Operation, Duration)>>,
    meanwhile: Meanwhile,
    waiters: Waiters,
    capabilities: Capabilities,
}

impl Scripted {
    pub(crate) fn new() -> Self {
        Self::with(Capabilities::none())
    }

    /// A store that declares `limit` as its call timeout.
    pub(crate) fn with_call_timeout(limit: Duration) -> Self {
        Self::with(Capabilities::none().with_call_timeout(limit))
    }

    fn with(capabilities: Capabilities) -> Self {
        let clock: SharedClock = Arc::new(TokioClock::new());
        let time = StoreClock::start(Arc::clone(&clock));
        let begun = Instant::now();
        let (records, script, calls) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (meanwhile, waiters) = (Meanwhile::default(), Waiters::new());
        Self(Arc::new(Inner { clock, time, begun, records, script, calls, meanwhile, waiters, capabilities }))
    }

    /// Makes the next calls of `operation` fail with these faults, one after another.
    pub(crate) fn fail(&self, operation: Operation, faults: &[Fault]) {
        self.0.script.lock().unwrap().next(operation, faults);
    }

    pub(crate) fn fail_always(&self, operation: Operation, fault: Fault) {
        self.0.script.lock().unwrap().always(operation, fault);
    }

    pub(crate) fn heal(&self) {
        self.0.script.lock().unwrap().heal();
    }

    /// Runs `act`, as another caller, between the effect of the next call of `operation` and its answer.
    pub(crate) fn meanwhile(&self, operation: Operation, act: impl FnOnce(&Self) + Send + 'static) {
        self.0.meanwhile.0.lock().unwrap().insert(operation, Box::new(act));
    }

    pub(crate) fn count(&self, operation: Operation) -> usize {
        self.times(operation).len()
    }

    /// When the calls of `operation` were made, counted from the start of the store.
    pub(crate) fn times(&self, operation: Operation) -> Vec<Duration> {
        let calls = self.0.calls.lock().unwrap();
        calls.iter().filter(|(called, _)| *called == operation).map(|(_, at)| *at).collect()
    }

    /// The record of `key`, read without a call of the store.
    pub(crate) fn record(&self, key: &Key) -> Option<Record> {
        let now = self.0.time.now();
        let records = self.0.records.lock().unwrap();
        records.get(key).filter(|record| !record.is_expired(now)).map(|record| self.seen(record))
    }

    /// Applies `call` without a call of the store, and wakes those who wait for the key.
    pub(crate) fn decide(&self, key: &Key, call: Call) -> Decision {
        let mut records = self.0.records.lock().unwrap();
        let decision = decide(records.get(key), call, self.0.time.now());
        match &decision.change {
            Change::None => {}
            Change::Put(record) => {
                records.insert(*key, record.clone());
            }
            Change::Remove => {
                records.remove(key);
            }
        }
        drop(records);
        self.0.waiters.wake(key);
        decision
    }

    /// Wakes all who wait, as a store does that is closed.
    pub(crate) fn wake_all(&self) {
        self.0.waiters.wake_all();
    }

    fn seen(&self, record: &Record) -> Record {
        Record { as_of: self.0.time.now(), ..record.clone() }
    }

    fn note(&self, operation: Operation) -> Option<Fault> {
        self.0.calls.lock().unwrap().push((operation, self.0.begun.elapsed()));
        self.0.script.lock().unwrap().take(operation)
    }

    async fn call(&self, key: &Key, call: Call) -> Result<Decision> {
        call.check(MAX_BYTES)?;
        let operation = call.operation();
        let fault = self.note(operation);
        before(fault, operation).await?;
        let decision = self.decide(key, call);
        let act = self.0.meanwhile.0.lock().unwrap().remove(&operation);
        if let Some(act) = act {
            act(self);
        }
        after(fault, operation).await?;
        Ok(decision)
    }

    async fn holder_call(&self, lease: &Lease, call: Call) -> Result<Effect> {
        let sent = Sent::now(&self.0.clock);
        let decision = self.call(lease.key(), call.clone()).await?;
        let wrote = decision.change != Change::None;
        let effect = decision.answer.into_effect()?;
        lease.answered(&call, effect, wrote, &sent);
        Ok(effect)
    }
}

async fn before(fault: Option<Fault>, operation: Operation) -> Result<()> {
    pend_once().await;
    match fault {
        Some(Fault::Before(kind)) => Err(Fault::error(kind, operation)),
        Some(Fault::Silent) => pending().await,
        Some(Fault::TimedOut(limit)) => {
            sleep(limit).await;
            Err(Fault::error(ErrorKind::Timeout, operation))
        }
        _ => Ok(()),
    }
}

async fn after(fault: Option<Fault>, operation: Operation) -> Result<()> {
    pend_once().await;
    match fault {
        Some(Fault::After(kind)) => Err(Fault::error(kind, operation)),
        Some(Fault::SilentAfter) => pending().await,
        Some(Fault::Late(delay)) => {
            sleep(delay).await;
            Ok(())
        }
        _ => Ok(()),
    }
}

#[async_trait::async_trait]
impl Store for Scripted {
    async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockAnswer> {
        let sent = Sent::now(&self.0.clock);
        let call = Call::Lock { fingerprint: *fingerprint, claim: *claim, min_sequence: 0 };
        self.call(key, call).await?.answer.into_lock_answer(*key, *fingerprint, claim, &sent)
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Effect> {
        self.holder_call(lease, Call::Renew { token: lease.token(), duration }).await
    }

    async fn checkpoint(
        &self,
        lease: &Lease,
        step: u64,
        progress: Bytes,
        duration: Duration,
    ) -> Result<Effect> {
        let checkpoint = Checkpoint::new(step, progress);
        let call = Call::Checkpoint { token: lease.token(), checkpoint, duration };
        self.holder_call(lease, call).await
    }

    async fn complete(&self, lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Effect> {
        let call = Call::Complete { token: lease.token(), outcome, retention };
        self.holder_call(lease, call).await
    }

    async fn release(&self, lease: &Lease) -> Result<Effect> {
        self.holder_call(lease, Call::Release { token: lease.token() }).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        let fault = self.note(Operation::Get);
        before(fault, Operation::Get).await?;
        let record = self.record(key);
        after(fault, Operation::Get).await?;
        Ok(record)
    }

    async fn settled(&self, key: &Key, timeout: Duration) -> Result<bool> {
        let fault = self.note(Operation::Settled);
        before(fault, Operation::Settled).await?;
        self.0.waiters.settled(self, key, timeout).await
    }

    async fn remove(&self, key: &Key, force: bool) -> Result<bool> {
        self.call(key, Call::Remove { force }).await?.answer.into_removed()
    }

    async fn expire(&self, budget: usize) -> Result<Expired> {
        let fault = self.note(Operation::Expire);
        before(fault, Operation::Expire).await?;
        let now = self.0.time.now();
        let mut records = self.0.records.lock().unwrap();
        let expired: Vec<_> =
            records.iter().filter(|(_, record)| record.is_expired(now)).map(|(key, _)| *key).collect();
        expired.iter().take(budget).for_each(|key| {
            records.remove(key);
        });
        Ok(Expired { removed: expired.len().min(budget), more: expired.len() > budget })
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
