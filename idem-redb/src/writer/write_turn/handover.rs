//! Handing a transaction over from the thread that waits for it to the writer, who may stop waiting at any time.
//!
//! Nothing interrupts a thread that waits for redb's write slot. So a thread of its own waits there, and the writer
//! waits for that thread, as long as its callers have patience.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use idem_core::Result;

use crate::thread;

/// Where one waiting thread and the writer are with each other.
///
/// ```text
///             leave               collect
/// Awaited ----------> Begun --------------------> Over
///   |  ^                                           ^
///   |  | ask                                       |
///   v  | (again)                leave              |
/// Unattended --------------------------------------+
/// ```
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Handover<T> {
    /// The thread waits for the slot, and the writer for the thread.
    Awaited,
    /// The thread waits for the slot, and the writer has stopped waiting for the thread.
    Unattended,
    /// The thread has left a transaction, and is gone.
    Begun(T),
    /// The thread is gone, and leaves nothing any more: the writer needs another one.
    Over,
}

/// What the writer finds once it waits no longer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WaitEnd<T> {
    Begun(T),
    /// Its patience is over; the thread waits on.
    TimedOut,
    /// The thread is gone.
    Over,
}

impl<T> Handover<T> {
    /// The writer begins to wait. It is told at once where there is nobody to wait for.
    pub(super) fn ask(&mut self) {
        if matches!(self, Self::Unattended) {
            *self = Self::Awaited;
        }
    }

    /// Whether the writer has nothing more to wait for.
    pub(super) fn is_decided(&self) -> bool {
        matches!(self, Self::Begun(_) | Self::Over)
    }

    /// The writer stops waiting, and takes what there is.
    pub(super) fn collect(&mut self) -> WaitEnd<T> {
        match std::mem::replace(self, Self::Over) {
            Self::Begun(begun) => WaitEnd::Begun(begun),
            Self::Over => WaitEnd::Over,
            Self::Awaited | Self::Unattended => {
                *self = Self::Unattended;
                WaitEnd::TimedOut
            }
        }
    }

    /// The thread leaves its transaction and goes. It gets the transaction back when the writer no longer waits:
    /// kept for later it would keep everybody else from writing.
    ///
    /// Whoever asks afterwards learns that the thread is gone, although it may still be ending its transaction.
    pub(super) fn leave(&mut self, begun: T) -> Option<T> {
        match self {
            Self::Awaited => {
                *self = Self::Begun(begun);
                None
            }
            Self::Unattended | Self::Begun(_) | Self::Over => {
                *self = Self::Over;
                Some(begun)
            }
        }
    }
}

/// A value that threads change in turn and wait for: a mutex and a condition variable. A trait, so that the model
/// checker runs the same code on its own.
pub(crate) trait Monitor<T>: Send + Sync + 'static {
    fn new(value: T) -> Self;

    /// Changes the value, and wakes those who wait for it.
    fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R;

    /// Waits until the value is as it should be, or `patience` is over; then does `then`, in the same critical
    /// section.
    fn wait<R>(&self, timeout: Duration, is_ready: impl Fn(&T) -> bool, then: impl FnOnce(&mut T) -> R) -> R;
}

/// What the hand-over runs on: threads and monitors of the system, or of a model checker.
pub(crate) trait Platform: Send + 'static {
    type Monitor<T: Send + 'static>: Monitor<T>;

    fn spawn(run: impl FnOnce() + Send + 'static) -> Result<()>;
}

/// One waiting thread, from the writer's side.
pub(super) struct Waiting<P: Platform, T: Send + 'static>(Arc<P::Monitor<Handover<T>>>);

impl<P: Platform, T: Send + 'static> Waiting<P, T> {
    /// Starts a thread that waits until `begin` returns.
    pub(super) fn start(begin: impl FnOnce() -> T + Send + 'static) -> Result<Self> {
        let handover = Arc::new(P::Monitor::new(Handover::Awaited));
        let other_end = Arc::clone(&handover);
        P::spawn(move || {
            let unwanted = begin();
            // Ended after the change, not in it: the end of a transaction may take long.
            let unwanted = other_end.change(|handover| handover.leave(unwanted));
            drop(unwanted);
        })?;
        Ok(Self(handover))
    }

    /// Waits for the thread within `patience`.
    pub(super) fn wait(&self, timeout: Duration) -> WaitEnd<T> {
        self.0.change(Handover::ask);
        self.0.wait(timeout, Handover::is_decided, Handover::collect)
    }

    /// Whether the thread has had its turn, and is gone.
    pub(super) fn is_over(&self) -> bool {
        self.0.change(|handover| matches!(handover, Handover::Over))
    }
}

/// The system's threads.
pub(crate) struct Threads;

impl Platform for Threads {
    type Monitor<T: Send + 'static> = Condition<T>;

    fn spawn(run: impl FnOnce() + Send + 'static) -> Result<()> {
        thread::spawn("idem-redb turn", run)
    }
}

pub(crate) struct Condition<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T: Send + 'static> Monitor<T> for Condition<T> {
    fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Condvar::new() }
    }

    fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let changed = change(&mut self.value.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
        changed
    }

    fn wait<R>(&self, timeout: Duration, is_ready: impl Fn(&T) -> bool, then: impl FnOnce(&mut T) -> R) -> R {
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(value, timeout, |value| !is_ready(value));
        let (mut value, _) = waited.unwrap_or_else(PoisonError::into_inner);
        then(&mut value)
    }
}
