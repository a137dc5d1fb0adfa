//! The calls of the broken store.

use std::any::Any;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use idem_core::backend::{Answer, Call, LeaseControl, Sent, Waiters, replay};
use idem_core::error::Operation;
use idem_core::record::{Checkpoint, Record, Replay};
use idem_core::scan::{Cursor, Erased, Page, Scan};
use idem_core::{
    Capabilities, Claim, Effect, Error, ErrorKind, Expired, Fingerprint, Key, Lease, LockAnswer, Outcome,
    Result, Scope, Store,
};

use super::{BrokenStore, interrupted};
use crate::flaw::Flaw;
use crate::kept::lock;

#[async_trait]
impl Store for BrokenStore {
    async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockAnswer> {
        let sent = Sent::now(self.time.source());
        let call = Call::Lock { fingerprint: *fingerprint, claim: *claim, min_sequence: 0 };
        let answer = self.apply(key, call).await?.0;
        let sent = self.counted_from(sent).await;
        Ok(match answer {
            Answer::Acquired(grant) => {
                let claim = match self.flaw {
                    Flaw::MixesUpTimes => &Claim { retention: claim.lease, ..*claim },
                    _ => claim,
                };
                LockAnswer::Acquired(Lease::granted(*key, *fingerprint, claim, grant, &sent))
            }
            Answer::InProgress(remaining) => LockAnswer::InProgress { remaining },
            Answer::Completed(replay) => LockAnswer::Completed(replay),
            Answer::FingerprintMismatch => LockAnswer::FingerprintMismatch,
            answer => unreachable!("{answer:?} to lock"),
        })
    }

    fn peek(&self, key: &Key, fingerprint: &Fingerprint) -> Option<Replay> {
        // A peek must not hide the flaws of other calls.
        if !self.flaw.peeks() {
            return None;
        }
        let mut kept = lock(&self.kept);
        if self.flaw == Flaw::PeeksAtCopies
            && let Some(copy) = kept.peeked.get(key)
        {
            return Some(copy.clone());
        }
        let record = kept.read(self.flaw, &self.place(key)).ok().flatten()?;
        let fingerprint = match self.flaw {
            Flaw::PeeksWithoutFingerprints => &record.fingerprint,
            _ => fingerprint,
        };
        let replay = replay(&record, fingerprint, self.now());
        let replay = match self.flaw {
            Flaw::PeeksAtTheUnfinished => Some(replay.unwrap_or_else(|| Replay {
                outcome: Outcome::Value(Bytes::new()),
                completed_at: record.as_of,
                expires_at: record.expires_at(),
                token: record.token,
            })),
            Flaw::PeeksAtSomethingElse => {
                replay.map(|replay| Replay { outcome: Outcome::Value("else".into()), ..replay })
            }
            _ => replay,
        }?;
        kept.peeked.insert(*key, replay.clone());
        Some(replay)
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
        self.holder_call(lease, Call::Checkpoint { token: lease.token(), checkpoint, duration }).await
    }

    async fn complete(&self, lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Effect> {
        self.holder_call(lease, Call::Complete { token: lease.token(), outcome, retention }).await
    }

    async fn release(&self, lease: &Lease) -> Result<Effect> {
        self.holder_call(lease, Call::Release { token: lease.token() }).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        let key = self.place(key);
        let record = lock(&self.kept).read(self.flaw, &key)?;
        if self.flaw == Flaw::DoesHalf {
            lock(&self.kept).records.remove(&key);
            interrupted().await;
            lock(&self.kept).records.extend(record.clone().map(|record| (key, record)));
        }
        let now = self.now();
        let kept = |record: &Record| self.flaw == Flaw::NeverForgets || !record.is_expired(now);
        Ok(record.filter(kept).map(|record| Record { as_of: now, ..record }))
    }

    async fn settled(&self, key: &Key, timeout: Duration) -> Result<bool> {
        let never = Duration::from_millis(100);
        match self.flaw {
            Flaw::SettledAtOnce => Ok(true),
            Flaw::NeverSettled => Ok(false),
            Flaw::GivesUpWaiting => {
                let settled = self.get(key).await?.is_none_or(|record| record.lease_remaining().is_none());
                tokio::time::sleep(timeout.min(never)).await;
                Ok(settled)
            }
            Flaw::WaitsWithALock => {
                let _gate = self.gate.lock().await;
                self.waiters.settled(self, key, timeout).await
            }
            Flaw::OverflowsWhenItWaits => {
                let until = tokio::time::Instant::now() + timeout;
                self.waiters.settled(self, key, until.duration_since(tokio::time::Instant::now())).await
            }
            Flaw::PollsOnly => Waiters::new().settled(self, key, timeout).await,
            _ => self.waiters.settled(self, key, timeout).await,
        }
    }

    async fn remove(&self, key: &Key, force: bool) -> Result<bool> {
        let removed = matches!(self.apply(key, Call::Remove { force }).await?.0, Answer::Removed(true));
        if removed && self.flaw == Flaw::RemovesAll {
            lock(&self.kept).records.clear();
        }
        Ok(removed)
    }

    async fn expire(&self, budget: usize) -> Result<Expired> {
        let (found, more) = self.expired(budget);
        if self.flaw == Flaw::ReadsThenWrites {
            interrupted().await;
        }
        let mut kept = lock(&self.kept);
        for key in &found {
            kept.records.remove(key);
        }
        Ok(Expired { removed: found.len(), more })
    }

    async fn scan(&self, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
        self.list(scan, after)
    }

    async fn erase(&self, scope: &Scope, force: bool, after: Option<&Cursor>) -> Result<Erased> {
        self.erase_step(scope, force, after).await
    }

    async fn close(&self) -> Result<()> {
        let was_closed = std::mem::replace(&mut lock(&self.kept).is_closed, true);
        if was_closed && self.flaw == Flaw::ClosesOnce {
            return Err(Error::new(ErrorKind::Closed, Operation::Close, "it is closed"));
        }
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.durable = true;
        capabilities.shared = true;
        capabilities.strict_sequence = true;
        capabilities.notifies = true;
        capabilities.scans = true;
        capabilities
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
