//! A store's callers' side: reads where they are asked for, the rest by the writer.

use std::io;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use idem_core::backend::{Answer, Applied, Call, Change, Sent, StoreClock, Waiters, decide};
use idem_core::clock::SharedClock;
use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Key, Result};
use redb::{Database, StorageBackend};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::config::{RedbConfig, WhenQueueFull};
use crate::counting::Known;
use crate::error::{away, closed};
use crate::file::{self, Opened};
use crate::found::{self, Ownership};
use crate::identity::FileIdentity;
use crate::maintain::Closed;
use crate::mark::Mark;
use crate::origin::{Origin, Own, Supply};
use crate::pace::ReadPace;
use crate::priority::{self, QueueSender};
use crate::queue::{Message, QueuedCall};
use crate::room::Room;
use crate::share::Share;
use crate::shared::Shared;
use crate::slot::{Slot, guarded};
use crate::snapshot::Snapshot;
use crate::watcher;
use crate::write_turn::WriteTurn;
use crate::writer::Writer;
use crate::writes::Writes;

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) queue: QueueSender,
    /// How the store was closed, once it is.
    closed: watch::Receiver<Option<Closed>>,
    /// Dropped with the store, which ends the sweeper.
    _stop: std_mpsc::Sender<()>,
}

/// A store that has been started, and what tells its sweeper that it is gone.
pub(crate) struct Started {
    pub(crate) inner: Arc<Inner>,
    pub(crate) stopped: std_mpsc::Receiver<()>,
}

impl Inner {
    pub(crate) fn open_file(mut config: RedbConfig, clock: SharedClock) -> Result<Started> {
        // A process may go to another folder later.
        config.path = std::path::absolute(&config.path).unwrap_or(config.path);
        let again = RedbConfig { create: false, ..config.clone() };
        let opened = file::open_file(&config)?;
        let started = Self::own(config, clock, opened, move || file::open_file(&again))?;
        watcher::start(&started.inner.shared)?;
        Ok(started)
    }

    pub(crate) fn open_storage<B: StorageBackend>(
        config: RedbConfig,
        clock: SharedClock,
        storage: impl Fn() -> io::Result<B> + Send + 'static,
    ) -> Result<Started> {
        let again = config.clone();
        let opened = file::open_storage(&config, Ownership::Own, &storage)?;
        Self::own(config, clock, opened, move || file::open_storage(&again, Ownership::Again, &storage))
    }

    pub(crate) fn share(config: RedbConfig, clock: SharedClock, database: Arc<Database>) -> Result<Started> {
        Self::share_as(config, clock, database, Origin::Lent)
    }

    pub(crate) fn share_from(config: RedbConfig, clock: SharedClock, supply: Supply) -> Result<Started> {
        let database = supply()?;
        Self::share_as(config, clock, database, Origin::Supplied(supply))
    }

    fn share_as(
        config: RedbConfig,
        clock: SharedClock,
        database: Arc<Database>,
        origin: Origin,
    ) -> Result<Started> {
        let mut time = StoreClock::start(Arc::clone(&clock));
        let adopted = guarded(|| {
            let txn = WriteTurn::default().begin(&database, config.call_timeout)?;
            found::adopt(txn, Ownership::Shared, |mark| {
                time = mark.resume(clock, &config)?;
                Ok(Mark::new(time.mark(time.now()), mark.sequence))
            })
        });
        let mark = adopted.map_err(|failure| failure.into_error(Operation::Open))?;
        let shared = Self::shared(config, time, database, None, false);
        Self::start(Arc::clone(&shared), origin, Writes::beside_others(shared, mark))
    }

    fn own(
        config: RedbConfig,
        clock: SharedClock,
        opened: Opened,
        reopen: impl Fn() -> Result<Opened> + Send + 'static,
    ) -> Result<Started> {
        let Opened { database, mark, storage, identity } = opened;
        let time = mark.resume(clock, &config)?;
        // Where nobody counts, nothing is asked.
        let known = if identity.is_some() { Known::of(&database, mark) } else { Known::default() };
        let shared = Self::shared(config, time, Arc::new(database), identity, true);
        let share = shared
            .room
            .as_ref()
            .map(|room| Share::new(shared.config.max_share_per_scope, Arc::clone(room), known));
        let writes = Writes::own(Arc::clone(&shared), mark, storage.clone(), share);
        let own = Own { storage, reopen: Box::new(reopen) };
        Self::start(shared, Origin::Own(own), writes)
    }

    fn shared(
        config: RedbConfig,
        time: StoreClock,
        database: Arc<Database>,
        identity: Option<FileIdentity>,
        is_own: bool,
    ) -> Arc<Shared> {
        // Where a file has no name that the store knows, nobody knows how much room it has.
        let room = identity.is_some().then(|| Arc::new(Room::new(config.path.clone())));
        Arc::new(Shared {
            slot: Slot::new(database, is_own),
            time,
            waiters: Waiters::new(),
            pace: ReadPace::default(),
            identity,
            room,
            config,
        })
    }

    fn start(shared: Arc<Shared>, origin: Origin, writes: Writes) -> Result<Started> {
        let (queue, received) = priority::queue(shared.config.queue);
        let closed = Writer::spawn(received, origin, writes)?;
        let (stop, stopped) = std_mpsc::channel();
        Ok(Started { inner: Arc::new(Self { shared, queue, closed, _stop: stop }), stopped })
    }

    pub(crate) fn sent(&self) -> Sent {
        Sent::now(self.shared.time.source())
    }

    /// Answers a `lock` from what is on record when that changes nothing, and leaves the rest to the writer.
    pub(crate) async fn lock(self: &Arc<Self>, key: &Key, call: Call, sent: &Sent) -> Result<Applied> {
        let begun = Instant::now();
        // No answer that is given here needs the checkpoint.
        let record = self.read(key, Operation::Lock, sent, Snapshot::read_without_checkpoint).await?;
        if let Some(record) = record {
            let now = record.as_of;
            let decision = decide(Some(&record), call.clone(), now);
            // A resent `lock` goes behind the caller's own calls that may still be queued, such as a release.
            if decision.change == Change::None && !matches!(decision.answer, Answer::Acquired(_)) {
                return Ok(Applied { answer: decision.answer, wrote: false });
            }
        }
        // What was read took its part of the time.
        let left = self.shared.config.call_timeout.saturating_sub(begun.elapsed());
        self.write(key, call, left).await
    }

    /// Leaves `call` to the writer.
    pub(crate) async fn call(&self, key: &Key, call: Call) -> Result<Applied> {
        self.write(key, call, self.shared.config.call_timeout).await
    }

    async fn write(&self, key: &Key, call: Call, limit: Duration) -> Result<Applied> {
        let operation = call.operation();
        let (reply, answer) = oneshot::channel();
        let sent = self.enqueue(operation, Message::Call(QueuedCall { key: *key, call, reply }));
        self.answered(operation, limit, sent, answer).await
    }

    /// Closes the store, and waits until it is closed, whoever began it.
    pub(crate) async fn close(&self) -> Result<()> {
        let mut closed = self.closed.clone();
        let ended = async {
            // Whoever closes the store means it: a full queue is waited for. One that is closed takes no message.
            let _closing_already = self.queue.send(Message::Close).await;
            match closed.wait_for(Option::is_some).await {
                Ok(how) => how.as_ref().map_or(Ok(()), Closed::result),
                Err(_) => Err(away("the writer is gone", Operation::Close)),
            }
        };
        let limit = self.shared.config.call_timeout;
        timeout(limit, ended).await.unwrap_or_else(|_| Err(no_answer(limit, Operation::Close)))
    }

    /// Sends `message` to the writer and waits for `answer`, within the configured time.
    pub(crate) async fn ask<T>(
        &self,
        operation: Operation,
        message: Message,
        answer: oneshot::Receiver<Result<T>>,
    ) -> Result<T> {
        let limit = self.shared.config.call_timeout;
        self.answered(operation, limit, self.enqueue(operation, message), answer).await
    }

    /// Waits until it is `sent` and for `answer`, within `limit`.
    pub(crate) async fn answered<T>(
        &self,
        operation: Operation,
        limit: Duration,
        sent: impl Future<Output = Result<()>>,
        answer: oneshot::Receiver<Result<T>>,
    ) -> Result<T> {
        let asked = async {
            sent.await?;
            answer.await.unwrap_or_else(|_| Err(closed(operation)))
        };
        timeout(limit, asked)
            .await
            .unwrap_or_else(|_| Err(no_answer(self.shared.config.call_timeout, operation)))
    }

    async fn enqueue(&self, operation: Operation, message: Message) -> Result<()> {
        match self.shared.config.when_queue_full {
            WhenQueueFull::Refuse => self.queue.try_send(message).map_err(|error| match error {
                TrySendError::Full(()) => away("the writer's queue is full", operation),
                TrySendError::Closed(()) => closed(operation),
            }),
            WhenQueueFull::Wait => self.queue.send(message).await.map_err(|_| closed(operation)),
        }
    }
}

fn no_answer(limit: Duration, operation: Operation) -> Error {
    let message = format!(
        "no answer within {limit:?}: the disk is slow, or the application awaits the store inside its own write \
         transaction on the same database"
    );
    Error::new(ErrorKind::Timeout, operation, message)
}
