//! The same code on a model checker's threads, which tries the orders in which they may run. A lost wake-up shows as a
//! deadlock.

use std::time::Duration;

use idem_core::Result;
use shuttle::sync::{Arc, Condvar, Mutex, MutexGuard};
use shuttle::thread;

use super::handover::{Monitor, Platform, WaitEnd, Waiting};
use super::turn::{Turn, WriteSlot};
use crate::error::Failure;

/// How many orders of each model are tried.
const ORDERS: usize = 20_000;
/// A timeout that may be over at any time.
const SOME: Duration = Duration::from_secs(1);
const FOR_EVER: Duration = Duration::MAX;

#[test]
fn a_writer_that_stops_waiting_and_asks_again_gets_its_turn() {
    shuttle::check_random(
        || {
            let slot = Slot::default();
            let application = use_in_turn(&slot, 2);
            let mut turn = turn();
            for timeout in [SOME, SOME, FOR_EVER] {
                match turn.begin(&slot, timeout) {
                    Ok(begun) => drop(begun),
                    Err(Failure::Busy) => assert!(timeout != FOR_EVER, "stopped waiting too early"),
                    Err(other) => panic!("{other:?}"),
                }
            }
            application.join().unwrap();
        },
        ORDERS,
    );
}

/// No thread keeps a transaction for good: neither one that waited for a writer that is gone, nor a writer that began
/// another transaction.
#[test]
fn a_writer_that_stops_waiting_for_good_leaves_the_slot_free() {
    shuttle::check_random(
        || {
            let slot = Slot::default();
            let application = use_in_turn(&slot, 2);
            let mut turn = turn();
            drop(turn.begin(&slot, SOME));
            drop(turn.begin(&slot, SOME));
            drop(turn);
            application.join().unwrap();
            drop(slot.wait_for_turn());
        },
        ORDERS,
    );
}

#[test]
fn what_the_waiting_thread_leaves_is_found_once_and_by_whoever_waits() {
    shuttle::check_random(
        || {
            let waiting = Waiting::<Model, u32>::start(|| 7).unwrap();
            let (mut found, mut over) = (0, 0);
            for _ in 0..3 {
                match waiting.wait(SOME) {
                    WaitEnd::Begun(7) => found += 1,
                    WaitEnd::Begun(other) => panic!("{other}"),
                    WaitEnd::Over => over += 1,
                    WaitEnd::TimedOut => {}
                }
            }
            assert!(found <= 1, "handed over {found} times");
            assert!(matches!(waiting.wait(FOR_EVER), WaitEnd::Begun(7) | WaitEnd::Over));
            assert!(over == 0 || waiting.is_over());
        },
        ORDERS,
    );
}

/// An application that is merely fast, and slow once, is not taken for a leak for longer than that.
#[test]
fn a_slot_that_was_given_back_is_not_called_leaked() {
    shuttle::check_random(
        || {
            let slot = Slot::default();
            let held = slot.wait_for_turn();
            let mut turn = turn();
            // A closure of the store has just run, and the application was faster.
            turn.suspect_if_taken(&slot);
            // For all that the store can see, the slot is taken for a whole call timeout.
            let refused = turn.begin(&slot, SOME);
            assert!(matches!(refused, Err(Failure::Away(_))), "{refused:?}");
            drop(held);
            while turn.waiting.as_ref().is_some_and(|waiting| !waiting.is_over()) {
                thread::yield_now();
            }
            // The slot is taken again, which is the application's right.
            let application = use_in_turn(&slot, 1);
            match turn.begin(&slot, SOME) {
                Ok(_) | Err(Failure::Busy) => {}
                Err(other) => panic!("{other:?}"),
            }
            application.join().unwrap();
        },
        ORDERS,
    );
}

fn turn() -> Turn<Slot, Model> {
    Turn::default()
}

/// An application's own transactions, one after the other.
fn use_in_turn(slot: &Slot, times: usize) -> thread::JoinHandle<()> {
    let slot = slot.clone();
    thread::spawn(move || {
        for _ in 0..times {
            drop(slot.wait_for_turn());
        }
    })
}

/// One write slot that is waited for as redb's is: a condition variable that wakes one.
#[derive(Clone, Default)]
struct Slot(Arc<(Mutex<bool>, Condvar)>);

#[derive(Debug)]
struct Transaction(Slot);

impl Slot {
    fn is_taken(&self) -> MutexGuard<'_, bool> {
        self.0.0.lock().unwrap()
    }

    fn wait_for_turn(&self) -> Transaction {
        let mut is_taken = self.is_taken();
        while *is_taken {
            is_taken = self.0.1.wait(is_taken).unwrap();
        }
        *is_taken = true;
        Transaction(self.clone())
    }
}

impl WriteSlot for Slot {
    type Transaction = Transaction;

    fn try_begin(&self) -> Option<Result<Transaction, Failure>> {
        let mut is_taken = self.is_taken();
        (!std::mem::replace(&mut *is_taken, true)).then(|| Ok(Transaction(self.clone())))
    }

    fn begin(&self) -> Result<Transaction, Failure> {
        Ok(self.wait_for_turn())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let was_taken = std::mem::replace(&mut *self.0.is_taken(), false);
        assert!(was_taken, "two had the slot");
        self.0.0.1.notify_one();
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot")
    }
}

struct Model;

impl Platform for Model {
    type Monitor<T: Send + 'static> = ModelMonitor<T>;

    fn spawn(run: impl FnOnce() + Send + 'static) -> Result<()> {
        thread::spawn(run);
        Ok(())
    }
}

struct ModelMonitor<T>(Arc<Shared<T>>);

struct Shared<T> {
    value: Mutex<Timed<T>>,
    changed: Condvar,
}

struct Timed<T> {
    value: T,
    /// How many waits with a timeout have begun, and how many of them have ended.
    waits: usize,
    ended: usize,
}

impl<T: Send + 'static> Monitor<T> for ModelMonitor<T> {
    fn new(value: T) -> Self {
        let value = Mutex::new(Timed { value, waits: 0, ended: 0 });
        Self(Arc::new(Shared { value, changed: Condvar::new() }))
    }

    fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let changed = change(&mut self.0.value.lock().unwrap().value);
        self.0.changed.notify_all();
        changed
    }

    /// Another thread ends a timeout, so that it can end at any time.
    fn wait<R>(&self, timeout: Duration, is_ready: impl Fn(&T) -> bool, then: impl FnOnce(&mut T) -> R) -> R {
        let mut timed = self.0.value.lock().unwrap();
        timed.waits += 1;
        let this = timed.waits;
        if timeout != FOR_EVER {
            let shared = Arc::clone(&self.0);
            thread::spawn(move || {
                let mut timed = shared.value.lock().unwrap();
                timed.ended = timed.ended.max(this);
                shared.changed.notify_all();
            });
        }
        while !is_ready(&timed.value) && timed.ended < this {
            timed = self.0.changed.wait(timed).unwrap();
        }
        then(&mut timed.value)
    }
}
