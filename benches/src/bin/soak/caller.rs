//! A caller like those of real servers: it executes, retries, races, saves checkpoints, crashes and gives up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use idem_core::{
    Claim, Effect, Execution, Fingerprint, Key, Lease, LockAnswer, Outcome, Owner, Policy, Result, Scope,
    Store, StoreExt,
};
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::answers::{self, Answer};
use crate::ledger::Ledger;
use crate::times::{LEASE, WAIT};

pub(crate) const RETENTION: Duration = Duration::from_secs(2);
const OUTCOME: usize = 1_024;
const CHECKPOINT: usize = 16 * 1_024;
const REMEMBERED: usize = 32;

pub(crate) struct Caller {
    store: Arc<dyn Store>,
    ledger: Arc<Ledger>,
    scope: Scope,
    number: usize,
    round: u64,
    /// The state of a small random generator: choosing a step must cost less than the step.
    random: u64,
    /// Between steps on a bounded store, which must have room for what callers in their own scopes keep.
    pause: Option<Duration>,
    done: VecDeque<Completed>,
}

struct Completed {
    key: Key,
    outcome: Outcome,
    /// When its execution was sent: it was completed later.
    sent: Instant,
}

impl Caller {
    pub(crate) fn new(number: usize, store: &Arc<dyn Store>, ledger: &Arc<Ledger>) -> Self {
        Self {
            store: Arc::clone(store),
            ledger: Arc::clone(ledger),
            scope: Scope::new(format!("tenant-{}", number % 8)).unwrap_or_else(|_| Scope::shared()),
            number,
            round: 0,
            random: number as u64 + 1,
            pause: store.capabilities().bounded.then_some(Duration::from_millis(20)),
            done: VecDeque::new(),
        }
    }

    pub(crate) async fn run(mut self, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            self.round += 1;
            let done = match self.random_below(100) {
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
                // A store in memory never waits, so this gives other tasks their turn.
                None => yield_now().await,
                Some(pause) => tokio::time::sleep(pause).await,
            }
        }
    }

    pub(crate) async fn execute(&mut self) -> Result<()> {
        let (key, outcome, sent) = (self.key()?, self.outcome(), Instant::now());
        Ledger::count(&self.ledger.entered);
        let answer = self.executing(&key, outcome.clone()).await?;
        if self.ledger.holds(answers::fresh(&answer, &outcome, sent.elapsed())) {
            Ledger::count(&self.ledger.executed);
            self.remember(key, outcome, sent);
        }
        Ok(())
    }

    /// Retries a recently completed request, which must get the same answer.
    pub(crate) async fn retry(&mut self) -> Result<()> {
        if self.done.is_empty() {
            return Ok(());
        }
        let chosen = usize::try_from(self.random_below(self.done.len() as u64)).unwrap_or(0);
        let Completed { key, outcome, sent } = &self.done[chosen];
        let again = Outcome::Value(Bytes::from_static(b"again"));
        let answer = self.executing(key, again.clone()).await?;
        if self.ledger.holds(answers::retried(&answer, outcome, &again, sent.elapsed())) {
            Ledger::count(&self.ledger.replayed);
        }
        Ok(())
    }

    /// Two callers of one key at once: one runs, and both get its result.
    async fn race(&mut self) -> Result<()> {
        let (key, first, second) = (self.key()?, self.outcome(), self.outcome());
        let sent = Instant::now();
        Ledger::count(&self.ledger.entered);
        let both = tokio::join!(self.executing(&key, first.clone()), self.executing(&key, second.clone()));
        let (one, other) = (both.0?, both.1?);
        if self.ledger.holds(answers::raced([&one, &other], [&first, &second], sent.elapsed())) {
            Ledger::count(&self.ledger.executed);
            self.remember(key, if matches!(one, Execution::Executed(_)) { first } else { second }, sent);
        }
        Ok(())
    }

    pub(crate) async fn long_work(&mut self) -> Result<()> {
        let (key, sent) = (self.key()?, Instant::now());
        Ledger::count(&self.ledger.entered);
        let Some(lease) = self.lock(&key).await? else { return Ok(()) };
        let (progress, outcome) = (Bytes::from(vec![3; CHECKPOINT]), self.outcome());
        let mut held_until = sent + LEASE;
        for step in 1..=5 {
            let sent = Instant::now();
            let effect = match step {
                1 => self.store.checkpoint(&lease, 1, progress.clone(), LEASE).await?,
                5 => self.store.complete(&lease, outcome.clone(), RETENTION).await?,
                _ => self.store.renew(&lease, LEASE).await?,
            };
            if let Effect::Lost(reason) = effect {
                self.ledger.holds(answers::lost(reason, held_until, Instant::now()));
                return Ok(());
            }
            held_until = sent + LEASE;
        }
        self.remember(key, outcome, sent);
        Ok(())
    }

    /// Crashes: leaves the lock behind, and in half of the cases a checkpoint.
    pub(crate) async fn crash(&mut self) -> Result<()> {
        let (key, sent) = (self.key()?, Instant::now());
        Ledger::count(&self.ledger.entered);
        if let Some(lease) = self.lock(&key).await?
            && self.random_below(2) == 0
        {
            let progress = Bytes::from(vec![3; CHECKPOINT]);
            if let Effect::Lost(reason) = self.store.checkpoint(&lease, 1, progress, LEASE).await? {
                self.ledger.holds(answers::lost(reason, sent + LEASE, Instant::now()));
            }
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

    async fn executing(&self, key: &Key, outcome: Outcome) -> Result<Answer> {
        let policy = Policy::new(LEASE, RETENTION).wait(WAIT);
        self.store.execute_outcome(key, &fingerprint(), &policy, |_| async { Ok(outcome) }).await
    }

    async fn lock(&self, key: &Key) -> Result<Option<Lease>> {
        let claim = Claim { owner: Owner::random()?, lease: LEASE, retention: RETENTION };
        let asked = Instant::now();
        let answer = self.store.lock(key, &fingerprint(), &claim).await?;
        self.ledger.locked_in(asked.elapsed());
        match answer {
            LockAnswer::Acquired(lease) => Ok(Some(lease)),
            other => {
                self.ledger.violation(format!("a fresh key was answered {other:?}"));
                Ok(None)
            }
        }
    }

    fn remember(&mut self, key: Key, outcome: Outcome, sent: Instant) {
        self.done.truncate(REMEMBERED - 1);
        self.done.push_front(Completed { key, outcome, sent });
    }

    fn key(&mut self) -> Result<Key> {
        self.round += 1;
        Key::new(&self.scope, format!("{}-{}", self.number, self.round))
    }

    /// A unique outcome.
    fn outcome(&mut self) -> Outcome {
        let mut bytes = vec![5; OUTCOME];
        self.round += 1;
        bytes[..8].copy_from_slice(&(self.number as u64).to_le_bytes());
        bytes[8..16].copy_from_slice(&self.round.to_le_bytes());
        Outcome::Value(bytes.into())
    }

    fn random_below(&mut self, limit: u64) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % limit
    }
}

fn fingerprint() -> Fingerprint {
    Fingerprint::from_bytes([9; 32])
}
