//! Waiting for replicas: one `WAIT` answers for every write before it, so calls share it.
//!
//! A `WAIT` blocks its connection until replicas have answered, so it has one of its own: calls go on meanwhile. It waits
//! for what its own connection wrote last (Redis 7.0: asked last), so something is written here first, which stands
//! behind all that was answered before in what the replicas are told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use idem_core::ErrorKind;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::Connection;
use crate::protocol::command::{Command, Part};
use crate::protocol::fault::{Cause, Fault};
use crate::protocol::reply::Reply;
use crate::protocol::script::PROPAGATE;

/// Calls that may wait for replicas at one time on one connection.
const MOST_WAITING: usize = 16_384;

/// Those who wait for the replicas of one server.
pub(super) struct Replicas {
    connection: Arc<Connection>,
    waiting: mpsc::Sender<Waiting>,
    /// Ends with this: the answer to its `WAIT` may never come.
    task: AbortHandle,
}

struct Waiting {
    key: Bytes,
    replicas: u8,
    /// How many replicas hold it.
    acknowledged: oneshot::Sender<Result<i64, Fault>>,
}

impl Replicas {
    /// By `connection`, which is for this alone.
    pub(super) fn start(connection: Connection, timeout: Duration) -> Self {
        let connection = Arc::new(connection);
        let (waiting, queue) = mpsc::channel(MOST_WAITING);
        let task = tokio::spawn(serve(Arc::clone(&connection), timeout, queue)).abort_handle();
        Self { connection, waiting, task }
    }

    pub(super) fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    pub(super) fn close(&self) {
        self.connection.close();
    }

    /// Waits until `replicas` hold all that the server answered before, of which the last was about `key`.
    pub(super) async fn wait(&self, key: Bytes, replicas: u8) -> Result<(), Fault> {
        let given_up =
            || Fault::Unknown(Cause::new("the connection was given up before its replicas answered"));
        let (acknowledged, answer) = oneshot::channel();
        self.waiting.send(Waiting { key, replicas, acknowledged }).await.map_err(|_| given_up())?;
        let held = answer.await.map_err(|_| given_up())??;
        if held >= i64::from(replicas) {
            return Ok(());
        }
        // Not sent again by ourselves: the caller's own resending finds the truth.
        Err(Fault::refused(
            ErrorKind::Timeout,
            format!("{held} of {replicas} replicas hold the write in time"),
        ))
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        self.task.abort();
        self.connection.close();
    }
}

async fn serve(connection: Arc<Connection>, timeout: Duration, mut queue: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, MOST_WAITING).await > 0 {
        let replicas = batch.iter().map(|waiting| waiting.replicas).max().unwrap_or(0);
        let key = batch.last().map(|waiting| waiting.key.clone()).unwrap_or_default();
        let held = wait(&connection, &key, timeout, replicas).await;
        for waiting in batch.drain(..) {
            // A caller that has gone does not mind.
            let _ = waiting.acknowledged.send(held.clone());
        }
    }
}

async fn wait(connection: &Connection, key: &Bytes, timeout: Duration, replicas: u8) -> Result<i64, Fault> {
    let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1);
    let wait = Command::new([Part::from("WAIT"), Part::Number(replicas.into()), Part::Number(timeout)]);
    let propagate = |whole| Command::script(&PROPAGATE, whole, key.clone(), &[]);
    let held = match connection.send_both(&propagate(false), &wait).await {
        Err(Fault::NoScript) => connection.send_both(&propagate(true), &wait).await,
        held => held,
    };
    match held.map_err(Fault::of_wait)? {
        Reply::Integer(replicas) => Ok(replicas),
        _ => Err(Fault::Unknown(Cause::new("WAIT was not answered by a number"))),
    }
}
