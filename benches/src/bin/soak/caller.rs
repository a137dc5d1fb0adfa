//! A caller as servers have them: it executes, retries, races, saves checkpoints, crashes and gives up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use idem_core::{
    Claim, Execution, Fenced, Fingerprint, Key, Lease, LockOutcome, Outcome, Owner, Policy, Result, Scope,
    Store, StoreExt,
};
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::ledger::Ledger;

pub(crate) const LEASE: Duration = Duration::from_secs(1);
pub(crate) const RETENTION: Duration = Duration::from_secs(2);
/// A retry this long after a completion must still be answered; a busy machine needs some of the retention.
const STILL_KEPT: Duration = Duration::from_secs(1);
const OUTCOME: usize = 1_024;
const CHECKPOINT: usize = 16 * 1_024;
const REMEMBERED: usize = 32;

type Executed = Result<Execution<Outcome, &'static str>>;

pub(crate) struct Caller {
    store: Arc<dyn Store>,
    ledger: Arc<Ledger>,
    scope: Scope,
    number: usize,
    round: u64,
    /// A small generator of one's own: what is done must not cost more than doing it.
    dice: u64,
    /// A bounded store must have room for what the callers in their own scopes keep: they are no flood.
    pause: Option<Duration>,
    done: VecDeque<Completed>,
}

struct Completed {
    key: Key,
    outcome: Outcome,
    at: Instant,
}

impl Caller {
    pub(crate) fn new(number: usize, store: &Arc<dyn Store>, ledger: &Arc<Ledger>) -> Self {
        Self {
            store: Arc::clone(store),
            ledger: Arc::clone(ledger),
            scope: Scope::new(format!("tenant-{}", number % 8)).unwrap_or_else(|_| Scope::shared()),
            number,
            round: 0,
            dice: number as u64 + 1,
            pause: store.capabilities().bounded.then_some(Duration::from_millis(20)),
            done: VecDeque::new(),
        }
    }

    pub(crate) async fn run(mut self, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            self.round += 1;
            let done = match self.throw(100) {
                0..55 => self.execute().await,
                55..75 => self.retry().await,
                75..85 => self.race().await,
                85..90 => self.long_work().await,
                90..95 => self.crash().await,
                _ => self.give_up().await,
            };
            if let Err(error) = done {
                self.ledger.error(&error);
            }
            match self.pause {
                // A store in memory never waits, and the others want their turn.
                None => yield_now().await,
                Some(pause) => tokio::time::sleep(pause).await,
            }
        }
    }

    async fn execute(&mut self) -> Result<()> {
        let (key, outcome) = (self.key()?, self.outcome());
        Ledger::count(&self.ledger.entered);
        match self.executing(&key, outcome.clone()).await? {
            Execution::Executed(answer) if answer == outcome => {
                Ledger::count(&self.ledger.executed);
                self.remember(key, outcome);
            }
            Execution::Unknown(..) => Ledger::count(&self.ledger.unsure),
            other => self.ledger.violation(format!("a fresh key was answered {other:?}")),
        }
        Ok(())
    }

    /// What was completed not long ago is answered as it was.
    async fn retry(&mut self) -> Result<()> {
        if self.done.is_empty() {
            return Ok(());
        }
        let chosen = usize::try_from(self.throw(self.done.len() as u64)).unwrap_or(0);
        let Completed { key, outcome, at } = &self.done[chosen];
        let answer = self.executing(key, Outcome::Value(Bytes::from_static(b"again"))).await?;
        match answer {
            Execution::Replayed(kept) if kept == *outcome => Ledger::count(&self.ledger.replayed),
            // Past its retention the key is fresh; this very call may have taken that long.
            _ if at.elapsed() > STILL_KEPT => {}
            other => {
                let after = at.elapsed();
                self.ledger.violation(format!("a retry after {after:?} was answered {other:?}"));
            }
        }
        Ok(())
    }

    /// Two callers of one key: one runs, and both get its result.
    async fn race(&mut self) -> Result<()> {
        let (key, first, second) = (self.key()?, self.outcome(), self.outcome());
        Ledger::count(&self.ledger.entered);
        let both = tokio::join!(self.executing(&key, first), self.executing(&key, second));
        match (both.0?, both.1?) {
            (Execution::Executed(ran), Execution::Replayed(told))
            | (Execution::Replayed(told), Execution::Executed(ran))
                if ran == told =>
            {
                Ledger::count(&self.ledger.executed);
                self.remember(key, ran);
            }
            (Execution::Unknown(..), _) | (_, Execution::Unknown(..)) => Ledger::count(&self.ledger.unsure),
            other => self.ledger.violation(format!("a race for one key ended in {other:?}")),
        }
        Ok(())
    }

    async fn long_work(&mut self) -> Result<()> {
        let key = self.key()?;
        Ledger::count(&self.ledger.entered);
        let Some(lease) = self.lock(&key).await? else { return Ok(()) };
        let progress = Bytes::from(vec![3; CHECKPOINT]);
        let mut fenced = self.store.checkpoint(&lease, 1, progress, LEASE).await?;
        for _ in 0..3 {
            fenced = self.store.renew(&lease, LEASE).await?;
        }
        let outcome = self.outcome();
        if fenced == Fenced::Applied {
            fenced = self.store.complete(&lease, outcome.clone(), RETENTION).await?;
        }
        match fenced {
            Fenced::Applied => self.remember(key, outcome),
            Fenced::Lost(_) if lease.remaining().is_zero() => {}
            Fenced::Lost(reason) => self.ledger.violation(format!("a live lease was lost: {reason:?}")),
        }
        Ok(())
    }

    /// A process that died: its lock, and in every other case its checkpoint, is left behind.
    async fn crash(&mut self) -> Result<()> {
        let key = self.key()?;
        Ledger::count(&self.ledger.entered);
        if let Some(lease) = self.lock(&key).await?
            && self.throw(2) == 0
        {
            let _left = self.store.checkpoint(&lease, 1, Bytes::from(vec![3; CHECKPOINT]), LEASE).await?;
        }
        Ledger::count(&self.ledger.crashed);
        Ok(())
    }

    async fn give_up(&mut self) -> Result<()> {
        let key = self.key()?;
        let policy = Policy::new(LEASE, RETENTION);
        let answer =
            self.store.execute_outcome(&key, &fingerprint(), &policy, |_| async { Err("declined") }).await?;
        if !matches!(answer, Execution::Failed("declined")) {
            self.ledger.violation(format!("declined work was answered {answer:?}"));
        }
        Ok(())
    }

    async fn executing(&self, key: &Key, outcome: Outcome) -> Executed {
        let policy = Policy::new(LEASE, RETENTION).wait(Duration::from_secs(10));
        self.store.execute_outcome(key, &fingerprint(), &policy, |_| async { Ok(outcome) }).await
    }

    async fn lock(&self, key: &Key) -> Result<Option<Lease>> {
        let claim = Claim { owner: Owner::random()?, lease: LEASE, retention: RETENTION };
        let asked = Instant::now();
        let answer = self.store.lock(key, &fingerprint(), &claim).await?;
        self.ledger.locked_in(asked.elapsed());
        match answer {
            LockOutcome::Acquired(lease) => Ok(Some(lease)),
            other => {
                self.ledger.violation(format!("a fresh key was answered {other:?}"));
                Ok(None)
            }
        }
    }

    fn remember(&mut self, key: Key, outcome: Outcome) {
        self.done.truncate(REMEMBERED - 1);
        self.done.push_front(Completed { key, outcome, at: Instant::now() });
    }

    fn key(&mut self) -> Result<Key> {
        self.round += 1;
        Key::new(&self.scope, format!("{}-{}", self.number, self.round))
    }

    /// An outcome like no other.
    fn outcome(&mut self) -> Outcome {
        let mut bytes = vec![5; OUTCOME];
        self.round += 1;
        bytes[..8].copy_from_slice(&(self.number as u64).to_le_bytes());
        bytes[8..16].copy_from_slice(&self.round.to_le_bytes());
        Outcome::Value(bytes.into())
    }

    /// A number below `sides`.
    fn throw(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % sides
    }
}

fn fingerprint() -> Fingerprint {
    Fingerprint::from_bytes([9; 32])
}
