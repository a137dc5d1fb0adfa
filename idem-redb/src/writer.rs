//! The one writer: takes what has queued up, commits it together, answers all of it.
//!
//! A thread of its own, because a durable commit blocks. Callers that come while it commits share the next
//! commit; a lone caller waits for nobody.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use idem_core::decide::Call;
use idem_core::{Clock, Error, ErrorKind, Operation, Result, SystemClock};
use redb::Database;
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;

use crate::batch::{self, Batch};
use crate::error::{Failure, away};
use crate::file::{Opened, begin};
use crate::mark::Mark;
use crate::queue::{Message, Reply, refuse, send};
use crate::shared::Shared;
use crate::slot::guarded;
use crate::tables::Tables;

/// The most calls that share a commit: bounds how long the first of them waits.
const LARGEST_BATCH: usize = 1_024;
/// How long a batch that is smaller than the one before waits for callers who were just answered.
const LINGER: Duration = Duration::from_micros(200);
/// How long the writer stays awake for the next call after a batch. A lone caller's next call comes within it,
/// and to be woken for it would cost as much as a tenth of a commit.
const AWAKE: Duration = Duration::from_micros(100);
/// Pauses between attempts to open the database again.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Opens the database anew; none where it is the application's own.
pub(crate) type Reopen = Option<Box<dyn Fn() -> Result<Opened> + Send>>;

pub(crate) struct Writer {
    queue: Receiver<Message>,
    shared: Arc<Shared>,
    reopen: Reopen,
    /// The highest sequence given out.
    sequence: u64,
    /// Received, but not part of the last batch.
    held_back: VecDeque<Message>,
    last_batch: usize,
}

impl Writer {
    /// Runs until the store is closed or all of its handles are gone.
    pub(crate) fn spawn(
        queue: Receiver<Message>,
        shared: Arc<Shared>,
        reopen: Reopen,
        sequence: u64,
    ) -> Result<()> {
        let writer = Self { queue, shared, reopen, sequence, held_back: VecDeque::new(), last_batch: 0 };
        let spawned = thread::Builder::new().name("idem-redb writer".to_owned()).spawn(move || writer.run());
        spawned.map(drop).map_err(|source| {
            Error::new(ErrorKind::Unavailable, Operation::Open, "the writer's thread cannot be started")
                .with_source(source)
        })
    }

    fn run(mut self) {
        while let Some(message) = self.next() {
            match message {
                Message::Call(_) | Message::Sweep(_) => self.batch(message),
                Message::Transact(queued) if queued.reply.is_closed() => {}
                Message::Transact(queued) => match self.shared.slot.database() {
                    Ok(database) => {
                        let done = batch::transact(*queued, &database, &self.shared, &mut self.sequence);
                        drop(database);
                        self.recover(done.err().is_some_and(|failure| failure.needs_reopen()));
                    }
                    Err(failure) => send(queued.reply, Err(failure.into_error(Operation::Complete))),
                },
                Message::Reopen => self.look_after_reads(),
                Message::Compact(reply) => self.compact(reply),
                Message::Replace(database, reply) => self.replace(database, reply),
                Message::Close(reply) => return self.close(Some(reply)),
            }
        }
        self.close(None);
    }

    fn next(&mut self) -> Option<Message> {
        self.held_back.pop_front().or_else(|| self.poll(now(), AWAKE)).or_else(|| self.queue.blocking_recv())
    }

    /// The next message, if it comes within `patience` of `since`. Gives way to whoever is about to send it,
    /// since a sleep would last longer than the whole of it.
    fn poll(&mut self, since: Duration, patience: Duration) -> Option<Message> {
        loop {
            match self.queue.try_recv() {
                Ok(message) => return Some(message),
                Err(TryRecvError::Empty) if now().saturating_sub(since) < patience => thread::yield_now(),
                Err(_) => return None,
            }
        }
    }

    fn batch(&mut self, first: Message) {
        let batch = self.collect(first);
        if batch.len() == 0 {
            return;
        }
        self.last_batch = batch.calls.len();
        match self.shared.slot.database() {
            Ok(database) => {
                let done = batch.commit(&database, &self.shared, &mut self.sequence);
                drop(database);
                self.recover(done.err().is_some_and(|failure| failure.needs_reopen()));
            }
            Err(failure) => batch.refuse(|operation| failure.to_error(operation)),
        }
    }

    /// All that waits, up to a bound, and up to the first message that stands alone.
    fn collect(&mut self, first: Message) -> Batch {
        let mut batch = Batch::default();
        let begun = now();
        // Those who wait, and those who were just answered and may ask again. A lone caller expects nobody else.
        let expected = (1 + self.held_back.len() + self.queue.len()).max(self.last_batch + self.queue.len());
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Call(queued) => {
                    // Nobody would hold what a lock whose caller has gone were granted.
                    if !(queued.reply.is_closed() && matches!(queued.call, Call::Lock { .. })) {
                        batch.calls.push(queued);
                    }
                }
                Message::Sweep(queued) => batch.sweeps.push(queued),
                alone => {
                    self.held_back.push_front(alone);
                    break;
                }
            }
            if batch.len() == LARGEST_BATCH {
                break;
            }
            let patience = if batch.calls.len() < expected { LINGER } else { Duration::ZERO };
            next = self.held_back.pop_front().or_else(|| self.poll(begun, patience));
        }
        batch
    }

    /// A read failed. It may be over already: a write met the same error and opened the database again.
    fn look_after_reads(&mut self) {
        let usable = self
            .shared
            .slot
            .database()
            .and_then(|database| guarded(|| Ok(begin(&database, &self.shared.config)?.abort()?)));
        self.recover(usable.is_err_and(|failure| failure.needs_reopen()));
    }

    /// After an I/O error redb refuses every write until it is opened again.
    fn recover(&mut self, needed: bool) {
        if !needed {
            return;
        }
        drop(self.shared.slot.take("the database is being opened again after an I/O error"));
        let Some(reopen) = &self.reopen else {
            tracing::error!("the shared database failed; the application must supply it anew");
            return;
        };
        let mut pause = FIRST_PAUSE;
        loop {
            match reopen() {
                Ok(opened) => {
                    self.sequence = self.sequence.max(opened.mark.sequence);
                    self.shared.slot.put(Arc::new(opened.database));
                    tracing::warn!("the database was opened again after an I/O error");
                    return;
                }
                Err(error) => tracing::error!(%error, "the database cannot be opened again yet"),
            }
            if !refuse_for(&mut self.queue, &mut self.held_back, pause) {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn compact(&mut self, reply: Reply<bool>) {
        let Some(database) = self.shared.slot.take("the database is being compacted") else {
            return send(reply, Err(away("the database is away", Operation::Maintain)));
        };
        if self.reopen.is_none() {
            self.shared.slot.put(database);
            let message = "the database is the application's own, which compacts it itself";
            return send(reply, Err(Error::new(ErrorKind::InvalidArgument, Operation::Maintain, message)));
        }
        let mut database = match Arc::try_unwrap(database) {
            Ok(database) => database,
            Err(database) => {
                self.shared.slot.put(database);
                return send(reply, Err(away("the database is in use", Operation::Maintain)));
            }
        };
        let compacted = database.compact().map_err(Failure::from);
        self.shared.slot.put(Arc::new(database));
        let needed = compacted.as_ref().is_err_and(Failure::needs_reopen);
        send(reply, compacted.map_err(|failure| failure.into_error(Operation::Maintain)));
        self.recover(needed);
    }

    fn replace(&mut self, database: Arc<Database>, reply: Reply<()>) {
        if self.reopen.is_some() {
            let message = "the store opened its database itself, and opens it again by itself";
            return send(reply, Err(Error::new(ErrorKind::InvalidArgument, Operation::Maintain, message)));
        }
        let adopted = crate::file::adopt(&database, &self.shared.config).map(|mark| {
            self.sequence = self.sequence.max(mark.sequence);
            drop(self.shared.slot.take("the database is being replaced"));
            self.shared.slot.put(database);
        });
        send(reply, adopted);
    }

    /// Does what was sent before, refuses what comes after, and closes the file.
    fn close(mut self, reply: Option<Reply<()>>) {
        self.queue.close();
        let mut closing: Vec<_> = reply.into_iter().collect();
        while let Some(message) = self.held_back.pop_front().or_else(|| self.queue.try_recv().ok()) {
            match message {
                Message::Call(_) | Message::Sweep(_) => self.batch(message),
                Message::Close(reply) => closing.push(reply),
                other => refuse(other),
            }
        }
        let closed = match self.shared.slot.take("the store is closed") {
            Some(database) if self.reopen.is_some() => self.seal(database),
            _ => Ok(()),
        };
        // Closing twice is closing once, and ends as that did.
        for reply in closing {
            let again = |error: &Error| Error::new(error.kind(), Operation::Close, error.to_string());
            send(reply, closed.as_ref().copied().map_err(again));
        }
    }

    /// One commit more: redb keeps the last two, so whichever of them damage leaves readable has everything.
    fn seal(&self, database: Arc<Database>) -> Result<()> {
        let seal = || {
            let txn = begin(&database, &self.shared.config)?;
            Tables::open(&txn)?
                .write_mark(Mark { time: self.shared.clock.now(), sequence: self.sequence })?;
            txn.commit()?;
            Result::<(), Failure>::Ok(())
        };
        let sealed = seal().map_err(|failure| failure.into_error(Operation::Close));
        match Arc::try_unwrap(database) {
            Ok(database) => {
                let closed = database.close();
                sealed.and(closed.map_err(|error| Failure::from(error).into_error(Operation::Close)))
            }
            Err(_) => sealed,
        }
    }
}

/// The writer's own patience follows the system's time, whatever clock the store has.
fn now() -> Duration {
    SystemClock.monotonic()
}

/// Refuses all that comes within `pause`; false when the store was closed meanwhile.
fn refuse_for(queue: &mut Receiver<Message>, held_back: &mut VecDeque<Message>, pause: Duration) -> bool {
    const STEP: Duration = Duration::from_millis(5);
    let mut waited = Duration::ZERO;
    loop {
        while let Some(message) = held_back.pop_front() {
            refuse(message);
        }
        loop {
            match queue.try_recv() {
                Ok(close @ Message::Close(_)) => {
                    held_back.push_front(close);
                    return false;
                }
                Ok(message) => refuse(message),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        if waited >= pause {
            return true;
        }
        thread::sleep(STEP);
        waited += STEP;
    }
}
