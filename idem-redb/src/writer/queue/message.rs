//! The messages that callers send to the writer, and the answers.

use std::any::Any;
use std::sync::Arc;

use idem_core::backend::{Answer, Applied, Call};
use idem_core::error::Operation;
use idem_core::{Key, LostReason, Outcome, Result};
use redb::{Database, WriteTransaction};
use tokio::sync::oneshot;

use crate::error::Away;

pub(crate) type Reply<T> = oneshot::Sender<Result<T>>;

pub(crate) enum Message {
    /// A call of the store; many of them share a commit.
    Call(QueuedCall),
    /// The application's own writes with a completion; alone in its transaction.
    Transact(Box<QueuedTransaction>),
    /// A read met an error after which redb refuses work until it is reopened.
    Reopen,
    /// Gives free pages back to the file system.
    Compact(Reply<bool>),
    /// The application supplies its database again.
    Replace(Arc<Database>, Reply<()>),
    /// Close the store, once everything sent before is done.
    Close,
}

pub(crate) struct QueuedCall {
    pub(crate) key: Key,
    pub(crate) call: Call,
    pub(crate) reply: Reply<Applied>,
}

impl QueuedCall {
    /// Whether this is a lock whose caller is gone: the lock would have no holder.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.reply.is_closed() && matches!(self.call, Call::Lock { .. })
    }

    /// How many bytes the call writes.
    pub(crate) fn size(&self) -> usize {
        match &self.call {
            Call::Complete { outcome, .. } => outcome.size(),
            Call::Checkpoint { checkpoint, .. } => checkpoint.progress.len(),
            _ => 0,
        }
    }
}

/// How many bytes an answer has: those of a checkpoint that is handed over, or of an outcome.
pub(crate) fn answer_size(applied: &Applied) -> usize {
    match &applied.answer {
        Answer::Acquired(grant) => grant.checkpoint.as_ref().map_or(0, |held| held.progress.len()),
        Answer::Completed(replay) => replay.outcome.size(),
        _ => 0,
    }
}

pub(crate) struct QueuedTransaction {
    pub(crate) key: Key,
    /// The token of the completion; `work` returns its outcome.
    pub(crate) token: idem_core::Token,
    pub(crate) retention: std::time::Duration,
    pub(crate) work: Work,
    pub(crate) reply: Reply<TransactionAnswer>,
}

/// The application's writes. `None`: roll back.
pub(crate) type Work = Box<dyn FnOnce(&WriteTransaction) -> Option<Outcome> + Send>;

pub(crate) enum TransactionAnswer {
    Applied,
    /// The same lease completed the key before; the closure was not run.
    AlreadyCompleted,
    Lost(LostReason),
    RolledBack,
    /// The application's closure panicked, with this payload.
    Panicked(Box<dyn Any + Send>),
}

/// Sends an answer. A caller that is gone needs none.
pub(crate) fn send<T>(reply: Reply<T>, answer: Result<T>) {
    let _gone = reply.send(answer);
}

/// Answers `message` that the database is away.
pub(crate) fn refuse(message: Message, away: &Away) {
    match message {
        Message::Call(queued) => send(queued.reply, Err(away.error(queued.call.operation()))),
        Message::Transact(queued) => send(queued.reply, Err(away.error(Operation::Complete))),
        Message::Reopen | Message::Close => {}
        Message::Compact(reply) => send(reply, Err(away.error(Operation::Maintain))),
        Message::Replace(_, reply) => send(reply, Err(away.error(Operation::Maintain))),
    }
}
