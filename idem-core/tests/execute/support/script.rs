use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind};

/// How one call fails.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It does not fail: lets a call through before others fail.
    None,
    /// It answers an error and has no effect.
    Before(ErrorKind),
    /// It answers an error and takes effect.
    After(ErrorKind),
    /// It never answers and has no effect.
    Silent,
    /// It never answers and takes effect.
    SilentAfter,
    /// It takes effect at once, and answers after this time.
    Late(Duration),
    /// It has no effect, and the store answers `Timeout` after this time.
    TimedOut(Duration),
}

/// The faults of the next calls, in order. A call without one succeeds.
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
