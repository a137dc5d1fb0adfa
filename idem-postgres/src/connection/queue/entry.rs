//! A call that waits for its answer.

use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::keys::SetAside;
use crate::batch::{BatchedCall, StorageKey};
use crate::error::{Failure, Recovery};

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Entry<B: BatchedCall> {
    pub(super) call: B,
    pub(super) deadline: Instant,
    /// Not before: it was sent, without an answer.
    pub(super) not_before: Instant,
    pub(super) answer: oneshot::Sender<Result<B::Answer>>,
    /// Whether one of those that it was sent with was refused, perhaps this one.
    pub(super) goes_alone: bool,
    /// Whether another transaction had locked its record's row when it was sent last.
    pub(super) row_locked: bool,
    /// While other calls on its key are to go the same way.
    pub(super) set_aside: Option<SetAside>,
    /// Whether a connection failed it: from then on it may have been carried out.
    effect_unknown: bool,
    /// How often it was sent without an answer.
    resent: u32,
}

impl<B: BatchedCall> Entry<B> {
    pub(super) fn new(call: B, deadline: Instant, answer: oneshot::Sender<Result<B::Answer>>) -> Self {
        Self {
            call,
            deadline,
            not_before: Instant::now(),
            answer,
            goes_alone: false,
            row_locked: false,
            set_aside: None,
            effect_unknown: false,
            resent: 0,
        }
    }

    /// The same call, after this failure.
    pub(super) fn after(mut self, failure: &Failure) -> Self {
        self.effect_unknown |= failure.recovery == Recovery::Reconnect;
        self.row_locked = false;
        self.again()
    }

    /// Gives it the server's answer.
    pub(super) fn answer(self, answer: Result<B::Answer>) {
        let answer =
            if self.effect_unknown { answer.map(|answer| self.call.after_unknown(answer)) } else { answer };
        // Nobody is there any more when the caller gave up.
        let _ = self.answer.send(answer);
    }

    /// Ends it: sending it again does not help.
    pub(super) fn refuse(self, failure: &Failure) {
        self.give_up(failure.error(Operation::Lock));
    }

    /// Ends it with this error, or, where it may have been carried out, with one that says no more than that.
    pub(super) fn give_up(self, error: Error) {
        let error = if self.effect_unknown {
            Error::new(ErrorKind::Timeout, Operation::Lock, error.message())
        } else {
            error
        };
        // Nobody is there any more when the caller gave up.
        let _ = self.answer.send(Err(error));
    }

    /// The same call, later, in a statement of its own.
    pub(super) fn alone(mut self) -> Self {
        self.goes_alone = true;
        self.again()
    }

    /// The same call, later, since another transaction has locked its record's row.
    pub(super) fn once_free(mut self) -> Self {
        self.row_locked = true;
        self.again()
    }

    /// The same call, later: at once the first time, then after pauses that double.
    pub(super) fn again(mut self) -> Self {
        let pause = match self.resent {
            0 => Duration::ZERO,
            times => LONGEST_PAUSE.min(FIRST_PAUSE * (1 << (times - 1).min(10))),
        };
        self.resent += 1;
        self.not_before = Instant::now() + pause;
        self
    }

    pub(super) fn storage_key(&self) -> &StorageKey {
        self.call.key().storage_key()
    }

    /// Whether its caller still waits.
    pub(super) fn is_wanted(&self, now: Instant) -> bool {
        self.deadline > now && !self.answer.is_closed()
    }
}
