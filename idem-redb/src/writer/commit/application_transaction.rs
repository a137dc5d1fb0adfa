//! The writer's side of `complete_with`: the application's writes and the completion in one transaction.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use idem_core::backend::{Answer, Call, Change, decide};
use idem_core::error::Operation;
use idem_core::{Effect, Error, ErrorKind, Outcome, Result, UnavailableReason};
use redb::{Database, WriteTransaction};

use crate::error::{Failure, unavailable};
use crate::storage::guard::guarded;
use crate::storage::setup;
use crate::storage::tables::write::Tables;
use crate::writer::commit::transactions::WriteTransactions;
use crate::writer::queue::message::{QueuedTransaction, TransactionAnswer, Work, send};

/// Runs the application's writes and the completion in one transaction, or neither. Returns whether anything was
/// committed.
pub(crate) fn transact(
    queued: QueuedTransaction,
    database: &Arc<Database>,
    transactions: &mut WriteTransactions,
) -> Result<bool, Failure> {
    let QueuedTransaction { key, token, retention, work, reply } = queued;
    let complete = |outcome| Call::Complete { token, outcome, retention };
    // A failure of redb within the closure. The closure has reported it in its own way.
    let mut failed = None;
    let run = || -> Result<Result<TransactionAnswer>, Failure> {
        let txn = transactions.begin(database)?;
        // The write slot may have come late, and a caller who is gone would never learn the result.
        if reply.is_closed() {
            return Ok(Err(unavailable("the caller has gone", Operation::Complete)));
        }
        // Decided with a stand-in outcome first: with a lost lease, the closure must not run.
        let (mut step, found) = {
            let mut tables = Tables::open(&txn)?;
            let step = transactions.step(&tables)?;
            match tables.load(&key, step.now) {
                Ok(found) => (step, found),
                Err(Failure::Record(error)) => return Ok(Err(error.during(Operation::Complete))),
                Err(failure) => return Err(failure),
            }
        };
        let stand_in = complete(Outcome::Unavailable(UnavailableReason::Other));
        let decision = decide(found.as_ref().map(|found| &found.record), stand_in, step.now);
        match (decision.answer, decision.change) {
            (Answer::Effect(Effect::Lost(reason)), _) => return Ok(Ok(TransactionAnswer::Lost(reason))),
            (_, Change::None) => return Ok(Ok(TransactionAnswer::AlreadyCompleted)),
            _ => {}
        }
        let outcome = match run_work(work, &txn) {
            Ok(outcome) => outcome,
            Err(ended) => {
                failed = txn.abort().err().map(|error| transactions.explain(error.into()));
                return Ok(Ok(ended));
            }
        };
        let call = complete(outcome);
        if let Err(error) = call.check(transactions.state.config.max_outcome) {
            txn.abort()?;
            return Ok(Err(error));
        }
        let counts = {
            let mut tables = transactions.tables(&txn)?;
            match step.call(&mut tables, &key, call, transactions.quota())? {
                Ok(done) if done.wrote => {}
                // The closure has changed the store's own tables: nothing of it is committed.
                Ok(_) => return Ok(Err(store_tables_changed())),
                Err(error) => return Ok(Err(error)),
            }
            transactions.finish(&step, &mut tables)?
        };
        if let Some(quota) = transactions.quota()
            && setup::has_other_tables(&txn)?
        {
            quota.note_other_tables();
        }
        transactions.commit(&step, counts, txn)?;
        Ok(Ok(TransactionAnswer::Applied))
    };
    match guarded(run) {
        Ok(answer) => {
            let applied = matches!(answer, Ok(TransactionAnswer::Applied));
            send(reply, answer);
            if applied {
                transactions.state.waiters.wake(&key);
            }
            failed.map_or(Ok(applied), Err)
        }
        Err(failure) => {
            send(reply, Err(failure.to_error(Operation::Complete)));
            Err(failure)
        }
    }
}

/// Runs the closure. `Err`: how the transaction ends without an outcome.
fn run_work(work: Work, txn: &WriteTransaction) -> Result<Outcome, TransactionAnswer> {
    match catch_unwind(AssertUnwindSafe(|| work(txn))) {
        Ok(Some(outcome)) => Ok(outcome),
        Ok(None) => Err(TransactionAnswer::RolledBack),
        Err(panic) => Err(TransactionAnswer::Panicked(panic as Box<dyn Any + Send>)),
    }
}

fn store_tables_changed() -> Error {
    let message = "the closure changed the store's own tables (idem/...), so nothing was committed";
    Error::new(ErrorKind::InvalidArgument, Operation::Complete, message)
}
