//! One durable commit for many calls.

use std::sync::Arc;

use idem_core::backend::{Applied, Call, Waiters};
use idem_core::error::Operation;
use idem_core::{Error, Result};
use redb::Database;

use crate::error::{Failure, unavailable};
use crate::storage::guard::guarded;
use crate::writer::commit::transactions::WriteTransactions;
use crate::writer::queue::message::{QueuedCall, answer_size, send};
use crate::writer::queue::sweep_plan::SweepStep;

/// How many bytes the calls of a commit may write and be answered with. Bounds the memory that a commit takes, and
/// what one failure undoes. A larger call is committed alone.
pub(crate) const MOST_BYTES: usize = 8 << 20;

/// Calls that share a commit, with a chunk of a sweep.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) calls: Vec<QueuedCall>,
    pub(crate) sweep: Vec<SweepStep>,
}

/// The result of a committed batch.
#[derive(Default)]
pub(crate) struct Committed {
    /// How many records the sweep's chunk removed.
    pub(crate) removed: usize,
    /// Whether anything was written: only a write shows that there is room.
    pub(crate) wrote: bool,
    /// Calls that did not fit into the commit. They are taken next.
    pub(crate) rest: Vec<QueuedCall>,
}

/// The answers to be sent once the batch is committed. The last calls of the batch may have none.
struct Answers {
    calls: Vec<Result<Applied>>,
    removed: usize,
    wrote: bool,
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.calls.len() + self.sweep.len()
    }

    /// Decides, commits, and answers every call. A failure of the database is the answer to all of them, and is
    /// returned too. Damage may concern the pages of a single call, so then each call is tried by itself. When the
    /// disk was full, the calls are left for the caller to answer.
    pub(crate) fn commit(
        &mut self,
        database: &Arc<Database>,
        transactions: &mut WriteTransactions,
    ) -> Result<Committed, Failure> {
        match guarded(|| self.transact(database, transactions)) {
            Ok(answers) => Ok(self.answer(answers, &transactions.state.waiters)),
            Err(failure) if failure.is_full() => Err(failure),
            Err(failure) if failure.is_damage() && self.len() > 1 => {
                let mut done = Ok(Committed::default());
                for mut alone in std::mem::take(self).singly() {
                    let one = alone.commit(database, transactions);
                    if let Err(failure) = &one {
                        alone.refuse(|operation| failure.to_error(operation));
                    }
                    match (one, &mut done) {
                        (Ok(one), Ok(done)) => {
                            done.removed += one.removed;
                            done.wrote |= one.wrote;
                        }
                        // Of several failures, one that needs a reopening takes precedence.
                        (Err(failure), done) if done.is_ok() || failure.needs_reopen() => {
                            *done = Err(failure);
                        }
                        _ => {}
                    }
                }
                done
            }
            // One call's pages made redb panic; the other calls must not be reported as damaged.
            Err(Failure::Panicked) if self.len() > 1 => {
                self.refuse(|operation| unavailable("another call of the same commit met damage", operation));
                Err(Failure::Panicked)
            }
            Err(failure) => {
                self.refuse(|operation| failure.to_error(operation));
                Err(failure)
            }
        }
    }

    fn singly(self) -> impl Iterator<Item = Self> {
        let calls = self.calls.into_iter().map(|call| Self { calls: vec![call], sweep: Vec::new() });
        calls.chain(self.sweep.into_iter().map(|step| Self { calls: Vec::new(), sweep: vec![step] }))
    }

    /// Answers every call that is not answered yet with an error.
    pub(crate) fn refuse(&mut self, error: impl Fn(Operation) -> Error) {
        for call in self.calls.drain(..) {
            send(call.reply, Err(error(call.call.operation())));
        }
    }

    fn transact(
        &self,
        database: &Arc<Database>,
        transactions: &mut WriteTransactions,
    ) -> Result<Answers, Failure> {
        let txn = transactions.begin(database)?;
        let mut answers = Answers { calls: Vec::with_capacity(self.calls.len()), removed: 0, wrote: false };
        let (step, counts) = {
            let mut tables = transactions.tables(&txn)?;
            let mut step = transactions.step(&tables)?;
            let mut bytes = 0;
            for queued in &self.calls {
                if bytes >= MOST_BYTES {
                    break;
                }
                let answer = if queued.is_abandoned() {
                    Err(unavailable("the caller has gone", queued.call.operation()))
                } else {
                    step.call(&mut tables, &queued.key, queued.call.clone(), transactions.quota())?
                };
                bytes += queued.size() + answer.as_ref().map_or(0, answer_size);
                answers.calls.push(answer);
            }
            for part in &self.sweep {
                answers.removed += step.sweep(&mut tables, part)?;
            }
            let counts = transactions.finish(&step, &mut tables)?;
            (step, counts)
        };
        answers.wrote = step.wrote;
        if step.wrote {
            transactions.commit(&step, counts, txn)?;
        } else {
            txn.abort()?;
        }
        Ok(answers)
    }

    fn answer(&mut self, answers: Answers, waiters: &Waiters) -> Committed {
        let mut calls = std::mem::take(&mut self.calls).into_iter();
        for (answer, queued) in answers.calls.into_iter().zip(&mut calls) {
            let ends_a_lease =
                matches!(queued.call, Call::Complete { .. } | Call::Release { .. } | Call::Remove { .. });
            send(queued.reply, answer);
            if ends_a_lease {
                waiters.wake(&queued.key);
            }
        }
        Committed { removed: answers.removed, wrote: answers.wrote, rest: calls.collect() }
    }
}
