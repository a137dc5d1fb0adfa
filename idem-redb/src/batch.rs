//! One durable commit for many calls.

use std::panic::{AssertUnwindSafe, catch_unwind};

use idem_core::decide::{Answer, Call, Change};
use idem_core::{Error, Fenced, Key, Result, Timestamp, decide};
use redb::{Database, WriteTransaction};

use crate::error::{Failure, away};
use crate::file::begin;
use crate::mark::{self, Mark};
use crate::queue::{Done, QueuedCall, QueuedSweep, QueuedTransaction, SweepStep, Swept, Transaction, send};
use crate::shared::Shared;
use crate::slot::guarded;
use crate::tables::Tables;

/// What a batch consists of: calls, and at most a few steps of sweeps.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) calls: Vec<QueuedCall>,
    pub(crate) sweeps: Vec<QueuedSweep>,
}

/// Answers that are true once the batch is committed.
struct Answers {
    calls: Vec<Result<Done>>,
    removed: Vec<usize>,
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.calls.len() + self.sweeps.len()
    }

    /// Decides, commits, and answers every call. A failure of the database befalls all of them, and is
    /// answered to each; the caller is told of it too. Damage may be in the pages of one of them alone, so then
    /// each is tried by itself.
    pub(crate) fn commit(
        self,
        database: &Database,
        shared: &Shared,
        sequence: &mut u64,
    ) -> Result<(), Failure> {
        match guarded(|| self.transact(database, shared, sequence)) {
            Ok(answers) => {
                self.answer(answers, shared);
                Ok(())
            }
            Err(failure) if failure.is_damage() && self.len() > 1 => {
                let mut done = Ok(());
                for alone in self.singly() {
                    done = done.and(alone.commit(database, shared, sequence));
                }
                done
            }
            // One of them met what made redb panic, and the others must not take it for theirs.
            Err(Failure::Panicked) if self.len() > 1 => {
                self.refuse(|operation| away("another call of the same commit met damage", operation));
                Err(Failure::Panicked)
            }
            Err(failure) => {
                self.refuse(|operation| failure.to_error(operation));
                Err(failure)
            }
        }
    }

    fn singly(self) -> impl Iterator<Item = Self> {
        let calls = self.calls.into_iter().map(|call| Self { calls: vec![call], sweeps: Vec::new() });
        calls.chain(self.sweeps.into_iter().map(|sweep| Self { calls: Vec::new(), sweeps: vec![sweep] }))
    }

    /// Answers every call with an error.
    pub(crate) fn refuse(self, error: impl Fn(idem_core::Operation) -> Error) {
        for call in self.calls {
            send(call.reply, Err(error(call.call.operation())));
        }
        for sweep in self.sweeps {
            send(sweep.reply, Err(error(idem_core::Operation::Expire)));
        }
    }

    fn transact(&self, database: &Database, shared: &Shared, sequence: &mut u64) -> Result<Answers, Failure> {
        let txn = begin(database, &shared.config)?;
        // Taken once the database is ours: an application's own transaction may have kept us waiting.
        let mut step = Step { now: shared.clock.now(), sequence: *sequence, wrote: false, needs_mark: false };
        let mut answers = Answers { calls: Vec::with_capacity(self.calls.len()), removed: Vec::new() };
        {
            let mut tables = Tables::open(&txn)?;
            for queued in &self.calls {
                answers.calls.push(step.call(&mut tables, &queued.key, queued.call.clone())?);
            }
            for sweep in &self.sweeps {
                answers.removed.push(step.sweep(&mut tables, &sweep.step)?);
            }
            if step.needs_mark {
                tables.write_mark(step.mark())?;
            }
        }
        if step.wrote {
            step.commit(txn, shared, sequence)?;
        } else {
            txn.abort()?;
        }
        Ok(answers)
    }

    fn answer(self, answers: Answers, shared: &Shared) {
        let alone = self.calls.is_empty();
        for (queued, answer) in self.calls.into_iter().zip(answers.calls) {
            let ends_a_lease =
                matches!(queued.call, Call::Complete { .. } | Call::Release { .. } | Call::Remove { .. });
            send(queued.reply, answer);
            if ends_a_lease {
                shared.waiters.wake(&queued.key);
            }
        }
        for (sweep, removed) in self.sweeps.into_iter().zip(answers.removed) {
            send(sweep.reply, Ok(Swept { removed, alone }));
        }
    }
}

/// Runs the application's writes and the completion in one transaction, or neither.
pub(crate) fn transact(
    queued: QueuedTransaction,
    database: &Database,
    shared: &Shared,
    sequence: &mut u64,
) -> Result<(), Failure> {
    let QueuedTransaction { key, token, retention, work, reply } = queued;
    let complete = |outcome| Call::Complete { token, outcome, retention };
    let run = || -> Result<Result<Transaction>, Failure> {
        let txn = begin(database, &shared.config)?;
        let mut step = Step { now: shared.clock.now(), sequence: *sequence, wrote: false, needs_mark: false };
        // Asked with a stand-in first: a lost lease must not even run the closure.
        let stand_in = complete(idem_core::Outcome::Unavailable(idem_core::Reason::Other));
        let found = match Tables::open(&txn)?.load(&key, step.now) {
            Ok(found) => found,
            Err(Failure::Record(error)) => return Ok(Err(error)),
            Err(failure) => return Err(failure),
        };
        let decision = decide(found.as_ref().map(|found| &found.record), stand_in, step.now);
        match (decision.answer, decision.change) {
            (Answer::Fenced(Fenced::Lost(reason)), _) => return Ok(Ok(Transaction::Lost(reason))),
            (_, Change::None) => return Ok(Ok(Transaction::Applied)),
            _ => {}
        }
        let outcome = match catch_unwind(AssertUnwindSafe(|| work(&txn))) {
            Ok(Some(outcome)) => outcome,
            Ok(None) => {
                txn.abort()?;
                return Ok(Ok(Transaction::RolledBack));
            }
            Err(panic) => {
                txn.abort()?;
                return Ok(Ok(Transaction::Panicked(panic)));
            }
        };
        let call = complete(outcome);
        if let Err(error) = call.check(shared.config.max_outcome) {
            txn.abort()?;
            return Ok(Err(error));
        }
        {
            let mut tables = Tables::open(&txn)?;
            match step.call(&mut tables, &key, call)? {
                Ok(done) if done.wrote => {}
                // The closure has changed idem's own tables: nothing of it is committed.
                Ok(_) => return Ok(Err(meddled())),
                Err(error) => return Ok(Err(error)),
            }
            tables.write_mark(step.mark())?;
        }
        step.commit(txn, shared, sequence)?;
        Ok(Ok(Transaction::Applied))
    };
    match guarded(run) {
        Ok(answer) => {
            let applied = matches!(answer, Ok(Transaction::Applied));
            send(reply, answer);
            if applied {
                shared.waiters.wake(&key);
            }
            Ok(())
        }
        Err(failure) => {
            send(reply, Err(failure.to_error(idem_core::Operation::Complete)));
            Err(failure)
        }
    }
}

fn meddled() -> Error {
    let message = "the closure changed the store's own tables (idem/...), so nothing was committed";
    Error::new(idem_core::ErrorKind::InvalidArgument, idem_core::Operation::Complete, message)
}

/// The state of one transaction: one instant, and the sequences given out in it.
struct Step {
    now: Timestamp,
    sequence: u64,
    wrote: bool,
    /// Whether the records written do not tell by themselves how far time and sequences have come.
    needs_mark: bool,
}

impl Step {
    /// `Ok(Err(_))`: this record cannot be read, which concerns this call alone.
    fn call(&mut self, tables: &mut Tables<'_>, key: &Key, mut call: Call) -> Result<Result<Done>, Failure> {
        let found = match tables.load(key, self.now) {
            Ok(found) => found,
            Err(Failure::Record(_)) if matches!(call, Call::Remove { force: true }) => {
                let removed = tables.remove_unread(key)?;
                self.wrote |= removed;
                self.needs_mark |= removed;
                return Ok(Ok(Done { answer: Answer::Removed(removed), wrote: removed }));
            }
            Err(Failure::Record(error)) => return Ok(Err(error.during(call.operation()))),
            Err(failure) => return Err(failure),
        };
        // One above all that were given out before: tokens rise across removal too, and number the log.
        let number = self.sequence.saturating_add(1).max(self.now.as_micros());
        if let Call::Lock { min_sequence, .. } = &mut call {
            *min_sequence = number;
        }
        let decision = decide(found.as_ref().map(|found| &found.record), call, self.now);
        let wrote = decision.change != Change::None;
        let tells = matches!(&decision.change, Change::Put(record) if mark::tells(record, self.now, number));
        if let Change::Put(record) = &decision.change {
            self.sequence = number.max(record.token.sequence);
        }
        self.wrote |= wrote;
        self.needs_mark |= wrote && !tells;
        tables.apply(key, found.as_ref(), &decision.change, number)?;
        Ok(Ok(Done { answer: decision.answer, wrote }))
    }

    /// How many records were removed: one that the index alone has forgotten is not counted yet.
    fn sweep(&mut self, tables: &mut Tables<'_>, step: &SweepStep) -> Result<usize, Failure> {
        let mut removed = 0;
        match step {
            SweepStep::Index(outcomes) => {
                for (key, place) in outcomes {
                    let forgotten = tables.remove_from_index(key, *place)?;
                    self.wrote |= forgotten;
                    self.needs_mark |= forgotten;
                }
            }
            SweepStep::Outcomes(outcomes) => {
                for (key, place) in outcomes {
                    removed += usize::from(tables.remove_outcome(key, *place)?);
                }
            }
            SweepStep::Locks(keys) => {
                for key in keys {
                    let found = match tables.load(key, self.now) {
                        Ok(Some(found)) if found.record.is_expired(self.now) => found,
                        // Locked anew since it was seen, gone, or unreadable: not ours to remove.
                        Ok(_) | Err(Failure::Record(_)) => continue,
                        Err(failure) => return Err(failure),
                    };
                    tables.apply(key, Some(&found), &Change::Remove, 0)?;
                    removed += 1;
                }
            }
        }
        self.wrote |= removed > 0;
        self.needs_mark |= removed > 0;
        Ok(removed)
    }

    /// What was given out in a commit that failed may be in the file all the same, so it is not given out again.
    fn commit(&self, txn: WriteTransaction, shared: &Shared, sequence: &mut u64) -> Result<(), Failure> {
        *sequence = self.sequence;
        txn.commit()?;
        shared.slot.committed();
        Ok(())
    }

    fn mark(&self) -> Mark {
        Mark { time: self.now, sequence: self.sequence }
    }
}
