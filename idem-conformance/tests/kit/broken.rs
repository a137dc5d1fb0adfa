//! A store that keeps all promises except those that its flaw breaks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use idem_conformance::LARGEST_OUTCOME;
use idem_core::backend::{
    Answer, Call, Change, ClockMark, Decision, LeaseControl, Sent, StoreClock, Waiters,
};
use idem_core::clock::{Clock as _, ManualClock, SharedClock, Timestamp};
use idem_core::error::Operation;
use idem_core::record::Record;
use idem_core::{Effect, Error, ErrorKind, Key, Lease, LostReason, Result};

use crate::flaw::Flaw;
use crate::kept::{Kept, lock};
use crate::tamper::flawed;

mod listing;
mod store;

#[derive(Debug)]
pub(crate) struct BrokenStore {
    pub(crate) flaw: Flaw,
    pub(crate) kept: Arc<Mutex<Kept>>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) clock: ManualClock,
    time: StoreClock,
    /// For [`Flaw::WaitsWithALock`].
    gate: tokio::sync::Mutex<()>,
}

/// The time of a store that kept `mark`, however long it was closed.
fn resumed(clock: SharedClock, mark: Option<ClockMark>) -> StoreClock {
    let started = StoreClock::start(Arc::clone(&clock));
    mark.map_or(started, |mark| StoreClock::resume(clock, mark, Duration::MAX).unwrap())
}

impl BrokenStore {
    pub(crate) fn open(flaw: Flaw, kept: Arc<Mutex<Kept>>, clock: ManualClock) -> Self {
        let shared: SharedClock = Arc::new(clock.clone());
        let time = resumed(shared, lock(&kept).mark);
        Self { flaw, kept, waiters: Arc::default(), clock, time, gate: tokio::sync::Mutex::default() }
    }

    fn now(&self) -> Timestamp {
        match self.flaw {
            Flaw::FollowsTheWallClock => self.clock.wall(),
            _ => self.time.now(),
        }
    }

    /// One call: an atomic step, unless the flaw breaks it up. Also returns whether it wrote.
    async fn apply(&self, key: &Key, call: Call) -> Result<(Answer, bool)> {
        let refused_late = match (self.check(&call), self.flaw) {
            (Err(error), Flaw::ChecksAfterwards) => Some(error),
            (checked, _) => checked.map(|()| None)?,
        };
        let key = self.place(key);
        let decision = match self.flaw {
            Flaw::ReadsThenWrites => {
                let decision = self.decide(&lock(&self.kept), &key, call)?;
                interrupted().await;
                decision
            }
            Flaw::DoesHalf => {
                let decision = self.decide(&lock(&self.kept), &key, call)?;
                lock(&self.kept).write_half(&key, &decision.change);
                interrupted().await;
                decision
            }
            _ => {
                let _gate = self.gate.lock().await;
                let mut kept = lock(&self.kept);
                let decision = self.decide(&kept, &key, call)?;
                kept.write(&key, &decision.change, self.time.mark(self.now()));
                self.waiters.wake(&key);
                return refused_late.map_or(Ok((decision.answer, decision.change != Change::None)), Err);
            }
        };
        lock(&self.kept).write(&key, &decision.change, self.time.mark(self.now()));
        self.waiters.wake(&key);
        Ok((decision.answer, decision.change != Change::None))
    }

    fn decide(&self, kept: &Kept, key: &Key, mut call: Call) -> Result<Decision> {
        if let (Call::Lock { min_sequence, .. }, false) = (&mut call, self.flaw == Flaw::RestartsSequences) {
            *min_sequence = kept.last_sequence + 1;
        }
        if self.flaw == Flaw::RefusesHoldersWhenFull
            && kept.records.len() > 8
            && kept.records.contains_key(key)
        {
            return Err(Error::new(ErrorKind::Full, call.operation(), "nothing is written any more"));
        }
        let record = kept.read(self.flaw, key).map_err(|error| error.during(call.operation()))?;
        Ok(flawed(self.flaw, record.as_ref(), call, self.now()))
    }

    fn check(&self, call: &Call) -> Result<()> {
        match (self.flaw, call) {
            (Flaw::ChecksNothing, _) => Ok(()),
            (Flaw::RefusesLongTimes, Call::Lock { claim, .. }) if claim.lease > Duration::from_hours(1) => {
                Err(Error::new(ErrorKind::InvalidArgument, Operation::Lock, "an hour is long enough"))
            }
            _ => call.check(LARGEST_OUTCOME as u64),
        }
    }

    fn place(&self, key: &Key) -> Key {
        match self.flaw {
            Flaw::OneRecordForAll => Key::from_storage_key([0; Key::STORAGE_LEN]),
            _ => *key,
        }
    }

    /// A call of a holder.
    async fn holder_call(&self, lease: &Lease, call: Call) -> Result<Effect> {
        let sent = Sent::now(self.time.source());
        let (answer, wrote) = self.apply(lease.key(), call.clone()).await?;
        let effect = answer.into_effect()?;
        self.tell(lease, &call, (effect, wrote), &self.counted_from(sent).await);
        Ok(effect)
    }

    /// Tells the lease the answer to its call; with a flaw, another answer or none.
    fn tell(&self, lease: &Lease, call: &Call, (effect, wrote): (Effect, bool), sent: &Sent) {
        let was_completed = effect == Effect::Lost(LostReason::Completed);
        let is_complete = matches!(call, Call::Complete { .. });
        let renews = matches!(call, Call::Renew { .. } | Call::Checkpoint { .. });
        let (effect, wrote) = match self.flaw {
            Flaw::TellsNoRenewal if renews && effect == Effect::Applied => return,
            Flaw::TellsEveryRenewal if renews => (Effect::Applied, true),
            Flaw::TellsNoCompletion if was_completed || is_complete => return,
            Flaw::TellsEveryCompletion if is_complete => (Effect::Applied, true),
            Flaw::TellsNoLoss if effect != Effect::Applied && !was_completed => return,
            Flaw::TellsCompletionAsLoss if was_completed => (Effect::Lost(LostReason::Superseded), false),
            _ => (effect, wrote),
        };
        lease.answered(call, effect, wrote, sent);
    }

    /// The keys of expired records within the budget, and whether there are more.
    fn expired(&self, budget: usize) -> (Vec<Key>, bool) {
        let (kept, now) = (lock(&self.kept), self.now());
        let expired = |(key, record): (&Key, &Record)| match self.flaw {
            Flaw::SweepsLapsed => record.live_lease(now).is_none() && record.outcome().is_none(),
            Flaw::SweepsByFirstDeadline => kept.first.get(key).is_some_and(|first| first.is_expired(now)),
            Flaw::SweepsNothing => false,
            _ => record.is_expired(now),
        };
        let mut expired: Vec<_> =
            kept.records.iter().filter(|(key, record)| expired((key, record))).map(|(key, _)| *key).collect();
        let more = expired.len() > budget && self.flaw != Flaw::SaysNoMore;
        if self.flaw != Flaw::SweepsBeyondBudget {
            expired.truncate(budget);
        }
        (expired, more)
    }

    /// The moment before the call was sent; with a flaw, the moment after its answer came.
    async fn counted_from(&self, sent: Sent) -> Sent {
        if self.flaw != Flaw::CountsFromTheAnswer {
            return sent;
        }
        interrupted().await;
        Sent::now(self.time.source())
    }
}

/// Yields, so that other calls run, and the caller can drop this one.
async fn interrupted() {
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
}
