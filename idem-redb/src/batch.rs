//! One durable commit for many calls.

use std::sync::Arc;

use idem_core::decide::Call;
use idem_core::{Error, Operation, Result, Waiters};
use redb::Database;

use crate::error::{Failure, away};
use crate::queue::{Done, QueuedCall, QueuedSweep, Swept, send};
use crate::slot::guarded;
use crate::tables::Tables;
use crate::writes::Writes;

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
    pub(crate) fn commit(self, database: &Arc<Database>, writes: &mut Writes) -> Result<(), Failure> {
        match guarded(|| self.transact(database, writes)) {
            Ok(answers) => {
                self.answer(answers, &writes.shared.waiters);
                Ok(())
            }
            Err(failure) if failure.is_damage() && self.len() > 1 => {
                let mut done = Ok(());
                for alone in self.singly() {
                    // Of several failures the one matters most after which nothing works.
                    match alone.commit(database, writes) {
                        Err(failure) if done.is_ok() || failure.needs_reopen() => done = Err(failure),
                        _ => {}
                    }
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
    pub(crate) fn refuse(self, error: impl Fn(Operation) -> Error) {
        for call in self.calls {
            send(call.reply, Err(error(call.call.operation())));
        }
        for sweep in self.sweeps {
            send(sweep.reply, Err(error(Operation::Expire)));
        }
    }

    fn transact(&self, database: &Arc<Database>, writes: &mut Writes) -> Result<Answers, Failure> {
        let txn = writes.begin(database)?;
        let mut answers = Answers { calls: Vec::with_capacity(self.calls.len()), removed: Vec::new() };
        let step = {
            let mut tables = Tables::open(&txn)?;
            let mut step = writes.step(&tables)?;
            for queued in &self.calls {
                answers.calls.push(if queued.is_abandoned() {
                    Err(away("the caller has gone", queued.call.operation()))
                } else {
                    step.call(&mut tables, &queued.key, queued.call.clone())?
                });
            }
            for sweep in &self.sweeps {
                answers.removed.push(step.sweep(&mut tables, &sweep.step)?);
            }
            step.finish(&mut tables)?;
            step
        };
        if step.wrote {
            writes.commit(&step, txn)?;
        } else {
            txn.abort()?;
        }
        Ok(answers)
    }

    fn answer(self, answers: Answers, waiters: &Waiters) {
        let alone = self.calls.is_empty();
        for (queued, answer) in self.calls.into_iter().zip(answers.calls) {
            let ends_a_lease =
                matches!(queued.call, Call::Complete { .. } | Call::Release { .. } | Call::Remove { .. });
            send(queued.reply, answer);
            if ends_a_lease {
                waiters.wake(&queued.key);
            }
        }
        for (sweep, removed) in self.sweeps.into_iter().zip(answers.removed) {
            send(sweep.reply, Ok(Swept { removed, alone }));
        }
    }
}
