//! The writer's loop: takes what is queued, commits it together, and answers all of it.

use super::clock::now;
use super::worker::Writer;
use crate::error::Failure;
use crate::storage::guard::{drop_guarded, guarded};
use crate::writer::commit::application_transaction;
use crate::writer::commit::batch::{Batch, Committed, MOST_BYTES};
use crate::writer::full_disk::circuit_breaker::FULL;
use crate::writer::full_disk::parts::retry_parts;
use crate::writer::queue::message::{Message, QueuedTransaction, send};
use crate::writer::queue::priority::Waited;
use crate::writer::recover::AFTER_A_LEAK;
use idem_core::Result;
use idem_core::error::Operation;
use redb::Database;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TryRecvError;
/// The most calls that share a commit. Bounds how long the first of them waits.
const LARGEST_BATCH: usize = 1_024;
/// How long a batch that is smaller than the one before waits for the callers who were just answered.
const LINGER: Duration = Duration::from_micros(200);
/// How long the writer spins for the next call after a batch. A lone caller's next call comes within this time, and
/// waking the thread for it would cost as much as a tenth of a commit.
const SPIN: Duration = Duration::from_micros(100);

impl Writer {
    pub(super) fn run(mut self) -> Result<()> {
        while let Some(message) = self.next() {
            match message {
                Message::Call(_) => self.batch(Some(message)),
                Message::Transact(queued) if queued.reply.is_closed() => {}
                Message::Transact(queued) => self.transact(*queued),
                Message::Reopen => self.check_after_failed_read(),
                Message::Compact(reply) => self.compact(reply),
                Message::Replace(database, reply) => self.replace(database, reply),
                Message::Close => break,
            }
        }
        self.close()
    }

    /// The next message. While none comes, the sweep continues.
    fn next(&mut self) -> Option<Message> {
        self.shrink_if_overdue();
        loop {
            let sweeps = self.sweep.is_under_way(&mut self.queue);
            // A caller who was just answered may call again at once, and must not wait for a chunk of a sweep.
            let spin = if sweeps && self.last_batch == 0 { Duration::ZERO } else { SPIN };
            if let Some(message) = self.held_back.pop_front().or_else(|| self.poll(now(), spin)) {
                return Some(message);
            }
            // No caller is left, so none waits for a sweep either.
            if self.queue.has_ended() {
                return None;
            }
            if sweeps {
                self.batch(None);
                continue;
            }
            let (task, timeout) = self.next_idle_task();
            match self.queue.wait(Some(timeout)) {
                Waited::Ready => {}
                Waited::Ended => return None,
                Waited::TimedOut => self.run_idle_task(task),
            }
        }
    }

    /// The next message, if it comes within `timeout` of `since`. Yields to the threads that are about to send one,
    /// since a sleep would last longer than the whole timeout.
    fn poll(&mut self, since: Duration, timeout: Duration) -> Option<Message> {
        loop {
            match self.queue.try_recv() {
                Ok(message) => return Some(message),
                Err(TryRecvError::Empty) if now().saturating_sub(since) < timeout => {
                    std::thread::yield_now();
                }
                Err(_) => return None,
            }
        }
    }

    /// Commits what is queued, `first` before the others, with a chunk of the sweep.
    pub(crate) fn batch(&mut self, first: Option<Message>) {
        let mut batch = self.collect(first);
        batch.sweep = self.sweep.chunk(batch.calls.len(), &mut self.queue);
        self.last_batch = batch.calls.len();
        let has_sweep = !batch.sweep.is_empty();
        if !has_sweep {
            self.sweep.advance(&Ok(Committed::default()));
        }
        let parts = self.breaker.admit(batch, now());
        if has_sweep && parts.iter().all(|(part, _)| part.sweep.is_empty()) {
            self.sweep.advance(&Err(Failure::Away(FULL)));
        }
        let mut parts: VecDeque<_> = parts.into();
        while let Some((mut part, admitted)) = parts.pop_front() {
            if part.len() == 0 {
                continue;
            }
            let sweeps = !part.sweep.is_empty();
            let done = self.commit(&mut part);
            let mut is_sweep_retried = false;
            if let Err(failure) = &done {
                let again = if failure.is_full() { retry_parts(&mut part, admitted) } else { Vec::new() };
                is_sweep_retried = again.iter().any(|(part, _)| !part.sweep.is_empty());
                for part in again.into_iter().rev() {
                    parts.push_front(part);
                }
                part.refuse(|operation| failure.to_error(operation));
            }
            self.breaker.ended(admitted, done.as_ref().map(|committed| committed.wrote), now());
            if sweeps && !is_sweep_retried {
                self.sweep.advance(&done);
            }
            let done = done.map(|committed| {
                let mut rest = committed.rest;
                if !rest.is_empty() {
                    // A later call must not overtake a deferred one of the same key.
                    rest.extend(parts.drain(..).flat_map(|(later, _)| later.calls));
                    self.queue.give_back(rest);
                }
            });
            self.recover(done);
        }
    }

    fn commit(&mut self, batch: &mut Batch) -> Result<Committed, Failure> {
        let database = match self.database() {
            Ok(database) => database,
            Err(failure) => {
                batch.refuse(|operation| failure.to_error(operation));
                return Err(failure);
            }
        };
        let done = batch.commit(&database, &mut self.transactions);
        drop_guarded(database);
        done
    }

    /// The database, if it can be used and its file still has its name.
    pub(crate) fn database(&self) -> Result<Arc<Database>, Failure> {
        self.state.has_file();
        self.state.slot.database()
    }

    /// Collects queued calls, up to a bound, and up to the first message that cannot share a commit.
    fn collect(&mut self, first: Option<Message>) -> Batch {
        let (mut batch, mut bytes) = (Batch::default(), 0);
        let begun = now();
        // The callers who are queued, and those who were just answered and may call again. With a lone caller, no
        // other is expected.
        let expected = (1 + self.held_back.len() + self.queue.len()).max(self.last_batch + self.queue.len());
        let mut next = first;
        while let Some(message) = next {
            match message {
                Message::Call(queued) => {
                    if !queued.is_abandoned() {
                        bytes += queued.size();
                        batch.calls.push(queued);
                    }
                }
                alone => {
                    self.held_back.push_front(alone);
                    break;
                }
            }
            if batch.len() == LARGEST_BATCH || bytes >= MOST_BYTES {
                break;
            }
            let timeout = if batch.calls.len() < expected { LINGER } else { Duration::ZERO };
            next = self.held_back.pop_front().or_else(|| self.poll(begun, timeout));
        }
        batch
    }

    fn transact(&mut self, queued: QueuedTransaction) {
        let Some(admitted) = self.breaker.admit_transaction(now()) else {
            return send(queued.reply, Err(FULL.error(Operation::Complete)));
        };
        match self.database() {
            Ok(database) => {
                self.sweep.lone_calls += 1;
                let done = application_transaction::transact(queued, &database, &mut self.transactions);
                let is_blocked = guarded(|| Ok(self.transactions.is_blocked(&database))).unwrap_or(false);
                drop_guarded(database);
                self.breaker.ended(admitted, done.as_ref().copied(), now());
                if is_blocked { self.open_again(&AFTER_A_LEAK) } else { self.recover(done.map(drop)) }
            }
            Err(failure) => send(queued.reply, Err(failure.into_error(Operation::Complete))),
        }
    }

    /// Checks the database after a failed read. The failure may be over: a write may have met it, and reopened the
    /// database.
    fn check_after_failed_read(&mut self) {
        self.state.slot.swap_check_requested(false);
        if let Ok(database) = self.state.slot.database() {
            let usable = guarded(|| Ok(self.transactions.begin(&database)?.abort()?));
            drop(database);
            self.recover(usable);
        }
    }
}
