//! Handing a transaction over from the thread that waits for it to the writer, which may stop waiting at any time.
//!
//! Nothing interrupts a thread that waits for redb's write slot. So a thread of its own waits there, and the writer
//! waits for that thread, up to a timeout.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use idem_core::Result;

use crate::thread;

/// The state between one waiting thread and the writer.
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
    /// The thread is gone without leaving anything: the writer needs another one.
    Over,
}

/// How the writer's wait ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WaitEnd<T> {
    Begun(T),
    /// The timeout is over; the thread waits on.
    TimedOut,
    /// The thread is gone.
    Over,
}

impl<T> Handover<T> {
    /// The writer begins to wait. Where there is no thread to wait for, the state stays decided.
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

    /// The thread leaves its transaction and ends. It gets the transaction back when the writer no longer waits: a
    /// transaction that is kept for later would block all other writers.
    ///
    /// A writer that asks afterwards learns that the thread is gone, although it may still be ending its transaction.
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

/// A value that threads change and wait for: a mutex and a condition variable. It is a trait, so that the model
/// checker can run the same code on its own primitives.
pub(crate) trait Monitor<T>: Send + Sync + 'static {
    fn new(value: T) -> Self;

    /// Changes the value, and wakes all waiters.
    fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R;

    /// Waits until the value is ready, or `timeout` is over; then calls `then` in the same critical section.
    fn wait<R>(&self, timeout: Duration, is_ready: impl Fn(&T) -> bool, then: impl FnOnce(&mut T) -> R) -> R;
}

/// The threads and monitors that the hand-over uses: the system's, or the model checker's.
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
            // Ended outside of the critical section: ending a transaction may take long.
            let unwanted = other_end.change(|handover| handover.leave(unwanted));
            drop(unwanted);
        })?;
        Ok(Self(handover))
    }

    /// Waits for the thread within `timeout`.
    pub(super) fn wait(&self, timeout: Duration) -> WaitEnd<T> {
        self.0.change(Handover::ask);
        self.0.wait(timeout, Handover::is_decided, Handover::collect)
    }

    /// Whether the thread has had the slot, and is gone.
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
