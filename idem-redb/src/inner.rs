//! A store's callers' side: reads where they are asked for, the rest by the writer.

use std::io;
use std::sync::{Arc, mpsc as std_mpsc};

use idem_core::decide::{Answer, Call, Change};
use idem_core::{
    Clock, Error, ErrorKind, Key, Operation, Record, Result, Sent, SharedClock, StoreClock, Waiters, decide,
};
use redb::{Database, StorageBackend};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::config::{RedbConfig, WhenQueueFull};
use crate::file::{self, Opened};
use crate::pace::ReadPace;
use crate::queue::{Message, QueuedCall};
use crate::schema::{self, Mark};
use crate::shared::Shared;
use crate::slot::{Slot, away};
use crate::sweep;
use crate::writer::{Reopen, Writer};

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) queue: mpsc::Sender<Message>,
    /// Dropped with the store, which ends the sweeper.
    _stop: Option<std_mpsc::Sender<()>>,
}

impl Inner {
    pub(crate) fn open_file(config: RedbConfig, clock: SharedClock) -> Result<Arc<Self>> {
        let again = config.clone();
        let opened = file::open_file(&config)?;
        Self::own(config, clock, opened, move || {
            file::open_file(&RedbConfig { create: false, ..again.clone() })
        })
    }

    pub(crate) fn open_storage<B: StorageBackend>(
        config: RedbConfig,
        clock: SharedClock,
        storage: impl Fn() -> io::Result<B> + Send + 'static,
    ) -> Result<Arc<Self>> {
        let again = config.clone();
        let opened = file::open_storage(&config, &storage)?;
        Self::own(config, clock, opened, move || file::open_storage(&again, &storage))
    }

    pub(crate) fn share(
        config: RedbConfig,
        clock: SharedClock,
        database: Arc<Database>,
    ) -> Result<Arc<Self>> {
        let mark = file::adopt(&database, &config)?;
        Self::start(config, clock, database, mark, None)
    }

    fn own(
        config: RedbConfig,
        clock: SharedClock,
        opened: Opened,
        reopen: impl Fn() -> Result<Opened> + Send + 'static,
    ) -> Result<Arc<Self>> {
        Self::start(config, clock, Arc::new(opened.database), opened.mark, Some(Box::new(reopen)))
    }

    fn start(
        config: RedbConfig,
        clock: SharedClock,
        database: Arc<Database>,
        mark: Mark,
        reopen: Reopen,
    ) -> Result<Arc<Self>> {
        let (queue, received) = mpsc::channel(config.queue);
        let shared = Arc::new(Shared {
            slot: Slot::new(database),
            clock: StoreClock::start(clock, mark.time),
            waiters: Waiters::new(),
            pace: ReadPace::default(),
            config,
        });
        Writer::spawn(received, Arc::clone(&shared), reopen, mark.sequence)?;
        let (stop, stopped) = std_mpsc::channel();
        let sweeps = shared.config.sweep;
        let inner = Arc::new(Self { shared, queue, _stop: sweeps.then_some(stop) });
        if sweeps {
            sweep::spawn(Arc::downgrade(&inner), stopped, &inner.shared)?;
        }
        Ok(inner)
    }

    pub(crate) fn sent(&self) -> Sent {
        Sent::now(self.shared.clock.source())
    }

    /// Answers `call` from what is on record when that changes nothing, and leaves the rest to the writer.
    pub(crate) async fn call(&self, key: &Key, call: Call) -> Result<Answer> {
        let operation = call.operation();
        call.check(self.shared.config.max_outcome)?;
        if matches!(call, Call::Lock { .. }) {
            let record = self.read(key, operation).await?;
            let decision = decide(record.as_ref(), call.clone(), self.shared.clock.now());
            if decision.change == Change::None {
                return Ok(decision.answer);
            }
        }
        let (reply, answer) = oneshot::channel();
        self.ask(operation, Message::Call(QueuedCall { key: *key, call, reply }), answer).await
    }

    /// Reads a record inline while pages are at hand, and on a thread that may block while they are not.
    pub(crate) async fn read(&self, key: &Key, operation: Operation) -> Result<Option<Record>> {
        if self.shared.pace.is_slow() {
            let (shared, key) = (Arc::clone(&self.shared), *key);
            let read = tokio::task::spawn_blocking(move || read(&shared, &key, operation)).await;
            return read.unwrap_or_else(|source| {
                Err(Error::new(ErrorKind::Unavailable, operation, "the read was cut off").with_source(source))
            });
        }
        let clock: &dyn Clock = &**self.shared.clock.source();
        let begun = clock.monotonic();
        let record = read(&self.shared, key, operation);
        self.shared.pace.note(clock.monotonic().saturating_sub(begun));
        record
    }

    /// Sends `message` to the writer and waits for `answer`, within the configured time.
    pub(crate) async fn ask<T>(
        &self,
        operation: Operation,
        message: Message,
        answer: oneshot::Receiver<Result<T>>,
    ) -> Result<T> {
        let limit = self.shared.config.call_timeout;
        let asked = async {
            self.enqueue(operation, message).await?;
            answer.await.unwrap_or_else(|_| Err(away("the store is closed", operation)))
        };
        timeout(limit, asked).await.unwrap_or_else(|_| {
            let message = format!(
                "no answer within {limit:?}: the disk is slow, or the application awaits the store inside its own \
                 write transaction on the same database"
            );
            Err(Error::new(ErrorKind::Timeout, operation, message))
        })
    }

    async fn enqueue(&self, operation: Operation, message: Message) -> Result<()> {
        match self.shared.config.when_queue_full {
            WhenQueueFull::Wait => {
                self.queue.send(message).await.map_err(|_| away("the store is closed", operation))
            }
            WhenQueueFull::Refuse => self.queue.try_send(message).map_err(|error| match error {
                TrySendError::Full(_) => away("the writer's queue is full", operation),
                TrySendError::Closed(_) => away("the store is closed", operation),
            }),
        }
    }
}

fn read(shared: &Shared, key: &Key, operation: Operation) -> Result<Option<Record>> {
    let now = shared.clock.now();
    let record = shared.slot.read(operation, |txn| schema::read(txn, key, now))?;
    Ok(record.filter(|record| !record.is_expired(now)))
}
