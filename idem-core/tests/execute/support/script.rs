use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind};

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// None: to let a call through before others go wrong.
    None,
    /// An error, and nothing happened.
    Before(ErrorKind),
    /// An error, and the call took effect.
    After(ErrorKind),
    /// No answer ever, and nothing happened.
    Silent,
    /// No answer ever, and the call took effect.
    SilentAfter,
    /// The call takes effect at once, and its answer takes so long.
    Late(Duration),
    /// Nothing happens for so long, then the store gives the call up.
    TimedOut(Duration),
}

/// Which calls go wrong, in order; without one, a call does what it should.
#[derive(Debug, Default)]
pub(crate) struct Script {
    next: HashMap<Operation, VecDeque<Fault>>,
    always: HashMap<Operation, Fault>,
}

impl Script {
    pub(crate) fn next(&mut self, operation: Operation, faults: &[Fault]) {
        self.next.entry(operation).or_default().extend(faults);
    }

    pub(crate) fn always(&mut self, operation: Operation, fault: Fault) {
        self.always.insert(operation, fault);
    }

    pub(crate) fn heal(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn take(&mut self, operation: Operation) -> Option<Fault> {
        let scripted = self.next.get_mut(&operation).and_then(VecDeque::pop_front);
        scripted.or_else(|| self.always.get(&operation).copied())
    }
}

impl Fault {
    pub(crate) fn error(kind: ErrorKind, operation: Operation) -> Error {
        Error::new(kind, operation, "as the script says")
    }
}
