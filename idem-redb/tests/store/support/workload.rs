//! Callers that use a store as applications do, and record the answers that they get.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use idem_core::clock::{Clock, ManualClock};
use idem_core::{Claim, Effect, Error, Fingerprint, Key, Lease, LockAnswer, Outcome, Owner, Result, Store};
use idem_redb::{RedbStore, Transacted};
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use tokio::task::JoinSet;

use super::history::{Completing, History, Place, Sent};
use super::rng::Rng;

pub(crate) const LEASE: Duration = Duration::from_secs(10);
const RETENTION: Duration = Duration::from_hours(24);

/// The application's own table: how often the work of a key was booked.
pub(crate) const BOOKED: TableDefinition<'_, &[u8; Key::STORAGE_LEN], u64> = TableDefinition::new("booked");

pub(crate) fn fingerprint() -> Fingerprint {
    Fingerprint::builder("workload v1").part("the same for all").finish()
}

/// What a caller does after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterError {
    /// It stops.
    Stop,
    /// It sends the same call again.
    Resend,
}

/// Lets callers make attempts on random keys of `history`; `size` is the number of callers, and of all their attempts.
/// Returns the errors that they got.
pub(crate) async fn run(
    store: &RedbStore,
    history: &History,
    clock: &ManualClock,
    rng: &mut Rng,
    size: (usize, usize),
    after_error: AfterError,
) -> Vec<Error> {
    let (callers, attempts) = size;
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let mut caller = Caller {
            store: store.clone(),
            history: history.clone(),
            clock: clock.clone(),
            rng: Rng::new(rng.next()),
            after_error,
            errors: Vec::new(),
        };
        tasks.spawn(async move {
            for _ in 0..attempts / callers {
                if caller.attempt().await.is_none() {
                    break;
                }
            }
            caller.errors
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

struct Caller {
    store: RedbStore,
    history: History,
    clock: ManualClock,
    rng: Rng,
    after_error: AfterError,
    errors: Vec<Error>,
}

impl Caller {
    /// One attempt on a random key. `None`: an error ended this caller.
    async fn attempt(&mut self) -> Option<()> {
        let key = self.rng.below(self.history.keys().len());
        let Some((place, lease)) = self.lock(key).await? else { return Some(()) };
        for step in 1..=self.rng.below(3) as u64 {
            if self.rng.chance(1, 2) {
                self.renew(place, &lease).await?;
            } else {
                self.checkpoint(place, &lease, step).await?;
            }
        }
        match self.rng.below(8) {
            0..=3 => self.complete(place, &lease).await?,
            4..=5 => self.complete_with(place, &lease).await?,
            6 => self.release(place, &lease).await?,
            _ => {}
        }
        if self.rng.chance(1, 8) {
            self.ask(|store| async move { store.expire(8).await }).await?;
        }
        Some(())
    }

    async fn lock(&mut self, number: usize) -> Option<Option<(Place, Lease)>> {
        let (key, short_lived) = {
            let keys = self.history.keys();
            (keys[number].key, keys[number].short_lived)
        };
        let owner = Owner::random().unwrap();
        let retention = if short_lived { LEASE } else { RETENTION };
        let claim = Claim { owner, lease: LEASE, retention };
        let place = self.history.locking(number, owner);
        let sent_at = self.clock.wall();
        let answer = self.ask(|store| async move { store.lock(&key, &fingerprint(), &claim).await }).await?;
        match answer {
            LockAnswer::Acquired(lease) => {
                self.history.change(place, |attempt| {
                    attempt.held_until = sent_at + LEASE;
                    attempt.lease = Some(lease.clone());
                });
                Some(Some((place, lease)))
            }
            LockAnswer::Completed(replay) => {
                self.history.replayed(number, &replay);
                Some(None)
            }
            LockAnswer::InProgress { .. } => Some(None),
            LockAnswer::FingerprintMismatch => {
                self.history.contradicted(number, "it was never asked for anything else".to_owned());
                Some(None)
            }
        }
    }

    async fn renew(&mut self, place: Place, lease: &Lease) -> Option<()> {
        let sent_at = self.clock.wall();
        if self.held(lease, |store, lease| async move { store.renew(&lease, LEASE).await }).await? {
            self.history
                .change(place, |attempt| attempt.held_until = attempt.held_until.max(sent_at + LEASE));
        }
        Some(())
    }

    async fn checkpoint(&mut self, place: Place, lease: &Lease, step: u64) -> Option<()> {
        let step = lease.checkpoint().map_or(0, |checkpoint| checkpoint.step) + step;
        let progress = self.value("checkpoint", lease);
        self.history.change(place, |attempt| {
            attempt.checkpoints.push(Sent { what: (step, progress.clone()), acknowledged: false });
        });
        let call = |store: RedbStore, lease: Lease| {
            let progress = progress.clone();
            async move { store.checkpoint(&lease, step, progress, LEASE).await }
        };
        let applied = self.held(lease, call).await?;
        self.history.change(place, |attempt| {
            if let Some(sent) = attempt.checkpoints.last_mut() {
                sent.acknowledged = applied;
            }
        });
        Some(())
    }

    async fn complete(&mut self, place: Place, lease: &Lease) -> Option<()> {
        let value = self.completing(place, lease, false);
        let call = |store: RedbStore, lease: Lease| {
            let outcome = Outcome::Value(value.clone());
            async move { store.complete(&lease, outcome, lease.retention()).await }
        };
        let applied = self.held(lease, call).await?;
        self.completed(place, applied);
        Some(())
    }

    async fn complete_with(&mut self, place: Place, lease: &Lease) -> Option<()> {
        let value = self.completing(place, lease, true);
        let call = |store: RedbStore, lease: Lease| {
            let outcome = Outcome::Value(value.clone());
            async move { complete_with_row(&store, &lease, outcome).await }
        };
        let applied = self.held(lease, call).await?;
        self.completed(place, applied);
        Some(())
    }

    async fn release(&mut self, place: Place, lease: &Lease) -> Option<()> {
        self.history.change(place, |attempt| attempt.release = Some(Sent { what: (), acknowledged: false }));
        let applied = self.held(lease, |store, lease| async move { store.release(&lease).await }).await?;
        // An earlier try may have been applied where the last one was not, so the release stays in the history.
        self.history.change(place, |attempt| {
            if let Some(sent) = &mut attempt.release {
                sent.acknowledged = applied;
            }
        });
        Some(())
    }

    fn completing(&mut self, place: Place, lease: &Lease, with_row: bool) -> Bytes {
        let value = self.value("outcome", lease);
        let what = Completing { value: value.clone(), with_row };
        self.history.change(place, |attempt| attempt.completion = Some(Sent { what, acknowledged: false }));
        value
    }

    fn completed(&self, place: Place, applied: bool) {
        self.history.change(place, |attempt| match &mut attempt.completion {
            Some(sent) if applied => sent.acknowledged = true,
            _ => attempt.completion = None,
        });
    }

    /// Bytes that no other call sends: mostly few, sometimes several pages.
    fn value(&mut self, what: &str, lease: &Lease) -> Bytes {
        let padding = [10, 10, 10, 300, 300, 1_500, 6_000, 40_000][self.rng.below(8)];
        let mut value = format!("{what} {:?} {}: ", lease.token(), self.rng.next()).into_bytes();
        value.extend_from_slice(&self.rng.bytes(padding));
        value.into()
    }

    async fn held<F>(&mut self, lease: &Lease, call: impl Fn(RedbStore, Lease) -> F) -> Option<bool>
    where
        F: Future<Output = Result<Effect>>,
    {
        let answer = self.ask(|store| call(store, lease.clone())).await?;
        Some(answer == Effect::Applied)
    }

    async fn ask<T, F>(&mut self, call: impl Fn(RedbStore) -> F) -> Option<T>
    where
        F: Future<Output = Result<T>>,
    {
        // Now and then all leases run out.
        if self.rng.chance(1, 24) {
            self.clock.advance(LEASE + Duration::from_secs(1));
        }
        loop {
            match call(self.store.clone()).await {
                Ok(answer) => return Some(answer),
                Err(error) => self.errors.push(error),
            }
            if self.after_error == AfterError::Stop || self.errors.len() > 10_000 {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Completes `lease` and books its key once more, in one commit.
pub(crate) async fn complete_with_row(store: &RedbStore, lease: &Lease, outcome: Outcome) -> Result<Effect> {
    let key = *lease.key();
    let work = move |txn: &WriteTransaction| book(txn, &key).map(|()| outcome);
    match store.complete_with(lease, work).await? {
        Transacted::Applied | Transacted::AlreadyCompleted => Ok(Effect::Applied),
        Transacted::Lost(reason) => Ok(Effect::Lost(reason)),
        Transacted::RolledBack(error) => {
            let kind = idem_core::ErrorKind::Unavailable;
            Err(Error::new(kind, idem_core::error::Operation::Complete, "the booking failed")
                .with_source(*error))
        }
    }
}

fn book(txn: &WriteTransaction, key: &Key) -> std::result::Result<(), Box<redb::Error>> {
    let add = || -> std::result::Result<(), redb::Error> {
        let mut booked = txn.open_table(BOOKED)?;
        let before = booked.get(key.storage_key())?.map_or(0, |count| count.value());
        booked.insert(key.storage_key(), before + 1)?;
        Ok(())
    };
    add().map_err(Box::new)
}

/// A clock for such a workload, set to some day in 2027.
pub(crate) fn clock() -> ManualClock {
    ManualClock::new(idem_core::clock::Timestamp::from_micros(1_800_000_000_000_000))
}

pub(crate) fn shared(clock: &ManualClock) -> idem_core::clock::SharedClock {
    Arc::new(clock.clone())
}
