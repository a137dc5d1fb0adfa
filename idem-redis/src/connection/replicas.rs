//! Waits for replicas. One `WAIT` covers every write before it, so concurrent calls share it.
//!
//! A `WAIT` blocks its connection until the replicas have answered. It has a connection of its own, so that calls go on
//! meanwhile. It waits for the last write of its own connection (in Redis 7.0: for the last command). So a key is written
//! on that connection first: in the replication stream, that write follows every write that was answered before.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use idem_core::ErrorKind;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::connection::acknowledgers::{Acknowledgement, Acknowledgers};
use crate::connection::pipelined::Connection;
use crate::protocol::command::Command;
use crate::protocol::errors::attempt_error::AttemptError;
use crate::protocol::errors::cause::Cause;
use crate::protocol::script::PROPAGATE;

/// How many calls may wait for replicas at one time on one connection.
const MAX_WAITING: usize = 16_384;

/// How many keys of a batch are tried for the write before a `WAIT`.
const MAX_KEYS_TRIED: usize = 8;

/// The calls that wait for the replicas of one server.
pub(super) struct Replicas {
    connection: Arc<Connection>,
    waiting: mpsc::Sender<Waiting>,
    /// Since when calls have waited with none of them being answered.
    silent_since: Arc<Mutex<Option<Instant>>>,
    /// Aborted on drop: the answer to its `WAIT` may never come.
    task: AbortHandle,
}

struct Waiting {
    key: Bytes,
    asking: bool,
    by: Acknowledgers,
    acknowledged: oneshot::Sender<Result<Acknowledgement, AttemptError>>,
}

impl Replicas {
    /// Starts a task that sends every `WAIT` on `connection`, which serves no other purpose.
    pub(super) fn start(connection: Connection, timeout: Duration, replication_id: String) -> Self {
        let connection = Arc::new(connection);
        let (waiting, queue) = mpsc::channel(MAX_WAITING);
        let silent_since = Arc::default();
        let server = Server {
            connection: Arc::clone(&connection),
            timeout,
            replication_id,
            silent_since: Arc::clone(&silent_since),
        };
        let task = tokio::spawn(server.serve(queue)).abort_handle();
        Self { connection, waiting, silent_since, task }
    }

    /// How long calls have waited with none of them being answered.
    pub(super) fn silence(&self) -> Duration {
        lock(&self.silent_since).map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(super) fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    pub(super) fn close(&self) {
        self.connection.close();
    }

    /// Waits until every write that the server answered so far is acknowledged `by` these. `key` is that of the last such
    /// write.
    pub(super) async fn wait(&self, key: Bytes, asking: bool, by: Acknowledgers) -> Result<(), AttemptError> {
        let given_up =
            || AttemptError::Unknown(Cause::new("the connection was given up before its replicas answered"));
        let (acknowledged, answer) = oneshot::channel();
        lock(&self.silent_since).get_or_insert_with(Instant::now);
        self.waiting.send(Waiting { key, asking, by, acknowledged }).await.map_err(|_| given_up())?;
        let held = answer.await.map_err(|_| given_up())??;
        if held.replicas >= i64::from(by.replicas) && (held.disk || !by.disk) {
            return Ok(());
        }
        let on_disk = match (by.disk, held.disk) {
            (false, _) => "",
            (true, false) => " on their disks, and not that of the master",
            (true, true) => " on their disks, and that of the master",
        };
        let (held, needed) = (held.replicas, by.replicas);
        // Not retried here: the retry of the caller finds out whether the write holds.
        Err(AttemptError::refused(
            ErrorKind::Timeout,
            format!("{held} of {needed} replicas hold the write in time{on_disk}"),
        ))
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        self.task.abort();
        self.connection.close();
    }
}

/// The server whose replicas are waited for, as the task sees it.
struct Server {
    connection: Arc<Connection>,
    timeout: Duration,
    /// The server's replication id when it was connected to.
    replication_id: String,
    silent_since: Arc<Mutex<Option<Instant>>>,
}

impl Server {
    async fn serve(self, mut queue: mpsc::Receiver<Waiting>) {
        let mut batch = Vec::new();
        while queue.recv_many(&mut batch, MAX_WAITING).await > 0 {
            let held = self.wait_for(&batch).await;
            for waiting in batch.drain(..) {
                // A failed send means that the caller was dropped.
                let _ = waiting.acknowledged.send(held.clone());
            }
            // Calls that are in the queue by now have only just begun to wait.
            *lock(&self.silent_since) = (!queue.is_empty()).then(Instant::now);
        }
    }

    /// Waits for all calls of `batch` at once. Any key of the batch will do for the write before the `WAIT`. When the slot
    /// of a key has moved, another key is tried.
    async fn wait_for(&self, batch: &[Waiting]) -> Result<Acknowledgement, AttemptError> {
        let by = Acknowledgers {
            replicas: batch.iter().map(|waiting| waiting.by.replicas).max().unwrap_or(0),
            disk: batch.iter().any(|waiting| waiting.by.disk),
        };
        let mut held = Err(AttemptError::Unknown(Cause::new("nobody waits")));
        for Waiting { key, asking, .. } in batch.iter().rev().take(MAX_KEYS_TRIED) {
            held = self.wait(key, *asking, by).await;
            match held {
                Err(AttemptError::Moved { .. } | AttemptError::Ask { .. } | AttemptError::Later(_))
                    if self.connection.is_open() => {}
                _ => break,
            }
        }
        held.map_err(AttemptError::of_wait)
    }

    async fn wait(
        &self,
        key: &Bytes,
        asking: bool,
        by: Acknowledgers,
    ) -> Result<Acknowledgement, AttemptError> {
        let timeout = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX).max(1);
        let wait = by.command(timeout);
        let info = Command::new(["INFO".into(), "replication".into()]);
        let before = asking.then(|| Command::new(["ASKING".into()]));
        let send = async |whole| {
            let propagate = Command::script(&PROPAGATE, whole, key.clone(), &[]);
            self.connection.send_three([&propagate, &wait, &info], before.as_ref()).await
        };
        let [_, held, info] = match send(false).await {
            Err(AttemptError::NoScript) => send(true).await?,
            answers => answers?,
        };
        // A master that was a replica in between may have discarded its earlier writes.
        let still_master = info.field("role") == Some("master")
            && info.field("master_replid") == Some(self.replication_id.as_str());
        if !still_master {
            self.connection.close();
            return Err(AttemptError::Unknown(Cause::new("the server's data are not what they were")));
        }
        Acknowledgement::read(&held)
            .ok_or_else(|| AttemptError::Unknown(Cause::new("WAIT was not answered by a number")))
    }
}

fn lock(since: &Mutex<Option<Instant>>) -> MutexGuard<'_, Option<Instant>> {
    since.lock().unwrap_or_else(PoisonError::into_inner)
}
